"""Connections: created, shown without secrets, changed, deleted."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fakes_manage import Admin, fields_of

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_new_connection_has_the_promised_shape(admin: Admin) -> None:
    answer = admin.send("POST", "/api/providers", {"provider": "openai", "apiKey": "sk-secret-1", "name": "work"})
    assert answer.status == 201
    connection = answer.json["connection"]
    assert UUID.fullmatch(connection.pop("id"))
    assert ISO.fullmatch(connection.pop("createdAt"))
    assert ISO.fullmatch(connection.pop("updatedAt"))
    assert connection == {
        "provider": "openai",
        "authType": "apikey",
        "name": "work",
        "priority": 1,
        "isActive": True,
        "testStatus": "unknown",
        "backoffLevel": 0,
        "consecutiveUseCount": 0,
        "rateLimitProtection": False,
    }
    assert admin.audit() == ["provider.create"]


def test_every_field_of_the_request_is_kept(admin: Admin) -> None:
    sent = {
        "globalPriority": 5, "defaultModel": "gpt-4o", "displayName": "Mine", "testStatus": "active", "isActive": False,
        "baseUrl": "https://proxy.example/v1", "providerSpecificData": {"resource": "r1"},
    }  # fmt: skip
    made = admin.connection("openai", **sent)
    data = {"baseUrl": sent.pop("baseUrl"), **sent.pop("providerSpecificData")}  # type: ignore[dict-item]
    assert {name: made[name] for name in sent} == sent
    assert made["providerSpecificData"] == data


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"provider": "openai"}, {"name": "Name is required"}),
        ({"name": "n", "apiKey": "k"}, {"provider": "Provider is required"}),
        ({"provider": "openai", "name": "n"}, {"apiKey": "API key is required"}),
        ({"provider": "openai", "name": "n", "apiKey": "  "}, {"apiKey": "API key is required"}),
        ({"provider": "openai", "name": "n", "apiKey": "a\nb"}, {"apiKey": "API key contains invalid characters"}),
        ({"provider": "openai", "name": "n", "apiKey": "sk-1****9f0e"}, {"apiKey": "API key is a masked preview"}),
        (
            {"provider": "openai", "name": "n", "apiKey": "k", "priority": 101},
            {"priority": "Too big: expected number to be <=100"},
        ),
        (
            {"provider": "openai", "name": "n", "apiKey": "k", "priority": 0},
            {"priority": "Too small: expected number to be >=1"},
        ),
        (
            {"provider": "openai", "name": "n", "apiKey": "k", "providerSpecificData": {"accessToken": "t"}},
            {"providerSpecificData.accessToken": "Secrets belong in apiKey"},
        ),
    ],
)
def test_create_names_what_is_wrong(admin: Admin, body: dict[str, object], expected: dict[str, str]) -> None:
    assert fields_of(admin.send("POST", "/api/providers", body)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/v1",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "ftp://x/",
        "http://u:p@x/",
    ],
)
def test_a_base_url_must_be_one_that_may_be_called(admin: Admin, url: str) -> None:
    body = {"provider": "openai", "name": "n", "apiKey": "k", "baseUrl": url}
    assert list(fields_of(admin.send("POST", "/api/providers", body))) == ["baseUrl"]
    made = admin.connection()
    assert list(fields_of(admin.send("PUT", f"/api/providers/{made['id']}", {"baseUrl": url}))) == ["baseUrl"]


def test_an_unknown_provider_is_400(admin: Admin) -> None:
    answer = admin.send("POST", "/api/providers", {"provider": "zzz", "apiKey": "k", "name": "n"})
    assert (answer.status, answer.json) == (400, {"error": "Invalid provider"})


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ("openai-compatible-chat-00000000-0000-4000-8000-000000000000", "OpenAI Compatible node not found"),
        ("anthropic-compatible-00000000-0000-4000-8000-000000000000", "Anthropic Compatible node not found"),
        ("gemini-compatible-00000000-0000-4000-8000-000000000000", "Gemini Compatible node not found"),
        ("ollama-compatible-00000000-0000-4000-8000-000000000000", "Ollama Compatible node not found"),
    ],
)
def test_a_node_that_is_not_there_is_404(admin: Admin, provider: str, text: str) -> None:
    answer = admin.send("POST", "/api/providers", {"provider": provider, "apiKey": "k", "name": "n"})
    assert (answer.status, answer.json) == (404, {"error": text})


def test_a_local_provider_needs_no_key(admin: Admin) -> None:
    assert admin.send("POST", "/api/providers", {"provider": "ollama", "name": "n"}).status == 201


def test_a_node_connection_carries_the_node(admin: Admin) -> None:
    made = admin.connection(admin.node())
    assert made["providerSpecificData"] == {
        "prefix": "mock", "apiType": "chat", "baseUrl": "http://127.0.0.1:9/v1", "nodeName": "Mock",
    }  # fmt: skip


def test_a_node_connection_without_an_address_of_its_own_has_the_nodes_again(admin: Admin) -> None:
    one = f"/api/providers/{admin.connection(admin.node())['id']}"
    for sent, kept in (("http://127.0.0.1:8/v1", "http://127.0.0.1:8/v1"), (None, "http://127.0.0.1:9/v1")):
        shown = admin.send("PUT", one, {"baseUrl": sent}).json["connection"]
        assert shown["providerSpecificData"]["baseUrl"] == kept


def test_a_node_takes_one_connection(admin: Admin) -> None:
    node = admin.node()
    admin.connection(node)
    answer = admin.send("POST", "/api/providers", {"provider": node, "apiKey": "k", "name": "second"})
    assert (answer.status, answer.json) == (400, {"error": "Only one connection is allowed for this OpenAI Compatible node"})


def test_of_two_connections_made_at_once_a_node_takes_one(admin: Admin) -> None:
    node = admin.node()
    answers = admin.at_once(*(("POST", "/api/providers", {"provider": node, "name": name, "apiKey": "k"}) for name in "ab"))
    assert [answer.status for answer in answers] == [201, 400]


def test_fields_of_one_connection_changed_at_once_are_all_kept(admin: Admin) -> None:
    one = f"/api/providers/{admin.connection()['id']}"
    admin.at_once(*(("PATCH", one, {"providerSpecificData": {name: "x"}}) for name in ("region", "project")))
    assert admin.send("GET", one).json["connection"]["providerSpecificData"] == {"region": "x", "project": "x"}


def test_a_node_takes_several_when_told_so(make_admin: Callable[..., Admin]) -> None:
    admin = make_admin(multi_connections_per_node=True)
    node = admin.node()
    admin.connection(node)
    admin.connection(node, "second")


def test_the_same_name_updates_the_connection(admin: Admin) -> None:
    first = admin.connection("openai", "main")
    second = admin.connection("openai", "main", apiKey="sk-good-2", defaultModel="gpt-4o")
    assert second["id"] == first["id"]
    assert second["defaultModel"] == "gpt-4o"
    assert admin.run(admin.store.connections.secret(first["id"])) == "sk-good-2"
    assert len(admin.send("GET", "/api/providers").json["connections"]) == 1


def test_a_key_does_not_become_part_of_a_login_that_has_its_name(admin: Admin) -> None:
    login = admin.send("POST", "/api/oauth/anthropic/import", {"accessToken": "at-1"}).json["connection"]["id"]
    name = admin.send("GET", f"/api/providers/{login}").json["connection"]["name"]
    made = [admin.connection("anthropic", name, apiKey=f"sk-{number}") for number in (1, 2)]
    assert made[0]["id"] == made[1]["id"] != login
    assert (made[1]["authType"], made[1]["priority"]) == ("apikey", 2)
    secrets = {c.auth_type: c.secret for c in admin.store.snapshot.connections["anthropic"]}
    assert secrets == {"oauth": "at-1", "apikey": "sk-2"}


def test_an_update_by_name_keeps_the_key_when_the_preview_comes_back(admin: Admin) -> None:
    first = admin.connection("openai", "main")
    admin.connection("openai", "main", apiKey="sk-g****od-1")
    assert admin.run(admin.store.connections.secret(first["id"])) == "sk-good-1"


def test_without_a_priority_a_connection_goes_last_and_ranks_stay_dense(admin: Admin) -> None:
    names = ["a", "b", "c"]
    made = [admin.connection("openai", name) for name in names]
    assert [row["priority"] for row in made] == [1, 2, 3]
    admin.advance(1)
    admin.send("PUT", f"/api/providers/{made[2]['id']}", {"priority": 1})
    listed = admin.send("GET", "/api/providers").json["connections"]
    assert [(row["name"], row["priority"]) for row in listed] == [("c", 1), ("a", 2), ("b", 3)]
    admin.send("DELETE", f"/api/providers/{made[0]['id']}")
    listed = admin.send("GET", "/api/providers").json["connections"]
    assert [(row["name"], row["priority"]) for row in listed] == [("c", 1), ("b", 2)]


def test_the_list_can_be_filtered(admin: Admin) -> None:
    admin.connection("openai", "a")
    admin.connection("groq", "b", isActive=False)

    def names(query: str) -> list[str]:
        return [row["name"] for row in admin.send("GET", f"/api/providers{query}").json["connections"]]

    assert names("") == ["b", "a"]  # equal rank: the newest change first
    assert names("?provider=groq") == ["b"]
    assert names("?isActive=true") == ["a"]
    assert names("?isActive=false") == ["b"]
    assert names("/client") == ["b", "a"]


def test_no_answer_ever_shows_a_secret(admin: Admin) -> None:
    made = admin.connection("openai", apiKey="sk-canary-12345678")
    paths = ["/api/providers", "/api/providers/client", f"/api/providers/{made['id']}", "/api/settings"]
    assert not any(b"canary" in admin.send("GET", path).text for path in paths)
    assert b"canary" not in (admin.settings.data_dir / "storage.sqlite").read_bytes()
    assert "canary" not in str(admin.run(admin.store.audit.list(100)))


def test_one_connection_is_read_by_id(admin: Admin) -> None:
    made = admin.connection()
    answer = admin.send("GET", f"/api/providers/{made['id']}")
    assert (answer.status, answer.json) == (200, {"connection": made})


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_unknown_id_is_404(admin: Admin, method: str) -> None:
    answer = admin.send(method, "/api/providers/nope", {} if method.startswith("P") else None)
    assert (answer.status, answer.json) == (404, {"error": "Connection not found"})


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_is_sent_is_changed_and_the_rest_stays(admin: Admin, method: str) -> None:
    made = admin.connection("openai", defaultModel="gpt-4o")
    admin.advance(5)
    answer = admin.send(method, f"/api/providers/{made['id']}", {"name": "renamed", "isActive": False, "globalPriority": 7})
    assert answer.status == 200
    after = answer.json["connection"]
    assert after.pop("updatedAt") > made.pop("updatedAt")
    assert after == {**made, "name": "renamed", "isActive": False, "globalPriority": 7}
    assert admin.audit()[-1] == "provider.update"


def test_null_clears_a_field(admin: Admin) -> None:
    made = admin.connection("openai", defaultModel="gpt-4o", globalPriority=3)
    after = admin.send("PUT", f"/api/providers/{made['id']}", {"defaultModel": None, "globalPriority": None}).json[
        "connection"
    ]
    assert "defaultModel" not in after
    assert "globalPriority" not in after


def test_an_empty_change_changes_nothing(admin: Admin) -> None:
    made = admin.connection()
    assert admin.send("PUT", f"/api/providers/{made['id']}", {}).json == {"connection": made}


@pytest.mark.parametrize("sent", ["sk-g****od-1", "****", "", "   "])
def test_a_masked_preview_is_never_saved_as_the_key(admin: Admin, sent: str) -> None:
    made = admin.connection()
    assert admin.send("PUT", f"/api/providers/{made['id']}", {"apiKey": sent}).status == 200
    assert admin.run(admin.store.connections.secret(made["id"])) == "sk-good-1"


def test_the_health_of_this_moment_is_shown(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    shown = admin.send("GET", "/api/providers").json["connections"][0]
    assert shown["testStatus"] == "unavailable"
    assert shown["lastError"] == "Too many requests"
    assert shown["errorCode"] == "429"
    assert ISO.fullmatch(shown["lastErrorAt"])
    assert ISO.fullmatch(shown["rateLimitedUntil"])
    assert shown["backoffLevel"] == 1


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_no_answer_could_show_is_refused(admin: Admin, moment: str) -> None:
    one = f"/api/providers/{admin.connection()['id']}"
    for name in ("rateLimitedUntil", "lastErrorAt", "lastTested"):
        assert [*fields_of(admin.send("PATCH", one, {name: moment}))] == [name]
    assert admin.send("GET", "/api/providers").status == 200


def test_a_time_must_be_one(admin: Admin) -> None:
    made = admin.connection()
    answer = admin.send("PUT", f"/api/providers/{made['id']}", {"rateLimitedUntil": "soon"})
    assert fields_of(answer) == {"rateLimitedUntil": "Invalid ISO 8601 date-time"}


def test_delete_removes_the_connection_and_what_was_known_of_it(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    answer = admin.send("DELETE", f"/api/providers/{made['id']}")
    assert (answer.status, answer.json) == (200, {"message": "Connection deleted successfully"})
    assert admin.send("GET", "/api/providers").json == {"connections": []}
    assert "openai" not in admin.store.snapshot.connections
    assert admin.live.health.cooling() == {}
    assert admin.audit()[-1] == "provider.delete"


def test_a_change_is_in_force_for_the_next_request(admin: Admin) -> None:
    made = admin.connection()
    assert len(admin.store.snapshot.connections["openai"]) == 1
    admin.send("PUT", f"/api/providers/{made['id']}", {"isActive": False})
    assert "openai" not in admin.store.snapshot.connections


def test_a_reserved_id_with_a_provider_behind_it_can_be_connected(admin: Admin) -> None:
    catalog = admin.services.catalog
    reserved = next(id_ for id_ in catalog.reserved_ids.values() if catalog.reserved.get(id_))
    assert admin.connection(reserved)["provider"] == reserved
