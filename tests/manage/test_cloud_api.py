"""The routes for programs with a gateway key: accounts, tokens, aliases."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin, fields_of

ROOT = "/api/cloud"


class Caller:
    """Asks with a gateway key."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.headers = {"authorization": f"Bearer {admin.key('inference')}"}

    def send(self, method: str, path: str, json: Any = None) -> FakeExchange:
        return self.admin.send(method, ROOT + path, json, headers=self.headers, peer="192.0.2.1", anonymous=True)


@pytest.fixture
def caller(admin: Admin) -> Caller:
    return Caller(admin)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth"),
        ("PUT", "/credentials/update"),
        ("POST", "/model/resolve"),
        ("GET", "/models/alias"),
        ("PUT", "/models/alias"),
    ],
)
def test_a_gateway_key_is_always_needed(admin: Admin, method: str, path: str) -> None:
    answer = admin.send(method, ROOT + path, {})
    assert (answer.status, answer.json) == (401, {"error": "Missing API key"})
    answer = admin.send(method, ROOT + path, {}, headers={"authorization": "Bearer sk-none"})
    assert (answer.status, answer.json) == (401, {"error": "Invalid API key"})


def test_auth_shows_active_accounts_without_their_secrets(caller: Caller) -> None:
    caller.admin.connection(apiKey="sk-good-planted", defaultModel="gpt-4o")
    off = caller.admin.connection(name="off")
    caller.admin.send("PUT", f"/api/providers/{off['id']}", {"isActive": False})
    caller.admin.run(caller.admin.store.aliases.set("fast", "openai/gpt-4o"))
    answer = caller.send("POST", "/auth", {})
    assert answer.json == {
        "connections": [{
            "provider": "openai", "authType": "apikey", "hasApiKey": True, "hasAccessToken": False, "hasRefreshToken": False,
            "maskedApiKey": "****", "projectId": None, "expiresAt": None, "priority": 1, "globalPriority": None,
            "defaultModel": "gpt-4o", "isActive": True,
        }],
        "modelAliases": {"fast": "openai/gpt-4o"},
    }  # fmt: skip
    assert b"planted" not in answer.text


def test_new_tokens_are_stored_sealed_and_in_force_at_once(caller: Caller) -> None:
    admin = caller.admin
    row = admin.run(admin.store.connections.create("openai", name="o", auth_type="oauth", access_token="old"))
    body = {"provider": "openai", "credentials": {"accessToken": "new-token", "refreshToken": "next", "expiresIn": 3600}}
    answer = caller.send("PUT", "/credentials/update", body)
    assert (answer.status, answer.json) == (200, {"success": True, "message": "Credentials updated for provider: openai"})
    assert admin.store.snapshot.connections["openai"][0].secret == "new-token"
    after = admin.run(admin.store.connections.get(row.id))
    assert after is not None
    assert (after.expires_at, after.expires_in, after.has_refresh_token) == ("2025-06-15T16:06:40.000Z", 3600, True)
    assert admin.audit() == ["provider.credentials"]
    (entry,) = admin.run(admin.store.audit.list(10))
    assert "new-token" not in str(entry)


def test_new_tokens_end_the_trouble_that_the_old_ones_made(caller: Caller) -> None:
    admin = caller.admin
    row = admin.run(admin.store.connections.create("openai", name="o", auth_type="oauth", access_token="old"))
    admin.fail(row.id, status=401)
    assert admin.live.health.view(row.id).troubled
    caller.send("PUT", "/credentials/update", {"provider": "openai", "credentials": {"accessToken": "new-token"}})
    assert not admin.live.health.view(row.id).troubled


def test_tokens_need_a_provider_that_is_there(caller: Caller) -> None:
    path = "/credentials/update"
    refusal = (400, {"error": "Provider and credentials required"})
    for body in ({}, {"provider": "openai"}, {"credentials": {"accessToken": "x"}}):
        answer = caller.send("PUT", path, body)
        assert (answer.status, answer.json) == refusal
    assert list(fields_of(caller.send("PUT", path, {"provider": "openai", "credentials": {}}))) == ["credentials"]
    answer = caller.send("PUT", path, {"provider": "x", "credentials": {"accessToken": "t"}})
    assert (answer.status, answer.json) == (404, {"error": "No active connection found for provider: x"})


def test_an_alias_is_resolved(caller: Caller) -> None:
    for name, model in (("fast", "openai/gpt-4o"), ("deep", "openrouter/meta/llama"), ("bare", "no-such-model")):
        caller.admin.run(caller.admin.store.aliases.set(name, model))
    assert caller.send("POST", "/model/resolve", {"alias": "fast"}).json == {
        "alias": "fast",
        "provider": "openai",
        "model": "gpt-4o",
    }
    assert caller.send("POST", "/model/resolve", {"alias": "deep"}).json["model"] == "meta/llama"
    assert caller.send("POST", "/model/resolve", {"alias": "bare"}).json["model"] == "no-such-model"
    answer = caller.send("POST", "/model/resolve", {})
    assert (answer.status, answer.json) == (400, {"error": "Missing alias"})
    answer = caller.send("POST", "/model/resolve", {"alias": "nope"})
    assert (answer.status, answer.json) == (404, {"error": "Alias not found"})


def test_a_free_alias_is_set_and_listed(caller: Caller) -> None:
    body = {"model": "openai/gpt-4o", "alias": "fast"}
    answer = caller.send("PUT", "/models/alias", body)
    assert (answer.status, answer.json) == (200, {"success": True, **body, "message": "Alias set: fast → openai/gpt-4o"})
    assert caller.send("GET", "/models/alias").json == {"aliases": {"fast": "openai/gpt-4o"}}
    answer = caller.send("PUT", "/models/alias", body | {"model": "openai/o1"})
    assert (answer.status, answer.json) == (400, {"error": "Alias already in use"})
