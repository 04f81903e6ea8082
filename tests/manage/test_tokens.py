"""Renewing tokens at a real authorization server, the round over idle accounts, and how the tokens fare."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_manage import Admin
from oauth_server import AuthServer, auth_server

from omniroute.errors import OmniError
from omniroute.gateway.snapshot import Connection
from omniroute.gateway.tokens import REAUTH
from omniroute.manage.tokens import is_due, token_columns
from omniroute.store.connections import ConnectionRow
from omniroute.tasks import cancel, spawn
from omniroute.upstream.oauth import Grant, OAuthClient

PATH = "/api/oauth/openai"
REDIRECT = "http://localhost:8080/callback"


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        yield running


@pytest.fixture
def account(admin: Admin, server: AuthServer) -> str:
    """The id of a connection that was logged in at the server; the data plane sees what is published."""
    admin.store.on_publish = lambda snapshot: setattr(admin.live, "snapshot", snapshot)
    admin.send("PUT", PATH + "/client", server.fields())
    start = admin.send("GET", PATH + "/authorize").json
    body = {"code": server.login(start["authUrl"])["code"], "redirectUri": REDIRECT, "codeVerifier": start["codeVerifier"]}
    return str(admin.send("POST", PATH + "/exchange", body).json["connection"]["id"])


def _connection(admin: Admin) -> Connection:
    return admin.live.snapshot.connections["openai"][0]


def _refresh_token(admin: Admin, account: str) -> str:
    return admin.run(admin.store.connections.refresh_token(account))


def _health(admin: Admin) -> Any:
    answer = admin.send("GET", "/api/token-health")
    assert answer.status == 200
    return answer.json


async def _fail(admin: Admin, account: str) -> OmniError:
    with pytest.raises(OmniError) as caught:
        await admin.live.tokens.refresh(account)
    return caught.value


def test_refresh_tokens_rotate(admin: Admin, server: AuthServer, account: str) -> None:
    secrets, refreshers = [_connection(admin).secret], [_refresh_token(admin, account)]
    for _ in range(2):
        admin.run(admin.live.tokens.refresh(account))
        secrets.append(_connection(admin).secret)
        refreshers.append(_refresh_token(admin, account))
    assert len(set(secrets)) == len(set(refreshers)) == 3
    assert [server.state.tokens[text].revoked for text in refreshers] == [True, True, False]
    assert server.state.grants("refresh_token") == 2


def test_a_refresh_token_that_is_not_rotated_is_kept(admin: Admin, server: AuthServer, account: str) -> None:
    server.state.rotate = False
    before = _refresh_token(admin, account)
    admin.run(admin.live.tokens.refresh(account))
    assert _refresh_token(admin, account) == before


def test_twenty_calls_that_find_the_token_too_old_make_one_token_request(
    admin: Admin, server: AuthServer, account: str
) -> None:
    old = _connection(admin)
    admin.advance(3500)
    assert admin.live.tokens.due(old)

    async def all_at_once() -> list[Connection]:
        return await asyncio.gather(*(admin.live.tokens.ensure(old) for _ in range(20)))

    found = admin.run(all_at_once())
    assert {connection.secret for connection in found} == {_connection(admin).secret} != {old.secret}
    assert server.state.grants("refresh_token") == 1


def test_twenty_refused_calls_make_one_token_request(admin: Admin, server: AuthServer, account: str) -> None:
    old = _connection(admin)

    async def all_at_once() -> list[Connection | None]:
        return await asyncio.gather(*(admin.live.tokens.renew(old) for _ in range(20)))

    found = admin.run(all_at_once())
    assert {connection.secret for connection in found if connection is not None} == {_connection(admin).secret}
    assert None not in found
    assert server.state.grants("refresh_token") == 1


def test_a_login_that_comes_meanwhile_is_not_undone(admin: Admin, server: AuthServer, account: str) -> None:
    ask = admin.oauth.endpoint.refresh

    async def slow(client: OAuthClient, token: str, connection_id: str = "") -> Grant:
        grant = await ask(client, token, connection_id)
        await admin.store.connections.update(account, access_token="newer", refresh_token="newer-rt")
        return grant

    admin.oauth.endpoint.refresh = slow  # type: ignore[method-assign]
    admin.run(admin.live.tokens.refresh(account))
    assert (_connection(admin).secret, _refresh_token(admin, account)) == ("newer", "newer-rt")


def test_a_revoked_refresh_token_asks_for_a_new_login(admin: Admin, server: AuthServer, account: str) -> None:
    server.state.tokens[_refresh_token(admin, account)].revoked = True
    error = admin.run(_fail(admin, account))
    assert error.code == REAUTH
    assert error.message.endswith(". Log in again")
    assert _refresh_token(admin, account) not in error.message
    state = admin.live.health.view(account)
    assert (state.test_status, state.last_error_type, state.last_error_source) == ("error", REAUTH, "oauth")
    assert _health(admin)["status"] == "error"


def test_a_server_that_is_down_may_be_back_later(admin: Admin, server: AuthServer, account: str) -> None:
    server.state.broken = 503
    assert admin.run(_fail(admin, account)).code == "token_refresh_failed"
    server.state.broken = 0
    admin.run(admin.live.tokens.refresh(account))
    state = admin.live.health.view(account)
    assert (state.test_status, state.last_error) == ("active", None)


def test_new_tokens_do_not_lift_a_rate_limit(admin: Admin, account: str) -> None:
    admin.fail(account)
    admin.run(admin.live.tokens.refresh(account))
    assert admin.live.health.view(account).rate_limited_until is not None
    admin.live.health.clear(account)
    admin.fail(account, status=401)
    admin.run(admin.live.tokens.refresh(account))
    assert admin.live.health.view(account).rate_limited_until is None


def test_without_a_client_nothing_can_be_renewed(admin: Admin, account: str) -> None:
    admin.send("DELETE", PATH + "/client")
    error = admin.run(_fail(admin, account))
    assert (error.code, "clientId" in error.message) == ("token_refresh_failed", True)
    assert admin.run(_fail(admin, "nobody")).message == "Connection not found"


def test_the_round_renews_idle_accounts_each_interval(admin: Admin, server: AuthServer, account: str) -> None:
    keeper = admin.oauth.keeper
    server.state.expires_in = 86_400
    assert admin.run(keeper.sweep()) == 0
    admin.advance(3600)
    assert admin.run(keeper.sweep()) == 1
    assert admin.run(keeper.sweep()) == 0
    admin.send("PATCH", f"/api/providers/{account}", {"healthCheckInterval": 10})
    admin.advance(600)
    assert admin.run(keeper.sweep()) == 1
    admin.send("PATCH", f"/api/providers/{account}", {"healthCheckInterval": 0})
    admin.advance(86_400)
    assert admin.run(keeper.sweep()) == 0
    assert server.state.grants("refresh_token") == 2
    assert keeper.last_check_at == admin.clock.time()


def test_the_round_leaves_alone_what_failed_lately_and_what_is_off(admin: Admin, server: AuthServer, account: str) -> None:
    server.state.broken = 500
    admin.advance(3600)
    assert admin.run(admin.oauth.keeper.sweep()) == 1
    assert admin.run(admin.oauth.keeper.sweep()) == 0
    admin.advance(3660)
    admin.send("PATCH", f"/api/providers/{account}", {"isActive": False})
    assert admin.run(admin.oauth.keeper.sweep()) == 0


def test_the_round_comes_each_minute_even_after_a_bad_one(admin: Admin, caplog: pytest.LogCaptureFixture) -> None:
    keeper = admin.oauth.keeper
    rounds: asyncio.Queue[float] = asyncio.Queue()

    async def sweep() -> int:
        rounds.put_nowait(admin.clock.time())
        raise RuntimeError("bug")

    async def two_minutes() -> list[float]:
        watch = spawn(keeper.watch(), "t")
        found = []
        for _ in range(2):
            await asyncio.sleep(0)
            admin.clock.advance(60)
            found.append(await rounds.get())
        await cancel(watch)
        return found

    keeper.sweep = sweep  # type: ignore[method-assign]
    first, second = admin.run(two_minutes())
    assert second - first == 60
    assert "the round over the tokens failed" in caplog.text


def test_when_the_round_renews() -> None:
    row = ConnectionRow(id="1", provider="p", auth_type="oauth", has_refresh_token=True, updated_at="2026-01-01T00:00:00Z")
    start = 1767225600.0
    assert not is_due(row, start + 3599)
    assert is_due(row, start + 3600)
    row.expires_at, row.expires_in = "2026-01-01T00:20:00Z", 1200
    assert not is_due(row, start + 899)
    assert is_due(row, start + 900)
    row.health_check_interval = 0
    assert not is_due(row, start + 10_000)
    row.health_check_interval, row.auth_type = None, "apikey"
    assert not is_due(row, start + 10_000)


def test_a_grant_changes_only_the_columns_that_it_has() -> None:
    assert token_columns(Grant(access_token="a"), 0) == {
        "access_token": "a", "expires_in": None, "expires_at": None, "token_expires_at": None,
    }  # fmt: skip
    columns = token_columns(Grant(access_token="a", refresh_token="r", scope="s", expires_in=60), 0)
    assert (columns["refresh_token"], columns["scope"], columns["expires_at"]) == ("r", "s", "1970-01-01T00:01:00.000Z")


def test_token_health_counts(admin: Admin, account: str) -> None:
    assert _health(admin) == {
        "total": 1, "healthy": 1, "errored": 0, "warning": 0, "lastCheckAt": None, "status": "healthy",
    }  # fmt: skip
    admin.connection()  # a key is no token
    admin.send("POST", PATH + "/import", {"accessToken": "at-1", "expiresAt": "2025-06-15T15:07:40Z"})  # in 60 s
    found = _health(admin)
    assert (found["total"], found["healthy"], found["warning"], found["status"]) == (2, 1, 1, "warning")
    admin.advance(100)
    found = _health(admin)
    assert (found["total"], found["healthy"], found["errored"], found["status"]) == (2, 1, 1, "error")
    admin.run(admin.oauth.keeper.sweep())
    assert _health(admin)["lastCheckAt"].endswith("Z")


def test_token_health_without_logins_is_healthy(admin: Admin) -> None:
    assert _health(admin)["status"] == "healthy"
