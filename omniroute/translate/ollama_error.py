"""Errors of the Ollama wire: ``{"error": "text"}``, as an HTTP answer and as the last line of a stream.

There is no type and no code: in a stream, what the error means is in its words only.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from . import openai_chat_error
from .events import Failure
from .jsonio import Shape, encode

WIRE: Final = "ollama"
_TELLING: Final = 2000  # characters of an error in which its meaning is looked for
# words of an error inside a stream -> the status that it has outside of one
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
    """An HTTP error answer of any shape; never raises.  ``status`` 0: the one that the error's words mean.

    Proxies before a server answer in other shapes, so the reader of the chat wire, which knows them all, is used.
    """
    failure = openai_chat_error.decode_error(status, body)
    failure.wire = WIRE
    if not status and failure.status == 502:
        said = failure.message[:_TELLING]
        found = (meant for words, meant in _MEANINGS if words.search(said))
        failure.status = next(found, 502)
    return failure


def encode_error(failure: Failure) -> bytes:
    """The body of an HTTP error answer, and of the line that ends a stream (there with LF behind it)."""
    if failure.wire == WIRE and failure.raw and b"\n" not in failure.raw and _BODY.get(failure.raw) is not None:
        return failure.raw
    return encode({"error": failure.message})
