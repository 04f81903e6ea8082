"""One timer per connection, re-armed lazily.

A busy keep-alive connection changes its deadline several times per request.  Moving a deadline *later*, by far the common
case, only stores a number: the armed timer fires at the old time, finds that it is early and re-arms itself.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from ..clock import Clock, Timer


class Deadline:
    """Calls *callback* once when the deadline set last has passed."""

    __slots__ = ("_at", "_callback", "_clock", "_due", "_timer")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._at = inf
        self._due = inf  # when the armed timer fires
        self._timer: Timer | None = None

    def set(self, delay: float) -> None:
        """Expire in *delay* seconds; replaces any earlier deadline."""
        self._at = at = self._clock.monotonic() + delay
        if at < self._due:
            self._arm(delay)

    def at(self, time: float) -> None:
        """Expire at *time* of the clock; replaces any earlier deadline."""
        self._at = time
        if time < self._due:
            self._arm(time - self._clock.monotonic())

    def clear(self) -> None:
        """Remove the deadline."""
        self._at = inf

    def stop(self) -> None:
        """Remove the deadline and cancel the timer, because the connection has ended."""
        self._at = self._due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._at
        self._timer = self._clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._due = inf
        left = self._at - self._clock.monotonic()
        if left > 0:
            if left < inf:
                self._arm(left)
            return
        self._at = inf
        self._callback()
