"""The body of one request on its way in: its size against a limit, its rate against a minimum, its pieces until whole.

Bodies that arrive in pieces and are handed over whole count against one limit for all connections until they are answered:
a few hundred large requests must not fill the memory.  Small ones are read all the same, so the gateway stays manageable.
"""

from __future__ import annotations

from typing import Final

from ..clock import Clock
from ..settings import Limits
from .framing import ProtocolError

_MERGE: Final = 256  # small pieces are joined so many at a time: a body of single bytes must not cost forty times its size
_LARGE: Final = 64 * 1024
_NOT_YET: Final = -1.0


class Held:
    """How many bytes of request bodies all connections together hold."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Intake:
    """One per connection; ``begin`` before each body, ``release`` once its request is answered or given up."""

    __slots__ = ("_base", "_clock", "_held", "_holds", "_large", "_limits", "_mine", "_since", "_small", "limit", "size")

    def __init__(self, limits: Limits, clock: Clock, held: Held) -> None:
        self._held = held
        self._holds = False
        self._mine = 0  # of the bytes in ``held``
        self._limits = limits
        self._clock = clock
        self._large: list[bytes] = []
        self._small: list[bytes] = []
        self._base = 0  # size and time from which the rate is measured
        self._since = _NOT_YET
        self.size = 0
        self.limit = 0  # bytes

    def begin(self, limit: int, announced: int, *, holds: bool = False) -> None:
        """*holds*: the body is kept until it is whole.

        Raises :class:`ProtocolError`: too large by what is *announced* of it (413), or too much is held already (503).
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
        """*size* bytes more, and *announced* to come.  Raises :class:`ProtocolError` (413, 503)."""
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
        """The body is no longer needed."""
        if self._mine:
            self._held.size -= self._mine
            self._mine = 0

    def measure(self) -> None:
        """Measure the rate from now on: what went before was not the client's to decide."""
        self._base = self.size
        self._since = self._clock.monotonic()

    def check_rate(self) -> None:
        """Raises :class:`ProtocolError` (408) when the average since :meth:`measure`, or the first call, is too low."""
        if self._since == _NOT_YET:  # most bodies come in one piece, and nobody needs the time
            self.measure()
        limits = self._limits
        seconds = self._clock.monotonic() - self._since
        if seconds > limits.body_silence and self.size - self._base < limits.body_min_rate * seconds:
            raise ProtocolError(408, "the request body comes too slowly")

    def keep(self, piece: bytes) -> None:
        self._small.append(piece)
        if len(self._small) >= _MERGE or len(piece) >= _LARGE:
            self._large.append(b"".join(self._small))
            self._small.clear()

    def whole(self, last: bytes) -> bytes:
        """What was kept with *last* behind it; nothing is kept any more."""
        if not (self._large or self._small):
            return last
        body = b"".join((*self._large, *self._small, last))
        self.clear()
        return body

    def clear(self) -> None:
        self._large.clear()
        self._small.clear()
