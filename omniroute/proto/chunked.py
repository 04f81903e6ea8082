"""A strict decoder for the chunked transfer coding (RFC 9112 section 7.1).

A chunk size is one to sixteen hexadecimal digits and nothing else.  An extension must follow the grammar.  Every line ends
with CRLF.  Trailer fields are checked, limited in size and dropped, as section 7.1.2 permits.

One read may bring many thousands of one-byte chunks, and decoding them all would block the event loop.  So each call of
``feed`` decodes a limited number of lines and leaves the remainder in ``rest``.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from .framing import ProtocolError

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # possessive: backtracking would take quadratic time
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?+)*+")
_PLAIN_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_TRAILER: Final = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*")
_BROKEN_LINE: Final = re.compile(rb"(?<!\r)\n|\r[^\n]")
_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 8 * 1024
_MAX_SURPLUS: Final = 16 * 1024  # bytes of size lines beyond _FREE a line and twice the data: stops floods of extensions
_FREE: Final = 16
_LINES: Final = 128  # decoded in one call of feed()


class _At(IntEnum):
    SIZE = 0
    DATA = 1
    DATA_END = 2
    TRAILER = 3
    DONE = 4


class ChunkDecoder:
    """Decodes one chunked body.

    After each :meth:`feed`, ``rest`` holds the undecoded bytes: feed them again, or, once ``complete``, treat them as the
    start of the next message.
    """

    __slots__ = ("_at", "_left", "_surplus", "_tail", "_trailers", "rest")

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._left = 0  # bytes of the current chunk still to come
        self._tail = b""  # an unfinished line
        self._trailers = 0
        self._surplus = 0
        self.rest = b""

    @property
    def complete(self) -> bool:
        return self._at is _At.DONE

    @property
    def announced(self) -> int:
        """Bytes of the current chunk still to come."""
        return self._left

    def feed(self, data: bytes) -> bytes:
        """The body bytes in *data*.  Raises :class:`ProtocolError` (400)."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        self.rest = b""
        out: list[bytes] = []
        at = lines = 0
        while at < len(data) and self._at is not _At.DONE:
            if self._at is _At.DATA:
                at = self._take(data, at, out)
                continue
            lines += 1
            if lines > _LINES:
                break
            if self._at is _At.SIZE and (end := self._whole_chunk(data, at, out)):
                at = end
                continue
            end = self._line_end(data, at)
            if end < 0:
                self._tail = data[at:]
                break
            self._line(data[at:end])
            at = end + 2
        if self._at is _At.DONE or lines > _LINES:
            self.rest = data[at:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _take(self, data: bytes, at: int, out: list[bytes]) -> int:
        piece = data[at : at + self._left]
        out.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._at = _At.DATA_END
        return at + len(piece)

    def _whole_chunk(self, data: bytes, at: int, out: list[bytes]) -> int:
        """The fast path: decode the chunk at *at* and return where it ends, or 0 if it has an extension or is incomplete."""
        found = _PLAIN_SIZE.match(data, at)
        if found is None:
            return 0
        size = int(found[1], 16)
        start = found.end()
        end = start + size
        if not size or data[end : end + 2] != b"\r\n":
            return 0
        out.append(data[start:end])
        if self._surplus:
            self._surplus = max(0, self._surplus - 2 * size)
        return end + 2

    def _line_end(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + _MAX_LINE)
        if end < 0 and (len(data) - at >= _MAX_LINE or _BROKEN_LINE.search(data, at)):
            raise ProtocolError(400, "invalid chunk line")
        if self._at is _At.DATA_END and end != at and data[at : at + 2] != b"\r":
            raise ProtocolError(400, "chunk data is longer than its size")
        return end

    def _line(self, line: bytes) -> None:
        if self._at is _At.DATA_END:
            self._at = _At.SIZE
        elif self._at is _At.SIZE:
            found = _SIZE_LINE.fullmatch(line)
            if found is None:
                raise ProtocolError(400, "invalid chunk size")
            self._left = int(found[1], 16)
            self._surplus = max(0, self._surplus + len(line) - _FREE - 2 * self._left)
            if self._surplus > _MAX_SURPLUS:
                raise ProtocolError(400, "chunk extensions too large")
            self._at = _At.DATA if self._left else _At.TRAILER
        elif not line:
            self._at = _At.DONE
        else:
            self._trailers += len(line)
            if self._trailers > _MAX_TRAILERS:
                raise ProtocolError(431, "trailer section too large")
            if not _TRAILER.fullmatch(line):
                raise ProtocolError(400, "invalid trailer field")
