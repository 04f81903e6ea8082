"""Custom endpoints: created, changed with their connections, deleted."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fakes_manage import Admin, fields_of

from omniroute.gateway.uses import NEVER

PATH = "/api/provider-nodes"
BODY = {"name": "Mock", "prefix": "mock", "type": "openai-compatible", "apiType": "chat", "baseUrl": "http://127.0.0.1:9/v1"}
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def test_there_are_no_nodes_at_first(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == {"nodes": []}


def test_a_new_node_has_the_promised_shape(admin: Admin) -> None:
    answer = admin.send("POST", PATH, BODY)
    assert answer.status == 201
    node = answer.json["node"]
    assert re.fullmatch("openai-compatible-chat-" + _UUID, node.pop("id"))
    assert node.pop("createdAt") == node.pop("updatedAt")
    assert node == {**BODY, "chatPath": None, "modelsPath": None}
    assert admin.send("GET", PATH).json["nodes"][0]["name"] == "Mock"
    assert admin.audit() == ["node.create"]


def test_a_prefix_in_use_is_taken_and_said_and_leads_to_the_node_with_an_account(admin: Admin) -> None:
    first = admin.node("mock", name="First")
    answer = admin.send("POST", PATH, {**BODY, "name": "Second"})
    second = answer.json["node"]["id"]
    said = 'The prefix "mock" is also that of the node "First": at present its models are those of "First"'
    assert (answer.status, answer.json["warning"]) == (201, said)
    made = admin.connection(first), admin.connection(second)
    assert admin.store.snapshot.prefixes["mock"] == first
    admin.send("DELETE", f"/api/providers/{made[0]['id']}")
    assert admin.store.snapshot.prefixes["mock"] == second
    assert admin.send("PATCH", f"{PATH}/{first}", {"name": "F"}).json["warning"].endswith('those of "Second"')
    assert "warning" not in admin.send("PATCH", f"{PATH}/{first}", {"prefix": "own"}).json


@pytest.mark.parametrize(
    ("fields", "id_", "base_url"),
    [
        ({"apiType": "responses"}, "openai-compatible-responses-", "https://api.openai.com/v1"),
        ({"apiType": "chat"}, "openai-compatible-chat-", "https://api.openai.com/v1"),
        ({"type": "anthropic-compatible"}, "anthropic-compatible-", "https://api.anthropic.com/v1"),
        ({"type": "gemini-compatible"}, "gemini-compatible-", "https://generativelanguage.googleapis.com/v1beta"),
        ({"type": "ollama-compatible"}, "ollama-compatible-", "http://localhost:11434"),
    ],
)
def test_types_have_their_id_and_default_address(admin: Admin, fields: dict[str, str], id_: str, base_url: str) -> None:
    node = admin.send("POST", PATH, {"name": "N", "prefix": "n", **fields}).json["node"]
    assert node["id"].startswith(id_)
    assert node["baseUrl"] == base_url


def test_an_anthropic_address_loses_its_operation(admin: Admin) -> None:
    body = {**BODY, "type": "anthropic-compatible", "baseUrl": "http://127.0.0.1:9/v1/messages/"}
    node = admin.send("POST", PATH, body).json["node"]
    assert (node["baseUrl"], node["apiType"]) == ("http://127.0.0.1:9/v1", None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"name": "Name is required", "prefix": "Prefix is required"}),
        ({"prefix": "x"}, {"name": "Name is required"}),
        ({"name": "x", "prefix": " "}, {"prefix": "Prefix is required"}),
        ({"name": "x", "prefix": "x"}, {"apiType": "Invalid OpenAI compatible API type"}),
        ({"name": "x", "prefix": "x", "apiType": "zz"}, {"apiType": "Invalid OpenAI compatible API type"}),
        ({"name": "x", "prefix": "x", "type": "zz"}, {"type": "Invalid provider node type"}),
        ({"name": "x", "prefix": "x", "type": 5}, {"type": "Invalid provider node type"}),
        ({**BODY, "prefix": "a/b"}, {"prefix": "Prefix can only contain letters, numbers, -, _ and ."}),
        ({**BODY, "prefix": "groq"}, {"prefix": 'Prefix "groq" is already used by a built-in provider'}),
        ({**BODY, "prefix": "ds"}, {"prefix": 'Prefix "ds" is already used by a built-in provider'}),
        ({**BODY, "prefix": "cc"}, {"prefix": 'Prefix "cc" is already used by a built-in provider'}),
    ],
)
def test_create_names_what_is_wrong(admin: Admin, body: dict[str, object], expected: dict[str, str]) -> None:
    assert fields_of(admin.send("POST", PATH, body)) == expected


@pytest.mark.parametrize("prefix", ["kr", "cursor"])
def test_the_name_of_a_login_that_nothing_serves_can_be_given_to_a_node(admin: Admin, prefix: str) -> None:
    assert admin.send("POST", PATH, {**BODY, "prefix": prefix}).status == 201


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/v1", "file:///etc/passwd", "x", "http://a b/"]
)
def test_an_address_must_be_one_that_may_be_called(admin: Admin, url: str) -> None:
    assert list(fields_of(admin.send("POST", PATH, {**BODY, "baseUrl": url}))) == ["baseUrl"]
    assert list(fields_of(admin.send("POST", PATH + "/validate", {"baseUrl": url, "apiKey": "k"}))) == ["baseUrl"]


def test_private_addresses_can_be_forbidden(make_admin: Callable[..., Admin]) -> None:
    body = {**BODY, "baseUrl": "http://10.0.0.5/v1"}
    assert make_admin().send("POST", PATH, body).status == 201
    strict = make_admin(allow_private_urls=False)
    assert list(fields_of(strict.send("POST", PATH, body))) == ["baseUrl"]
    assert strict.send("POST", PATH, BODY).status == 201


def test_put_changes_a_node_and_its_connections_follow(admin: Admin) -> None:
    node = admin.node()
    made = admin.connection(node)
    admin.fail(made["id"])
    change = {"name": "New", "prefix": "new", "baseUrl": "http://127.0.0.1:8/v1/", "apiType": "responses"}
    admin.send("PUT", f"{PATH}/{node}", {**BODY, "name": "New"})
    assert admin.live.health.blocked_until(made["id"], "m")
    answer = admin.send("PUT", f"{PATH}/{node}", change)
    assert answer.status == 200
    assert admin.live.health.blocked_until(made["id"], "m") is None  # nothing is known of the new address
    assert {name: answer.json["node"][name] for name in change} == {**change, "baseUrl": "http://127.0.0.1:8/v1"}
    data = admin.send("GET", f"/api/providers/{made['id']}").json["connection"]["providerSpecificData"]
    assert data == {"prefix": "new", "apiType": "responses", "baseUrl": "http://127.0.0.1:8/v1", "nodeName": "New"}
    assert admin.store.snapshot.prefixes["new"] == node
    assert admin.audit()[-1] == "node.update"


def test_patch_changes_parts_of_a_node(admin: Admin) -> None:
    node = admin.node()
    after = admin.send("PATCH", f"{PATH}/{node}", {"name": "New"}).json["node"]
    assert (after["name"], after["prefix"], after["apiType"]) == ("New", "mock", "chat")


def test_put_needs_all_three(admin: Admin) -> None:
    answer = admin.send("PUT", f"{PATH}/{admin.node()}", {})
    assert fields_of(answer) == {
        "name": "Name is required", "prefix": "Prefix is required", "baseUrl": "Base URL is required",
    }  # fmt: skip


def test_put_checks_like_create(admin: Admin) -> None:
    node, body = admin.node(), {"name": "n", "prefix": "mock", "baseUrl": "http://127.0.0.1:9"}
    assert list(fields_of(admin.send("PUT", f"{PATH}/{node}", {**body, "prefix": "groq"}))) == ["prefix"]
    assert list(fields_of(admin.send("PUT", f"{PATH}/{node}", {**body, "baseUrl": "http://169.254.0.1"}))) == ["baseUrl"]
    assert list(fields_of(admin.send("PUT", f"{PATH}/{node}", {**body, "apiType": "zz"}))) == ["apiType"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_an_unknown_node_is_404(admin: Admin, method: str) -> None:
    body = {"name": "x", "prefix": "x", "baseUrl": "http://127.0.0.1:1"} if method != "DELETE" else None
    answer = admin.send(method, PATH + "/nope", body)
    assert (answer.status, answer.json) == (404, {"error": "Provider node not found"})


def test_delete_takes_the_connections_along(admin: Admin) -> None:
    node = admin.node()
    account = admin.connection(node)["id"]
    admin.live.uses.restore(node, account, admin.clock.time(), 1)
    admin.fail(account, node)
    answer = admin.send("DELETE", f"{PATH}/{node}")
    assert (answer.status, answer.json) == (200, {"success": True})
    assert admin.send("GET", "/api/providers").json == {"connections": []}
    assert node not in admin.store.snapshot.providers
    assert admin.live.health.cooling() == {}
    assert admin.live.uses.of(account) == NEVER
    assert admin.audit()[-1] == "node.delete"


def test_nothing_is_added_to_a_node_that_is_being_deleted(guarded: Admin) -> None:
    guarded.login()
    node = guarded.node()
    answers = guarded.at_once(
        ("DELETE", f"{PATH}/{node}", None),
        ("POST", "/api/providers", {"provider": node, "name": "a", "apiKey": "k"}),
        ("POST", "/api/provider-models", {"provider": node, "modelId": "m"}),
        ("POST", f"/api/oauth/{node}/import", {"accessToken": "at-1"}),
    )
    assert [answer.status for answer in answers] == [200, 404, 400, 404]
    assert guarded.run(guarded.store.connections.list()) == []
    assert guarded.run(guarded.store.custom_models.all()) == {}


@pytest.mark.parametrize(
    "kind", [None, "openai-compatible", "anthropic-compatible", "gemini-compatible", "ollama-compatible"]
)
def test_validate_tries_a_key_at_an_address(admin: Admin, kind: str | None) -> None:
    body = {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "fine"} | ({"type": kind} if kind else {})
    assert admin.send("POST", PATH + "/validate", body).json == {"valid": True, "error": None}
    assert admin.send("POST", PATH + "/validate", {**body, "apiKey": "bad"}).json == {
        "valid": False,
        "error": "Invalid API key",
    }


@pytest.mark.parametrize("body", [{}, {"baseUrl": "http://127.0.0.1:9"}, {"apiKey": "k"}, {"baseUrl": "", "apiKey": "k"}])
def test_validate_needs_address_and_key(admin: Admin, body: dict[str, str]) -> None:
    assert set(fields_of(admin.send("POST", PATH + "/validate", body)).values()) == {"Base URL and API key required"}


def test_validate_refuses_an_unknown_type_and_crashes_cleanly(admin: Admin) -> None:
    body = {"baseUrl": "http://127.0.0.1:9", "apiKey": "k"}
    assert fields_of(admin.send("POST", PATH + "/validate", {**body, "type": "zz"})) == {
        "type": "Invalid provider node type"
    }
    admin.probe.failure = RuntimeError("boom")
    answer = admin.send("POST", PATH + "/validate", body)
    assert (answer.status, answer.json["error"]) == (500, "Validation failed")
