"""Logins by authorization code and device grant, against a real authorization server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin, fields_of
from oauth_server import EMAIL, AuthServer, auth_server

from omniroute.upstream.oauth import challenge_of

PATH = "/api/oauth/openai"
REDIRECT = "http://localhost:8080/callback"


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        yield running


@pytest.fixture
def ready(admin: Admin, server: AuthServer) -> Admin:
    """With the server's client configured for one provider."""
    assert admin.send("PUT", PATH + "/client", server.fields()).status == 200
    return admin


def _login(admin: Admin, server: AuthServer, **changes: str) -> FakeExchange:
    start = admin.send("GET", PATH + "/authorize").json
    back = server.login(start["authUrl"])
    body = {"code": back["code"], "redirectUri": REDIRECT, "codeVerifier": start["codeVerifier"], "state": back["state"]}
    return admin.send("POST", PATH + "/exchange", {**body, **changes})


def test_authorize_says_where_to_send_the_user(ready: Admin, server: AuthServer) -> None:
    start = ready.send("GET", PATH + "/authorize").json
    assert set(start) == {
        "authUrl", "state", "codeVerifier", "codeChallenge", "redirectUri", "flowType", "callbackPath",
    }  # fmt: skip
    assert (start["redirectUri"], start["flowType"], start["callbackPath"]) == (
        REDIRECT, "authorization_code_pkce", "/callback",
    )  # fmt: skip
    assert len(start["codeVerifier"]) >= 43
    assert start["codeChallenge"] == challenge_of(start["codeVerifier"])
    query = parse_qs(urlsplit(start["authUrl"]).query)
    assert query == {
        "response_type": ["code"], "client_id": ["app-1"], "redirect_uri": [REDIRECT], "state": [start["state"]],
        "scope": ["chat"], "code_challenge": [start["codeChallenge"]], "code_challenge_method": ["S256"],
    }  # fmt: skip
    again = ready.send("GET", PATH + "/authorize?redirect_uri=http%3A%2F%2Fx.test%2Fback").json
    assert again["redirectUri"] == "http://x.test/back"
    assert again["state"] != start["state"]
    assert again["codeVerifier"] != start["codeVerifier"]


def test_authorization_code_with_pkce_makes_a_connection(ready: Admin, server: AuthServer) -> None:
    answer = _login(ready, server)
    assert answer.status == 200
    made = answer.json["connection"]
    assert answer.json == {
        "success": True, "connection": {"id": made["id"], "provider": "openai", "email": EMAIL, "displayName": "Ada"},
    }  # fmt: skip
    (shown,) = ready.send("GET", "/api/providers").json["connections"]
    assert (shown["authType"], shown["email"], shown["name"], shown["scope"], shown["tokenType"], shown["expiresIn"]) == (
        "oauth", EMAIL, EMAIL, "chat", "Bearer", 3600,
    )  # fmt: skip
    assert "at-" not in str(shown)
    (connection,) = ready.store.snapshot.connections["openai"]
    assert connection.secret.startswith("at-")
    assert connection.refreshable
    assert connection.renew_at == ready.clock.time() + 3300
    assert ready.audit()[-1] == "oauth.login"


def test_tokens_are_sealed_at_rest(ready: Admin, server: AuthServer) -> None:
    _login(ready, server)
    sql = "SELECT access_token, refresh_token, id_token FROM provider_connections"
    (record,) = ready.run(ready.store.db.fetch(sql))
    assert all(record[name].startswith("enc:v1:") for name in ("access_token", "refresh_token", "id_token"))


def test_a_second_login_of_the_same_person_renews_the_connection(ready: Admin, server: AuthServer) -> None:
    first = _login(ready, server).json["connection"]["id"]
    ready.fail(first)
    assert _login(ready, server).json["connection"]["id"] == first
    (shown,) = ready.send("GET", "/api/providers").json["connections"]
    assert (shown["backoffLevel"], shown["testStatus"]) == (0, "unknown")


