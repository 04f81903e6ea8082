from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest
from fakes import FakeClock

from omniroute.proto.h1_client import H1Connection
from omniroute.proto.headers import Headers
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits

ORIGIN = Origin("http", "upstream.test", 80)
LIMITS = replace(Limits(), head_bytes=2000, header_fields=20, first_byte_timeout=600, stream_idle_timeout=300, pool_idle=60)


class Wire:
    """The transport as far as the connection uses it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.unsent = 0
        self.aborted = self.paused = False

    def write(self, data: bytes) -> None:
        self.sent.append(bytes(data))

    def writelines(self, pieces: Sequence[bytes]) -> None:
        self.sent += pieces

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Sink:
    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.reads: list[bytes] = []
        self.ended = 0
        self.errors: list[TransportError] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.reads)

    @property
    def outcome(self) -> str:
        assert self.ended + len(self.errors) <= 1
        return "end" if self.ended else self.errors[0].reason if self.errors else "open"

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        assert self.status
        assert data
        self.reads.append(data)

    def on_end(self, rest: bytes) -> None:
        if rest:
            self.reads.append(rest)
        self.ended += 1

    def on_error(self, error: TransportError) -> None:
        self.errors.append(error)


class Bench:
    """One connection with everything around it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = FakeClock(1000.0)
        self.wire = Wire()
        self.idle: list[H1Connection] = []
        self.closed: list[H1Connection] = []
        self.connection = H1Connection(ORIGIN, limits, self.clock, self.idle.append, self.closed.append)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]

    def ask(self, method: str = "POST", **options: float) -> Sink:
        sink = Sink()
        self.connection.request([b"request"], sink, method=method, **options)
        return sink

    def answer(self, *pieces: bytes, method: str = "POST") -> Sink:
        sink = self.ask(method)
        for piece in pieces:
            self.connection.data_received(piece)
        return sink

    @property
    def reusable(self) -> bool:
        assert (self.connection in self.closed) == self.wire.aborted
        assert len(self.closed) <= 1
        return self.connection.reusable and not self.closed


def head(*fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *fields, "", ""]).encode()


FIXED = head("Content-Length: 5", "X-A: b") + b"hello"
CHUNKED = head("Transfer-Encoding: chunked") + b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
INTERIM = head(status="100 Continue") + head("Link: </a>", status="103 Early Hints") + FIXED
EMPTY = head("Content-Length: 0")


@pytest.mark.parametrize("answer", [FIXED, CHUNKED, INTERIM], ids=["fixed", "chunked", "interim"])
def test_whole_answer_is_the_same_at_every_byte_split(answer: bytes) -> None:
    splits = [[answer], [answer[at : at + 1] for at in range(len(answer))]]
    splits += [[answer[:at], answer[at:]] for at in range(1, len(answer))]
    for pieces in splits:
        bench = Bench()
        sink = bench.answer(*pieces)
        assert (sink.status, sink.body, sink.outcome) == (200, b"hello", "end")
        assert bench.reusable
        assert bench.idle == [bench.connection]


def test_header_names_are_lower_case_and_values_as_sent() -> None:
    sink = Bench().answer(head("Content-Length: 0", "X-Request-ID: AbC", "Set-Cookie: a", "Set-Cookie: b"))
    assert sink.headers == [
        (b"content-length", b"0"),
        (b"x-request-id", b"AbC"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 5 \t ") + b"hello",
        head("Transfer-Encoding: chunked ") + b"5\r\nhello\r\n0\r\n\r\n",
        head("Content-Length: 25 ", "Content-Encoding: gzip ") + gzip.compress(b"hello", mtime=0),
    ],
)
def test_blanks_behind_a_value_are_no_part_of_it(answer: bytes) -> None:
    bench = Bench()
    assert bench.answer(answer).body == b"hello"
    assert bench.reusable


def test_trailers_are_not_mixed_into_the_head() -> None:
    bench = Bench()
    assert bench.answer(CHUNKED).headers == [(b"transfer-encoding", b"chunked")]
    assert bench.answer(EMPTY).headers == [(b"content-length", b"0")]


def test_one_read_is_at_most_one_call_with_data() -> None:
    sink = Bench().answer(head("Transfer-Encoding: chunked") + b"1\r\na\r\n1\r\nb\r\n", b"1\r\nc\r\n1\r\nd\r\n0\r\n\r\n")
    assert sink.reads == [b"ab", b"cd"]


