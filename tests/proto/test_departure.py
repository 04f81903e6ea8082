"""Whether a client that stopped sending is still there; on a real socket: test_listener.py."""

from __future__ import annotations

import asyncio
import errno

import pytest
from h1_wire import App, Wire, settle

from omniroute.proto.exchange import Exchange

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Quiet:
    """A handler that waits for the end of the test, and counts how often it hears that its client is gone."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.gone = 0
        self.exchange: Exchange

    async def __call__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        exchange.on_gone = self._left
        await self.end.wait()

    def _left(self) -> None:
        self.gone += 1


async def half_closed(data: bytes = GET) -> tuple[Wire, Quiet]:
    handler = Quiet()
    wire = Wire(app=App(handler))
    await wire.send(data)
    return wire, handler


async def finish(handler: Quiet) -> None:
    if not handler.exchange.finished:
        handler.exchange.respond(200, [])
    handler.end.set()
    await settle()


@pytest.mark.parametrize(("error", "gone"), [(errno.EPIPE, 1), (errno.ECONNRESET, 1), (0, 0)])
def test_before_the_answer_an_interim_one_finds_out(error: int, gone: int) -> None:
    async def scenario() -> None:
        wire, handler = await half_closed()
        await wire.end_input()
        assert (handler.gone, wire.sent) == (0, b"")
        wire.clock.advance(0.03)
        assert wire.sent == INTERIM
        wire.transport.get_extra_info("socket").error = error
        wire.clock.advance(0.01)
        assert handler.gone == gone
        assert wire.transport.aborted == bool(gone)
        wire.clock.advance(100)
        assert (handler.gone, wire.clock.pending) == (gone, 0)
        await finish(handler)
        assert (wire.answers("GET")[-1].status == 200) != bool(gone)

    asyncio.run(scenario())


def test_a_reset_that_comes_late_is_seen_too() -> None:
    async def scenario() -> None:
        wire, handler = await half_closed()
        await wire.end_input()
        wire.clock.advance(0.05)
        wire.transport.get_extra_info("socket").error = errno.ECONNRESET
        wire.clock.advance(0.1)
        assert handler.gone == 1
        await finish(handler)

    asyncio.run(scenario())


def test_a_quick_answer_ends_the_watch() -> None:
    async def scenario() -> None:
        wire, handler = await half_closed()
        await wire.end_input()
        await finish(handler)
        wire.clock.advance(1)
        assert INTERIM not in wire.sent
        assert wire.answer("GET").status == 200

    asyncio.run(scenario())


def test_requests_that_were_sent_ahead_are_watched_too() -> None:
    async def scenario() -> None:
        wire, handler = await half_closed(GET * 2)
        await wire.end_input()
        first = handler.exchange
        first.respond(200, [])
        await settle()
        assert handler.exchange is not first
        wire.transport.get_extra_info("socket").error = errno.ECONNRESET  # what that answer was met with
        wire.clock.advance(0.05)
        assert (handler.gone, wire.clock.pending) == (1, 0)
        handler.end.set()
        await settle()

    asyncio.run(scenario())


def test_a_silent_stream_is_given_up_and_a_busy_one_goes_on() -> None:
    async def scenario(busy: bool) -> int:
        wire, handler = await half_closed()
        handler.exchange.start(200, [])
        handler.exchange.write(b"one")
        await wire.end_input()
        if busy:
            handler.exchange.write(b"two")
        wire.clock.advance(5)
        if not handler.exchange.gone:
            handler.exchange.end()
            assert wire.answer("GET").body == b"onetwo"
        handler.end.set()
        await settle()
        return handler.gone

    assert asyncio.run(scenario(busy=False)) == 1
    assert asyncio.run(scenario(busy=True)) == 0


def test_an_http_1_0_client_is_not_probed() -> None:
    async def scenario() -> None:
        wire, handler = await half_closed(b"GET / HTTP/1.0\r\n\r\n")
        await wire.end_input()
        wire.clock.advance(100)
        assert (handler.gone, wire.sent) == (0, b"")
        await finish(handler)
        assert wire.answer("GET").status == 200

    asyncio.run(scenario())


def test_tls_has_no_half_closed_clients() -> None:
    async def scenario() -> None:
        handler = Quiet()
        wire = Wire(app=App(handler), ssl_object=object())
        await wire.send(GET)
        await wire.end_input()
        assert wire.transport.closed
        wire.lose()
        assert handler.gone == 1
        handler.end.set()
        await settle()

    asyncio.run(scenario())
