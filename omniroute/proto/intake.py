"""Receives request bodies: enforces a maximum size and a minimum rate, and collects the pieces of buffered bodies.

Buffered bodies count against one memory limit for all connections until their requests are answered, so that a few hundred
large requests cannot fill the memory.  Bodies up to 64 KiB are always accepted, so the management API stays available.
"""

from __future__ import annotations

from typing import Final

from ..clock import Clock
from ..settings import Limits
from .framing import ProtocolError

_MERGE: Final = 256  # small pieces are joined in groups of this many: a bytes object per byte takes forty times the memory
_LARGE: Final = 64 * 1024
_NOT_YET: Final = -1.0


class Held:
    """The number of bytes of request bodies that all connections hold together."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Intake:
    """One per connection.  Call ``begin`` before each body and ``release`` once its request has been answered or dropped."""

    __slots__ = ("_base", "_clock", "_held", "_holds", "_large", "_limits", "_mine", "_since", "_small", "limit", "size")

    def __init__(self, limits: Limits, clock: Clock, held: Held) -> None:
        self._held = held
        self._holds = False
        self._mine = 0  # this connection's share of ``held``
        self._limits = limits
        self._clock = clock
        self._large: list[bytes] = []
        self._small: list[bytes] = []
        self._base = 0  # the size from which the rate is measured
        self._since = _NOT_YET  # the time from which it is
        self.size = 0
        self.limit = 0  # bytes

    def begin(self, limit: int, announced: int, *, holds: bool = False) -> None:
        """Start a body of at most *limit* bytes; *holds* says that it is buffered until complete.

        Raises :class:`ProtocolError`: 413 when *announced* bytes exceed the limit, 503 when they exceed the free memory.
        """
        self.size = 0
        self._holds = holds
        self.limit = limit
        self._since = _NOT_YET
        if announced > limit:
            raise ProtocolError(413, "request body too large")
        if holds and announced > _LARGE:
            self._check_memory(announced)

    def count(self, size: int, announced: int) -> None:
        """Count *size* more bytes, with *announced* still to come.  Raises :class:`ProtocolError` (413, 503)."""
        self.size += size
        if self.size + announced > self.limit:
            raise ProtocolError(413, "request body too large")
        if self._holds:
            self._held.size += size
            self._mine += size
            if self.size > _LARGE:
                self._check_memory(0)

    def _check_memory(self, announced: int) -> None:
        if self._held.size + announced > self._limits.body_memory:
            raise ProtocolError(503, "too many large requests at once")

    def release(self) -> None:
        """Give back the memory counted for the body."""
        if self._mine:
            self._held.size -= self._mine
            self._mine = 0

    def measure(self) -> None:
        """Measure the rate from now on: delays before this were not the client's."""
        self._base = self.size
        self._since = self._clock.monotonic()

    def check_rate(self) -> None:
        """Raises :class:`ProtocolError` (408) when the average rate since :meth:`measure`, or the first call, is too low."""
        if self._since == _NOT_YET:  # only now: most bodies come in one piece and need no measurement
            self.measure()
        limits = self._limits
        seconds = self._clock.monotonic() - self._since
        if seconds > limits.body_silence and self.size - self._base < limits.body_min_rate * seconds:
            raise ProtocolError(408, "the request body arrives too slowly")

    def keep(self, piece: bytes) -> None:
        """Collect a piece of a buffered body."""
        self._small.append(piece)
        if len(self._small) >= _MERGE or len(piece) >= _LARGE:
            self._large.append(b"".join(self._small))
            self._small.clear()

    def whole(self, last: bytes) -> bytes:
        """The collected pieces followed by *last*; clears the collection."""
        if not (self._large or self._small):
            return last
        body = b"".join((*self._large, *self._small, last))
        self.clear()
        return body

    def clear(self) -> None:
        """Drop the collected pieces."""
        self._large.clear()
        self._small.clear()
