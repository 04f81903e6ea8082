"""Calls that go through a proxy, on both event loops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from loops import on_each_loop
from proxies import AProxy
from scripted_upstream import Answer, ScriptedUpstream
from selfsigned import server_context

from omniroute.clock import Clock
from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits
from omniroute.upstream.send import Client

OK = Answer(pieces=[b"ok"])


async def get(origin: Origin, tls: Any = None, times: int = 1, **options: Any) -> bytes:
    client = Client(Limits(), Clock(), ssl_context=tls, **options)
    try:
        for _ in range(times):
            status, _, body = await client.fetch(origin, "POST", b"/v1", [], b"{}", limit=100)
            assert status == 200
        assert client.stats()["dialled"] == 1
        return body
    finally:
        await client.close()


async def refusal(origin: Origin, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await get(origin, **options)
    return caught.value


@on_each_loop
async def test_plain_requests_are_forwarded_by_an_http_proxy_and_the_connection_is_kept() -> None:
    async with ScriptedUpstream(OK) as upstream, AProxy(user="me", password="s3cret") as proxy:
        assert await get(Origin("http", "127.0.0.1", upstream.port, proxy.proxy())) == b"ok"
        assert proxy.asked == [f"POST http://127.0.0.1:{upstream.port}/v1"]
        assert "proxy-authorization" not in dict(upstream.requests[0].headers)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@on_each_loop
async def test_tls_to_the_target_goes_through_a_tunnel_and_the_proxy_resolves_its_name(scheme: str) -> None:
    server, client = server_context("api.test")
    async with ScriptedUpstream(OK, tls=server) as upstream, AProxy(scheme, "me", "s3cret") as proxy:
        proxy.hosts["api.test"] = "127.0.0.1"
        assert await get(Origin("https", "api.test", upstream.port, proxy.proxy()), client, times=2) == b"ok"
        assert [asked.removeprefix("CONNECT ") for asked in proxy.asked] == [f"api.test:{upstream.port}"]


@on_each_loop
async def test_plain_requests_through_socks() -> None:
    async with ScriptedUpstream(OK) as upstream, AProxy("socks5") as proxy:
        assert await get(Origin("http", "127.0.0.1", upstream.port, proxy.proxy()), times=2) == b"ok"
        assert proxy.asked == [f"127.0.0.1:{upstream.port}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@on_each_loop
async def test_a_proxy_over_tls_also_with_tls_inside(scheme: str) -> None:
    server, client = server_context("localhost")
    far = server if scheme == "https" else None
    async with ScriptedUpstream(OK, tls=far) as upstream, AProxy("https", tls=server) as proxy:
        via = proxy.proxy("localhost")
        assert await get(Origin(scheme, "localhost", upstream.port, via), client) == b"ok"
        assert proxy.asked[0].startswith("CONNECT" if far else "POST http://")


@on_each_loop
async def test_what_a_proxy_refuses_is_said_without_credentials() -> None:
    target = Origin("https", "api.test", 443)
    async with AProxy(user="me", password="s3cret") as proxy:
        for origin in (target, Origin("http", "api.test", 80)):
            error = await refusal(origin._replace(via=proxy.proxy(password="wrong-one")))
            assert (error.reason, str(error)) == ("proxy", "proxy refused: 407")
    async with AProxy("socks5", "me", "s3cret") as proxy:
        error = await refusal(target._replace(via=proxy.proxy(password="wrong-one")))
        assert (error.reason, str(error)) == ("proxy", "proxy refused: user name or password not accepted")
        proxy.refuses = 2
        assert str(await refusal(target._replace(via=proxy.proxy()))) == "proxy refused: not allowed by its rules"
        gone = proxy.proxy()
    error = await refusal(target._replace(via=gone))
    assert (error.reason, str(error)) == ("refused", f"{gone.url} (proxy) refused the connection")


@on_each_loop
async def test_a_proxy_that_closes_or_does_not_speak_tls() -> None:
    target = Origin("https", "api.test", 443)
    async with AProxy("socks5") as proxy:
        assert (await refusal(target._replace(via=proxy.proxy(scheme="https")))).reason == "tls"
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    for scheme in ("http", "socks5"):
        error = await refusal(target._replace(via=Proxy(scheme, "127.0.0.1", server.sockets[0].getsockname()[1])))
        assert (error.reason, str(error)) == ("proxy", "proxy refused: it closed the connection")
    server.close()


@on_each_loop
async def test_a_certificate_of_another_name_ends_the_call_inside_the_tunnel() -> None:
    server, client = server_context("api.test")
    async with ScriptedUpstream(OK, tls=server) as upstream, AProxy() as proxy:
        proxy.hosts["other.test"] = "127.0.0.1"
        error = await refusal(Origin("https", "other.test", upstream.port, proxy.proxy()), tls=client)
        assert (error.reason, upstream.requests) == ("tls", [])


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "169.254.169.254.",
        "::ffff:169.254.169.254",
        "metadata.google.internal",
    ],
)
@on_each_loop
async def test_a_proxy_is_not_asked_for_what_may_not_be_reached(host: str) -> None:
    async with AProxy() as proxy:
        assert (await refusal(Origin("http", host, 80, proxy.proxy()))).reason == "blocked_address"
        if host == "169.254.169.254":
            private = Origin("http", "10.1.2.3", 80, proxy.proxy())
            assert (await refusal(private, allow_private=False)).reason == "blocked_address"
        assert proxy.asked == []


@on_each_loop
async def test_a_proxy_that_is_switched_off_is_not_passed_by() -> None:
    async with ScriptedUpstream(OK) as upstream:
        error = await refusal(upstream.origin._replace(via=Proxy("disabled", "127.0.0.1", 1)))
        assert (error.reason, upstream.requests) == ("proxy", [])
        assert str(error).startswith("SOCKS5 proxy is disabled")


@on_each_loop
async def test_connections_of_one_way_do_not_serve_another() -> None:
    async with ScriptedUpstream(OK) as upstream, AProxy("socks5") as proxy:
        client = Client(Limits(), Clock())
        for via in (None, proxy.proxy(), None, proxy.proxy()):
            await client.fetch(upstream.origin._replace(via=via), "GET", b"/", [], limit=9)
        assert (client.stats()["dialled"], len(proxy.asked)) == (2, 1)
        await client.close()
