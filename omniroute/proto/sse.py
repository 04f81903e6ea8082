"""An incremental reader for server-sent events (WHATWG HTML section 9.2.6).

Line ends may be LF, CRLF or CR, mixed.  A byte order mark at the start is skipped.  Comments, ``id`` and ``retry`` are
ignored.  The reader departs from the standard in four ways, all needed for real providers: :meth:`SSEReader.finish` returns
a last event that no blank line ended; bytes are not decoded, because JSON parsers take bytes; a field ``error`` whose value
is an object is an event of that name (llama.cpp until September 2025); and a bare JSON object that is an error is data,
because Google and some proxies report errors like that.

An event that arrives in many pieces is joined once, when its blank line arrives, so the time is linear for any split.
"""

from __future__ import annotations

import re
from typing import Final

Event = tuple[bytes, bytes]  # name (b"" when the event has none), data

_BOM: Final = b"\xef\xbb\xbf"
_BARE_ERROR: Final = re.compile(rb'\s*\{\s*(?:"error"\s*:|"type"\s*:\s*"error")')
# The two usual shapes: one data line, with or without the event's name before it.
_USUAL: Final = re.compile(rb"(?:event: (.*)\n)?data: (.*)\n\n")


class EventTooLarge(ValueError):
    """An event or line is longer than the reader's limit; the reader must not be used any more."""


def _fields(block: bytes) -> Event | None:
    """The event in the lines between two blank lines; None when they have no data."""
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"error" and value.lstrip()[:1] == b"{":
            name = field
            data.append(value.removeprefix(b" "))
    if not data and _BARE_ERROR.match(block):
        return name, block.strip()
    return (name, b"\n".join(data)) if data else None


def _parse(data: bytes, limit: int) -> list[Event]:
    """The events in *data*, which ends with a blank line."""
    if len(data) <= limit:
        usual: list[Event] = _USUAL.findall(data)
        size = 0
        for name, value in usual:
            size += len(name) + len(value) + (16 if name else 8)
        if size == len(data):  # the pattern matched every byte
            return usual
    events: list[Event] = []
    for block in data.split(b"\n\n"):
        if len(block) > limit:
            raise EventTooLarge(f"an event is longer than {limit} bytes")
        if block and (event := _fields(block)) is not None:
            events.append(event)
    return events


def _join(pieces: list[bytes]) -> bytes:
    return b"".join(pieces)


class SSEReader:
    """Takes bytes and returns ``(event name or b"", data)`` for each complete event of at most ``limit`` bytes."""

    __slots__ = ("_after_cr", "_limit", "_pieces", "_plain", "_size", "_started")

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []  # of the event that is not complete yet, line ends already LF
        self._size = 0
        self._started = False  # past the byte order mark
        self._after_cr = False  # the last bytes ended with CR, so a leading LF now belongs to it
        self._plain = False  # nothing is carried over from the last feed()

    def feed(self, data: bytes) -> list[Event]:
        """The events that *data* completes.  Raises :class:`EventTooLarge`."""
        if self._plain and b"\r" not in data and data.endswith(b"\n\n"):
            return _parse(data, self._limit)
        if not data:
            return []
        data = self._unix(data if self._started else self._start(data))
        events = self._resume(data) if self._pieces else self._rest(data)
        self._plain = self._started and not self._after_cr and not self._pieces
        return events

    def finish(self) -> list[Event]:
        """Declare the end of the stream; returns a last event without its blank line, whose data may be truncated."""
        if not self._pieces:
            return []
        block, self._pieces, self._size = _join(self._pieces), [], 0
        event = _fields(block)
        return [event] if event is not None else []

    def _start(self, data: bytes) -> bytes:
        """Drop the byte order mark.  It may arrive split; until it is recognised, its bytes wait in ``_pieces``."""
        data = _join([*self._pieces, data])
        self._pieces, self._size = [], 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            return data
        self._started = True
        return data.removeprefix(_BOM)

    def _unix(self, data: bytes) -> bytes:
        """Convert line ends to LF.  A CR at the very end counts at once, so that its event need not wait for more bytes."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _resume(self, data: bytes) -> list[Event]:
        """Continue an event that began in an earlier ``feed``."""
        if not data:
            return []
        if data[:1] == b"\n" and self._pieces[-1].endswith(b"\n"):
            end, after = 0, 1
        else:
            end = data.find(b"\n\n")
            after = end + 2
        if end < 0:
            self._keep(data)
            return []
        if self._size + end > self._limit + 1:
            raise EventTooLarge(f"an event is longer than {self._limit} bytes")
        self._pieces.append(data[:end])
        block, self._pieces, self._size = _join(self._pieces), [], 0
        events = _parse(block.removesuffix(b"\n") + b"\n\n", self._limit)
        events += self._rest(data[after:])
        return events

    def _rest(self, data: bytes) -> list[Event]:
        """Parse complete events and keep the beginning of one more, if any."""
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return []
        self._keep(data[end + 2 :])
        return _parse(data[: end + 2], self._limit)

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > self._limit + 1:  # the line end before the blank line does not count
                raise EventTooLarge(f"an event is longer than {self._limit} bytes")
