"""The HTTP/1.1 server, once over its own parser and once in strict mode over h11 as well: the same tests for both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from h1_attacks import ATTACKS, Attack
from h1_wire import Admitted, App, Wire, echo, settle

from omniroute.errors import OmniError
from omniroute.proto.exchange import Exchange, Refusal
from omniroute.proto.flow import PIPELINE_BYTES
from omniroute.proto.h1_server import DISCARD_BYTES, LINGER, H1Server
from omniroute.proto.h1_strict import H1Strict
from omniroute.settings import Limits

Scenario = Callable[[], Coroutine[Any, Any, None]]
GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n"
EXPECT = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"


@pytest.fixture(params=[H1Server, H1Strict], ids=["own parser", "with h11"])
def protocol(request: pytest.FixtureRequest) -> type[H1Server]:
    return request.param


class Held:
    """A handler that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.exchanges: list[Exchange] = []
        self.go = asyncio.Event()
        self.cancelled = False
        self.told = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.exchanges.append(exchange)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if not exchange.finished:
            await echo(exchange)

    def tell(self) -> None:
        self.told += 1


# -- requests --------------------------------------------------------------------------------------------------------


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


# -- persistence -----------------------------------------------------------------------------------------------------


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
        await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2000)
        assert wire.sent.count(b"HTTP/1.1 404 Not Found\r\n") == 2000

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


# -- admission and bodies --------------------------------------------------------------------------------------------


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


def test_a_body_of_many_small_pieces_is_whole(protocol: type[H1Server]) -> None:
    async def scenario() -> None:
        wire = Wire(protocol)
        body = bytes(range(256)) * 40
        await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        await wire.send(body, 3)
        assert wire.app.requests[0].body == body

    asyncio.run(scenario())


# -- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status", "body", "length"),
    [("HEAD", 200, b"four", b"4"), ("GET", 204, b"", None), ("GET", 304, b"", None), ("GET", 200, b"", b"0")],
)
def test_answers_without_a_body(protocol: type[H1Server], method: str, status: int, body: bytes, length: bytes | None) -> None:
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
    "field", [(b"x-a", b"b\r\nSet-Cookie: c"), (b"x-a", b"b\nc"), (b"x-a", b"b\rc"), (b"x-a", b"\0"), (b"x a", b""), (b"", b"")]
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


# -- handlers that fail ----------------------------------------------------------------------------------------------


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


def test_a_handler_that_fails_in_the_middle_breaks_the_answer(protocol: type[H1Server], caplog: pytest.LogCaptureFixture) -> None:
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


# -- back-pressure and slow readers ----------------------------------------------------------------------------------


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
        assert not wire.transport.reading_paused
        await settle()
        assert len(wire.app.requests) == 2

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


# -- deadlines -------------------------------------------------------------------------------------------------------


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


# -- clients that leave ----------------------------------------------------------------------------------------------


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


# -- limits and the end ----------------------------------------------------------------------------------------------


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
