"""What the chunks of one stream say around their text.

Most chunks of a stream differ in their text alone.  Bytes that are equal mean the same, so a chunk with the same bytes
around one JSON string is that chunk with another text, and need not be read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from .jsonio import encode

_string: Final = msgspec.json.Decoder(str).decode
_strings: Final = msgspec.json.Decoder(list[str]).decode


class TextFrame:
    """A chunk without its text."""

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

    def texts(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[str]:
        """The texts of the first of *pairs* (event name, data), as far as they are the same chunk but for that.

        One look in C reads them all: no JSON string holds a line feed, so as many strings as chunks mean one in each.
        """
        name, front, back, start, end = self._name, self._front, self._back, self._starts, -self._ends
        literals: list[bytes] = []
        for its_name, data in pairs:
            if its_name != name or data[:start] != front or data[end:] != back:  # slices are cheaper than startswith here
                break
            literals.append(data[start:end])
        try:
            texts = _strings(b"[" + b",\n".join(literals) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return []
        if len(texts) != len(literals):
            return []
        return texts if "" not in texts else texts[: texts.index("")]


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
