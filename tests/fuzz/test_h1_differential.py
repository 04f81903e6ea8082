"""Our parser against h11 and httptools, over mutated requests: where bodies end is where smuggling begins.

- What we accept, h11 accepts and reads the same: method, target, fields, body, and the bytes that follow.
- What h11 accepts and we refuse is refused for a reason in :data:`STRICTER`, found in the bytes by a rule of its own.
- What we accept, httptools reads the same wherever it accepts it.
- However the bytes are split, the outcome is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import h11
import httptools
from h1_attacks import ATTACKS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omniroute.proto.framing import ProtocolError
from omniroute.proto.h1_request import RequestParser
from omniroute.proto.h1_strict import StrictParser
from omniroute.proto.headers import Headers
from omniroute.settings import Limits

LIMITS = Limits(head_bytes=4096, line_bytes=512, header_fields=20)
SEEDS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\nGET /",
    b"POST http://h:80/p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    b"PUT / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nX-A:\t b \t\r\n\r\n",
]
DICTIONARY = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"+", b"-", b"_", b"0x", b'"', b"\x0b", b"\x7f",
    b"\xff", b"\r\n ", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"chunked",
    b"\r\n\r\n", b"Transfer-Encoding: gzip\r\n", b"Host: x\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"#", b"*",
    b"http://", b"@", b"0\r\n\r\n", b"1\r\nz\r\n", b"ffffffffffffffff", b"Expect: x\r\n", b"CONNECT", b"Upgrade: h2c\r\n",
]  # fmt: skip

CHUNKS = [b"0", b"3", b"a", b";", b"x=y", b"\r\n", b"\n", b"\r", b" ", b"abc", b'"', b"X: y"]

Reading = tuple[str, str, Headers, bytes, bytes]  # method, target, fields, body, what follows


class Rule(NamedTuple):
    reason: str
    holds: Callable[[bytes, bytes], object]  # of the head, and of what follows it


def _rule(reason: str, head: bytes = b"", rest: bytes = b"") -> Rule:
    in_head, in_rest = re.compile(head, re.IGNORECASE | re.DOTALL), re.compile(rest, re.IGNORECASE | re.DOTALL)
    return Rule(reason, lambda h, r: (head and in_head.search(h)) or (rest and in_rest.search(r)))


HOST_NAME = rb"[\w.~!$&'()*+,;=%-]+"
STRICTER = [
    _rule("bare LF (RFC 9112 section 2.2 permits it, and permits smuggling)", head=rb"(?<!\r)\n", rest=rb"(?<!\r)\n"),
    _rule("control characters in a field (RFC 9110 section 5.5)", head=rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)"),
    _rule("folded field (RFC 9112 section 5.2)", head=rb"\r\n[ \t]", rest=rb"\r\n[ \t]"),
    _rule("repeated or listed Content-Length", head=rb"content-length:.*content-length:|content-length:[^\r]*,"),
    _rule("Content-Length with Transfer-Encoding", head=rb"^(?=.*content-length:).*transfer-encoding:"),
    _rule("Content-Length of more than 18 digits", head=rb"content-length:[ \t]*[0-9]{19}"),
    _rule("Transfer-Encoding in HTTP/1.0", head=rb" HTTP/1\.0\r\n.*transfer-encoding:"),
    _rule("HTTP version we do not speak", head=rb"^\S+ \S+ HTTP/(?!1\.[01]\r)"),
    _rule("Host is no host", head=rb"\r\nhost:(?![ \t]*(?:%s|\[[0-9a-f:.]+\])(?::\d{0,5})?[ \t]*(?:\r\n|$))" % HOST_NAME),
    _rule("Host twice in HTTP/1.0", head=rb"\r\nhost:.*\r\nhost:"),
    _rule("https without TLS (RFC 9110 section 7.4)", head=rb"^\S+ https:"),
    _rule("target in no form", head=rb"^\S+ (?!/|https?://[^/?@]+|\*)|^\S+ \S*#|^(?!OPTIONS )\S+ \*|^CONNECT |^\S+ \*\S"),
    _rule("target with an authority that is none", head=rb"^\S+ https?://(?![\w.~!$&'()*+,;=%-]+(?::\d{0,5})?[/? ])"),
    _rule("percent sign in a host without two digits", head=rb"%(?![0-9a-f]{2})"),
    _rule("expectation we cannot meet", head=rb"\r\nexpect:"),
    _rule("chunk line not in the grammar", rest=rb"[0-9a-f]{17}|[ \t]\r\n|;(?![!#$%&'*+.^`|~\w-]+(?:=|;|\r))|=|\r(?!\n)"),
    _rule("control characters in a trailer", rest=rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]"),
    _rule("a limit", head=rb".{500}|(?:\r\n[^\r]*){20}", rest=rb".{1000}"),
]  # fmt: skip


def ours(data: bytes, parser: RequestParser, size: int = 0) -> Reading | ProtocolError | None:
    """One request; None while it is incomplete."""
    request, body = None, b""
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    try:
        for number, piece in enumerate(pieces):
            parser.feed(piece)
            if request is None:
                request = parser.head()
            if request is not None:
                while not parser.complete:
                    body += parser.body()
                    if not parser.pending:
                        break
                if parser.complete:
                    follows = parser._buffer + b"".join(pieces[number + 1 :])
                    target = request.path + ("?" + request.query if request.query else "")
                    return request.method, target, request.headers, body, follows
    except ProtocolError as error:
        return error
    return None


def theirs(data: bytes) -> Reading | h11.RemoteProtocolError | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    request, body = None, b""
    try:
        while True:
            match connection.next_event():
                case h11.Request() as request:
                    pass
                case h11.Data() as piece:
                    body += bytes(piece.data)
                case h11.EndOfMessage():
                    assert request is not None
                    follows = connection.trailing_data[0]
                    return request.method.decode(), request.target.decode(), list(request.headers), body, follows
                case _:
                    return None
    except h11.RemoteProtocolError as error:
        return error


class _Seen:
    def __init__(self) -> None:
        self.fields: Headers = []
        self.url = self.body = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def third(data: bytes) -> _Seen | None:
    seen = _Seen()
    try:
        httptools.HttpRequestParser(seen).feed_data(data)
    except httptools.HttpParserError:
        return None
    return seen if seen.complete else None


def _same_fields(one: Headers, other: Headers) -> bool:
    """But for the Host of an absolute target, which we replace, and the case of a coding."""

    def plain(headers: Headers) -> Headers:
        return [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in headers if n != b"host"]

    return plain(one) == plain(other)


def _same_target(mine: str, raw: str) -> bool:
    return mine == raw.removesuffix("?") or raw.lower().startswith(("http://", "https://")) or mine == raw


def check(data: bytes) -> None:
    data = re.sub(rb"^(?:\r\n){1,4}", b"", data)  # we skip empty lines first; h11 does not
    mine, other = ours(data, RequestParser(LIMITS)), theirs(data)
    strict = ours(data, StrictParser(LIMITS))
    if isinstance(mine, tuple):
        assert isinstance(other, tuple), (data, mine, other)
        assert (mine[0], mine[3:]) == (other[0], other[3:]), data
        assert _same_target(mine[1], other[1]), data
        assert _same_fields(mine[2], other[2]), data
        assert mine == strict, (data, mine, strict)
        alone = third(data[: len(data) - len(mine[4])])
        if alone is not None:
            assert alone.body == mine[3], data
            assert _same_fields([f for f in alone.fields if f in mine[2]], [f for f in mine[2] if f in alone.fields]), data
    else:
        assert not isinstance(strict, tuple), data
        if isinstance(other, tuple) and isinstance(mine, ProtocolError):
            head, _, rest = data.partition(b"\r\n\r\n")
            assert any(rule.holds(head, rest) for rule in STRICTER), (data, mine.message)
    for size in (1, 2, 5):
        again = ours(data, RequestParser(LIMITS), size)
        assert isinstance(again, ProtocolError) == isinstance(mine, ProtocolError), (data, size, mine, again)
        assert not isinstance(mine, tuple) or again == mine, (data, size)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with a few cuts, repeats and insertions from the dictionary."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 6)))
        new = draw(st.one_of(st.sampled_from(DICTIONARY), st.just(b""), st.just(data[at:to] * 2), st.binary(max_size=2)))
        data = data[:at] + new + data[to:]
    return data


@settings(max_examples=700)
@given(mutated())
@example(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n")
def test_mutated_requests_are_read_alike_or_refused_for_a_listed_reason(data: bytes) -> None:
    check(data)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.sampled_from(DICTIONARY), st.sampled_from([s[:30] for s in SEEDS]), st.binary(max_size=8))))
def test_any_bytes_are_read_alike_or_refused_for_a_listed_reason(pieces: list[bytes]) -> None:
    check(b"".join(pieces))


@settings(max_examples=150)
@given(st.lists(st.sampled_from(CHUNKS), max_size=14))
def test_any_chunks_are_read_alike_or_refused_for_a_listed_reason(pieces: list[bytes]) -> None:
    check(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces))


def test_every_known_attack_is_refused_for_a_listed_reason() -> None:
    for attack in ATTACKS:
        if attack.status != 413:  # the one limit that is the application's
            check(attack.data)