def test_a_wrong_verifier_is_refused_by_the_server(ready: Admin, server: AuthServer) -> None:
    start = ready.send("GET", PATH + "/authorize").json
    code = server.login(start["authUrl"])["code"]
    wrong = "w" * 43
    answer = ready.send("POST", PATH + "/exchange", {"code": code, "redirectUri": REDIRECT, "codeVerifier": wrong})
    assert answer.status == 500
    assert "invalid_grant" in answer.json["error"]
    assert code not in answer.json["error"]
    assert wrong not in answer.json["error"]
    assert ready.send("GET", "/api/providers").json["connections"] == []
    assert ready.audit()[-1] == "oauth.login.failed"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_confidential_client_proves_itself(admin: Admin, method: str) -> None:
    with auth_server(secret="s3cret-text", method=method) as server:
        shown = admin.send("PUT", PATH + "/client", server.fields()).json
        assert "s3cret-text" not in str(shown)
        assert _login(admin, server).status == 200
        admin.send("PUT", PATH + "/client", {"clientSecret": "wrong-secret"})
        answer = _login(admin, server)
        assert (answer.status, "invalid_client" in answer.json["error"]) == (500, True)
        assert "wrong-secret" not in answer.json["error"]


@pytest.mark.parametrize("changes", [{"state": "x"}, {"state": ""}, {"codeVerifier": "v" * 43}, {"redirectUri": "http://x"}])
def test_the_state_must_be_exactly_ours(ready: Admin, server: AuthServer, changes: dict[str, str]) -> None:
    answer = _login(ready, server, **changes)
    assert (answer.status, answer.json) == (400, {"error": "Invalid state"})


def test_a_login_without_pkce_needs_no_verifier(admin: Admin, server: AuthServer) -> None:
    admin.send("PUT", PATH + "/client", server.fields(pkce=False))
    start = admin.send("GET", PATH + "/authorize").json
    body = {"code": "c", "redirectUri": REDIRECT, "state": start["state"]}
    assert start["flowType"] == "authorization_code"
    assert admin.send("POST", PATH + "/exchange", body | {"state": "x"}).json == {"error": "Invalid state"}
    admin.send("POST", PATH + "/exchange", body)
    assert "code_verifier" not in server.state.asked[-1][1]


def test_a_state_serves_once(ready: Admin, server: AuthServer) -> None:
    start = ready.send("GET", PATH + "/authorize").json
    back = server.login(start["authUrl"])
    body = {"code": back["code"], "redirectUri": REDIRECT, "codeVerifier": start["codeVerifier"], "state": back["state"]}
    assert ready.send("POST", PATH + "/exchange", body).status == 200
    assert ready.send("POST", PATH + "/exchange", body).json == {"error": "Invalid state"}


@pytest.mark.parametrize("missing", ["code", "redirectUri", "codeVerifier"])
def test_exchange_needs_its_fields(ready: Admin, missing: str) -> None:
    body = {"code": "c", "redirectUri": REDIRECT, "codeVerifier": "v" * 43}
    del body[missing]
    answer = ready.send("POST", PATH + "/exchange", body)
    assert (answer.status, answer.json) == (400, {"error": "Missing required fields"})


@pytest.mark.parametrize("uri", ["/callback", "http://x.test/%23a#b", "ht tp://x", "http://x.test/" + "a" * 500])
def test_a_redirect_uri_is_absolute_and_without_a_fragment(ready: Admin, uri: str) -> None:
    answer = ready.send("GET", f"{PATH}/authorize?redirect_uri={quote(uri, safe='')}")
    assert list(fields_of(answer)) == ["redirect_uri"]


