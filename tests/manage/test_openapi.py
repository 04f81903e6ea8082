"""The API document: complete, valid, and true of the tables it is made from."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fakes_manage import Admin
from jsonschema import Draft202012Validator

from omniroute.gateway.routes import DATA_ROUTES
from omniroute.manage.openapi import document
from omniroute.manage.routes import MANAGE_ROUTES

DOCUMENT = document(MANAGE_ROUTES, DATA_ROUTES)
OPERATIONS = [
    (f"{method.upper()} {path}", operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


def template(path: str) -> str:
    return re.sub(r"\{(\w+)\*\}", r"{\1}", path)


def check(schema: dict[str, Any], value: Any) -> None:
    """*value* fits *schema*, which may refer to the document's components."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def examples() -> list[tuple[str, dict[str, Any], Any]]:
    found = []
    for name, operation in OPERATIONS:
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        found += [
            (name, media.get("schema", {}), media["example"])
            for part in parts
            for media in part.get("content", {}).values()
            if "example" in media
        ]
    for name, schema in DOCUMENT["components"]["schemas"].items():
        found += [(name, schema, example) for example in schema.get("examples", ())]
    return found


def test_every_route_of_both_tables_is_in_it_and_nothing_else() -> None:
    rows = {f"{row.method} {template(row.path)}" for row in (*MANAGE_ROUTES, *DATA_ROUTES)}
    assert {name for name, _ in OPERATIONS} == rows


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_every_path_variable_is_a_parameter() -> None:
    for name, operation in OPERATIONS:
        inside = {item["name"] for item in operation["parameters"] if item["in"] == "path"}
        assert inside == set(re.findall(r"\{(\w+)\}", name)), name


@pytest.mark.parametrize(("name", "schema", "example"), examples())
def test_every_example_fits_its_schema(name: str, schema: dict[str, Any], example: Any) -> None:
    check(schema, example)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = set(re.findall(r"#/components/schemas/([\w.]+)", repr(DOCUMENT)))
    assert names <= set(DOCUMENT["components"]["schemas"])


def test_access_classes_are_security_schemes() -> None:
    by_name = dict(OPERATIONS)
    assert by_name["GET /api/auth/status"]["security"] == []
    assert by_name["GET /api/keys"]["security"] == [{"cookie": []}, {"manageKey": []}]
    assert {} in by_name["POST /v1/chat/completions"]["security"]
    used = {scheme for _, operation in OPERATIONS for choice in operation["security"] for scheme in choice}
    assert used <= set(DOCUMENT["components"]["securitySchemes"])


def test_a_request_type_is_the_schema_of_its_route() -> None:
    body = dict(OPERATIONS)["POST /api/keys"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/KeyBody"}
    body = dict(OPERATIONS)["POST /v1/messages"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/MessagesRequest"}


def test_it_is_public_and_the_same_each_time(guarded: Admin) -> None:
    answer = guarded.send("GET", "/api/openapi.json")
    assert (answer.status, answer.header(b"content-type")) == (200, b"application/json")
    assert answer.json == DOCUMENT
    assert guarded.send("GET", "/api/openapi.json").text == answer.text


def test_the_page_runs_only_scripts_of_ours(guarded: Admin) -> None:
    answer = guarded.send("GET", "/api/docs")
    assert answer.status == 200
    assert b"default-src 'none'; script-src 'self'" in (answer.header(b"content-security-policy") or b"")
    page = answer.text.decode()
    assert "http://" not in page
    assert "https://" not in page
    for file in re.findall(r'(?:src|href)="(/admin_ui/[^"]+)"', page):
        assert guarded.send("GET", file).status == 200, file
