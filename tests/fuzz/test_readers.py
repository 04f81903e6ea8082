"""Any bytes, at any split: events or a declared failure, never another exception, and the same as in one piece."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeClock
from hypothesis import example, given
from hypothesis import strategies as st

from omniroute.proto.h1_client import H1Connection
from omniroute.proto.headers import Headers
from omniroute.proto.ndjson import NDJSONReader
from omniroute.proto.sse import EventTooLarge, SSEReader
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits

SSE_WORDS = [b"data: ", b"data:", b"event: x", b"\n", b"\r\n", b"\r", b"\n\n", b":", b"{}", b"\xef\xbb\xbf", b"\0", b"\xff"]
HTTP_WORDS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 204 No\r\n", b"HTTP/1.1 101 X\r\n",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X: y\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"\x78\x9c",
    b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"\n", b" ", b"\0",
]  # fmt: skip


def mixed(words: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.one_of(st.sampled_from(words), st.binary(max_size=4)), max_size=30).map(b"".join)


def cut(whole: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted(number % (len(whole) + 1) for number in cuts)
    return [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True)]


CUTS = st.lists(st.integers(0, 400), max_size=8)


@pytest.mark.parametrize("kind", [SSEReader, NDJSONReader])
@given(whole=mixed(SSE_WORDS), cuts=CUTS)
@example(whole=b"\xef\xbb", cuts=[1])
@example(whole=b"data: 1\r\n\r\ndata: 2", cuts=[8, 9, 10, 11])
def test_stream_readers(kind: Any, whole: bytes, cuts: list[int]) -> None:
    def read(pieces: list[bytes]) -> object:
        reader = kind(40)
        try:
            return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()
        except EventTooLarge:
            return "too large"

    one, many = read([whole]), read(cut(whole, cuts))
    assert one == many or "too large" in (one, many), "the limit is held to the line end, before the event is known"


class Log:
    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.ending = ""

    def on_head(self, status: int, headers: Headers) -> None:
        assert not self.status
        assert 200 <= status < 1000
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        assert self.status
        assert not self.ending
        self.body += data

    def on_end(self, rest: bytes) -> None:
        assert self.status
        assert not self.ending
        self.body += rest
        self.ending = "end"

    def on_error(self, error: TransportError) -> None:
        assert not self.ending
        self.ending = error.reason


class Wire:
    closed = False

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None: ...


@given(whole=mixed(HTTP_WORDS), cuts=CUTS)
def test_answers(whole: bytes, cuts: list[int]) -> None:
    def answer(pieces: list[bytes]) -> tuple[int, Headers, bytes, str]:
        closed: list[H1Connection] = []
        connection = H1Connection(Origin("http", "a.test", 80), Limits(), FakeClock(), lambda _: None, closed.append)
        connection.connection_made(Wire())  # type: ignore[arg-type]
        log = Log()
        connection.request([b""], log, method="POST")
        for piece in pieces:
            if piece and not closed:
                connection.data_received(piece)
        connection.eof_received()
        connection.connection_lost(None)
        assert log.ending, "every request has an ending"
        assert len(closed) == 1
        return log.status, log.headers, log.body, log.ending

    assert answer([whole]) == answer(cut(whole, cuts))
