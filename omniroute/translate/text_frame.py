"""Fast decoding of stream chunks that differ in their text alone.

Most chunks of a stream are like that.  A chunk whose bytes around one JSON string equal those of a decoded chunk is that
chunk with another text, so only the string must be decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_string: Final = msgspec.json.Decoder(str).decode
_lines: Final = msgspec.json.Encoder().encode_lines
_strings: Final = msgspec.json.Decoder(list[str]).decode


class TextFrame:
    """The bytes around the text of a chunk."""

    __slots__ = ("_back", "_ends", "_front", "_starts")

    def __init__(self, front: bytes, back: bytes) -> None:
        self._front = front
        self._back = back
        self._starts = len(front)
        self._ends = len(back)

    def text(self, data: bytes) -> str:
        """Return the text of *data* if the rest of it equals this frame; else ""."""
        if data.startswith(self._front) and data.endswith(self._back):
            try:
                return _string(data[self._starts : len(data) - self._ends])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
        return ""

    def texts(self, data: bytes) -> list[str]:
        """Return the texts of *data* if it consists of this frame, once or several times; else []."""
        if not (data.startswith(self._front) and data.endswith(self._back)):
            return []
        return _several(data[self._starts : len(data) - self._ends].split(self._back + self._front))

    def of_event(self, name: bytes) -> TextFrame:
        """Return the frame of a server-sent event whose data fits this one: one data line, line ends LF.

        *name*: the event's name, b"" for none.
        """
        return TextFrame((b"event: %b\ndata: " % name if name else b"data: ") + self._front, self._back + b"\n\n")

    def run(self, data: bytes, at: int) -> tuple[list[str], int]:
        """Decode a run of server-sent events of *data* that begins at *at*: (texts, end of the run), or ``([], at)``.

        All events of the run fit this frame (:meth:`of_event`), and one more such event follows: its beginning marks the end
        of the last text.

        All texts are decoded at once, in C.  A JSON string holds no line feed, so what stands between two texts is never in
        one; if there are as many strings as events, each event has exactly one.
        """
        opening, closing = self._front, self._back
        between = closing + opening
        end = data.rfind(between, at)
        if end < 0:
            return [], at
        row, literal = data[at:end], itemgetter(slice(len(opening), None))
        literals = list(map(literal, row.split(closing)))  # cheaper than splitting at the longer ``between``
        if opening + between.join(literals) != row:
            return [], at
        texts = _several(literals)
        return (texts, end + len(closing)) if texts else ([], at)


def _several(parts: list[bytes]) -> list[str]:
    """Decode *parts* if each is one JSON string and none is empty; else []."""
    try:
        texts = _strings(b"[" + b",\n".join(parts) + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return texts if len(texts) == len(parts) and "" not in texts else []


def literals(texts: Sequence[str]) -> list[bytes]:
    """Return each of *texts* as a JSON string, which never contains a line feed."""
    return _lines(texts)[:-1].split(b"\n")


def framed(texts: Sequence[str], front: bytes, back: bytes) -> bytes:
    """Return each of *texts* as a JSON string between *front* and *back*.  No line feed below is inside a string."""
    lines = msgspec.json.format(_encode(texts), indent=1)  # [\n "a",\n "b"\n]
    return front + lines[3:-2].replace(b",\n ", back + front) + back


def frame_of(data: bytes, member: bytes, text: str) -> TextFrame | None:
    """Return the frame of *text*, the value of the only *member* (``b'"content":'``) in *data*; None if ambiguous."""
    literal = _encode(text)
    at = data.find(literal)
    front = data[:at] if at > 0 else b""
    if data.count(literal) != 1 or data.count(member) != 1 or not front.rstrip(b" ").endswith(member):
        return None
    return TextFrame(front, data[at + len(literal) :])
