from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.proto.framing import ProtocolError
from omniroute.proto.h1_head_cache import PATIENCE
from omniroute.proto.h1_request import RequestParser
from omniroute.settings import Limits

HEAD = b"POST /v1/chat?a=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\nContent-Length: %b\r\nX-Last: 12\r\n\r\n"
LIMITS = Limits(head_bytes=4096, line_bytes=512, header_fields=20)


def read(parser: RequestParser, data: bytes) -> tuple[object, ...]:
    """All that one request says, or how it is refused."""
    parser.feed(data)
    try:
        request = parser.head()
        assert request is not None
        body = b"" if parser.complete else parser.body()
    except ProtocolError as error:
        return error.status, error.message
    line = request.method, request.path, request.query, request.version, request.peer, request.scheme
    state = parser.keep_alive, parser.expects_continue, parser.complete, parser.announced, parser.pending
    return line, request.headers, request.named(), body, state


def known(parser: RequestParser, data: bytes) -> dict[str, object]:
    parser.feed(data)
    request = parser.head()
    assert request is not None
    if not parser.complete:
        parser.body()
    return request.known


def test_the_same_head_with_another_length_shares_what_is_known_of_it() -> None:
    parser = RequestParser(LIMITS)
    alone = known(parser, HEAD % b"2" + b"{}")  # perhaps the only request of its connection
    first = known(parser, HEAD % b"2" + b"{}")
    assert first is not alone
    assert known(parser, HEAD % b"12" + b"x" * 12) is first
    assert known(parser, HEAD.replace(b"Bearer k", b"Bearer l") % b"2" + b"{}") is not first
    assert known(RequestParser(LIMITS), HEAD % b"2" + b"{}") is not first  # another connection


@pytest.mark.parametrize(
    "other",
    [
        HEAD % b"+2", HEAD % b"2 ", HEAD % b"", HEAD % b"1\r\nContent-Length: 1", HEAD % b"2\r\nX: y", HEAD % b"9" * 19,
        HEAD % b"0", HEAD % b"2, 2", HEAD % b"\xb2", HEAD % b"1\r\nTransfer-Encoding: chunked",
        HEAD.replace(b"POST", b"PUT") % b"2", HEAD.replace(b"Host: h", b"Host: ") % b"2",
        (HEAD % b"2").replace(b"X-Last: 12", b"X-Last: 1"), (HEAD % b"2").replace(b"X-Last", b"Connection: close\r\nX-Last"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_head_is_read_as_if_nothing_came_before(other: bytes) -> None:
    parser = RequestParser(LIMITS)
    for _ in range(2):
        read(parser, HEAD % b"2" + b"{}")
    assert read(parser, other + b"{}") == read(RequestParser(LIMITS), other + b"{}")


LINES = st.sampled_from(
    b"Host: h|Content-Length: 2|content-length:\t2 |Connection: close|X: 2|Expect: 100-continue|Transfer-Encoding: chunked|"
    b"Host: [::1]|Connection: keep-alive|X: 2\r\nX: 3".split(b"|")
)
TARGETS = st.sampled_from([b"POST /a HTTP/1.1", b"POST http://x/a?b HTTP/1.1", b"GET /2 HTTP/1.0", b"OPTIONS * HTTP/1.1"])
HEADS = st.tuples(TARGETS, st.lists(LINES, max_size=4))


@given(heads=st.lists(HEADS, min_size=1, max_size=3), order=st.lists(st.integers(0, 2)))
def test_a_parser_that_remembers_reads_as_one_that_does_not(
    heads: list[tuple[bytes, list[bytes]]], order: list[int]
) -> None:
    parser = RequestParser(LIMITS)
    for choice in (0, 0, 0, *order):
        line, fields = heads[choice % len(heads)]
        data = b"\r\n".join([line, *fields]) + b"\r\n\r\n{}"
        expected = read(RequestParser(LIMITS), data)
        assert read(parser, data) == expected
        if len(expected) == 2 or parser.pending or not parser.complete:
            parser = RequestParser(LIMITS)


def test_a_request_that_was_changed_does_not_change_the_next() -> None:
    parser = RequestParser(LIMITS, "10.0.0.1")
    read(parser, HEAD % b"2" + b"{}")
    parser.feed(HEAD % b"2" + b"{}")
    first = parser.head()
    assert first is not None
    parser.body()
    first.peer, first.body, first.path = "1.2.3.4", b"{}", "/other"
    first.headers.clear()
    parser.feed(HEAD % b"3")
    second = parser.head()
    assert second is not None
    assert (second.peer, second.body, second.path, len(second.headers)) == ("10.0.0.1", b"", "/v1/chat", 4)
    assert second.header(b"content-length") == b"3"


def test_a_connection_that_never_repeats_itself_is_no_longer_compared() -> None:
    parser = RequestParser(LIMITS)
    for number in range(PATIENCE + 1):
        known(parser, HEAD.replace(b"12", b"%d" % number) % b"2" + b"{}")
    late = HEAD.replace(b"12", b"late") % b"2" + b"{}"
    assert known(parser, late) is not known(parser, late)
