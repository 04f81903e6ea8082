"""Limits how many calls of one model run at a time in a round-robin combo."""

from __future__ import annotations

import asyncio
from collections import deque

from ..clock import Clock


class Gate:
    """A fair semaphore with a timeout; owned by one event loop."""

    __slots__ = ("_limit", "_waiting", "running")

    def __init__(self) -> None:
        self.running = 0
        self._limit = 1
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @property
    def idle(self) -> bool:
        """Whether no call holds a slot or waits for one."""
        return not self.running and not self._waiting

    async def enter(self, clock: Clock, limit: int, patience: float) -> bool:
        """Take one of *limit* slots; False when none became free within *patience* seconds, or after :meth:`turn_away`."""
        self._limit = limit
        if self.running < limit and not self._waiting:
            self.running += 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._serve()  # the limit may have been raised
        timer = clock.call_later(patience, _settle, place, False)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave()  # the slot was granted in the same moment
            raise
        finally:
            timer.cancel()
            if place in self._waiting:
                self._waiting.remove(place)
                self._serve()

    def leave(self) -> None:
        """Give the slot back to the call that has waited longest."""
        self.running -= 1
        self._serve()

    def turn_away(self) -> None:
        """Send all waiting calls away, because the model is cooling."""
        while self._waiting:
            _settle(self._waiting.popleft(), False)

    def _serve(self) -> None:
        while self._waiting and self.running < self._limit:
            if _settle(self._waiting.popleft(), True):
                self.running += 1


def _settle(place: asyncio.Future[bool], outcome: bool) -> bool:
    if place.done():
        return False
    place.set_result(outcome)
    return True
