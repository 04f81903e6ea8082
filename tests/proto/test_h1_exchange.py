"""The handler's side; that answers are right on the wire is test_h1_server.py's business."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from h1_wire import App, Wire, settle

from omniroute.proto.exchange import Exchange
from omniroute.settings import Limits

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def run(handler: Callable[[Exchange], Awaitable[None]], data: bytes = GET) -> Wire:
    async def scenario() -> Wire:
        wire = Wire(app=App(handler))
        await wire.send(data)
        return wire

    return asyncio.run(scenario())


def test_start_only_queues_the_head() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.start(200, [])
        assert (exchange.started, exchange.finished, exchange.status) == (True, False, 200)
        await settle()
        exchange.write(b"x")
        exchange.end()
        assert exchange.finished

    wire = run(handler)
    assert wire.transport.out[0].endswith(b"\r\n\r\n1\r\nx\r\n")
    assert wire.transport.out[1:] == [b"0\r\n\r\n"]


def test_calls_out_of_order_are_mistakes_and_calls_after_the_end_are_not() -> None:
    mistakes: list[str] = []

    async def handler(exchange: Exchange) -> None:
        for call in (lambda: exchange.write(b"x"), exchange.end):
            with pytest.raises(RuntimeError):
                call()
        exchange.start(200, [])
        for late in (lambda: exchange.respond(200, []), lambda: exchange.start(200, [])):
            with pytest.raises(RuntimeError):
                late()
        exchange.end()
        exchange.respond(500, [])
        exchange.start(500, [])
        exchange.write(b"late")
        exchange.end()
        exchange.abort()
        mistakes.append("none")

    wire = run(handler)
    assert mistakes == ["none"]
    assert wire.answer("GET").complete
    assert not wire.closed


def test_an_abort_before_the_head_closes_without_an_answer() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.abort()

    wire = run(handler)
    assert wire.transport.closed
    assert wire.sent == b""


def test_a_buffered_request_has_no_chunks_to_read() -> None:
    got: list[bytes] = []

    async def handler(exchange: Exchange) -> None:
        got.append(exchange.request.body)
        got.extend([piece async for piece in exchange.chunks()])
        exchange.respond(200, [])

    run(handler, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    assert got == [b"hi"]


def test_a_stream_that_starts_while_the_client_reads_too_slowly_starts_paused() -> None:
    marks: list[str] = []

    async def handler(exchange: Exchange) -> None:
        exchange.on_pause = lambda: marks.append("pause")
        exchange._connection.write_paused = True  # type: ignore[attr-defined]
        exchange.start(200, [])
        exchange.end()

    run(handler)
    assert marks == ["pause"]


def test_a_large_whole_answer_is_not_copied() -> None:
    body = b"x" * 100_000

    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.respond(200, [], body)

        wire = Wire(app=App(handler), limits=Limits())
        pieces: list[object] = []
        wire.transport.writelines = pieces.extend  # type: ignore[method-assign]
        await wire.send(GET)
        assert pieces[1] is body

    asyncio.run(scenario())
