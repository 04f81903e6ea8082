"""An incremental reader for newline-delimited JSON, with the interface of :mod:`.sse`: each line is an event.

Lines end with LF or CRLF.  Blank lines are skipped.  The last line needs no line end.
"""

from __future__ import annotations

from .sse import Event, EventTooLarge


class NDJSONReader:
    """Takes bytes and returns ``(b"", line)`` for each complete line of at most ``limit`` bytes."""

    __slots__ = ("_limit", "_pieces", "_size")

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []  # of the line that is not complete yet
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The lines that *data* completes.  Raises :class:`~.sse.EventTooLarge`."""
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        whole, rest = data[:end], data[end + 1 :]
        if self._pieces:
            first, newline, others = whole.partition(b"\n")
            self._keep(first)
            whole = b"".join([*self._pieces, newline, others])
            self._pieces, self._size = [], 0
        self._keep(rest)
        return self._events(whole.split(b"\n"))

    def finish(self) -> list[Event]:
        """Declare the end of the stream; returns an unterminated last line, which may be truncated."""
        line, self._pieces, self._size = b"".join(self._pieces), [], 0
        return self._events([line])

    def _events(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if len(line) > self._limit:
                raise EventTooLarge(f"a line is longer than {self._limit} bytes")
            if line and not line.isspace():
                events.append((b"", line))
        return events

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > self._limit + 1:  # a CR at the end does not count
                raise EventTooLarge(f"a line is longer than {self._limit} bytes")
