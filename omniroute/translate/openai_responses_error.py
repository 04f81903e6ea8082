"""Errors of the OpenAI Responses wire: the chat wire's shape in HTTP answers, ``response.failed`` inside a stream.

Agents act on the code of ``response.failed``: ``context_length_exceeded`` and ``insufficient_quota`` end the session,
``rate_limit_exceeded`` makes them wait as long as its message says ("try again in 3s"), ``server_error`` is retried.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from . import openai_chat_error as chat
from .events import Failure

WIRE: Final = "openai-responses"
_OPENAI_WIRES: Final = frozenset((WIRE, chat.WIRE))
_NO_CREDIT: Final = re.compile(
    r"insufficient.{0,10}(quota|balance|credit|funds)|exceeded your current quota|billing", re.IGNORECASE
)
_HAS_DELAY: Final = re.compile(r"try again in \d", re.IGNORECASE)


def decode_error(status: int, body: bytes) -> Failure:
    """Read an HTTP error body or (*status* 0) an error inside a stream, of any shape; never raises."""
    failure = chat.decode_error(status, body)
    failure.wire = WIRE
    if failure.type == "error":  # the bare event, which is no body for an HTTP answer
        failure.type, failure.raw = "", None
    return failure


def encode_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error answer, which has the same shape on both OpenAI wires."""
    wire = chat.WIRE if failure.wire in _OPENAI_WIRES else failure.wire
    return chat.encode_error(msgspec.structs.replace(failure, wire=wire))


def code_of(failure: Failure) -> str:
    """Return the code that clients act on."""
    status, said = failure.status, f"{failure.code} {failure.type} {failure.message}"
    if code := chat.acted_on(failure):
        return code
    if status == 402 or (status in (403, 429) and _NO_CREDIT.search(said)):
        return "insufficient_quota"
    if failure.wire in _OPENAI_WIRES and failure.code and not failure.code.isdigit():
        return failure.code
    if status == 429:
        return "rate_limit_exceeded"
    if 400 <= status < 500:
        return "invalid_prompt"
    return "server_error"


def failed_error(failure: Failure) -> dict[str, Any]:
    """Return the ``error`` member of a failed response."""
    code, message = code_of(failure), failure.message
    if code == "rate_limit_exceeded" and failure.retry_after is not None and not _HAS_DELAY.search(message):
        message = f"{message.rstrip(' .')}. Please try again in {failure.retry_after:g}s."
    return {"code": code, "message": message}
