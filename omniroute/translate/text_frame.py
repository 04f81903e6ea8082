"""What the chunks of one stream say around their text.

Most chunks of a stream differ in their text alone.  Bytes that are equal mean the same, so a chunk with the same bytes
around one JSON string is that chunk with another text, and need not be read again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .jsonio import encode

_string: Final = msgspec.json.Decoder(str).decode


class TextFrame:
    """A chunk without its text."""

    __slots__ = ("_back", "_ends", "_front", "_starts")

    def __init__(self, front: bytes, back: bytes) -> None:
        self._front = front
        self._back = back
        self._starts = len(front)
        self._ends = len(back)

    def text(self, data: bytes) -> str:
        """The text of *data* when it is the same chunk but for that; else ""."""
        if data.startswith(self._front) and data.endswith(self._back):
            try:
                return _string(data[self._starts : len(data) - self._ends])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
        return ""


def frame_of(data: bytes, member: bytes, text: str) -> TextFrame | None:
    """What stands around *text*, the value of the one *member* (``b'"content":'``) in *data*; None if that is not clear."""
    literal = encode(text)
    at = data.find(literal)
    front = data[:at] if at > 0 else b""
    if data.count(literal) != 1 or data.count(member) != 1 or not front.rstrip(b" ").endswith(member):
        return None
    return TextFrame(front, data[at + len(literal) :])
