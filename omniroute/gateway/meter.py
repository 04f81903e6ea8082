"""A rate limit for optional work that is useful for single requests but too expensive under heavy load."""

from __future__ import annotations


class Meter:
    """Allows at most *burst* times at once and *per_second* in the long run (virtual scheduling, ITU-T I.371)."""

    __slots__ = ("_due", "_slack", "_step")

    def __init__(self, per_second: float, burst: int) -> None:
        self._step = 1 / per_second
        self._slack = burst / per_second
        self._due = 0.0

    def allows(self, now: float) -> bool:
        """Whether the work may be done at *now* (seconds).  True counts it as done."""
        due = max(self._due, now - self._slack)
        if due > now:
            return False
        self._due = due + self._step
        return True
