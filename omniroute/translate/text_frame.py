"""Fast decoding of stream chunks that differ in their text alone.

Most chunks of a stream are like that.  A chunk whose bytes around one JSON string equal those of a decoded chunk is that
chunk with another text, so only the string must be checked, and can be passed on as it is.

*Escaped* text is what stands between the quotes of a JSON string.  Pieces of it can be put together, and into other JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_string: Final = msgspec.json.Decoder(str).decode
_strings: Final = msgspec.json.Decoder(list[str]).decode
_BACKSLASH: Final = ord("\\")


class TextFrame:
    """The bytes around the text of a chunk, the string's quotes included."""

    __slots__ = ("_back", "_between", "_ends", "_front", "_starts")

    def __init__(self, front: bytes, back: bytes) -> None:
        self._front = front
        self._back = back
        self._between = back + front
        self._starts = len(front) - 1  # where the string starts, with its quote
        self._ends = len(back) - 1

    def text(self, data: bytes) -> str:
        """Return the text of *data* if the rest of it equals this frame; else ""."""
        if data.startswith(self._front) and data.endswith(self._back):
            try:
                return _string(data[self._starts : len(data) - self._ends])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
        return ""

    def escaped(self, data: bytes) -> list[bytes]:
        """Return the escaped texts of *data* if it consists of this frame, once or several times; else []."""
        if not (data.startswith(self._front) and data.endswith(self._back)):
            return []
        return _valid(data[self._starts + 1 : len(data) - self._ends - 1].split(self._between))

    def of_event(self, name: bytes) -> TextFrame:
        """Return the frame of a server-sent event whose data fits this one: one data line, line ends LF.

        *name*: the event's name, b"" for none.
        """
        return TextFrame((b"event: %b\ndata: " % name if name else b"data: ") + self._front, self._back + b"\n\n")

    def run(self, data: bytes, at: int) -> tuple[list[bytes], int]:
        """Find a run of server-sent events of *data* that begins at *at*: (escaped texts, end of the run), or ``([], at)``.

        All events of the run, at least two, fit this frame (:meth:`of_event`).  The beginning of the next one marks the end
        of a text; the last event is left if its text contains a quote, so that its end is not known.
        """
        opening, closing = self._front, self._back
        end = data.rfind(self._between, at)
        if end < 0:
            return [], at
        row, text = data[at:end], itemgetter(slice(len(opening), None))
        texts = list(map(text, row.split(closing)))  # cheaper than splitting at the longer ``_between``
        if opening + self._between.join(texts) != row:
            return [], at
        end += len(closing)
        last = end + len(opening)
        if (quote := data.find(b'"', last)) > last and data.startswith(closing, quote) and data[quote - 1] != _BACKSLASH:
            texts.append(data[last:quote])
            end = quote + len(closing)
        return (texts, end) if _valid(texts) else ([], at)


def _valid(texts: list[bytes]) -> list[bytes]:
    """Return *texts* if each is escaped text and none is empty; else [].

    All are checked at once, in C: a JSON string holds no line feed, so what stands between two texts is never in one, and if
    there are as many strings as texts, each text is exactly one.
    """
    try:
        read = _strings(b'["' + b'",\n"'.join(texts) + b'"]')
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return texts if len(read) == len(texts) and b"" not in texts else []


def escape(text: str) -> bytes:
    return _encode(text)[1:-1]


def unescape(texts: Iterable[bytes]) -> str:
    """Return the text of several pieces of escaped text."""
    return _string(b'"%b"' % b"".join(texts))


def framed(texts: Sequence[bytes], front: bytes, back: bytes) -> bytes:
    """Return each of the escaped *texts* as a JSON string between *front* and *back*."""
    opening, closing = front + b'"', b'"' + back
    return opening + (closing + opening).join(texts) + closing


def frame_of(data: bytes, member: bytes, text: str) -> TextFrame | None:
    """Return the frame of *text*, the value of the only *member* (``b'"content":'``) in *data*; None if ambiguous."""
    literal = _encode(text)
    at = data.find(literal)
    front = data[:at] if at > 0 else b""
    if data.count(literal) != 1 or data.count(member) != 1 or not front.rstrip(b" ").endswith(member):
        return None
    return TextFrame(front + b'"', data[at + len(literal) - 1 :])