def test_close_delimited_body_ends_with_the_connection() -> None:
    for version in ("1.0", "1.1"):
        bench = Bench()
        sink = bench.answer(head(version=version), b"hel", b"lo")
        assert sink.outcome == "open"
        bench.connection.eof_received()
        bench.connection.connection_lost(None)
        assert (sink.body, sink.outcome, bench.reusable) == (b"hello", "end", False)


def test_close_delimited_body_that_is_reset_is_not_complete() -> None:
    bench = Bench()
    sink = bench.answer(head(), b"hel")
    bench.connection.connection_lost(ConnectionResetError())
    assert (sink.body, sink.outcome) == (b"hel", "reset")


@pytest.mark.parametrize(
    ("method", "answer", "reusable"),
    [
        ("HEAD", head("Content-Length: 5"), False),
        ("HEAD", head("Transfer-Encoding: chunked"), False),
        ("GET", head(status="204 No Content"), True),
        ("GET", head("Content-Length: 5", status="304 Not Modified"), True),
        ("GET", EMPTY, True),
        ("POST", head("Content-Length: 0", "Connection: close", status="429 Too Many Requests"), False),
        ("GET", head("Connection: close", status="204 No Content"), False),
        ("GET", head("Content-Length: 0", version="1.0"), False),
    ],
)
def test_answers_without_body_end_with_their_head(method: str, answer: bytes, reusable: bool) -> None:
    bench = Bench()
    sink = bench.answer(answer, method=method)
    assert (sink.body, sink.outcome, bench.reusable) == (b"", "end", reusable)


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 2", "Connection: close") + b"ok",
        head("Content-Length: 2", "Connection: Keep-Alive, Close") + b"ok",
        head("Content-Length: 2", version="1.0") + b"ok",
        head("Content-Length: 2") + b"ok" + b"X",
        head("Content-Length: 2") + b"ok" + EMPTY,
        head("Content-Length: 2") + b"ok" + b"HT",
        head("Transfer-Encoding: chunked", "Connection: keep-alive", version="1.0") + b"2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_answers_after_which_the_connection_is_not_reused(answer: bytes) -> None:
    bench = Bench()
    sink = bench.answer(answer)
    assert (sink.body, sink.outcome, bench.reusable, bench.idle) == (b"ok", "end", False, [])


def test_http_1_0_keep_alive_is_respected() -> None:
    bench = Bench()
    bench.answer(head("Content-Length: 0", "Connection: keep-alive", version="1.0"))
    assert bench.reusable


def test_answer_before_the_request_is_sent_is_taken_and_the_connection_closed() -> None:
    bench = Bench()
    bench.wire.unsent = 1000
    sink = bench.answer(head("Content-Length: 3", status="413 Too Large") + b"big")
    assert (sink.status, sink.body, sink.outcome, bench.reusable) == (413, b"big", "end", False)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"SSH-2.0-OpenSSH_9\r\n",
        head("Content-Length: 5", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: chunked", "Content-Length: 5"),
        head("Content-Length: 5", "Content-Length: 6"),
        head("Content-Length: -5"),
        head("Content-Length: 99999999999999999999"),
        head("Transfer-Encoding: gzip"),
        head("Transfer-Encoding: chunked, chunked"),
        head("Transfer-Encoding: chunked") + b"zz\r\n",
        head("Transfer-Encoding: chunked") + b"3\r\nabcd\r\n",
        head("X : y"),
        head("X: a\r\n folded"),
        head("X: a\0b"),
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        head("Upgrade: h2c", "Connection: upgrade", status="101 Switching Protocols"),
        head(status="099 Odd"),
    ],
)
def test_ambiguous_or_malformed_answers_are_protocol_errors(answer: bytes) -> None:
    for pieces in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
        bench = Bench()
        sink = bench.answer(*pieces)
        assert (sink.outcome, bench.reusable) == ("protocol", False), pieces


def test_bytes_before_a_protocol_error_are_still_delivered() -> None:
    sink = Bench().answer(head("Transfer-Encoding: chunked") + b"3\r\nabc\r\nzz")
    assert (sink.body, sink.outcome) == (b"abc", "protocol")


