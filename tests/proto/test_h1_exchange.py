"""The handler's side of an exchange, and what the client sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from h1_wire import App, Wire, settle

from omniroute.proto.exchange import Exchange
from omniroute.proto.h1_server import H1Server
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


# -- on the wire, over both servers


@pytest.mark.parametrize(
    ("method", "status", "body", "length"),
    [("HEAD", 200, b"four", b"4"), ("GET", 204, b"", None), ("GET", 304, b"", None), ("GET", 200, b"", b"0")],
)
def test_answers_without_a_body(
    protocol: type[H1Server], method: str, status: int, body: bytes, length: bytes | None
) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.respond(status, [], body)

        wire = Wire(protocol, App(handler))
        await wire.send(GET.replace(b"GET", method.encode()) * 2)
        answers = wire.answers(method, method)
        assert [answer.status for answer in answers] == [status, status]
        assert answers[0].headers.get(b"content-length") == length
        assert answers[0].body == b""

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 20_000])
def test_a_streamed_answer_is_chunked_and_its_head_leaves_with_the_first_piece(protocol: type[H1Server], size: int) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [(b"content-type", b"text/event-stream")])
            exchange.write(b"")
            exchange.write(b"a" * size)
            exchange.write(memoryview(b"b" * size))
            exchange.end()

        wire = Wire(protocol, App(handler))
        await wire.send(GET)
        assert wire.answer().body == b"a" * size + b"b" * size
        assert wire.transport.out[0].startswith(b"HTTP/1.1 200 OK\r\n")
        assert wire.transport.out[0].endswith(b"a\r\n")
        await wire.send(GET)
        assert len(wire.answers()) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("request_", "method", "body", "last"),
    [
        (GET, "GET", b"last", b"4\r\nlast\r\n0\r\n\r\n"),
        (GET.replace(b"1.1", b"1.0"), "GET", b"last", b"last"),
        (GET.replace(b"GET", b"HEAD"), "HEAD", b"", b"\r\n\r\n"),
    ],
)
def test_the_last_piece_leaves_with_the_end(
    protocol: type[H1Server], begun: bool, request_: bytes, method: str, body: bytes, last: bytes
) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            if begun:
                exchange.write(b"first")
            exchange.end(b"last")
            assert exchange.finished

        wire = Wire(protocol, App(handler))
        await wire.send(request_)
        [answer] = wire.answers(method)
        assert answer.body == (b"first" if begun and body else b"") + body
        assert wire.transport.out[-1].endswith(last)
        assert len(wire.transport.out) == (2 if begun and body else 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 20_000])
def test_a_last_piece_of_any_size_ends_the_body(protocol: type[H1Server], size: int) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            exchange.end(b"a" * size)

        wire = Wire(protocol, App(handler))
        await wire.send(GET * 2)
        assert [answer.body for answer in wire.answers()] == [b"a" * size] * 2

    asyncio.run(scenario())


def test_a_streamed_answer_to_http_1_0_ends_with_the_connection(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            exchange.write(b"one")
            exchange.write(b"two")
            exchange.end()

        wire = Wire(protocol, App(handler))
        await wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = wire.answer()
        assert answer.body == b"onetwo"
        assert answer.headers[b"connection"] == b"close"
        assert b"transfer-encoding" not in answer.headers
        assert wire.transport.closed

    asyncio.run(scenario())


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_streamed_answer_without_a_body_or_without_a_piece(protocol: type[H1Server], method: str) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            if method == "HEAD":
                exchange.write(b"unseen")
            exchange.end()

        wire = Wire(protocol, App(handler))
        await wire.send(GET.replace(b"GET", method.encode()) * 2)
        assert [(answer.status, answer.body) for answer in wire.answers(method, method)] == [(200, b"")] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [GET, b"GET / HTTP/1.0\r\n\r\n"])
def test_a_broken_off_answer_cannot_be_taken_for_a_whole_one(protocol: type[H1Server], data: bytes) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            exchange.write(b"half")
            exchange.abort()
            exchange.write(b"more")
            exchange.end()

        wire = Wire(protocol, App(handler))
        await wire.send(data)
        assert wire.transport.closed
        if data is GET:
            assert not wire.answer().complete
        else:
            assert wire.transport.aborted
            assert wire.transport.get_extra_info("socket").options  # closes with RST

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "field", [(b"x", b"b\r\nSet-Cookie: c"), (b"x", b"b\nc"), (b"x", b"b\rc"), (b"x", b"\0"), (b"x a", b""), (b"", b"")]
)
def test_an_answer_cannot_be_split(
    protocol: type[H1Server], field: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.respond(200, [field], b"")

        wire = Wire(protocol, App(handler))
        await wire.send(GET)
        assert wire.answer().status == 500
        assert b"ookie" not in wire.sent

    asyncio.run(scenario())


def test_framing_fields_of_a_handler_are_replaced(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            fields = [(b"content-length", b"99"), (b"transfer-encoding", b"gzip"), (b"connection", b"x"), (b"date", b"now")]
            exchange.respond(200, [*fields, (b"x-a", b"b")], b"body")

        wire = Wire(protocol, App(handler))
        await wire.send(GET)
        answer = wire.answer()
        assert (answer.headers[b"content-length"], answer.headers[b"x-a"], answer.body) == (b"4", b"b", b"body")
        assert b"connection" not in answer.headers

    asyncio.run(scenario())
