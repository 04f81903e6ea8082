"""Rate limits per connection: fixed ones for protected connections, and for all those learned from responses.

One object owned by the event loop.  A connection without a limit has no state here; while none has, ``lanes`` is empty and
calls skip the limiter.  Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from ..clock import Clock, Timer
from ..proto.headers import Headers
from . import ratelimit_headers as told
from .snapshot import Connection, RateDefaults

_MINUTE: Final = 60.0
_LONGEST: Final = 86_400.0  # a reset further away than a day is an error: some vendors send the largest possible time
_HELD_BACK: Final = 0.2  # seconds between calls after a vendor reported that they come too fast
_SLACK: Final = 0.010  # seconds subtracted from a learned spacing
_SOON: Final = 1e-6  # a shorter wait counts as none
_IN_LINE: Final = 0.001  # seconds added for each waiting call, so that of two equal lanes the shorter queue wins


class Rules(NamedTuple):
    """Fixed limits; 0 = none."""

    per_minute: int = 0
    spacing: float = 0.0
    concurrent: int = 0


FREE: Final = Rules()


def rules_of(account: Connection, defaults: RateDefaults, profile: str) -> Rules:
    """The fixed limits of *account*: none unless it is protected; pacing only for API keys, and not for local servers."""
    if not account.rate_limit_protection:
        return FREE
    if account.auth_type != "apikey":
        return Rules(concurrent=defaults.concurrent)
    return Rules(defaults.per_minute, 0.0 if profile == "local" else defaults.spacing, defaults.concurrent)


class Lane:
    """The limits of one connection and its queue.  Each running call holds a slot until ``Limiter.leave``."""

    __slots__ = (
        "id", "last", "left", "minute_left", "minute_until", "queue", "rules", "running", "spaced_until", "spacing",
        "timer", "until",
    )  # fmt: skip

    def __init__(self, id: str) -> None:
        self.id = id
        self.rules = FREE
        self.running = 0
        self.queue: deque[asyncio.Future[Lane | None]] = deque()
        self.last = -inf  # when the last call started
        self.left = 0  # learned: calls permitted until ``until``
        self.until = -inf
        self.spacing = 0.0  # learned: seconds between calls until ``spaced_until``
        self.spaced_until = -inf
        self.minute_left = 0  # calls left of the fixed limit until ``minute_until``
        self.minute_until = -inf
        self.timer: Timer | None = None

    def wait(self, now: float) -> float:
        """Seconds until one more call may start; ``inf`` when a running call must end first."""
        rules = self.rules
        if rules.concurrent and self.running >= rules.concurrent:
            return inf
        wait = self.last + self._gap(now) - now
        if now < self.until and self.left <= 0:
            wait = max(wait, self.until - now)
        if rules.per_minute and now < self.minute_until and self.minute_left <= 0:
            wait = max(wait, self.minute_until - now)
        return wait if wait > _SOON else 0.0

    def estimate(self, now: float) -> float:
        """The minimum wait of a call that arrives now, in seconds."""
        wait = self.wait(now)
        return (0.0 if wait == inf else wait) + len(self.queue) * self._gap(now)

    def start(self, now: float) -> None:
        """Count the start of a call against every limit."""
        self.running += 1
        self.last = now
        if now < self.until:
            self.left -= 1
        if per_minute := self.rules.per_minute:
            if now >= self.minute_until:
                self.minute_left, self.minute_until = per_minute, now + _MINUTE
            self.minute_left -= 1

    def idle(self, now: float) -> bool:
        """Whether the lane has no calls and no limit in effect, so that it can be removed."""
        if self.running or self.queue or now < self.until or now < self.spaced_until:
            return False
        return self.rules == FREE or (now >= self.minute_until and now >= self.last + self.rules.spacing)

    def _gap(self, now: float) -> float:
        """The required seconds between the starts of two calls."""
        return max(self.rules.spacing, self.spacing) if now < self.spaced_until else self.rules.spacing


class Limiter:
    """The lanes of all connections, and the rate limit fields of their last responses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, Headers]] = {}  # connection id -> Unix time, fields
        self.lanes: dict[str, Lane] = {}

    def pick(self, accounts: Sequence[Connection]) -> int:
        """The index in *accounts* of the first that is free now, else of the one that will be free first."""
        now = self._clock.monotonic()
        best, least = 0, inf
        for at, account in enumerate(accounts):
            lane = self.lanes.get(account.id)
            if lane is not None and lane.idle(now):
                del self.lanes[account.id]
                lane = None
            if lane is None or (not lane.queue and not lane.wait(now)):
                return at
            wait = lane.estimate(now) + _IN_LINE * len(lane.queue)
            if wait < least:
                best, least = at, wait
        return best

    async def enter(self, account: Connection, rules: Rules, patience: float) -> Lane | None:
        """Wait for a slot, first come, first served; returns the lane, to be passed to :meth:`leave`.

        None: the wait would exceed, or has exceeded, *patience* seconds, or the account began to cool.
        """
        lane, now = self._lane(account.id), self._clock.monotonic()
        lane.rules = rules
        if not lane.queue and not lane.wait(now):
            lane.start(now)
            return lane
        if lane.estimate(now) > patience:
            return None
        waiter: asyncio.Future[Lane | None] = asyncio.get_running_loop().create_future()
        lane.queue.append(waiter)
        self._pump(lane)
        timer = self._clock.call_later(patience, _answer, waiter, None)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result() is not None:
                self.leave(lane)  # the slot was granted in the same moment
            raise
        finally:
            timer.cancel()
            if waiter in lane.queue:
                lane.queue.remove(waiter)
                self._pump(lane)

    def leave(self, lane: Lane) -> None:
        """Give a slot back."""
        lane.running -= 1
        self._pump(lane)
        if lane.idle(self._clock.monotonic()) and self.lanes.get(lane.id) is lane:
            del self.lanes[lane.id]

    def dismiss(self, connection_id: str) -> None:
        """Send away all calls that wait for the connection, because it is cooling."""
        if (lane := self.lanes.get(connection_id)) is not None:
            while lane.queue:
                _answer(lane.queue.popleft(), None)

    def wait(self, connection_id: str) -> float:
        """The seconds that a call would now wait for the connection; 0 = it is free."""
        lane = self.lanes.get(connection_id)
        return lane.estimate(self._clock.monotonic()) if lane is not None else 0.0

    def learn(self, connection_id: str, fields: Headers) -> None:
        """Apply the rate limit fields of a response."""
        if not (found := told.relevant(fields)):
            return
        now = self._clock.time()
        self._said[connection_id] = (now, found)
        if connection_id not in self.lanes and told.plenty(found):
            return
        for quota in told.quotas(found, now):
            self._obey(connection_id, quota)
        if told.over_limit(found):
            self._space(connection_id, _HELD_BACK, _MINUTE)

    def refused(self, connection_id: str, seconds: float | None) -> None:
        """Stop calls on a protected connection after a 429, for *seconds* or else for a minute."""
        self._allow(connection_id, 0, _MINUTE if seconds is None else seconds)

    def _obey(self, connection_id: str, quota: told.Quota) -> None:
        """Limit calls by *quota*.  Below a tenth left: only that many.  Above half: no limit.  Between: evenly spaced."""
        reset = _MINUTE if quota.reset is None else min(quota.reset, _LONGEST)
        if quota.remaining is None or reset <= 0:
            return
        if quota.kind != "requests":  # it is unknown for how many calls the tokens suffice
            if quota.remaining == 0:
                self._allow(connection_id, 0, reset)
            return
        limit = quota.limit or 0
        if quota.remaining * 10 < limit or quota.remaining == 0:
            self._allow(connection_id, quota.remaining, reset)
        elif quota.remaining * 2 > limit:
            if (lane := self.lanes.get(connection_id)) is not None:
                lane.until = lane.spaced_until = -inf
                self._pump(lane)
        else:
            self._space(connection_id, max(0.0, _MINUTE / limit - _SLACK), reset)

    def _allow(self, connection_id: str, calls: int, seconds: float) -> None:
        lane, until = self._lane(connection_id), self._clock.monotonic() + seconds
        same = abs(lane.until - until) < 1.0  # responses about the same window may arrive in any order
        lane.left = min(lane.left, calls) if same else calls
        lane.until = max(lane.until, until) if same or not calls else until
        self._pump(lane)

    def _space(self, connection_id: str, spacing: float, seconds: float) -> None:
        lane = self._lane(connection_id)
        lane.spacing, lane.spaced_until = spacing, self._clock.monotonic() + seconds
        self._pump(lane)

    def _lane(self, connection_id: str) -> Lane:
        lane = self.lanes.get(connection_id)
        if lane is None:
            lane = self.lanes[connection_id] = Lane(connection_id)
        return lane

    def _pump(self, lane: Lane) -> None:
        """Start all waiting calls that may start, and set a timer for the next one."""
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        now = self._clock.monotonic()
        while lane.queue:
            if lane.queue[0].done():
                lane.queue.popleft()
            elif (wait := lane.wait(now)) == 0.0:
                lane.start(now)
                _answer(lane.queue.popleft(), lane)
            else:
                if wait != inf:
                    lane.timer = self._clock.call_later(wait, self._pump, lane)
                return

    def said(self, connection_id: str) -> list[told.Quota]:
        """The quotas in the connection's last response, with ``reset`` counted from now."""
        at, fields = self._said.get(connection_id, (0.0, []))
        passed = self._clock.time() - at
        return [
            quota._replace(reset=None if quota.reset is None else max(0.0, quota.reset - passed))
            for quota in told.quotas(fields, at)
        ]

    def forget(self, connection_id: str) -> None:
        """Remove the state of a deleted connection."""
        self._said.pop(connection_id, None)
        self.dismiss(connection_id)
        self.lanes.pop(connection_id, None)

    def clear(self) -> None:
        """Lift all learned limits."""
        for lane in list(self.lanes.values()):
            lane.until = lane.spaced_until = -inf
            self._pump(lane)


def _answer(waiter: asyncio.Future[Lane | None], lane: Lane | None) -> None:
    if not waiter.done():
        waiter.set_result(lane)
