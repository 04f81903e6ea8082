"""A fake clock, so that tests never sleep."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Has the methods of :class:`omniroute.clock.Clock`; time moves only through :meth:`advance`."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self.now = now
        self._order = count()
        self._queue: list[tuple[float, int, FakeTimer, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._queue, (self.now + delay, next(self._order), timer, lambda: callback(*args)))
        return timer

    async def sleep(self, seconds: float) -> None:
        done = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def advance(self, seconds: float) -> None:
        """Advance the time and run, in order, every timer that becomes due."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            due, _, timer, callback = heapq.heappop(self._queue)
            self.now = due
            if not timer.cancelled:
                callback()
        self.now = end

    @property
    def pending(self) -> int:
        return sum(not timer.cancelled for _, _, timer, _ in self._queue)
