from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from fakes import FakeClock
from loops import on_each_loop
from scripted_upstream import Answer, ScriptedUpstream
from selfsigned import server_context

from omniroute.clock import Clock
from omniroute.proto import dial as module
from omniroute.proto.addresses import public
from omniroute.proto.dial import default_tls, dial, race, resolve
from omniroute.proto.transport import Origin, TransportError


def test_default_tls_checks_certificates_and_offers_http_1_1() -> None:
    context = default_tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context is default_tls()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name resolve to *addresses*."""

    async def answer(host: str, port: int) -> list[module.Address]:
        return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, (ip, number)) for ip, number in addresses]

    monkeypatch.setattr(module, "resolve", answer)


def dialling(origin: Origin, **options: Any) -> Coroutine[Any, Any, asyncio.Protocol]:
    return dial(origin, asyncio.Protocol, options.pop("clock", Clock()), timeout=options.pop("timeout", 10.0), **options)


async def failure(work: Awaitable[object]) -> str:
    with pytest.raises(TransportError) as caught:
        await work
    return caught.value.reason


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        number: int = sock.getsockname()[1]
    return number


@on_each_loop
async def test_numeric_hosts_need_no_resolver() -> None:
    assert await resolve("127.0.0.1", 80) == [(socket.AF_INET, ("127.0.0.1", 80))]
    assert await resolve("::1", 80) == [(socket.AF_INET6, ("::1", 80, 0, 0))]


@on_each_loop
async def test_families_take_turns() -> None:
    rows = [(socket.AF_INET6, ("::1", 1)), (socket.AF_INET6, ("::2", 1)), (socket.AF_INET, ("127.0.0.1", 1))]

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in rows]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module.asyncio, "get_running_loop", lambda: type("Loop", (), {"getaddrinfo": staticmethod(getaddrinfo)})
        )
        assert [address[1][0] for address in await resolve("name.test", 1)] == ["::1", "127.0.0.1", "::2"]


@on_each_loop
async def test_a_name_without_an_address_is_a_dns_error() -> None:
    assert await failure(dialling(Origin("http", "a..b", 80))) == "dns"


@on_each_loop
async def test_a_closed_port_is_a_refusal() -> None:
    assert await failure(dialling(Origin("http", "127.0.0.1", closed_port()))) == "refused"


@on_each_loop
async def test_a_forbidden_address_is_blocked() -> None:
    assert await failure(dialling(Origin("http", "169.254.169.254", 80))) == "blocked_address"
    assert await failure(dialling(Origin("http", "10.1.2.3", 80), allow_private=False)) == "blocked_address"


def test_a_name_that_resolves_to_a_forbidden_address_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ("169.254.169.254", 80), ("::ffff:169.254.169.254", 80))
    assert asyncio.run(failure(dialling(Origin("http", "metadata.test", 80)))) == "blocked_address"


def test_blocked_addresses_are_left_out_of_the_race(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with ScriptedUpstream(Answer()) as upstream:
            names(monkeypatch, ("169.254.1.1", upstream.port), ("127.0.0.1", upstream.port))
            await dialling(Origin("http", "name.test", upstream.port))

    asyncio.run(main())


@on_each_loop
async def test_next_address_is_tried_at_once_when_one_refuses() -> None:
    async with ScriptedUpstream(Answer()) as upstream:
        dead = (socket.AF_INET, ("127.0.0.1", closed_port()))
        with await race([dead, dead, (socket.AF_INET, ("127.0.0.1", upstream.port))], stagger=3600) as sock:
            assert sock.getpeername()[1] == upstream.port


@on_each_loop
async def test_a_refusal_is_raised_when_all_addresses_refuse() -> None:
    dead = (socket.AF_INET, ("127.0.0.1", closed_port()))
    with pytest.raises(ConnectionRefusedError):
        await race([dead, dead])


def hanging(monkeypatch: pytest.MonkeyPatch, host: str) -> Callable[[], int]:
    """Attempts to *host* never end; returns how many are under way."""
    connect, open_now = module._connect, 0

    async def attempt(address: module.Address) -> socket.socket | OSError:
        nonlocal open_now
        if address[1][0] != host:
            return await connect(address)
        open_now += 1
        try:
            await asyncio.Event().wait()
        finally:
            open_now -= 1
        raise AssertionError

    monkeypatch.setattr(module, "_connect", attempt)
    return lambda: open_now


def test_silent_address_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = hanging(monkeypatch, "127.0.0.9")

    async def main() -> None:
        async with ScriptedUpstream(Answer()) as upstream:
            silent = (socket.AF_INET, ("127.0.0.9", 80))
            with await race([silent, (socket.AF_INET, ("127.0.0.1", upstream.port))], stagger=0.001) as sock:
                assert sock.getpeername() == ("127.0.0.1", upstream.port)
            await asyncio.sleep(0)
            assert under_way() == 0

    asyncio.run(main())


def test_connect_timeout_covers_everything_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = hanging(monkeypatch, "127.0.0.9")

    async def main() -> None:
        names(monkeypatch, ("127.0.0.9", 80), ("127.0.0.9", 81))
        clock = FakeClock()
        task = asyncio.ensure_future(failure(dialling(Origin("http", "slow.test", 80), clock=clock, timeout=10.0)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert under_way()
        clock.advance(9.9)
        await asyncio.sleep(0)
        assert not task.done()
        clock.advance(0.2)
        assert await task == "connect_timeout"
        await asyncio.sleep(0)
        assert (under_way(), clock.pending) == (0, 0)

    asyncio.run(main())


@on_each_loop
async def test_a_trusted_certificate_is_accepted() -> None:
    server, client = server_context("localhost")
    async with ScriptedUpstream(Answer(), tls=server) as upstream:
        origin = Origin("https", "localhost", upstream.port)
        with pytest.MonkeyPatch.context() as patch:
            names(patch, ("127.0.0.1", upstream.port))
            connected = asyncio.Event()

            class Remember(asyncio.Protocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    self.transport = transport
                    connected.set()

            protocol = await dial(origin, Remember, Clock(), timeout=10.0, tls=client)
            assert connected.is_set()
            assert protocol.transport.get_extra_info("ssl_object").version().startswith("TLS")
            protocol.transport.abort()  # type: ignore[attr-defined]


@on_each_loop
async def test_a_certificate_of_another_authority_or_name_is_a_tls_error() -> None:
    server, client = server_context("other.test")
    async with ScriptedUpstream(Answer(), tls=server) as upstream:
        origin = Origin("https", "127.0.0.1", upstream.port)
        assert await failure(dialling(origin)) == "tls", "unknown authority"
        assert await failure(dialling(origin, tls=client)) == "tls", "wrong name"


@on_each_loop
async def test_a_server_that_hangs_up_during_tls_is_a_tls_error() -> None:
    class Rude(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    server = await asyncio.get_running_loop().create_server(Rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await failure(dialling(Origin("https", "127.0.0.1", port))) == "tls"
    server.close()


async def test_the_caller_may_judge_addresses_itself() -> None:
    async with ScriptedUpstream() as upstream:
        with pytest.raises(TransportError) as caught:
            await dial(upstream.origin, asyncio.Protocol, Clock(), timeout=1.0, permits=public)
        assert caught.value.reason == "blocked_address"
