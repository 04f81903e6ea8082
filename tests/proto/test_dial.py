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
from omniroute.proto.dial import allowed, default_tls, dial, public, race, resolve
from omniroute.proto.h1_client import Origin, TransportError

NAMES = {
    "loopback": ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"],
    "public": ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
    "private": ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "::"],
    "never": [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:ec2::23",
        "fd00:42::42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b:1::a9fe:a9fe",
        "224.0.0.1",
        "ff02::1",
    ],
}


@pytest.mark.parametrize(
    ("kind", "allow_private", "expected"),
    [
        ("loopback", True, True),
        ("loopback", False, True),
        ("public", True, True),
        ("public", False, True),
        ("private", True, True),
        ("private", False, False),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_which_addresses_may_be_connected_to(kind: str, allow_private: bool, expected: bool) -> None:
    for address in NAMES[kind]:
        assert allowed(address, allow_private) is expected, address


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
async def test_unknown_name() -> None:
    assert await failure(dialling(Origin("http", "a..b", 80))) == "dns"


@on_each_loop
async def test_refused() -> None:
    assert await failure(dialling(Origin("http", "127.0.0.1", closed_port()))) == "refused"


@on_each_loop
async def test_blocked_before_anything_is_sent() -> None:
    assert await failure(dialling(Origin("http", "169.254.169.254", 80))) == "blocked_address"
    assert await failure(dialling(Origin("http", "10.1.2.3", 80), allow_private=False)) == "blocked_address"


def test_name_that_resolves_to_a_blocked_address(monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_all_addresses_refuse() -> None:
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
async def test_tls_with_a_certificate_that_is_trusted() -> None:
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
async def test_tls_failures() -> None:
    server, client = server_context("other.test")
    async with ScriptedUpstream(Answer(), tls=server) as upstream:
        origin = Origin("https", "127.0.0.1", upstream.port)
        assert await failure(dialling(origin)) == "tls", "unknown authority"
        assert await failure(dialling(origin, tls=client)) == "tls", "wrong name"


@on_each_loop
async def test_tls_with_a_server_that_hangs_up() -> None:
    class Rude(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    server = await asyncio.get_running_loop().create_server(Rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await failure(dialling(Origin("https", "127.0.0.1", port))) == "tls"
    server.close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True), ("2606:4700::1", True), ("127.0.0.1", False), ("::1", False), ("::ffff:127.0.0.1", False),
        ("10.0.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("fd00:ec2::254", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::", False),
        ("100.64.0.1", False), ("fe80::1%eth0", False), ("ff0e::1", False), ("::10.0.0.1", False), ("168.63.129.16", False),
        ("64:ff9b:1::7f00:1", False),
    ],
)  # fmt: skip
def test_public_addresses_are_those_of_the_internet_alone(address: str, expected: bool) -> None:
    assert public(address) is expected


async def test_who_judges_addresses_may_be_another() -> None:
    async with ScriptedUpstream() as upstream:
        with pytest.raises(TransportError) as caught:
            await dial(upstream.origin, asyncio.Protocol, Clock(), timeout=1.0, permits=public)
        assert caught.value.reason == "blocked_address"
