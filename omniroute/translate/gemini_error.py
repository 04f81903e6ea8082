"""Errors of the Gemini wire: ``{"error": {"code", "message", "status", "details"}}`` (Google RPC status, AIP-193).

The details that are read: ``RetryInfo.retryDelay`` ("17s") and ``ErrorInfo.reason`` (``API_KEY_INVALID``).  Streams without
``alt=sse`` and some proxies put the object into a list.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import wire_words
from .events import Failure
from .jsonio import Shape, encode, is_utf8
from .openai_chat_error import decode_error as decode_any_error

WIRE: Final = "gemini"
_RPC: Final = "type.googleapis.com/google.rpc."
# the canonical codes of google.rpc.Code -> HTTP status, for errors inside a stream without a number
STATUS_OF_WORD: Final[dict[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class _Detail(Struct):
    reason: str | None = None


class _Error(Struct):
    message: str
    code: int | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Body(Struct):
    error: _Error


_BODY: Final[Shape[_Body]] = Shape(_Body)
_LISTED: Final[Shape[list[_Body]]] = Shape(list[_Body])


def _own(body: bytes) -> _Error | None:
    """Read an error in this wire's shape, alone or in a list; None for any other shape."""
    if (found := _BODY.get(body)) is not None:
        return found.error
    listed = _LISTED.get(body)
    return listed[0].error if listed else None


def decode_error(status: int, body: bytes) -> Failure:
    """Read an HTTP error body of any shape; never raises.  ``status`` 0: derive the status from the error's words."""
    own = _own(body)
    word = (own.status if own is not None else None) or ""
    if not status and own is not None and not (own.code and 400 <= own.code < 600):
        status = STATUS_OF_WORD.get(word, 0)
    failure = decode_any_error(status, body)
    failure.wire = WIRE
    reason = next((detail.reason for detail in (own.details or ()) if detail.reason), None) if own is not None else None
    failure.code = reason or failure.code
    return failure


def error_object(failure: Failure) -> dict[str, Any]:
    """Return the ``error`` member.  ``code`` is the HTTP status; 529, which this vendor does not use, becomes 503."""
    own_word = failure.type if failure.wire == WIRE and failure.type in STATUS_OF_WORD else ""
    error: dict[str, Any] = {
        "code": 503 if failure.status == 529 else failure.status,
        "message": failure.message,
        "status": own_word or wire_words(failure.status).gemini_status,
    }
    details: list[dict[str, Any]] = []
    if failure.param:
        violation = {"field": failure.param, "description": failure.message}
        details.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    if failure.retry_after is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{failure.retry_after:g}s"})
    return error | ({"details": details} if details else {})


def encode_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error answer: the upstream's own if it has this wire's shape."""
    if failure.wire == WIRE and failure.raw and is_utf8(failure.raw) and _BODY.get(failure.raw) is not None:
        return failure.raw
    return encode({"error": error_object(failure)})


# The Google SDK in Gemini CLI ignores an error event and would take the answer for complete.  Of a comment at the end it
# makes an error ("Incomplete JSON segment"), and Gemini CLI asks again.  All others skip comments.
ERROR_MARK: Final = b": error\n\n"


def encode_stream_error(failure: Failure) -> bytes:
    """Return the error body on one line, for a stream."""
    body = encode_error(failure)
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body
