"""What has been spent, and what may still be (routing semantics section 11).

A *purse* is what a limit is on: a gateway key, or all the calls that a policy matches.  A call reserves what it may cost
before it is sent and is charged what it did cost when it ends; both happen between two turns of the event loop, so parallel
calls cannot pass a limit together.  Windows are UTC: the day, the week from Monday, the calendar month.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from ..clock import Clock
from ..errors import OmniError

PERIODS: Final = ("daily", "weekly", "monthly")
DAY: Final = 86_400
THRESHOLD: Final = 0.8  # part of a limit from which on there is a warning
EPSILON: Final = 1e-9  # dollars: sums of floats that are equal but for their rounding
_log = logging.getLogger("omniroute.gateway")


class Budget(Struct, frozen=True):
    """Limits in US dollars, 0 = none."""

    daily: float = 0.0
    weekly: float = 0.0
    monthly: float = 0.0
    threshold: float = THRESHOLD

    @property
    def limits(self) -> tuple[float, float, float]:
        return self.daily, self.weekly, self.monthly


class Windows(NamedTuple):
    """Unix seconds at which the running day, week and month began."""

    daily: float
    weekly: float
    monthly: float


class Purse(NamedTuple):
    """One limit that a call is under; ``id`` as in the books, ``policy`` the name of the policy that set it."""

    id: str
    budget: Budget
    policy: str = ""


class Reservation(NamedTuple):
    """What a call has set aside.  ``warning``: how far the fullest window of its purses is, for the client."""

    purses: tuple[Purse, ...]
    amount: float
    warning: str = ""


class Spent(Struct):
    """The sums of one purse in the running windows, and what calls in flight have reserved."""

    sums: list[float]
    since: Windows
    reserved: float = 0.0
    unpriced: int = 0  # calls of the day whose price is unknown
    warned: set[str] = set()


class Check(NamedTuple):
    """How one window of a purse stands, a call that would cost ``projected`` included."""

    period: str
    used: float
    projected: float
    limit: float
    ends: float  # Unix seconds

    @property
    def exceeded(self) -> bool:
        return self.used + self.projected > self.limit + EPSILON

    @property
    def reason(self) -> str:
        """The contract's words."""
        return f"{self.period.capitalize()} budget exceeded: ${self.used + self.projected:.4f} / ${self.limit:.2f}"


