from __future__ import annotations

import pytest
from h1_attacks import HEADS, Attack

from omniroute.proto import h1_request
from omniroute.proto.framing import ProtocolError
from omniroute.proto.h1_request import RequestParser
from omniroute.settings import Limits


def parse(data: bytes, scheme: str = "https") -> RequestParser:
    parser = RequestParser(Limits(), "10.0.0.1", scheme)
    parser.feed(data)
    return parser


@pytest.mark.parametrize("attack", [row for row in HEADS if row.status != 413], ids=lambda attack: attack.name)
def test_a_bad_head_is_refused_even_when_its_lines_were_seen_before(attack: Attack) -> None:
    for _ in range(2):
        parser = parse(attack.data, "http")
        with pytest.raises(ProtocolError) as caught:
            parser.head()
        assert caught.value.status == attack.status
        assert caught.value.message


def test_a_request_says_where_it_came_from() -> None:
    request = parse(b"GET /x?y=%20 HTTP/1.1\r\nHost: h\r\n\r\n").head()
    assert request is not None
    assert (request.method, request.path, request.query, request.version) == ("GET", "/x", "y=%20", "1.1")
    assert (request.peer, request.scheme) == ("10.0.0.1", "https")


@pytest.mark.parametrize("target", [b"https://h/x", b"HTTPS://h/x", b"http://h/x"])
def test_with_tls_a_target_may_name_either_scheme(target: bytes) -> None:
    request = parse(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n").head()
    assert request is not None
    assert (request.path, request.scheme) == ("/x", "https")


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n", {b"host": b"h", b"a": b"1"}),
        (b"GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\na: 2\r\n", {b"host": b"h", b"a": b"1"}),
        (b"GET http://other/ HTTP/1.1\r\nHost: h\r\nA: 1\r\n", {b"host": b"other", b"a": b"1"}),
    ],
)
def test_of_fields_of_one_name_the_first_counts_and_the_target_names_the_host(
    head: bytes, named: dict[bytes, bytes]
) -> None:
    request = parse(head + b"\r\n").head()
    assert request is not None
    assert request.named() == named == dict(reversed(request.headers))


@pytest.mark.parametrize(
    ("head", "keep_alive", "expects"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n", True, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive ,\tCLOSE\r\n", False, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n", True, False),
        (b"GET / HTTP/1.0\r\n", False, False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", True, False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", False, False),
        (b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n", False, False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n", True, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-CONTINUE\r\n", True, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect:\r\n", True, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: , 100-continue ,100-continue,\r\n", True, True),
    ],
)
def test_persistence_and_expectations(head: bytes, keep_alive: bool, expects: bool) -> None:
    parser = parse(head + b"\r\n")
    assert parser.head() is not None
    assert (parser.keep_alive, parser.expects_continue) == (keep_alive, expects)


def test_the_body_is_handed_out_as_it_comes() -> None:
    parser = parse(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
    assert parser.head() is not None
    assert (parser.complete, parser.announced, parser.pending) == (False, 5, 2)
    assert parser.body() == b"he"
    assert (parser.complete, parser.announced) == (False, 3)
    parser.feed(b"lloGET")
    assert parser.body() == b"llo"
    assert (parser.complete, parser.pending) == (True, 3)


def test_the_tables_of_what_was_seen_stay_bounded_and_hold_no_secrets() -> None:
    for number in range(3000):
        fields = b"Host: h%d\r\nX-%d: a\r\nUser-Agent: %d\r\nAuthorization: Bearer top-secret\r\n" % ((number,) * 3)
        assert parse(b"GET /%d?key=top-secret HTTP/1.1\r\n" % number + fields + b"\r\n").head() is not None
        assert parse(b"GET /%d HTTP/1.1\r\n" % number + fields + b"\r\n").head() is not None
    tables = (h1_request._request_lines, h1_request._field_lines, h1_request._names, h1_request._hosts)
    for table in tables:
        assert len(table) <= 1024
        assert not any(b"top-secret" in line for line in table)


def test_a_head_that_cannot_end_well_is_refused_before_it_ends() -> None:
    parser = parse(b"GET / HTTP/1.1\r\nHost: h\r\n")
    assert parser.head() is None
    parser.feed(b"X-A: \x01")
    with pytest.raises(ProtocolError):
        parser.head()


@pytest.mark.parametrize("end", [b"", b" HTTP/1.1\r\nHost: h\r\n\r\n"], ids=["endless", "ended"])
def test_a_request_line_beyond_every_limit_is_414_whether_or_not_its_end_has_come(end: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(b"GET /" + b"a" * 70_000 + end).head()
    assert caught.value.status == 414
