"""How a grant becomes a connection."""

from __future__ import annotations

import json

import msgspec
import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin

from omniroute.manage.call import Call, Reply
from omniroute.manage.oauth_grants import keep
from omniroute.proto.exchange import Request
from omniroute.upstream.oauth import Grant


def _keep(admin: Admin, provider: str, grant: Grant) -> Reply:
    call = Call(FakeExchange(Request("POST", "/x")), admin.services, {})
    return admin.run(keep(call, provider, grant, "test"))


def test_an_account_that_nobody_named_is_shown_with_nulls(admin: Admin) -> None:
    shown = msgspec.to_builtins(_keep(admin, "openrouter", Grant(api_key="sk-or-1")).body)
    assert shown["connection"].keys() == {"id", "provider", "email", "displayName"}
    assert (shown["connection"]["email"], shown["connection"]["displayName"]) == (None, None)


def test_a_lasting_key_is_stored_as_one(admin: Admin) -> None:
    for key in ("sk-or-1", "sk-or-2"):
        assert _keep(admin, "openrouter", Grant(api_key=key, name="user_2")).status == 200
    (shown,) = admin.send("GET", "/api/providers").json["connections"]
    assert (shown["authType"], shown["name"]) == ("apikey", "user_2")
    (connection,) = admin.store.snapshot.connections["openrouter"]
    assert (connection.secret, connection.refreshable) == ("sk-or-2", False)


def test_a_lifetime_that_is_no_longer_said_is_forgotten(admin: Admin) -> None:
    grant = Grant(access_token="a", refresh_token="r", expires_in=60, email="a@b.test")
    _keep(admin, "openai", grant)
    _keep(admin, "openai", Grant(access_token="b", email="a@b.test"))
    (row,) = admin.run(admin.store.connections.list())
    assert (row.expires_at, row.expires_in, row.has_refresh_token) == (None, None, True)


def test_another_person_is_another_connection(admin: Admin) -> None:
    for email in ("a@b.test", "c@d.test"):
        _keep(admin, "openai", Grant(access_token="t", email=email))
    rows = admin.run(admin.store.connections.list())
    assert [(row.name, row.priority) for row in rows] == [("a@b.test", 1), ("c@d.test", 2)]


def test_a_new_login_ends_the_pause_of_renewals(admin: Admin) -> None:
    _keep(admin, "openai", Grant(access_token="a", refresh_token="r", email="a@b.test"))
    (row,) = admin.run(admin.store.connections.list())
    admin.fail(row.id, status=401)
    admin.live.tokens._paused[row.id] = admin.clock.time() + 100
    _keep(admin, "openai", Grant(access_token="b", email="a@b.test"))
    assert not admin.live.tokens.paused(row.id)
    assert admin.live.health.blocked_until(row.id, "m") is None


@pytest.mark.parametrize("url", ["http://[", "http://login.test/authorize", "javascript:alert(1)"])
def test_an_address_that_must_not_be_opened_is_refused_wherever_it_came_from(admin: Admin, url: str) -> None:
    entry = {"clientId": "x", "authUrl": url, "tokenUrl": "https://login.test/token"}
    admin.settings.data_dir.joinpath("provider-credentials.json").write_text(json.dumps({"openai": entry}))
    for action in ("authorize", "start-callback-server"):
        answer = admin.send("GET", f"/api/oauth/openai/{action}")
        assert (answer.status, "authorize url" in answer.json["error"]) == (400, True)
