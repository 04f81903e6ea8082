"""What the handlers really answer fits what the API document says of it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin
from jsonschema import Draft202012Validator

from omniroute.gateway.routes import DATA_ROUTES
from omniroute.gateway.usage import CallRecord
from omniroute.manage.openapi import document
from omniroute.manage.openapi_notes import MEDIA
from omniroute.manage.routes import MANAGE_ROUTES

PLAIN = [
    route.path
    for route in MANAGE_ROUTES
    if route.method == "GET" and "{" not in route.path and f"GET {route.path}" not in MEDIA and route.reply is not None
]


def a_call(admin: Admin, connection: str) -> CallRecord:
    return CallRecord(
        "call-1", admin.clock.time(), "POST", "/v1/chat/completions", 200, "openai", "gpt-4o", "openai/gpt-4o", connection,
        "main", "", "", "openai-chat", "openai-chat", False, 12.5, 3.0, 7, 9, cost=0.1,
    )  # fmt: skip


@pytest.fixture
def used(admin: Admin) -> Admin:
    """A gateway with one of everything."""
    made = admin.connection()
    admin.node()
    admin.key("manage")
    admin.store.usage.put(a_call(admin, made["id"]))
    admin.fail(made["id"])
    admin.fail(made["id"], status=404)
    assert admin.send("PUT", "/api/db-backups").status == 200
    return admin


def test_every_reply_fits_its_schema(used: Admin) -> None:
    described = document(MANAGE_ROUTES, DATA_ROUTES)
    headers = {"authorization": f"Bearer {used.key('manage')}"}
    wrong: list[Any] = []
    for path in PLAIN:
        answer = used.send("GET", path, headers=headers)
        schema = described["paths"][path]["get"]["responses"]["2XX"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": described["components"]})
        if answer.status == 200:
            wrong += [(path, error.json_path, error.message[:200]) for error in validator.iter_errors(answer.json)]
        else:
            assert answer.status < 500 or path.startswith("/api/sync/"), path  # there is no peer here
    assert wrong == []


def test_one_call_fits_its_schema(used: Admin) -> None:
    described = document(MANAGE_ROUTES, DATA_ROUTES)
    schema = {"$ref": "#/components/schemas/CallDetail", "components": described["components"]}
    Draft202012Validator(schema).validate(used.send("GET", "/api/usage/call-logs/call-1").json)
