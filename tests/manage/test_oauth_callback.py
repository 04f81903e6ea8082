"""The way back of a login: the gateway's own route, and the temporary server on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin
from oauth_server import EMAIL, AuthServer, auth_server

PATH = "/api/oauth/openai"
HOME = "http://localhost:20128/api/oauth/openai/callback"


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server(redirects=(HOME, "https://gate.test/api/oauth/openai/callback")) as running:
        yield running


@pytest.fixture
def ready(admin: Admin, server: AuthServer) -> Admin:
    assert admin.send("PUT", PATH + "/client", server.fields()).status == 200
    return admin


def _way_back(admin: Admin, server: AuthServer) -> str:
    start = admin.send("GET", f"{PATH}/authorize?redirect_uri={HOME}").json
    return urlsplit(server.browse(start["authUrl"])).query


def _callback(admin: Admin, query: str) -> FakeExchange:
    """As a browser that comes from the vendor: no login of ours, from anywhere."""
    return admin.send("GET", f"{PATH}/callback?{query}", anonymous=True, peer="192.0.2.7")


def test_the_callback_route_ends_a_login(ready: Admin, server: AuthServer) -> None:
    answer = _callback(ready, _way_back(ready, server))
    assert answer.status == 200
    assert (answer.header(b"content-type"), answer.header(b"referrer-policy")) == (
        b"text/html; charset=utf-8", b"no-referrer",
    )  # fmt: skip
    assert b"Logged in" in answer.text
    (shown,) = ready.send("GET", "/api/providers").json["connections"]
    assert (shown["authType"], shown["email"]) == ("oauth", EMAIL)
    (row, *_) = ready.run(ready.store.audit.list(1))
    assert (row.action, row.actor, row.ip_address) == ("oauth.login", "anonymous", "192.0.2.7")


def test_a_callback_works_once(ready: Admin, server: AuthServer) -> None:
    query = _way_back(ready, server)
    assert _callback(ready, query).status == 200
    assert _callback(ready, query).status == 400


def test_a_look_at_the_link_does_not_use_it_up(ready: Admin, server: AuthServer) -> None:
    query = _way_back(ready, server)
    exchange = _callback(ready, "")
    exchange.request.method, exchange.request.query = "HEAD", query
    again = FakeExchange(exchange.request)
    ready.run(ready.plane.handle(again))
    assert again.status == 405
    assert _callback(ready, query).status == 200


@pytest.mark.parametrize("query", ["", "code=x", "code=x&state=", "code=x&state=wrong", "state=%00"])
def test_a_callback_that_is_not_ours_does_nothing(ready: Admin, server: AuthServer, query: str) -> None:
    answer = _callback(ready, query)
    assert (answer.status, b"Login failed" in answer.text) == (400, True)
    assert ready.send("GET", "/api/providers").json["connections"] == []
    assert server.state.asked == []


def test_a_state_of_one_provider_is_none_of_another(ready: Admin, server: AuthServer) -> None:
    query = _way_back(ready, server)
    assert ready.send("GET", f"/api/oauth/groq/callback?{query}").status == 400
    assert _callback(ready, query).status == 200


def test_a_vendor_that_says_no_is_told_without_its_markup(ready: Admin) -> None:
    start = ready.send("GET", f"{PATH}/authorize?redirect_uri={HOME}").json
    answer = _callback(ready, f"error=%3Cscript%3E&state={start['state']}")
    assert (answer.status, b"<script" in answer.text) == (400, False)
    assert ready.audit()[-1] == "oauth.login.failed"


def test_a_code_that_the_server_refuses_is_told(ready: Admin) -> None:
    start = ready.send("GET", f"{PATH}/authorize?redirect_uri={HOME}").json
    answer = _callback(ready, f"code=made-up-code&state={start['state']}")
    assert (answer.status, b"invalid_grant" in answer.text, b"made-up-code" in answer.text) == (502, True, False)


def test_behind_a_proxy_the_redirect_leads_to_our_own_route(make_admin: Callable[..., Admin], server: AuthServer) -> None:
    admin = make_admin(base_url="https://gate.test/")
    admin.send("PUT", PATH + "/client", server.fields())
    assert admin.send("GET", PATH + "/authorize").json["redirectUri"] == "https://gate.test/api/oauth/openai/callback"


def _open(admin: Admin, server: AuthServer, url: str) -> int:
    """A browser that follows the redirect to the temporary server."""

    def follow() -> int:
        with urlopen(server.browse(url), timeout=10) as answer:
            return int(answer.status)

    return admin.run(asyncio.to_thread(follow))


def _poll(admin: Admin) -> object:
    return admin.send("POST", PATH + "/poll-callback").json


def test_a_temporary_server_takes_the_redirect(ready: Admin, server: AuthServer) -> None:
    assert _poll(ready) == {"success": False, "error": "no_server"}
    start = ready.send("GET", PATH + "/start-callback-server").json
    assert set(start) == {"authUrl", "codeVerifier", "redirectUri", "serverPort"}
    assert start["redirectUri"] == f"http://127.0.0.1:{start['serverPort']}/callback"
    assert parse_qs(urlsplit(start["authUrl"]).query)["redirect_uri"] == [start["redirectUri"]]
    assert _poll(ready) == {"success": False, "pending": True}
    assert _open(ready, server, start["authUrl"]) == 200
    done = ready.send("POST", PATH + "/poll-callback").json
    assert (done["success"], done["connection"]["email"]) == (True, EMAIL)
    assert _poll(ready) == {"success": False, "error": "no_server"}
    assert ready.audit()[-2:] == ["oauth.callback_server.start", "oauth.login"]


def test_the_temporary_server_closes_by_itself(ready: Admin) -> None:
    ready.send("GET", PATH + "/start-callback-server")

    async def later() -> None:
        ready.clock.advance(300)

    ready.run(later())
    assert _poll(ready) == {"success": False, "error": "no_server"}


def test_a_second_temporary_server_takes_the_place_of_the_first(ready: Admin, server: AuthServer) -> None:
    first = ready.send("GET", PATH + "/start-callback-server").json
    second = ready.send("GET", PATH + "/start-callback-server").json
    assert first["serverPort"] != second["serverPort"]
    assert len(ready.oauth.windows) == 1
    assert _open(ready, server, second["authUrl"]) == 200
    assert ready.send("POST", PATH + "/poll-callback").json["success"] is True


def test_the_temporary_server_hands_on_what_the_vendor_said(ready: Admin) -> None:
    start = ready.send("GET", PATH + "/start-callback-server").json
    window = ready.oauth.windows["openai"]

    def back(query: str) -> int:
        with urlopen(f"{start['redirectUri']}?{query}&state={window.state}", timeout=10) as answer:
            return int(answer.status)

    assert ready.run(asyncio.to_thread(back, "error=access_denied")) == 200
    assert _poll(ready) == {"success": False, "error": "access_denied"}
    start = ready.send("GET", PATH + "/start-callback-server").json
    window = ready.oauth.windows["openai"]
    assert ready.run(asyncio.to_thread(back, "x=1")) == 200
    assert _poll(ready) == {"success": False, "error": "no_code"}


def test_a_device_flow_needs_no_temporary_server(admin: Admin) -> None:
    admin.send("PUT", "/api/oauth/github-models/client", {"clientId": "Iv1.x"})
    answer = admin.send("GET", "/api/oauth/github-models/start-callback-server")
    assert (answer.status, answer.json) == (400, {"error": "Provider does not support the authorization code flow"})
