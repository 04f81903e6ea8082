"""One timer per connection, re-armed lazily.

A busy keep-alive connection changes its deadline several times a request.  Moving a deadline *later*, by far the common
case, is one store: the timer that is already armed fires, sees that it is early and sleeps on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from ..clock import Clock, Timer


class Deadline:
    """Calls back once when the time set last has passed."""

    __slots__ = ("_at", "_callback", "_clock", "_due", "_timer")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._at = inf
        self._due = inf  # when the armed timer fires
        self._timer: Timer | None = None

    @property
    def armed(self) -> bool:
        return self._at < inf

    def set(self, delay: float) -> None:
        """Expire in *delay* seconds, instead of whatever was set before."""
        self._at = at = self._clock.monotonic() + delay
        if at < self._due:
            self._arm(delay)

    def clear(self) -> None:
        """Do not expire."""
        self._at = inf

    def stop(self) -> None:
        """As :meth:`clear`, and let go of the timer: the connection is over."""
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
