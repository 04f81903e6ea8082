"""What the chunks of one stream say around their text.

Most chunks of a stream differ in their text alone.  Bytes that are equal mean the same, so a chunk with the same bytes
around one JSON string is that chunk with another text, and need not be read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

import msgspec

from .jsonio import encode

_string: Final = msgspec.json.Decoder(str).decode
_strings: Final = msgspec.json.Decoder(list[str]).decode


class TextFrame:
    """A chunk without its text.  ``name``: of its event, b"" for none."""

    __slots__ = ("_back", "_ends", "_front", "_name", "_starts")

    def __init__(self, name: bytes, front: bytes, back: bytes) -> None:
        self._name = name
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

    def run(self, data: bytes, at: int) -> tuple[list[str], int]:
        """The texts of the server-sent events of *data* that begin at *at*, and where they end.

        They are the same chunk but for their texts, each behind the last one in its plainest bytes (one data line, ends of
        LF alone), and another one follows them: that is how the end of the last is known.  ``([], at)`` if there are none.

        One look in C reads them all: a JSON string holds no line feed, so what stands between two texts is never part of
        one, and as many strings as events mean one in each.
        """
        opening = (b"event: %b\ndata: " % self._name if self._name else b"data: ") + self._front
        closing = self._back + b"\n\n"
        between = closing + opening
        end = data.rfind(between, at)
        if end < 0:
            return [], at
        row, literal = data[at:end], itemgetter(slice(len(opening), None))
        literals = list(map(literal, row.split(closing)))  # cheaper than to search for all of what is between
        if opening + between.join(literals) != row:
            return [], at
        try:
            texts = _strings(b"[" + b",\n".join(literals) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [], at
        if len(texts) != len(literals) or "" in texts:
            return [], at
        return texts, end + len(closing)


def framed(texts: Sequence[str], front: bytes, back: bytes) -> bytes:
    """Each of *texts* as a JSON string between *front* and *back*.  Line feeds stand between strings, never in one."""
    lines = msgspec.json.format(encode(texts), indent=1)  # [\n "a",\n "b"\n]
    return front + lines[3:-2].replace(b",\n ", back + front) + back

def frame_of(name: bytes, data: bytes, member: bytes, text: str) -> TextFrame | None:
    """What stands around *text*, the value of the one *member* (``b'"content":'``) in *data*; None if that is not clear."""
    literal = encode(text)
    at = data.find(literal)
    front = data[:at] if at > 0 else b""
    if data.count(literal) != 1 or data.count(member) != 1 or not front.rstrip(b" ").endswith(member):
        return None
    return TextFrame(name, front, data[at + len(literal) :])
