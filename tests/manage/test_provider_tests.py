"""Testing connections, validating keys, listing models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes_manage import Admin, fields_of
from oauth_server import AuthServer, auth_server

from omniroute.errors import OmniError
from omniroute.store.vault import Vault
from omniroute.upstream.probe import Validation

_OK = {"type": "ok", "source": "upstream", "message": None, "code": None}


def test_a_good_connection_passes_its_test(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    answer = admin.send("POST", f"/api/providers/{made['id']}/test")
    assert answer.status == 200
    result = answer.json
    assert result.pop("testedAt").endswith("Z")
    assert result == {
        "valid": True, "error": None, "refreshed": False, "diagnosis": _OK, "latencyMs": 12, "statusCode": 200,
        "runtime": None,
    }  # fmt: skip
    after = admin.send("GET", f"/api/providers/{made['id']}").json["connection"]
    assert (after["testStatus"], after["backoffLevel"]) == ("active", 0)
    assert "lastTested" in after
    assert "lastError" not in after
    assert admin.probe.asked == [("openai", "sk-good-1", "")]


def test_a_bad_key_fails_its_test_and_is_noted(admin: Admin) -> None:
    made = admin.connection(apiKey="bad")
    result = admin.send("POST", f"/api/providers/{made['id']}/test").json
    assert (result["valid"], result["error"], result["statusCode"]) == (False, "Invalid API key", 401)
    assert result["diagnosis"] == {
        "type": "upstream_auth_error", "source": "upstream", "message": "Invalid API key", "code": "401",
    }  # fmt: skip
    after = admin.send("GET", f"/api/providers/{made['id']}").json["connection"]
    assert after["testStatus"] == "error"
    assert after["lastError"] == "Invalid API key"
    assert after["lastErrorType"] == "upstream_auth_error"
    assert after["lastErrorSource"] == "upstream"
    assert after["errorCode"] == "401"


def test_a_key_that_cannot_be_decrypted_fails_its_test_and_no_other(admin: Admin) -> None:
    lost = admin.connection("groq", apiKey=Vault(["another"]).seal("sk-1"))["id"]
    fine = admin.connection()["id"]
    batch = admin.send("POST", "/api/providers/test-batch", {"mode": "all"}).json
    found = {item["connectionId"]: item for item in batch["results"]}
    assert (found[fine]["valid"], found[lost]["valid"], found[lost]["statusCode"]) == (True, False, None)
    assert found[lost]["diagnosis"]["type"] == "auth_missing"
    assert "STORAGE_ENCRYPTION_KEY" in found[lost]["error"]
    listed = {row["id"]: row for row in admin.send("GET", "/api/providers").json["connections"]}
    assert (listed[lost]["lastError"], listed[lost]["testStatus"]) == (found[lost]["error"], "error")
    admin.send("PUT", f"/api/providers/{lost}", {"apiKey": "sk-good-2"})
    assert "lastError" not in admin.send("GET", f"/api/providers/{lost}").json["connection"]


def test_nothing_is_kept_of_an_account_that_is_deleted_during_its_test(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validate = admin.connection(apiKey="bad"), admin.probe.validate

    async def slowly(*asked: Any) -> Validation:
        await admin.store.connections.delete(made["id"])
        return await validate(*asked)

    monkeypatch.setattr(admin.probe, "validate", slowly)
    assert admin.send("POST", f"/api/providers/{made['id']}/test").json["valid"] is False
    assert admin.live.health.calm


def test_a_test_is_logged_as_a_call(admin: Admin) -> None:
    made = admin.connection()
    admin.send("POST", f"/api/providers/{made['id']}/test")
    calls = admin.send("GET", "/api/usage/request-logs?format=json").json
    assert [(call["model"], call["provider"], call["account"], call["status"]) for call in calls] == [
        ("connection-test", "openai", "main", 200)
    ]


def test_a_test_is_not_counted_as_use(admin: Admin) -> None:
    made = admin.connection()
    admin.send("POST", f"/api/providers/{made['id']}/test")
    assert admin.send("GET", "/api/usage/history").json["totalRequests"] == 0


def test_an_unknown_connection_cannot_be_tested(admin: Admin) -> None:
    for method, path in (("POST", "test"), ("GET", "models")):
        answer = admin.send(method, f"/api/providers/nope/{path}")
        assert (answer.status, answer.json) == (404, {"error": "Connection not found"})


def test_a_crash_while_testing_is_test_failed(admin: Admin) -> None:
    made = admin.connection()
    admin.probe.failure = RuntimeError("boom")
    answer = admin.send("POST", f"/api/providers/{made['id']}/test")
    assert (answer.status, answer.json["error"]) == (500, "Test failed")


def test_models_are_the_upstreams_own_items(admin: Admin) -> None:
    made = admin.connection()
    answer = admin.send("GET", f"/api/providers/{made['id']}/models")
    assert answer.json == {
        "provider": "openai", "connectionId": made["id"], "models": [{"id": "m1", "object": "model"}], "source": "api",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (OmniError("unauthenticated", "No valid token found"), 401, "No valid token found"),
        (OmniError("upstream_auth", "Failed to fetch models: 401", status=401), 401, "Failed to fetch models: 401"),
        (
            OmniError("invalid_request", "Provider x does not support models listing"),
            400,
            "Provider x does not support models listing",
        ),
    ],
)
def test_models_say_why_there_are_none(admin: Admin, error: OmniError, status: int, text: str) -> None:
    made = admin.connection()
    admin.probe.models = error
    answer = admin.send("GET", f"/api/providers/{made['id']}/models")
    assert (answer.status, answer.json) == (status, {"error": text})


def test_validate_tells_good_from_bad_keys(admin: Admin) -> None:
    def check(key: str) -> object:
        return admin.send("POST", "/api/providers/validate", {"provider": "openai", "apiKey": key}).json

    assert check("fine") == {"valid": True, "error": None}
    assert check("bad") == {"valid": False, "error": "Invalid API key"}


@pytest.mark.parametrize("body", [{"provider": "openai"}, {"apiKey": "k"}, {}, {"provider": "openai", "apiKey": ""}])
def test_validate_needs_provider_and_key(admin: Admin, body: dict[str, str]) -> None:
    assert set(fields_of(admin.send("POST", "/api/providers/validate", body)).values()) == {"Provider and API key required"}


def test_validate_refuses_what_it_does_not_know(admin: Admin) -> None:
    def refusal(provider: str, key: str = "k") -> tuple[int, object]:
        answer = admin.send("POST", "/api/providers/validate", {"provider": provider, "apiKey": key})
        return answer.status, answer.json

    assert refusal("openai-compatible-chat-x") == (404, {"error": "OpenAI Compatible node not found"})
    assert refusal("zzz") == (400, {"error": "Provider validation not supported"})
    assert refusal("openai", "unsupported") == (400, {"error": "Provider validation not supported"})


def test_validate_takes_a_base_url_and_crashes_cleanly(admin: Admin) -> None:
    body = {"provider": "openai", "apiKey": "k", "baseUrl": "http://127.0.0.1:9/v1"}
    assert admin.send("POST", "/api/providers/validate", body).status == 200
    assert admin.probe.asked[-1] == ("openai", "k", "http://127.0.0.1:9/v1")
    assert list(fields_of(admin.send("POST", "/api/providers/validate", {**body, "baseUrl": "http://169.254.1.1"}))) == [
        "baseUrl"
    ]
    admin.probe.failure = RuntimeError("boom")
    answer = admin.send("POST", "/api/providers/validate", body)
    assert (answer.status, answer.json["error"]) == (500, "Validation failed")


def test_a_batch_tests_the_active_ones_of_a_provider(admin: Admin) -> None:
    good = admin.connection("openai", "good")
    admin.connection("openai", "broken", apiKey="bad")
    admin.connection("openai", "off", isActive=False)
    admin.connection("groq", "other")
    batch = admin.send("POST", "/api/providers/test-batch", {"mode": "provider", "providerId": "openai"}).json
    assert (batch["mode"], batch["providerId"]) == ("provider", "openai")
    assert batch["summary"] == {"total": 2, "passed": 1, "failed": 1}
    first = batch["results"][0]
    assert first.pop("testedAt").endswith("Z")
    assert first == {
        "provider": "openai", "connectionId": good["id"], "connectionName": "good", "authType": "apikey", "valid": True,
        "latencyMs": 12, "error": None, "diagnosis": _OK, "statusCode": 200,
    }  # fmt: skip
    assert [item["valid"] for item in batch["results"]] == [True, False]


@pytest.mark.parametrize(("mode", "total"), [("all", 2), ("apikey", 2), ("oauth", 0), ("free", 0), ("compatible", 1)])
def test_the_modes_of_a_batch(admin: Admin, mode: str, total: int) -> None:
    admin.connection("openai")
    admin.connection(admin.node())
    batch = admin.send("POST", "/api/providers/test-batch", {"mode": mode}).json
    assert batch["summary"]["total"] == total
    assert batch["providerId"] is None


def test_a_batch_needs_a_known_mode(admin: Admin) -> None:
    path = "/api/providers/test-batch"
    assert fields_of(admin.send("POST", path, {})) == {"mode": "mode is required"}
    assert list(fields_of(admin.send("POST", path, {"mode": "zz"}))) == ["mode"]
    assert fields_of(admin.send("POST", path, {"mode": "provider"})) == {"providerId": "providerId is required"}


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        yield running


def _login(admin: Admin, server: AuthServer) -> str:
    """A connection that was logged in by a device code."""
    admin.send("PUT", "/api/oauth/openai/client", server.fields())
    codes = admin.send("GET", "/api/oauth/openai/device-code").json
    server.state.approved[codes["user_code"]] = True
    done = admin.send("POST", "/api/oauth/openai/poll", {"deviceCode": codes["device_code"]}).json
    return str(done["connection"]["id"])


def _diagnosis(admin: Admin, connection: str) -> tuple[bool, bool, str, str]:
    result = admin.send("POST", f"/api/providers/{connection}/test").json
    return result["valid"], result["refreshed"], result["diagnosis"]["type"], result["diagnosis"]["source"]


def test_a_test_renews_an_expired_token(admin: Admin, server: AuthServer) -> None:
    account = _login(admin, server)
    assert _diagnosis(admin, account) == (True, False, "ok", "upstream")
    admin.advance(4000)
    assert _diagnosis(admin, account) == (True, True, "ok", "upstream")
    (_, before, _), (_, after, _) = admin.probe.asked
    assert before != after


def test_a_test_renews_a_token_that_is_refused(admin: Admin, server: AuthServer) -> None:
    account = _login(admin, server)
    admin.run(admin.store.connections.update(account, access_token="bad-token"))
    assert _diagnosis(admin, account) == (True, True, "ok", "upstream")


def test_a_test_says_when_a_token_cannot_be_renewed(admin: Admin, server: AuthServer) -> None:
    account = _login(admin, server)
    admin.advance(4000)
    server.state.broken = 503
    assert _diagnosis(admin, account) == (False, False, "token_refresh_failed", "oauth")
    server.state.broken = 0
    for token in server.state.tokens.values():
        token.revoked = True
    assert _diagnosis(admin, account) == (False, False, "reauth_required", "oauth")
    assert admin.probe.asked == []


def test_a_test_says_when_only_a_login_helps(admin: Admin) -> None:
    def pasted(token: str, **more: str) -> str:
        answer = admin.send("POST", "/api/oauth/openai/import", {"accessToken": token, **more})
        return str(answer.json["connection"]["id"])

    assert _diagnosis(admin, pasted("bad-token")) == (False, False, "reauth_required", "oauth")
    account = pasted("good", expiresAt="2025-06-15T15:07:40Z")  # a minute from now
    assert _diagnosis(admin, account) == (True, False, "ok", "upstream")
    admin.advance(100)
    assert _diagnosis(admin, account) == (False, False, "token_expired", "oauth")


def test_models_are_listed_with_a_renewed_token(admin: Admin, server: AuthServer) -> None:
    account = _login(admin, server)

    def listed() -> int:
        return admin.send("GET", f"/api/providers/{account}/models").status

    assert listed() == 200
    assert server.state.grants("refresh_token") == 0
    admin.advance(4000)
    assert listed() == 200
    assert server.state.grants("refresh_token") == 1
    admin.probe.models = OmniError("upstream_auth", "Failed to fetch models: 401", status=401)
    assert listed() == 401
    assert server.state.grants("refresh_token") == 2
    assert len({secret for _, secret, _ in admin.probe.asked}) == 3
