"""The HTTP/1.1 server and slow, silent and leaving clients; over both parsers."""

from __future__ import annotations

import asyncio

import pytest
from h1_wire import Admitted, App, Held, Wire, settle

from omniroute.errors import OmniError
from omniroute.proto.exchange import Exchange, Refusal
from omniroute.proto.h1_server import PIPELINE_BYTES, H1Server
from omniroute.settings import Limits

GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-A: 1\r\n\r\n"


# -- back-pressure and slow readers


def test_a_slow_reader_pauses_and_resumes_the_handler(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        marks: list[str] = []
        held = Held()
        wire = Wire(protocol, App(held), Limits(stream_buffer=1000))
        await wire.send(GET)
        exchange = held.exchange
        assert exchange is not None
        exchange.on_pause = lambda: marks.append("pause")
        exchange.on_resume = lambda: marks.append("resume")
        exchange.start(200, [])
        wire.transport.stuck = True
        exchange.write(b"a" * 500)
        assert marks == []
        exchange.write(b"a" * 500)
        assert marks == ["pause"]
        wire.transport.take(500)
        assert marks == ["pause"]
        wire.transport.take(500)
        assert marks == ["pause", "resume"]
        exchange.end()
        held.go.set()
        await settle()

    asyncio.run(scenario())


def test_no_further_request_starts_while_the_client_does_not_read(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.respond(200, [], b"a" * 2000)

        wire = Wire(protocol, App(handler), Limits(stream_buffer=1000))
        wire.transport.stuck = True
        await wire.send(GET * 2)
        assert len(wire.app.requests) == 1
        await wire.send(GET * (PIPELINE_BYTES // len(GET) + 1))
        assert wire.transport.reading_paused
        wire.transport.take(3000)
        await settle()
        assert len(wire.app.requests) == 2
        assert wire.transport.reading_paused  # enough waits already
        for _ in range(3):
            wire.transport.take(3000)
            await settle()
        assert len(wire.app.requests) == 5
        assert not wire.transport.reading_paused

    asyncio.run(scenario())


def test_a_reader_without_progress_is_dropped_and_one_with_progress_is_not(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held), Limits(stream_buffer=1000))
        await wire.send(GET)
        exchange = held.exchange
        assert exchange is not None
        exchange.on_gone = held.tell
        exchange.start(200, [])
        wire.transport.stuck = True
        exchange.write(b"a" * 2000)
        wire.clock.advance(59)
        wire.transport.take(100)
        exchange.write(b"a" * 100)  # as much as was taken: still progress
        wire.clock.advance(59)
        assert not exchange.gone
        wire.clock.advance(62)
        assert exchange.gone
        assert held.told == 1
        assert wire.transport.aborted
        held.go.set()
        await settle()

    asyncio.run(scenario())


def test_a_slow_reader_of_a_last_answer_gets_all_of_it_while_it_reads(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(), Limits(stream_buffer=10))
        wire.transport.stuck = True
        await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        wire.transport.take(1)
        wire.clock.advance(61)
        assert not wire.transport.aborted
        wire.clock.advance(61)
        assert wire.transport.aborted

    asyncio.run(scenario())


@pytest.mark.parametrize("whole", [False, True])
def test_a_client_that_does_not_read_while_it_sends_is_timed_by_what_it_reads(protocol: type[H1Server], whole: bool) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held, Admitted(stream_body=True)), Limits(stream_buffer=1000))
        wire.transport.stuck = True
        await wire.send(POST[:-2])
        assert held.exchange is not None
        held.exchange.start(200, [])
        held.exchange.write(b"a" * 2000)
        if whole:
            await wire.send(POST[-2:])
        wire.clock.advance(59)  # more than a body may be silent, less than a reader may stop
        assert not wire.transport.aborted
        wire.transport.take(2000)
        wire.clock.advance(31)
        if not whole:  # now the silence of the body counts
            chunks = held.exchange.chunks()
            assert await anext(chunks) == b"hel"
            with pytest.raises(OmniError, match="did not arrive in time"):
                await anext(chunks)
        assert not wire.closed
        wire.lose()
        await settle()

    asyncio.run(scenario())


# -- deadlines


def test_a_connection_that_sends_nothing_is_closed_in_silence(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        wire.clock.advance(9.9)
        assert not wire.closed
        wire.clock.advance(0.2)
        assert wire.transport.closed
        assert wire.sent == b""

    asyncio.run(scenario())


def test_a_slow_head_is_a_408_however_steadily_it_drips(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(GET)
        wire.transport.out.clear()
        wire.clock.advance(30)
        for byte in GET[:9]:
            await wire.send(bytes([byte]))
            wire.clock.advance(1)
        assert not wire.closed
        wire.clock.advance(1)
        assert wire.answer().status == 408
        assert wire.closed

    asyncio.run(scenario())


def test_an_idle_connection_is_closed_after_its_time(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        for _ in range(3):
            await wire.send(GET)
            wire.clock.advance(74)
        assert not wire.closed
        wire.clock.advance(2)
        assert wire.transport.closed
        assert [answer.status for answer in wire.answers()] == [200] * 3

    asyncio.run(scenario())


def test_a_running_request_has_no_deadline_of_the_server(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        await wire.send(POST)
        wire.clock.advance(10_000)
        held.go.set()
        await settle()
        assert wire.answer().status == 200
        assert not wire.closed

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_body_is_a_408(protocol: type[H1Server], stream: bool) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            with pytest.raises(OmniError) as caught:
                await anext(exchange.chunks())
            exchange.respond(caught.value.status, [])

        wire = Wire(protocol, App(handler, Admitted(stream_body=stream)))
        await wire.send(POST[:-5])
        wire.clock.advance(29)
        assert wire.sent == b""
        wire.clock.advance(2)
        await settle()
        assert wire.answer().status == 408
        assert wire.closed

    asyncio.run(scenario())


def test_a_dripping_body_is_a_408_and_a_steady_one_is_not(protocol: type[H1Server]) -> None:
    async def scenario(size: int) -> bytes:
        wire = Wire(protocol)
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(4):
            wire.clock.advance(10)
            await wire.send(b"a" * size)
        return wire.sent

    assert b"408" in asyncio.run(scenario(10_000))
    assert asyncio.run(scenario(10_500)) == b""


def test_a_busy_connection_arms_its_timer_once(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        for _ in range(200):
            await wire.send(POST)
        assert wire.clock.pending == 1
        wire.lose()
        assert wire.clock.pending == 0

    asyncio.run(scenario())


# -- clients that leave


def test_a_handler_that_listens_is_told_once_that_the_client_is_gone(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        await wire.send(GET)
        exchange = held.exchange
        assert exchange is not None
        exchange.on_gone = held.tell
        wire.lose()
        assert (held.told, exchange.gone) == (1, True)
        wire.lose()
        exchange.respond(200, [], b"nobody reads this")
        exchange.start(200, [])
        exchange.write(b"x")
        exchange.end()
        exchange.abort()
        held.go.set()
        await settle()
        assert (held.told, held.cancelled, wire.sent) == (1, False, b"")

    asyncio.run(scenario())


def test_a_handler_that_does_not_listen_is_cancelled(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        await wire.send(GET)
        wire.lose()
        await settle()
        assert held.cancelled

    asyncio.run(scenario())


def test_a_client_that_leaves_after_its_answer_disturbs_nobody(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        await wire.send(GET)
        exchange = held.exchange
        assert exchange is not None
        exchange.on_gone = held.tell
        exchange.respond(200, [])
        wire.lose()
        held.go.set()
        await settle()
        assert (held.told, held.cancelled, exchange.gone) == (0, False, False)

    asyncio.run(scenario())


def test_a_client_that_shuts_its_write_side_gets_its_answers(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        wire.feed(GET + POST)
        await wire.end_input()
        for _ in range(3):
            await settle()
        answers = wire.answers()
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[1].headers[b"connection"] == b"close"
        assert wire.transport.closed

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [GET[:-1], POST[:-1], CHUNKED[:-1]])
def test_a_request_that_ends_too_early_is_a_400(protocol: type[H1Server], data: bytes) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(data)
        await wire.end_input()
        assert wire.answer().status == 400
        assert wire.transport.closed

    asyncio.run(scenario())


def test_a_body_that_ends_too_early_after_its_answer_gets_no_second_one(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(404, [], b"no")))
        await wire.send(POST[:-1])
        await wire.end_input()
        assert [answer.status for answer in wire.answers()] == [404]
        assert wire.transport.closed

    asyncio.run(scenario())


def test_a_streamed_body_that_ends_too_early_fails_in_the_handler(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        kinds: list[str] = []

        async def handler(exchange: Exchange) -> None:
            try:
                async for _ in exchange.chunks():
                    pass
            except OmniError as error:
                kinds.append(error.kind)
                exchange.respond(400, [])

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(POST[:-1])
        await wire.end_input()
        assert kinds == ["client_gone"]
        assert wire.transport.closed

    asyncio.run(scenario())


def test_an_idle_client_that_ends_is_closed(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(GET)
        await wire.end_input()
        assert wire.transport.closed
        assert len(wire.answers()) == 1

    asyncio.run(scenario())
