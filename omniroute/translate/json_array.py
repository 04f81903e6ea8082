"""A streamed JSON array cut into its objects, as they arrive (``streamGenerateContent`` without ``alt=sse``).

Only strings and brackets are examined (RFC 8259), each byte once, so the cost is linear however the array is cut.  A bare
object in place of the array, as in error answers, is returned as it is.
"""

from __future__ import annotations

import re
from typing import Final

from .format import BadAnswer

MOST: Final = 64 * 1024 * 1024  # bytes of one object: images come as base64 in one piece
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')


class JsonArrayReader:
    """Feed it bytes, get whole objects.  Raises BadAnswer for anything but an array of objects or one object."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._parts: list[bytes] = []  # the pieces of the open object
        self._size = 0
        self._depth = 0
        self._string = False
        self._escaped = False  # the previous byte was a backslash in a string
        self._array = False
        self._closed = False
        self._began = False

    def feed(self, data: bytes) -> list[bytes]:
        out: list[bytes] = []
        at = 0
        while at < len(data):
            at = self._within(data, at, out) if self._depth else self._outside(data, at)
        return out

    def finish(self) -> bool:
        """Return whether the body was complete; call it at the body's end."""
        return not self._depth and self._began and (self._closed or not self._array)

    def _outside(self, data: bytes, at: int) -> int:
        """Skip to the next object."""
        byte = data[at : at + 1]
        if not self._began and byte in (b"\xef", b"\xbb", b"\xbf"):  # byte order mark
            return at + 1
        if byte in (b" ", b"\t", b"\r", b"\n") or (byte == b"," and self._array):
            return at + 1
        if self._closed or (self._began and not self._array):
            raise BadAnswer(f"data after the end: {data[at : at + 40]!r}")
        if byte == b"[" and not self._began:
            self._array = self._began = True
        elif byte == b"]" and self._array:
            self._closed = True
        elif byte == b"{":
            self._began, self._depth = True, 1
            self._hold(byte)
        else:
            raise BadAnswer(f"not an array of objects: {data[at : at + 40]!r}")
        return at + 1

    def _within(self, data: bytes, start: int, out: list[bytes]) -> int:
        """Continue the open object; return where it ends, or the end of *data*."""
        at = start
        while self._depth:
            if self._escaped:
                self._escaped = False
                at += 1
            found = (_INSIDE if self._string else _OUTSIDE).search(data, at)
            if found is None:
                self._hold(data[start:])
                return len(data)
            at = found.end()
            byte = found[0]
            if byte == b"\\":
                self._escaped = True
                if at == len(data):
                    self._hold(data[start:])
                    return at
            elif byte == b'"':
                self._string = not self._string
            else:
                self._depth += 1 if byte in (b"{", b"[") else -1
        self._hold(data[start:at])
        out.append(b"".join(self._parts))
        self._parts, self._size = [], 0
        return at

    def _hold(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > self._most:
            raise BadAnswer("an object of the stream is too long")