@pytest.mark.parametrize(
    "answer",
    [
        head(*[f"X-{n}: 1" for n in range(21)]),
        head("X: " + "a" * 2000),
        b"HTTP/1.1 200 " + b"a" * 3000,
        head("Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\nX: " + b"a" * 6000,
        head("Transfer-Encoding: chunked") + b"1;" + b"a" * 3000,
        head(status="100 Continue") * 200,
    ],
)
def test_heads_trailers_and_extensions_are_bounded(answer: bytes) -> None:
    for step in (100, 2500):
        bench = Bench()
        sink = bench.answer(*[answer[at : at + step] for at in range(0, len(answer), step)])
        assert (sink.outcome, bench.reusable) == ("too_large", False)


def test_large_read_that_is_mostly_body_is_no_large_head() -> None:
    assert Bench().answer(head("Content-Length: 9000") + bytes(9000)).outcome == "end"


@pytest.mark.parametrize(
    ("received", "cause", "reason"),
    [
        (b"", None, "closed"),
        (b"", ConnectionResetError(), "reset"),
        (b"HTTP/1.1 2", None, "truncated"),
        (head(status="100 Continue"), None, "truncated"),
        (FIXED[:-1], None, "truncated"),
        (FIXED[:-1], ConnectionResetError(), "reset"),
        (CHUNKED[:-1], None, "truncated"),
        (head("Transfer-Encoding: chunked"), None, "truncated"),
    ],
)
def test_connection_that_dies_too_early(received: bytes, cause: Exception | None, reason: str) -> None:
    for reused in (False, True):
        bench = Bench()
        if reused:
            bench.answer(FIXED)
        sink = bench.answer(*[received] * bool(received))
        if cause is None:
            bench.connection.eof_received()
        bench.connection.connection_lost(cause)
        assert sink.outcome == reason
        assert sink.errors[0].reused is (reused and not received)
        assert not bench.reusable


@pytest.mark.parametrize(("seconds", "stale"), [(0, True), (5, True), (6, False), (500, False)])
def test_a_reused_connection_that_dies_late_had_taken_its_request(seconds: float, stale: bool) -> None:
    bench = Bench()
    bench.answer(FIXED)
    sink = bench.ask()
    bench.clock.advance(seconds)
    bench.connection.connection_lost(ConnectionResetError())
    assert (sink.outcome, sink.errors[0].reused) == ("reset", stale)


@pytest.mark.parametrize("what", ["bytes", "eof", "lost"])
def test_idle_connection_that_hears_something_is_dropped(what: str) -> None:
    bench = Bench()
    bench.answer(FIXED)
    if what == "bytes":
        bench.connection.data_received(EMPTY)
    elif what == "eof":
        bench.connection.eof_received()
    else:
        bench.connection.connection_lost(None)
    assert not bench.reusable


def test_gzip_answer_is_decoded_and_its_fields_removed() -> None:
    packed = gzip.compress(b"hello " * 100)
    fields = ("Content-Type: text/plain", "Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    bench = Bench()
    sink = bench.answer(head(*fields) + packed[:9], packed[9:20], packed[20:])
    assert sink.headers == [(b"content-type", b"text/plain")]
    assert (sink.body, sink.outcome, bench.reusable) == (b"hello " * 100, "end", True)
    assert bench.answer(FIXED).body == b"hello"


def test_damaged_short_and_bombing_gzip_are_errors() -> None:
    good = gzip.compress(b"hello " * 100)
    for packed, reason in ((b"hello", "protocol"), (good[:-4], "truncated"), (gzip.compress(bytes(9_000_000)), "too_large")):
        bench = Bench()
        sink = bench.answer(head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
        assert (sink.outcome, bench.reusable) == (reason, False)


def test_answers_to_head_may_name_a_coding() -> None:
    assert Bench().answer(head("Content-Encoding: gzip", "Content-Length: 9"), method="HEAD").outcome == "end"


def test_unknown_coding_is_passed_on_untouched() -> None:
    sink = Bench().answer(head("Content-Encoding: br", "Content-Length: 2") + b"xx")
    assert (sink.body, sink.headers[0]) == (b"xx", (b"content-encoding", b"br"))


def test_no_head_in_time() -> None:
    bench = Bench()
    sink = bench.ask()
    bench.connection.data_received(head(status="100 Continue"))
    bench.clock.advance(599.9)
    assert sink.outcome == "open"
    bench.clock.advance(0.2)
    assert (sink.outcome, bench.reusable) == ("timeout", False)


def test_deadlines_of_one_request_override_the_limits() -> None:
    bench = Bench()
    sink = bench.ask(first_byte_timeout=5, idle_timeout=7)
    bench.clock.advance(4)
    bench.connection.data_received(FIXED[:-1])
    bench.clock.advance(6.9)
    assert sink.outcome == "open"
    bench.clock.advance(0.2)
    assert sink.outcome == "timeout"


def test_silence_counts_from_the_last_byte() -> None:
    bench = Bench()
    sink = bench.answer(head("Transfer-Encoding: chunked"))
    for _ in range(5):
        bench.clock.advance(299)
        bench.connection.data_received(b"1\r\na\r\n")
        assert bench.connection.last_activity == bench.clock.now
    bench.clock.advance(301)
    assert (sink.body, sink.outcome) == (b"aaaaa", "timeout")


def test_silence_can_be_left_to_the_sink() -> None:
    bench = Bench()
    sink = bench.answer(head("Transfer-Encoding: chunked"))
    bench.connection.watch_silence(inf)
    bench.clock.advance(10_000)
    assert sink.outcome == "open"
    bench.connection.watch_silence(60)
    assert sink.outcome == "open"
    bench.clock.advance(0.1)
    assert sink.outcome == "timeout"


def test_idle_connection_is_closed_after_its_time() -> None:
    bench = Bench()
    bench.answer(FIXED)
    bench.clock.advance(59)
    assert bench.reusable
    bench.clock.advance(2)
    assert not bench.reusable
    assert bench.clock.pending == 0


def test_steady_traffic_costs_no_timer_per_call() -> None:
    bench, made = Bench(), 0
    call_later = bench.clock.call_later

    def counting(delay: float, callback: object) -> object:
        nonlocal made
        made += 1
        return call_later(delay, callback)  # type: ignore[arg-type]

    bench.clock.call_later = counting  # type: ignore[assignment, method-assign]
    for _ in range(1000):
        bench.clock.advance(0.01)
        bench.answer(FIXED)
    assert made <= 4
    assert bench.clock.pending == 1


def test_cancel_closes_at_once_and_silences_the_sink() -> None:
    bench = Bench()
    sink = bench.answer(FIXED[:-1])
    bench.connection.cancel(sink)
    assert bench.wire.aborted
    bench.connection.data_received(b"o")
    bench.connection.connection_lost(None)
    assert (sink.outcome, bench.reusable, bench.clock.pending) == ("open", False, 0)


def test_cancel_by_a_call_that_is_over_does_not_touch_the_next() -> None:
    bench = Bench()
    first = bench.answer(FIXED)
    second = bench.ask()
    bench.connection.cancel(first)
    bench.connection.data_received(FIXED)
    assert (second.outcome, bench.reusable) == ("end", True)


def test_sink_may_cancel_from_any_callback() -> None:
    for callback, answer in (("on_head", FIXED + b"garbage"), ("on_data", FIXED[:-1])):
        bench = Bench()
        sink = bench.ask()
        setattr(sink, callback, lambda *_, bench=bench, sink=sink: bench.connection.cancel(sink))
        bench.connection.data_received(answer)
        assert (sink.outcome, bench.reusable) == ("open", False)


def test_sink_may_ask_again_when_its_answer_ends() -> None:
    bench, second = Bench(), Sink()
    first = bench.ask()
    first.on_end = lambda rest: bench.connection.request([b"again"], second, method="GET")  # type: ignore[method-assign]
    bench.connection.data_received(FIXED)
    bench.connection.data_received(FIXED)
    assert second.outcome == "end"


def test_pause_and_resume_reach_the_transport() -> None:
    bench = Bench()
    bench.answer(FIXED[:-1])
    bench.connection.pause()
    assert bench.wire.paused
    bench.connection.resume()
    assert not bench.wire.paused
    bench.connection.pause()
    bench.connection.data_received(b"o")
    assert not bench.wire.paused, "an idle connection must notice when it is closed"


def test_pieces_are_written_as_they_are() -> None:
    bench = Bench()
    large = bytes(1000)
    bench.connection.request([b"head", large], Sink(), method="POST")
    assert bench.wire.sent[0] == b"head"
    assert bench.wire.sent[1] is large
