"""The HTTP/1.1 server, once over its own parser and once in strict mode over h11 as well: the same tests for both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from h1_attacks import ATTACKS, Attack
from h1_wire import Admitted, App, Held, Wire, echo, settle

from omniroute.errors import OmniError
from omniroute.proto.exchange import Exchange, Refusal
from omniroute.proto.h1_server import DISCARD_BYTES, LINGER, PIPELINE_BYTES, TURN, H1Server
from omniroute.settings import Limits

Scenario = Callable[[], Coroutine[Any, Any, None]]
GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-A: 1\r\n\r\n"
EXPECT = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"


# -- requests


@pytest.mark.parametrize("size", [0, 1, 2, 7])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (GET, b"GET /a b=c "),
        (POST, b"POST /p  hello"),
        (CHUNKED, b"POST /p  hello"),
        (b"\r\n" + GET, b"GET /a b=c "),
        (b"purge /x HTTP/1.1\r\nHost: h\r\n\r\n", b"purge /x  "),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b"OPTIONS *  "),
        (b"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", b"OPTIONS *  "),
        (b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /  "),
        (b"GET HTTP://h:80?q HTTP/1.1\r\nHost: other\r\n\r\n", b"GET / q "),
        (b"GET //x/../y%00 HTTP/1.1\r\nhost:[::1]:80\r\n\r\n", b"GET //x/../y%00  "),
        (b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"GET /  "),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-Odd: \t caf\xe9  x \t\r\n\r\n", b"GET /  "),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", b"POST /  "),
    ],
)
def test_a_request_is_understood_however_it_is_split(protocol: type[H1Server], data: bytes, body: bytes, size: int) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(data, size)
        answer = wire.answer(data.strip().split(b" ")[0].decode())
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers[b"content-length"] == str(len(body)).encode()
        assert answer.headers[b"date"].endswith(b" GMT")
        assert b"connection" not in answer.headers
        assert not wire.closed

    asyncio.run(scenario())


def test_header_fields_arrive_in_order_lower_case_and_trimmed(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        for _ in range(2):  # first read, then looked up
            await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-B: \t1 2 \t\r\nx-A:caf\xe9\r\nX-b:\r\nUser-Agent: me\r\n\r\n")
        expected = [(b"host", b"h"), (b"x-b", b"1 2"), (b"x-a", b"caf\xe9"), (b"x-b", b""), (b"user-agent", b"me")]
        assert [request.headers for request in wire.app.requests] == [expected, expected]
        assert wire.app.requests[0].peer == "127.0.0.1"

    asyncio.run(scenario())


def test_the_authority_of_an_absolute_target_replaces_the_host(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(b"GET http://real:1/p HTTP/1.1\r\nX-A: b\r\nHost: forged\r\n\r\n")
        assert wire.app.requests[0].headers == [(b"host", b"real:1"), (b"x-a", b"b")]

    asyncio.run(scenario())


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("size", [0, 1])
def test_an_attack_is_refused_and_the_connection_ends(protocol: type[H1Server], attack: Attack, size: int) -> None:
    if len(attack.data) > 20_000 and size:
        size = 1000

    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(attack.data, size)
        answer = wire.answers()[0]
        assert answer.status == attack.status
        assert answer.headers[b"connection"] == b"close"
        assert len(wire.answers()) == 1
        assert wire.closed
        assert not wire.app.requests
        await wire.send(GET)  # nothing after it is listened to
        assert not wire.app.requests

    asyncio.run(scenario())


@pytest.mark.parametrize("attack", [row for row in ATTACKS if row.after_head], ids=lambda attack: attack.name)
def test_a_streamed_body_that_breaks_fails_in_the_handler(protocol: type[H1Server], attack: Attack) -> None:
    async def scenario() -> None:
        failed: list[OmniError] = []

        async def handler(exchange: Exchange) -> None:
            try:
                async for _ in exchange.chunks():
                    pass
            except OmniError as error:
                failed.append(error)
                exchange.respond(error.status, [], b"")

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(attack.data)
        assert wire.answer().status == failed[0].status == attack.status
        assert wire.closed

    asyncio.run(scenario())


def test_the_largest_legal_heads_are_read(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        long_line = b"GET /" + b"a" * (8192 - len(b"GET / HTTP/1.1")) + b" HTTP/1.1\r\nHost: h\r\n\r\n"
        await wire.send(long_line)
        fields = b"".join(b"\r\nX-%02d: %s" % (number, b"a" * 600) for number in range(99))
        head = b"GET / HTTP/1.1\r\nHost: h" + fields
        await wire.send(head + b"a" * (64 * 1024 - len(head)) + b"\r\n\r\n", 5000)
        assert [answer.status for answer in wire.answers("GET", "GET")] == [200, 200]

    asyncio.run(scenario())


# -- persistence


@pytest.mark.parametrize(
    ("head", "kept", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n", True, None),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", False, b"close"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive, Close\r\n", False, b"close"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n", False, b"close"),
        (b"GET / HTTP/1.0\r\n", False, b"close"),
        (b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n", True, b"keep-alive"),
    ],
)
def test_the_connection_is_kept_as_the_client_wants(
    protocol: type[H1Server], head: bytes, kept: bool, said: bytes | None
) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(head + b"\r\n")
        assert wire.answer("GET").headers.get(b"connection") == said
        assert wire.closed != kept

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, 1, 2, 11])
def test_pipelined_requests_are_answered_in_order(protocol: type[H1Server], size: int) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        paths = [f"/{number}" for number in range(30)]
        requests = b"".join(POST.replace(b"/p", path.encode()) for path in paths)
        await wire.send(requests + GET, size)
        for _ in range(30):
            await settle()
        answers = wire.answers()
        assert [answer.body.split(b" ")[1].decode() for answer in answers] == [*paths, "/a"]
        assert [request.path for request in wire.app.requests] == [*paths, "/a"]

    asyncio.run(scenario())


def test_one_request_runs_at_a_time_and_reading_stops_when_too_many_wait(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        count = PIPELINE_BYTES // len(GET) + 2
        await wire.send(GET)
        await wire.send(GET)
        assert not wire.transport.reading_paused
        await wire.send(GET * count)
        assert wire.transport.reading_paused
        assert len(held.exchanges) == 1
        held.go.set()
        for _ in range(count):
            await settle()
        assert len(wire.app.requests) == count + 2
        assert not wire.transport.reading_paused

    asyncio.run(scenario())


def test_thousands_of_pipelined_refusals_do_not_nest(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(404, [], b"")))
        wire.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2000)
        assert wire.sent.count(b"HTTP/1.1 404 Not Found\r\n") == TURN  # the others' turn
        assert wire.transport.reading_paused
        for _ in range(2000 // TURN):
            await settle()
        assert wire.sent.count(b"HTTP/1.1 404 Not Found\r\n") == 2000
        assert not wire.transport.reading_paused

    asyncio.run(scenario())


def test_reading_goes_on_only_when_few_requests_are_left(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        paused: list[bool] = []

        async def handler(exchange: Exchange) -> None:
            paused.append(wire.transport.reading_paused)
            await echo(exchange)

        wire = Wire(protocol, App(handler))
        few = PIPELINE_BYTES // len(GET)
        wire.feed(GET * 2 * few)
        while len(paused) < 2 * few:
            await settle()
        assert paused.index(False) in range(few - 1, few + 2)
        assert not any(paused[few + 2 :])

    asyncio.run(scenario())


def test_a_connection_lost_between_its_turns_is_left_alone(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(404, [], b"")))
        wire.feed(GET * 2 * TURN)
        wire.lose()
        await settle()
        assert len(wire.app.admitted) == TURN

    asyncio.run(scenario())


def test_the_clients_end_cuts_off_nothing_that_waits_for_its_turn(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(404, [], b"")))
        wire.feed(GET * 4 * TURN)
        for _ in range(8):
            await asyncio.sleep(0)
            if not wire.transport.reading_paused:
                break
        await wire.end_input()  # it is seen as soon as reading goes on
        await settle()
        assert wire.sent.count(b"HTTP/1.1 404 Not Found\r\n") == 4 * TURN
        assert (wire.app.refused, wire.transport.closed) == ([], True)

    asyncio.run(scenario())


def test_requests_after_connection_close_are_ignored(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET)
        assert len(wire.app.requests) == 1
        assert wire.transport.eof_written  # lingers: the rest is unread input
        assert not wire.transport.closed
        wire.clock.advance(LINGER)
        assert wire.transport.closed

    asyncio.run(scenario())


# -- admission and bodies


def test_a_refusal_is_answered_before_the_body_and_a_short_body_is_skipped(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(401, [(b"x-a", b"b")], b"no")))
        await wire.send(POST[:-2])
        answer = wire.answer()
        assert (answer.status, answer.headers[b"x-a"], answer.body) == (401, b"b", b"no")
        assert not wire.closed
        await wire.send(POST[-2:] + GET)
        assert len(wire.answers()) == 2
        assert [request.method for request in wire.app.admitted] == ["POST", "GET"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (DISCARD_BYTES + 1),
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        EXPECT,
    ],
)
def test_a_refusal_closes_rather_than_read_a_body_of_unknown_or_great_length(protocol: type[H1Server], head: bytes) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=Refusal(401, [])))
        await wire.send(head)
        assert wire.answer().headers[b"connection"] == b"close"
        assert wire.transport.eof_written
        assert not wire.transport.closed  # so that the client can read it
        await wire.send(b"x" * 1000)
        await wire.end_input()
        assert wire.transport.closed

    asyncio.run(scenario())


def test_continue_is_said_once_the_request_is_admitted(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        await wire.send(EXPECT)
        assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"hello")
        assert [answer.status for answer in wire.answers()] == [100, 200]

    asyncio.run(scenario())


def test_continue_is_not_said_when_the_body_is_there_or_to_http_1_0(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        for data in (EXPECT + b"hello", EXPECT.replace(b"1.1", b"1.0", 1) + b"hello", EXPECT.replace(b"1.1", b"1.0", 1)):
            wire = Wire(protocol)
            await wire.send(data)
            assert b"100 Continue" not in wire.sent

    asyncio.run(scenario())


def test_continue_for_a_streamed_body_waits_until_the_handler_asks(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        go = asyncio.Event()
        got: list[bytes] = []

        async def handler(exchange: Exchange) -> None:
            await go.wait()
            got.extend([piece async for piece in exchange.chunks()])
            exchange.respond(200, [])

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(EXPECT)
        wire.clock.advance(100)  # we are the ones who wait
        assert wire.sent == b""
        go.set()
        await settle()
        assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"hel")
        await wire.send(b"lo")
        assert got == [b"hel", b"lo"]
        assert wire.answers()[-1].status == 200

    asyncio.run(scenario())


def test_continue_is_not_said_when_the_body_is_whole_before_the_handler_asks(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        asks, answers = asyncio.Event(), asyncio.Event()

        async def handler(exchange: Exchange) -> None:
            await asks.wait()
            body = b"".join([piece async for piece in exchange.chunks()])
            await answers.wait()
            exchange.respond(200, [], body)

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(EXPECT)
        await wire.send(b"hello")
        asks.set()
        await settle()
        wire.clock.advance(1000)  # a handler takes its time
        assert (wire.sent, wire.closed) == (b"", False)
        answers.set()
        await settle()
        assert wire.answer().body == b"hello"

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [POST, CHUNKED])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_streamed_body_arrives_as_it_comes(protocol: type[H1Server], data: bytes, size: int) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.respond(200, [], b"".join([piece async for piece in exchange.chunks()]))

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(data * 2 + GET, size)
        for _ in range(3):
            await settle()
        assert [answer.body for answer in wire.answers()] == [b"hello", b"hello", b""]

    asyncio.run(scenario())


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_of_countless_chunks_is_read_in_turns(protocol: type[H1Server], streamed: bool) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            body = b"".join([piece async for piece in exchange.chunks()]) or exchange.request.body
            exchange.respond(200, [], b"%d" % len(body))

        wire = Wire(protocol, App(handler, Admitted(stream_body=streamed)))
        head = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.feed(head + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n" + GET)
        assert not wire.sent
        assert wire.transport.reading_paused
        for _ in range(10):
            await settle()
        assert [answer.body for answer in wire.answers()] == [b"20000", b"0"]
        assert not wire.transport.reading_paused

    asyncio.run(scenario())


def test_a_whole_streamed_body_does_not_stop_the_reading(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held, Admitted(stream_body=True)), Limits(stream_buffer=1000))
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" + b"a" * 2000)
        assert wire.transport.reading_paused
        wire.feed(b"a" * 3000)  # a read that was under way
        assert not wire.transport.reading_paused  # else nobody would see that the client leaves
        held.go.set()
        await settle()

    asyncio.run(scenario())


def test_a_streamed_body_that_nobody_takes_stops_the_reading(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        limits = Limits(stream_buffer=1000)
        wire = Wire(protocol, App(held, Admitted(stream_body=True)), limits)
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" + b"a" * 900)
        assert not wire.transport.reading_paused
        await wire.send(b"a" * 900)
        assert wire.transport.reading_paused
        wire.clock.advance(1000)  # the client is not to blame
        assert not wire.closed
        assert held.exchange is not None
        chunks = held.exchange.chunks()
        assert await anext(chunks) == b"a" * 1800
        assert not wire.transport.reading_paused
        await wire.send(b"a" * 3200)
        assert await anext(chunks) == b"a" * 3200
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)

    asyncio.run(scenario())


def test_an_early_answer_to_a_streamed_body_keeps_the_order(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(echo, Admitted(stream_body=True)))
        await wire.send(POST[:-5])
        assert wire.answer().status == 200
        await wire.send(b"hello" + POST)
        assert [answer.status for answer in wire.answers()] == [200, 200]

    asyncio.run(scenario())


def test_a_stream_that_ends_before_a_body_grown_long_closes_rather_than_read_it(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])  # two bytes are missing: the connection could be kept
            async for _ in exchange.chunks():
                break
            await ended.wait()
            exchange.end()
            ended.clear()

        wire = Wire(protocol, App(handler, Admitted(stream_body=True)))
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        await wire.send(b"lo\r\n%x\r\nmore" % (2 * DISCARD_BYTES))
        ended.set()
        await settle()
        assert not ended.is_set()  # end() returned
        assert wire.answer().complete
        assert wire.transport.eof_written

    asyncio.run(scenario())


def test_a_body_of_many_small_pieces_is_whole(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        body = bytes(range(256)) * 40
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        await wire.send(body, 3)
        assert wire.app.requests[0].body == body

    asyncio.run(scenario())


# -- handlers that fail


@pytest.mark.parametrize("ending", ["raise", "return"])
def test_a_handler_that_does_not_answer_is_a_500(
    protocol: type[H1Server], ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            if ending == "raise":
                raise KeyError("secret")

        wire = Wire(protocol, App(handler))
        await wire.send(GET * 2)
        assert [answer.status for answer in wire.answers()] == [500, 500]
        assert b"secret" not in wire.sent
        assert not wire.closed

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert ("handler failed" in caplog.text) == (ending == "raise")


def test_a_handler_that_fails_in_the_middle_breaks_the_answer(
    protocol: type[H1Server], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async def handler(exchange: Exchange) -> None:
            exchange.start(200, [])
            exchange.write(b"half")
            raise KeyError("secret")

        wire = Wire(protocol, App(handler))
        await wire.send(GET)
        assert not wire.answer().complete
        assert wire.transport.closed

    asyncio.run(scenario())


def test_an_admission_that_fails_is_a_500(protocol: type[H1Server], caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        wire = Wire(protocol, App(admission=KeyError("secret")))
        await wire.send(POST * 2)
        assert [answer.status for answer in wire.answers()] == [500, 500]

    asyncio.run(scenario())


# -- limits and the end


def test_a_connection_too_many_gets_a_503_with_retry_after(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        first = Wire(protocol, limits=Limits(connections=1))
        second = Wire(protocol, state=first.state)
        third = Wire(protocol, state=first.state)
        answer = second.answer()
        assert (answer.status, answer.headers[b"retry-after"], answer.headers[b"connection"]) == (503, b"1", b"close")
        assert second.closed
        assert third.transport.aborted  # past twice the limit nothing is said
        second.lose()
        third.lose()
        await first.send(GET)
        assert first.answer().status == 200

    asyncio.run(scenario())


def test_too_much_memory_in_bodies_is_a_503_with_retry_after_until_they_are_answered(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        handler = Held()
        wire = Wire(protocol, App(handler), limits=Limits(body_memory=150_000))
        body = b"x" * 100_000
        head = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
        await wire.send(head + body, 65536)
        other = Wire(protocol, state=wire.state)
        await other.send(head)
        answer = other.answer("POST")
        assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
        handler.go.set()
        await settle()
        assert wire.answer("POST").status == 200
        assert wire.state.held.size == 0

    asyncio.run(scenario())


def test_draining_closes_the_idle_and_finishes_the_running(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        idle = Wire(protocol, App(held))
        running = Wire(protocol, idle.app, state=idle.state)
        reading = Wire(protocol, idle.app, state=idle.state)
        await running.send(GET)
        await reading.send(POST[:-1])
        idle.state.draining = True
        for wire in (idle, running, reading):
            wire.protocol.drain()
        assert idle.transport.closed
        held.go.set()
        await settle()
        await reading.send(POST[-1:])
        for wire in (running, reading):
            assert wire.answer().headers[b"connection"] == b"close"
            assert wire.transport.closed
        late = Wire(protocol, idle.app, state=idle.state)
        assert late.answer().status == 503

    asyncio.run(scenario())


def test_a_stream_begun_before_the_drain_ends_with_its_connection(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        held = Held()
        wire = Wire(protocol, App(held))
        await wire.send(GET)
        assert held.exchange is not None
        held.exchange.start(200, [])
        held.exchange.write(b"one")
        wire.state.draining = True
        wire.protocol.drain()
        assert not wire.closed
        held.exchange.end()
        assert wire.answer().complete
        assert wire.transport.closed
        held.go.set()
        await settle()

    asyncio.run(scenario())