def test_device_login_waits_for_the_user(ready: Admin, server: AuthServer) -> None:
    codes = ready.send("GET", PATH + "/device-code").json
    assert set(codes) == {
        "device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval",
        "codeVerifier",
    }  # fmt: skip
    body = {"deviceCode": codes["device_code"], "codeVerifier": codes["codeVerifier"], "extraData": {"x": 1}}
    waiting = ready.send("POST", PATH + "/poll", body).json
    assert (waiting["success"], waiting["error"], waiting["pending"]) == (False, "authorization_pending", True)
    assert "errorDescription" in waiting
    server.state.approved[codes["user_code"]] = True
    done = ready.send("POST", PATH + "/poll", body).json
    assert done["success"] is True
    assert done["connection"]["provider"] == "openai"
    assert ready.audit()[-1] == "oauth.login"


def test_device_login_goes_on_after_trouble_at_the_server(ready: Admin, server: AuthServer) -> None:
    """RFC 8628 section 3.5: ask again, but less often."""
    codes = ready.send("GET", PATH + "/device-code").json
    body = {"deviceCode": codes["device_code"]}
    server.state.approved[codes["user_code"]] = True
    server.state.broken = 503
    waiting = ready.send("POST", PATH + "/poll", body).json
    assert (waiting["success"], waiting["error"], waiting["pending"]) == (False, "slow_down", True)
    assert "503" in waiting["errorDescription"]
    assert "oauth.login.failed" not in ready.audit()
    server.state.broken = 0
    assert ready.send("POST", PATH + "/poll", body).json["success"] is True


def test_device_login_that_the_user_denies_is_over(ready: Admin, server: AuthServer) -> None:
    codes = ready.send("GET", PATH + "/device-code").json
    server.state.approved[codes["user_code"]] = False
    answer = ready.send("POST", PATH + "/poll", {"deviceCode": codes["device_code"]}).json
    assert (answer["success"], answer["error"], answer["pending"]) == (False, "access_denied", False)


def test_device_login_says_what_it_lacks(ready: Admin) -> None:
    answer = ready.send("POST", PATH + "/poll", {})
    assert (answer.status, answer.json) == (400, {"error": "Missing device code"})
    ready.send("PUT", PATH + "/client", {"deviceAuthorizationUrl": ""})
    answer = ready.send("GET", PATH + "/device-code")
    assert (answer.status, answer.json) == (400, {"error": "Provider does not support device code flow"})


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "authorize"), ("POST", "exchange"), ("GET", "device-code"), ("POST", "poll"),
        ("GET", "start-callback-server"), ("POST", "poll-callback"), ("POST", "refresh"),
    ],
)  # fmt: skip
def test_every_action_says_what_the_operator_has_to_give(admin: Admin, method: str, action: str) -> None:
    body = {} if method == "POST" else None
    answer = admin.send(method, f"{PATH}/{action}", body)
    assert answer.status == 400
    assert answer.json == {
        "error": "OAuth client not configured for openai", "missing": ["clientId", "authorizeUrl", "tokenUrl"],
    }  # fmt: skip
    answer = admin.send(method, f"/api/oauth/nobody/{action}", body)
    assert (answer.status, answer.json) == (404, {"error": "Unknown provider: nobody"})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_action_is_refused(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH + "/social-login")
    assert (answer.status, answer.json) == (400, {"error": "Unknown action"})


def test_a_provider_with_the_device_flow_alone_has_no_address_to_send_to(admin: Admin) -> None:
    admin.send("PUT", "/api/oauth/github-models/client", {"clientId": "Iv1.x"})
    start = admin.send("GET", "/api/oauth/github-models/authorize").json
    assert (start["authUrl"], start["flowType"]) == (None, "device_code")


def test_an_authorization_server_that_is_down_is_500_with_a_reason(ready: Admin, server: AuthServer) -> None:
    server.state.broken = 503
    answer = _login(ready, server)
    assert answer.status == 500
    assert "503" in answer.json["error"]
    assert ready.send("GET", PATH + "/device-code").status == 500
