"""How often something may be done that is worth doing for a person's requests and not for a flood's."""

from __future__ import annotations


class Meter:
    """At most *burst* times at once and *per_second* in the long run (the virtual scheduling of ITU-T I.371)."""

    __slots__ = ("_due", "_slack", "_step")

    def __init__(self, per_second: float, burst: int) -> None:
        self._step = 1 / per_second
        self._slack = burst / per_second
        self._due = 0.0

    def allows(self, now: float) -> bool:
        """Whether it may be done once more at *now*, in seconds; then it counts as done."""
        due = max(self._due, now - self._slack)
        if due > now:
            return False
        self._due = due + self._step
        return True
