"""Answer heads as bytes: status lines made once, the Date field once a second, fields in one join.

Response splitting is impossible by construction: the serialised fields are counted for CR and LF as one block, which costs
two scans in C instead of a check per value.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from ..clock import Clock
from .headers import Headers

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    499: "Client Closed Request",
    529: "Overloaded",
}
STATUS_LINES: Final = {status: f"HTTP/1.1 {status} {reason}\r\n".encode() for status, reason in _REASONS.items()}
CONTINUE: Final = STATUS_LINES[100] + b"\r\n"
CLOSE: Final = b"connection: close\r\n"
KEEP_ALIVE: Final = b"connection: keep-alive\r\n"  # said to HTTP/1.0 clients only (RFC 9112 section 9.3)
CHUNKED_FIELD: Final = b"transfer-encoding: chunked\r\n"
NO_BODY_STATUS: Final = frozenset({204, 304})
_SERVERS_OWN: Final = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"})
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_prefixes: Final[dict[bytes, bytes]] = {}  # checked names -> "name: "; never one of the server's own
_MAX_KNOWN: Final = 1024


class DateField:
    """The serialised Date field (RFC 9110 section 6.6.1), made anew when the second changes."""

    __slots__ = ("_clock", "_line", "_until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = -1.0
        self._line = b""

    def line(self) -> bytes:
        now = self._clock.time()
        if not self._until - 1 <= now < self._until:  # also when the wall clock was set back
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
            self._until = now // 1 + 1
        return self._line


def status_line(status: int) -> bytes:
    """The line for *status*; an unknown one has an empty reason (RFC 9112 section 4)."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _prefix(name: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError(f"invalid header name {name!r}")
    prefix = name + b": "
    if len(_prefixes) < _MAX_KNOWN:
        _prefixes[name] = prefix
    return prefix


def fields(headers: Headers) -> bytes:
    """*headers* as lines, without those that are the server's own.

    Raises ``ValueError`` for a name that is no token or a value with CR, LF or NUL.
    """
    try:
        lines = [_prefixes[name] + value for name, value in headers]
    except KeyError:
        lines = [(_prefixes.get(n) or _prefix(n)) + value for n, value in headers if n.lower() not in _SERVERS_OWN]
    lines.append(b"")
    block = b"\r\n".join(lines)
    ends = len(lines) - 1
    if block.count(b"\n") != ends or block.count(b"\r") != ends or b"\0" in block:
        raise ValueError("control character in a header field")
    return block


def whole_head(status: int, headers: Headers, date: bytes, connection: bytes, length: int) -> bytes:
    """The head of an answer with a body of *length* bytes (of one that has none by its status: without a length)."""
    if status in NO_BODY_STATUS:
        return b"".join((status_line(status), date, fields(headers), connection, b"\r\n"))
    return b"%b%b%b%bcontent-length: %d\r\n\r\n" % (status_line(status), date, fields(headers), connection, length)


def stream_head(status: int, headers: Headers, date: bytes, connection: bytes, framing: bytes) -> bytes:
    """The head of an answer of unknown length; *framing* is :data:`CHUNKED_FIELD` or empty."""
    return b"".join((status_line(status), date, fields(headers), connection, framing, b"\r\n"))