def windows(now: float) -> Windows:
    """The windows that run at *now*."""
    day = now // DAY * DAY
    week = day - (day // DAY + 3) % 7 * DAY  # 1970 began on a Thursday
    month = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Windows(day, week, month.timestamp())


def ends(since: Windows) -> Windows:
    """When they end."""
    month = datetime.fromtimestamp(since.monthly, UTC)
    following = (month + timedelta(days=31)).replace(day=1)
    return Windows(since.daily + DAY, since.weekly + 7 * DAY, following.timestamp())


class Budgets:
    """The purses that have been spent from.  Owned by the event loop; nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._purses: dict[str, Spent] = {}
        self._since = Windows(0, 0, 0)
        self._ends = self._since
        self._unpriced: set[str] = set()

    def restore(self, spent: Mapping[str, Sequence[float]]) -> None:
        """The sums of the running windows by purse, from the books, instead of those kept here.

        What calls in flight have reserved stays reserved.
        """
        since = self._windows()
        reserved = {id: purse.reserved for id, purse in self._purses.items() if purse.reserved}
        self._purses = {
            id: Spent([*spent.get(id, (0.0, 0.0, 0.0))], since, reserved.get(id, 0.0)) for id in {**spent, **reserved}
        }

    def used(self, id: str) -> tuple[float, float, float]:
        """Dollars spent from a purse in the running day, week and month."""
        day, week, month = self._spent(id).sums if id in self._purses else (0.0, 0.0, 0.0)
        return day, week, month

    def unpriced(self, id: str) -> int:
        """The calls of the running day whose cost is unknown."""
        return self._spent(id).unpriced if id in self._purses else 0

    def checks(self, purse: Purse, amount: float = 0.0) -> list[Check]:
        """Each limited window of *purse* as it would be with a call of *amount* dollars more."""
        spent = self._spent(purse.id)
        return [
            Check(period, used + spent.reserved, amount, limit, end)
            for period, used, limit, end in zip(PERIODS, spent.sums, purse.budget.limits, self._ends, strict=True)
            if limit > 0
        ]

    def reserve(self, purses: Sequence[Purse], amount: float | None, least: float | None = None) -> Reservation:
        """Set *amount* dollars aside in all of *purses*, or in none.

        Where *amount* is a guess, *least* is what the call costs in any case: it is let through when that fits and there is
        anything left, and reserves no more than what is left, so that of parallel calls only the last one can go beyond the
        limit.  None is an unknown cost, of which nothing is reserved.
        Raises ``OmniError("budget_exceeded")``, with ``retry_after`` at the end of the window.
        """
        guessed = amount is None or least is not None
        wanted = amount or 0.0
        certain = wanted if least is None else min(least, wanted)
        taken, fullest = wanted, (0.0, "")
        for purse in purses:
            for check in self.checks(purse, certain):
                left = check.limit - check.used
                if check.exceeded or (guessed and left <= EPSILON):
                    wait = max(1.0, check.ends - self._clock.time())
                    message = check.reason + (f' (policy "{purse.policy}")' if purse.policy else "")
                    raise OmniError("budget_exceeded", message, retry_after=wait)
                taken = min(taken, left) if guessed else taken
                part = (check.used + (wanted if wanted <= left + EPSILON else certain)) / check.limit
                if part >= purse.budget.threshold - EPSILON:
                    fullest = max(fullest, (part, f"{check.period} {part:.0%} of ${check.limit:.2f}"))
        for purse in purses:
            self._purses[purse.id].reserved += taken
        return Reservation(tuple(purses), taken, fullest[1])

    def release(self, reservation: Reservation) -> None:
        """The call is over: what it reserved is free again.  Exactly once."""
        for purse in reservation.purses:
            spent = self._spent(purse.id)
            spent.reserved = max(0.0, spent.reserved - reservation.amount)
            if spent.reserved < EPSILON:
                spent.reserved = 0.0

    def charge(self, ids: Iterable[str], cost: float | None) -> None:
        """Enter what a call did cost; None = nobody knows."""
        for id in ids:
            spent = self._spent(id)
            if cost is None:
                spent.unpriced += 1
            else:
                spent.sums = [used + cost for used in spent.sums]

    def note_unpriced(self, name: str) -> None:
        """Say once that calls to *name* pass all budgets because its price is unknown."""
        if name not in self._unpriced and len(self._unpriced) < 1000:
            self._unpriced.add(name)
            _log.warning("the price of %s is unknown, so its calls count towards no budget: set it with /api/pricing", name)

    def warn(self, purse: Purse, name: str) -> None:
        """Log, once per window, that the purse of *name* has passed its threshold."""
        spent = self._spent(purse.id)
        for check in self.checks(purse):
            if check.period not in spent.warned and check.used >= purse.budget.threshold * check.limit - EPSILON:
                spent.warned.add(check.period)
                _log.warning(
                    "%s budget of %s: $%.4f of $%.2f spent or reserved", check.period, name, check.used, check.limit
                )

    def forget(self, id: str) -> None:
        """Neither key nor policy is there any more."""
        if (spent := self._purses.get(id)) is not None and not spent.reserved:
            del self._purses[id]

    def _windows(self) -> Windows:
        now = self._clock.time()
        if not self._since.daily <= now < self._ends.daily:
            self._since = windows(now)
            self._ends = ends(self._since)
        return self._since

    def _spent(self, id: str) -> Spent:
        """The purse with the sums of the windows that run now."""
        since = self._windows()
        spent = self._purses.get(id)
        if spent is None:
            spent = self._purses[id] = Spent([0.0, 0.0, 0.0], since)
        elif spent.since is not since:
            for place, period in enumerate(PERIODS):
                if spent.since[place] != since[place]:
                    spent.sums[place] = 0.0
                    spent.warned.discard(period)
            if spent.since.daily != since.daily:
                spent.unpriced = 0
            spent.since = since
        return spent
