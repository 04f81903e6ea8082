"""Errors of the Ollama wire: ``{"error": "text"}``, as an HTTP answer and as the last line of a stream.

There is no type and no code: inside a stream only the text says what the error means.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from . import openai_chat_error
from .events import Failure
from .jsonio import Shape, encode

WIRE: Final = "ollama"
_TELLING: Final = 2000  # characters of an error text that are searched
# pattern in the text of a stream's error -> the HTTP status that the same error has
_MEANINGS: Final = (
    (re.compile(r"too many requests|rate limit|usage limit|\b429\b", re.IGNORECASE), 429),
    (re.compile(r"server busy|maximum pending requests|overloaded|\b503\b", re.IGNORECASE), 503),
    (re.compile(r"unauthorized|\b401\b", re.IGNORECASE), 401),
    (re.compile(r"model .*not found|try pulling it first", re.IGNORECASE), 404),
    (re.compile(r"does not support|invalid|exceed\w* .*context", re.IGNORECASE), 400),
)


class _Body(Struct, forbid_unknown_fields=True):
    error: str


_BODY: Final[Shape[_Body]] = Shape(_Body)


def decode_error(status: int, body: bytes) -> Failure:
    """Read an HTTP error body of any shape; never raises.  ``status`` 0: derive the status from the error's words.

    Proxies in front of a server use other shapes, so this uses the chat wire's reader, which knows them all.
    """
    failure = openai_chat_error.decode_error(status, body)
    failure.wire = WIRE
    if not status and failure.status == 502:
        said = failure.message[:_TELLING]
        found = (meant for words, meant in _MEANINGS if words.search(said))
        failure.status = next(found, 502)
    return failure


def encode_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error answer, which is also the last line of a failed stream (LF not included)."""
    if failure.wire == WIRE and failure.raw and b"\n" not in failure.raw and _BODY.get(failure.raw) is not None:
        return failure.raw
    return encode({"error": failure.message})
