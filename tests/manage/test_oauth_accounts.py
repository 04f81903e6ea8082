"""Renewing and importing tokens, the state of a provider, and the operator's own clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes_manage import Admin, fields_of
from oauth_server import AuthServer, auth_server

PATH = "/api/oauth/openai"


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server(secret="s3cret-text", method="client_secret_post") as running:
        yield running


def _device_login(admin: Admin, server: AuthServer) -> str:
    admin.send("PUT", PATH + "/client", server.fields())
    codes = admin.send("GET", PATH + "/device-code").json
    server.state.approved[codes["user_code"]] = True
    return str(admin.send("POST", PATH + "/poll", {"deviceCode": codes["device_code"]}).json["connection"]["id"])


def test_refresh_renews_one_account(admin: Admin, server: AuthServer) -> None:
    account = _device_login(admin, server)
    admin.advance(1000)
    answer = admin.send("POST", PATH + "/refresh", {"connectionId": account})
    shown = admin.send("GET", f"/api/providers/{account}").json["connection"]
    assert (answer.status, answer.json) == (200, {"success": True, "expiresAt": shown["expiresAt"]})
    assert shown["lastHealthCheckAt"]
    assert admin.audit()[-1] == "oauth.refresh"


def test_refresh_says_why_it_cannot(admin: Admin, server: AuthServer) -> None:
    account = _device_login(admin, server)
    pasted = admin.send("POST", PATH + "/import", {"accessToken": "at-1"}).json["connection"]["id"]

    def refusal(connection: str, path: str = PATH) -> tuple[int, object]:
        answer = admin.send("POST", path + "/refresh", {"connectionId": connection})
        return answer.status, answer.json["error"]

    assert refusal("nobody") == (404, "Connection not found")
    assert refusal("") == (404, "Connection not found")
    assert refusal(account, "/api/oauth/openrouter") == (404, "Connection not found")
    assert refusal(pasted) == (400, "Connection has no refresh token")
    server.state.broken = 503
    assert refusal(account)[0] == 502
    server.state.broken = 0
    for token in server.state.tokens.values():
        token.revoked = True
    assert refusal(account)[0] == 400


def test_status_says_what_is_missing(admin: Admin, server: AuthServer) -> None:
    missing = ["clientId", "authorizeUrl", "tokenUrl"]
    assert admin.send("GET", PATH + "/status").json == {"configured": False, "connections": 0, "missing": missing}
    _device_login(admin, server)
    admin.connection()
    assert admin.send("GET", PATH + "/status").json == {"configured": True, "connections": 1, "missing": []}
    assert admin.send("GET", "/api/oauth/openrouter/status").json["configured"] is True
    answer = admin.send("GET", "/api/oauth/nobody/status")
    assert (answer.status, answer.json) == (404, {"error": "Unknown provider: nobody"})


@pytest.mark.parametrize("ends", ["2025-06-15T16:06:40.000Z", 1750003600, 1750003600000, 1750003600.0])
def test_a_token_can_be_pasted(admin: Admin, ends: object) -> None:
    body = {"accessToken": " at-1 ", "refreshToken": "rt-1", "expiresAt": ends}
    answer = admin.send("POST", PATH + "/import", body)
    made = answer.json["connection"]
    assert (answer.status, answer.json["success"], made["provider"]) == (200, True, "openai")
    shown = admin.send("GET", f"/api/providers/{made['id']}").json["connection"]
    assert (shown["authType"], shown["expiresAt"]) == ("oauth", "2025-06-15T16:06:40.000Z")
    (connection,) = admin.store.snapshot.connections["openai"]
    assert (connection.secret, connection.refreshable) == ("at-1", True)
    assert "at-1" not in str(admin.run(admin.store.audit.list(10)))
    assert admin.audit()[-1] == "oauth.login"


@pytest.mark.parametrize(("left", "due"), [(320, False), (280, True), (20, True), (-20, True)])
def test_a_pasted_token_that_ends_soon_is_renewed_before_its_first_call(admin: Admin, left: int, due: bool) -> None:
    """How long it lived before is not known, so what is left of its life is not its life."""
    ends = admin.clock.time() + left
    admin.send("POST", PATH + "/import", {"accessToken": "at-1", "refreshToken": "rt-1", "expiresAt": ends})
    (connection,) = admin.store.snapshot.connections["openai"]
    assert admin.services.live.tokens.due(connection) is due


def test_pasted_tokens_have_names_of_their_own(admin: Admin) -> None:
    admin.at_once(*(("POST", PATH + "/import", {"accessToken": token}) for token in ("at-1", "at-2")))
    names = {row["name"] for row in admin.send("GET", "/api/providers").json["connections"]}
    assert names == {"OpenAI login", "OpenAI login 2"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "accessToken"),
        ({"accessToken": ""}, "accessToken"),
        ({"accessToken": "  "}, "accessToken"),
        ({"accessToken": "a\nb"}, "accessToken"),
        ({"accessToken": 5}, "accessToken"),
        ({"accessToken": "a", "refreshToken": "ä"}, "refreshToken"),
        ({"accessToken": "a", "expiresAt": "soon"}, "expiresAt"),
        ({"accessToken": "a", "expiresAt": -1}, "expiresAt"),
        ({"accessToken": "a", "expiresAt": 1e300}, "expiresAt"),
        ({"accessToken": "a", "expiresAt": "9999-12-31T23:59:59-23:00"}, "expiresAt"),
        ({"accessToken": "a", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_what_cannot_be_a_token_is_refused(admin: Admin, body: dict[str, object], field: str) -> None:
    assert list(fields_of(admin.send("POST", PATH + "/import", body))) == [field]


def test_a_client_is_shown_without_its_secret(admin: Admin, server: AuthServer) -> None:
    shown = admin.send("PUT", PATH + "/client", server.fields(extraAuthParams={"prompt": "consent"}, devicePkce=True))
    assert shown.status == 200
    client = shown.json["client"]
    assert client == {
        "provider": "openai", "configured": True, "missing": [], "clientId": "app-1", "hasClientSecret": True,
        "authorizeUrl": server.url + "/authorize", "tokenUrl": server.url + "/token",
        "deviceAuthorizationUrl": server.url + "/device", "refreshUrl": "", "scopes": ["chat"], "pkce": True,
        "devicePkce": True, "tokenAuth": "post", "extraAuthParams": {"prompt": "consent"},
    }  # fmt: skip
    assert admin.send("GET", PATH + "/client").json == {"client": client}
    assert "oauthClients" not in admin.send("GET", "/api/settings").json
    (row, *_) = admin.run(admin.store.audit.list(1))
    assert row.action == "oauth.client.update"
    assert "s3cret-text" not in str(row)


def test_a_client_changes_in_part_and_goes(admin: Admin, server: AuthServer) -> None:
    admin.send("PUT", PATH + "/client", server.fields())
    client = admin.send("PATCH", PATH + "/client", {"scopes": ["a", "b"]}).json["client"]
    assert (client["clientId"], client["scopes"], client["hasClientSecret"]) == ("app-1", ["a", "b"], True)
    assert admin.send("DELETE", PATH + "/client").json["client"]["configured"] is False
    assert admin.send("DELETE", PATH + "/client").status == 200
    assert admin.audit()[-3:] == ["oauth.client.update", "oauth.client.update", "oauth.client.delete"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tokenUrl": "http://a.test/token"}, "tokenUrl"),
        ({"authorizeUrl": "javascript:alert(1)"}, "authorizeUrl"),
        ({"deviceAuthorizationUrl": "http://169.254.169.254/"}, "deviceAuthorizationUrl"),
        ({"refreshUrl": "x"}, "refreshUrl"),
        ({"tokenAuth": "magic"}, "tokenAuth"),
        ({"scopes": "a b"}, "scopes"),
        ({"clientId": 5}, "clientId"),
        ({"extraAuthParams": {"a": 1}}, "extraAuthParams.a"),
    ],
)
def test_a_client_that_cannot_work_is_refused(admin: Admin, body: dict[str, object], field: str) -> None:
    found = list(fields_of(admin.send("PUT", PATH + "/client", body)))
    assert [name.partition(".")[0] for name in found] == [field.partition(".")[0]]
    assert admin.audit() == []


def test_a_file_in_the_data_directory_configures_a_client(admin: Admin) -> None:
    admin.settings.data_dir.joinpath("provider-credentials.json").write_text('{"huggingface": {"clientId": "hf-1"}}')
    assert admin.send("GET", "/api/oauth/huggingface/status").json["configured"] is True
