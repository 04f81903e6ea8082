"""Requests as bytes: the head, checked and serialised once per account, and the body of one call."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from ..proto.headers import Headers
from ..proto.transport import PORTS, Origin, TransportError, forwards
from ..settings import url_host

Data = bytes | memoryview

_OURS: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"upgrade", b"expect"}
)
_BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
_JOIN: Final = 16 * 1024  # bytes; up to this, copying head and body into one buffer is cheaper than sending two


class Source(NamedTuple):
    """A body too large for memory; ``pieces`` is called for each attempt and must yield ``size`` bytes in total.

    An exception from ``pieces`` ends the call and is raised to its caller.
    """

    size: int
    pieces: Callable[[], AsyncGenerator[bytes, None]]


Body = Data | Sequence[Data] | Source


class Template(NamedTuple):
    """A request without its body: the part that is the same for many calls, checked and serialised once."""

    origin: Origin
    method: str
    head: bytes  # request line and fields, each with its CRLF


def template(origin: Origin, method: str, path: bytes, headers: Headers) -> Template:
    """Serialise a request head.  Framing fields in *headers* are dropped; :func:`request_pieces` adds the right ones.

    Raises :class:`TransportError` ``protocol`` for a character that would allow request splitting: a line break or NUL in a
    field, a space or control character in the path.
    """
    return Template(origin, method, _start(origin, method, path) + b"\r\n" + _lines(headers))


@lru_cache(maxsize=1024)
def _start(origin: Origin, method: str, path: bytes) -> bytes:
    """Request line and Host field; cached, because few combinations make up most calls."""
    if not re.fullmatch(rb"/[!-~]*", path):
        raise TransportError("protocol", "the request path holds a space or control character, or has no slash")
    host = url_host(origin.host)
    port = "" if PORTS.get(origin.scheme) == origin.port else f":{origin.port}"
    place = f"{host}{port}".encode("ascii" if host.isascii() else "idna")
    if not forwards(origin):
        return b"%b %b HTTP/1.1\r\nhost: %b" % (method.encode(), path, place)
    start = b"%b http://%b%b HTTP/1.1\r\nhost: %b" % (method.encode(), place, path, place)
    proof = origin.via.authorization if origin.via is not None else b""
    return start + b"\r\nproxy-authorization: " + proof if proof else start


def _lines(headers: Headers) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in headers if field[0] not in _OURS]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
        raise TransportError("protocol", "a request header field holds a line break or NUL")
    return block


def request_pieces(form: Template, extra: Headers, body: Body) -> list[Data]:
    """The buffers of a complete request.  A body above 16 KiB is not copied; that of a :class:`Source` is not included."""
    head = form.head + _lines(extra) if extra else form.head
    if isinstance(body, bytes):
        length = len(body)
        if length <= _JOIN and (length or form.method in _BODIED):
            return [b"%bcontent-length: %d\r\n\r\n%b" % (head, length, body)]
    if isinstance(body, Source):
        return [head + b"content-length: %d\r\n\r\n" % body.size]
    pieces = (body,) if isinstance(body, (bytes, memoryview)) else body
    length = sum(map(len, pieces))
    head += b"content-length: %d\r\n\r\n" % length if length or form.method in _BODIED else b"\r\n"
    return [b"".join((head, *pieces))] if length <= _JOIN else [head, *pieces]
