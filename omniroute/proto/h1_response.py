"""Serialises response heads: status lines are made once, the Date field once a second, all fields in one join.

To prevent response splitting, the serialised fields are checked as one block: CR and LF are counted, which is two scans in C
instead of a check per value.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from ..clock import Clock
from .headers import TOKEN, Headers

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    499: "Client Closed Request",
    529: "Overloaded",
}
STATUS_LINES: Final = {status: f"HTTP/1.1 {status} {reason}\r\n".encode() for status, reason in _REASONS.items()}
CONTINUE: Final = STATUS_LINES[100] + b"\r\n"
CLOSE: Final = b"connection: close\r\n"
KEEP_ALIVE: Final = b"connection: keep-alive\r\n"  # for HTTP/1.0 clients only (RFC 9112 section 9.3)
CHUNKED_FIELD: Final = b"transfer-encoding: chunked\r\n"
NO_BODY_STATUS: Final = frozenset({204, 304})
_SERVERS_OWN: Final = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"})
_prefixes: Final[dict[bytes, bytes]] = {}  # checked name -> b"name: "; never a name in _SERVERS_OWN
_MAX_KNOWN: Final = 1024


class DateField:
    """The serialised Date field (RFC 9110 section 6.6.1), renewed when the second changes."""

    __slots__ = ("_clock", "_line", "_until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = -1.0
        self._line = b""

    def line(self) -> bytes:
        """The field for now, with its line end."""
        now = self._clock.time()
        if not self._until - 1 <= now < self._until:  # also when the wall clock was set back
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
            self._until = now // 1 + 1
        return self._line


def status_line(status: int) -> bytes:
    """The status line for *status*, with an empty reason phrase for an unknown one (RFC 9112 section 4)."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _prefix(name: bytes) -> bytes:
    if not TOKEN.fullmatch(name):
        raise ValueError(f"invalid header name {name!r}")
    prefix = name + b": "
    if len(_prefixes) < _MAX_KNOWN:
        _prefixes[name] = prefix
    return prefix


def fields(headers: Headers) -> bytes:
    """*headers* as lines, without the fields that the server sets itself.

    Raises ``ValueError`` for a name that is not a token or a value with CR, LF or NUL.
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
    """The head of a response with a body of *length* bytes; no Content-Length when *status* does not allow a body."""
    if status in NO_BODY_STATUS:
        return b"".join((status_line(status), date, fields(headers), connection, b"\r\n"))
    return b"%b%b%b%bcontent-length: %d\r\n\r\n" % (status_line(status), date, fields(headers), connection, length)


def stream_head(status: int, headers: Headers, date: bytes, connection: bytes, framing: bytes) -> bytes:
    """The head of a response of unknown length; *framing* is :data:`CHUNKED_FIELD` or empty."""
    return b"".join((status_line(status), date, fields(headers), connection, framing, b"\r\n"))
