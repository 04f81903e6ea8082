"""Outbound proxies: their levels, their masked passwords, and testing one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_manage import Admin
from proxies import AProxy
from scripted_upstream import Answer, ScriptedUpstream

from omniroute.gateway.retry import PROFILES
from omniroute.proto.proxy import Proxy

PATH = "/api/settings/proxy"
EMPTY: dict[str, Any] = {"global": None, "providers": {}, "combos": {}, "keys": {}}
P = {"type": "http", "host": "p.test", "port": 3128}
SECRET = {**P, "username": "me", "password": "s3cret"}
SHOWN = {**P, "username": "me", "password": "****"}


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        number: int = sock.getsockname()[1]
    return number


def refusal(admin: Admin, body: Any, method: str = "PUT", path: str = PATH) -> str:
    reply = admin.send(method, path, body)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request")
    message: str = reply.json["error"]["message"]
    return message


@pytest.mark.parametrize("status", [502, 429])
@pytest.mark.parametrize("id", ["openai", "groq"])
def test_another_way_to_a_provider_ends_the_wait_for_it(admin: Admin, id: str, status: int) -> None:
    account = admin.connection("openai")["id"]
    admin.send("PUT", PATH, {"level": "provider", "id": id, "proxy": P})
    admin.fail(account, status=status)
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    admin.send("DELETE", f"{PATH}?level=provider&id={id}")
    waits = (id, status) != ("openai", 502)
    assert bool(admin.live.breakers.wait("openai")) is waits
    shown = admin.send("GET", f"/api/providers/{account}").json["connection"]
    assert ("rateLimitedUntil" in shown) is waits


def test_one_level_at_a_time(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == EMPTY
    reply = admin.send("PUT", PATH, {"level": "provider", "id": "openai", "proxy": SECRET})
    assert reply.json == {**EMPTY, "providers": {"openai": SHOWN}}
    assert admin.send("PUT", PATH, {"level": "global", "proxy": P}).json["global"] == P
    assert admin.send("GET", f"{PATH}?level=provider&id=openai").json == {
        "level": "provider",
        "id": "openai",
        "proxy": SHOWN,
    }
    assert admin.send("GET", f"{PATH}?level=global").json == {"level": "global", "id": None, "proxy": P}
    assert admin.send("GET", f"{PATH}?level=key&id=none").json == {"level": "key", "id": "none", "proxy": None}
    assert admin.send("DELETE", f"{PATH}?level=provider&id=openai").json == {**EMPTY, "global": P}
    assert admin.send("PUT", PATH, {"level": "global", "proxy": None}).json == EMPTY
    rows = admin.send("GET", "/api/compliance/audit-log").text
    assert b"settings.proxy" in rows
    assert b"provider:openai" in rows
    assert b"s3cret" not in rows


def test_several_at_once_of_which_null_removes(admin: Admin) -> None:
    body = {"global": P, "providers": {"openai": P, "groq": P}, "combos": {"c": P}, "keys": {"k": P}}
    assert admin.send("PUT", PATH, body).json == body
    reply = admin.send("PATCH", PATH, {"global": None, "providers": {"groq": None}, "keys": {}})
    assert reply.json == {**body, "global": None, "providers": {"openai": P}}
    assert admin.send("PUT", PATH, {"providers": {}}).json == reply.json
    assert admin.send("PUT", PATH, reply.json).json == reply.json


def test_a_password_that_is_echoed_masked_stays_but_goes_to_no_other_host(admin: Admin) -> None:
    admin.send("PUT", PATH, {"global": SECRET})
    assert admin.send("PUT", PATH, {"global": {**SHOWN, "port": 8080}}).json["global"] == {**SHOWN, "port": 8080}
    kept = admin.store.snapshot.outbound.everywhere
    assert kept == Proxy("http", "p.test", 8080, "me", "s3cret")
    assert refusal(admin, {"global": {**SHOWN, "host": "other.test"}}) == "proxy.password is masked: give it anew"
    assert refusal(admin, {"level": "provider", "id": "x", "proxy": SHOWN}) == "proxy.password is masked: give it anew"
    assert admin.send("PUT", PATH, {"global": P}).json["global"] == P


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("http://p.test", "proxy must be an object"),
        ([], "proxy must be an object"),
        ({**P, "type": "zz"}, "proxy.type must be http or https"),
        ({**P, "type": "socks5"}, "SOCKS5 proxy is disabled (set ENABLE_SOCKS5_PROXY=true to enable)"),
        ({"type": "http", "host": "p.test"}, "proxy.host and proxy.port are required"),
        ({**P, "port": 65536}, "proxy.port must be a number from 1 to 65535"),
        ({**P, "port": "x"}, "proxy.port must be a number from 1 to 65535"),
        ({**P, "host": "http://p.test"}, "proxy.host must be a name or an address, without scheme and port"),
        ({**P, "host": "p.test:80"}, "proxy.host must be a name or an address, without scheme and port"),
        ({**P, "username": 5}, "proxy.username must be a text of at most 255 bytes"),
        ({**P, "password": "a\r\nb"}, "proxy.password must be a text of at most 255 bytes"),
    ],
)
def test_what_is_no_proxy(admin: Admin, proxy: Any, message: str) -> None:
    assert refusal(admin, {"level": "global", "proxy": proxy}) == message
    assert refusal(admin, {"providers": {"openai": proxy}}) == message
    assert admin.send("GET", PATH).json == EMPTY


def test_what_is_no_level(admin: Admin) -> None:
    assert refusal(admin, {}) == "level is required"
    assert refusal(admin, {"level": "", "proxy": P}) == "level is required"
    assert refusal(admin, {"level": "planet", "proxy": P}) == "level must be one of: global, provider, combo, key"
    assert refusal(admin, {"level": "key", "proxy": P}) == "id is required for level key"
    assert refusal(admin, {"level": "key", "id": "k"}) == "proxy must be an object"
    assert refusal(admin, {"providers": []}) == "providers must be an object"
    assert refusal(admin, None, "DELETE") == "level is required"
    assert refusal(admin, None, "DELETE", f"{PATH}?level=key") == "id is required for level key"
    assert refusal(admin, None, "GET", f"{PATH}?level=planet") == "level must be one of: global, provider, combo, key"


def test_socks5_once_it_is_switched_on(make_admin: Callable[..., Admin]) -> None:
    admin = make_admin(enable_socks5_proxy=True)
    socks = {"type": "socks5", "host": "::1", "port": "1080"}
    assert admin.send("PUT", PATH, {"global": socks}).json["global"] == {**socks, "port": 1080}
    assert refusal(admin, {"global": {**P, "type": "zz"}}) == "proxy.type must be http, https, or socks5"


def test_the_setting_switches_socks5_on_too(admin: Admin) -> None:
    admin.send("PUT", "/api/settings", {"enableSocks5Proxy": True})
    connection = admin.connection()["id"]
    socks = {**P, "type": "socks5"}
    assert admin.send("PUT", PATH, {"global": socks}).json["global"] == socks
    admin.send("PUT", "/api/settings", {"enableSocks5Proxy": False})
    assert admin.send("GET", f"{PATH}?resolve={connection}").json == {"proxy": socks, "level": "global", "levelId": None}


def test_what_the_calls_of_a_connection_take(admin: Admin) -> None:
    connection = admin.connection()["id"]
    direct = {"proxy": None, "level": "direct", "levelId": None}
    assert admin.send("GET", f"{PATH}?resolve={connection}").json == direct
    admin.send("PUT", PATH, {"providers": {"openai": SECRET}})
    resolved = {"proxy": SHOWN, "level": "provider", "levelId": "openai"}
    assert admin.send("GET", f"{PATH}?resolve={connection}").json == resolved
    admin.send("PATCH", f"/api/providers/{connection}", {"isActive": False})
    assert admin.send("GET", f"{PATH}?resolve={connection}").json == resolved
    admin.send("PUT", PATH, {"level": "key", "id": connection, "proxy": P})
    assert admin.send("GET", f"{PATH}?resolve={connection}").json == {"proxy": P, "level": "key", "levelId": connection}
    assert admin.send("GET", f"{PATH}?resolve=unknown").json == direct


def outcome(make_admin: Callable[..., Admin], answer: Answer, **user: str) -> Any:
    """What the test endpoint says, with a proxy and an address service on loopback."""
    upstream, proxy = ScriptedUpstream(answer), AProxy(**user)
    upstream.port = closed_port()
    admin = make_admin(proxy_test_url=f"{upstream.url}/ip?format=json")
    admin.run(upstream.__aenter__())
    admin.run(proxy.__aenter__())
    admin.services.gateway = SimpleNamespace(client=admin.client)  # type: ignore[assignment]
    reply = admin.send("POST", PATH + "/test", {"proxy": {"type": "http", "host": "127.0.0.1", "port": proxy.port}})
    admin.run(proxy.__aexit__(None, None, None))
    admin.run(upstream.stop())
    assert reply.status == 200
    shown = reply.json
    assert shown.pop("latencyMs") >= 0
    assert shown.pop("proxyUrl") == f"http://127.0.0.1:{proxy.port}"
    return shown


@pytest.mark.parametrize("body", [b'{"ip":"203.0.113.9"}', b"203.0.113.9\n", b'{"origin": "203.0.113.9"}'])
def test_the_test_tells_the_public_address(make_admin: Callable[..., Admin], body: bytes) -> None:
    assert outcome(make_admin, Answer(pieces=[body])) == {"success": True, "publicIp": "203.0.113.9"}


def test_what_the_test_says_when_there_is_no_address(make_admin: Callable[..., Admin]) -> None:
    found = outcome(make_admin, Answer(pieces=[b"<html>"]))
    assert found == {"success": False, "error": "127.0.0.1 did not answer with an address"}
    assert outcome(make_admin, Answer(503)) == {"success": False, "error": "127.0.0.1 answered 503"}
    found = outcome(make_admin, Answer(), user="me", password="s3cret")
    assert found == {"success": False, "error": "proxy refused: 407"}


def test_a_test_needs_a_host_and_a_port(admin: Admin) -> None:
    for proxy in (None, {}, "x", {"host": "h"}, {"port": 1}):
        assert refusal(admin, {"proxy": proxy}, "POST", PATH + "/test") == "proxy.host and proxy.port are required"
    assert refusal(admin, {"proxy": {**P, "type": "zz"}}, "POST", PATH + "/test") == "proxy.type must be http or https"
