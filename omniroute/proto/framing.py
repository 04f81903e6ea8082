"""Message body length, for requests and responses (RFC 9112 section 6).

Request smuggling needs two recipients that disagree on a body's length (RFC 9112 section 11.2), so nothing here guesses: an
ambiguous length is refused.  So is a repeated Content-Length, even with equal values, which section 6.3 would permit (in
requests, ``h1_request.py`` sees to that).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from .headers import Headers, get_all


class Body(IntEnum):
    """How the end of a body is determined."""

    NONE = 0  # also for a length of 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3  # responses only


class ProtocolError(ValueError):
    """A message that must not be read further; ``status`` is the response of a server before it closes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class FramingError(ProtocolError):
    """The length of a body is invalid or ambiguous."""


NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE = Body  # a global lookup is faster than an enum attribute
_MAX_DIGITS: Final = 18  # fits 63 bits; a longer number is an attempt to overflow some other recipient's integer


def content_length(value: bytes) -> int:
    """Parse a Content-Length value, digits only (RFC 9110 section 8.6).  Raises :class:`FramingError`."""
    if not value.isdigit() or len(value) > _MAX_DIGITS:  # bytes.isdigit() accepts ASCII digits only
        raise FramingError(400, "invalid Content-Length")
    return int(value)


def _coding(codings: list[bytes], lengths: list[bytes], version: str) -> bytes:
    if lengths:
        raise FramingError(400, "Content-Length together with Transfer-Encoding")
    if version == "1.0":
        raise FramingError(400, "Transfer-Encoding in an HTTP/1.0 message")
    if len(codings) > 1:
        raise FramingError(400, "repeated Transfer-Encoding")
    return codings[0].lower()


def require_chunked(headers: Headers, version: str) -> None:
    """Refuse a request with Transfer-Encoding unless the coding is ``chunked`` alone.

    Raises :class:`FramingError` with 400, or 501 for an unsupported coding.
    """
    coding = _coding(get_all(headers, b"transfer-encoding"), get_all(headers, b"content-length"), version)
    if coding == b"chunked":
        return
    parts = [part.strip(b" \t") for part in coding.split(b",")]
    # RFC 9112 section 6.1: 501 for an unknown coding.  Malformed: chunked twice or not last, or a name not of letters.
    if all(part.isalpha() for part in parts) and (parts[-1] == b"chunked") == (parts.count(b"chunked") == 1):
        raise FramingError(501, "transfer coding not supported")
    raise FramingError(400, "invalid Transfer-Encoding")


def _fixed(value: bytes) -> Body:
    return LENGTH if content_length(value) else NO_BODY


def response_body(method: str, status: int, headers: Headers) -> Body:
    """How a response with *status* to a *method* request ends.  Raises :class:`FramingError`."""
    if method == "HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    if method == "CONNECT" and status < 300:
        return UNTIL_CLOSE
    if len(headers) == 1 and headers[0][0] == b"content-length":  # usual when the caller passes only the framing fields
        return _fixed(headers[0][1])
    lengths = get_all(headers, b"content-length")
    codings = get_all(headers, b"transfer-encoding")
    if codings:
        if _coding(codings, lengths, "1.1") != b"chunked":  # also accepted from HTTP/1.0: nobody else reads this response
            raise FramingError(502, "transfer coding not supported")
        return CHUNKED
    if not lengths:
        return UNTIL_CLOSE
    if len(lengths) > 1:
        raise FramingError(502, "repeated Content-Length")
    return _fixed(lengths[0])
