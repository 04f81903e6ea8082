"""Budgets: what has been spent and what may still be spent.

A *purse* is what a limit applies to: a gateway key, or all calls that a policy matches.  A call reserves its possible cost
before it is sent, and is charged its actual cost when it ends.  Neither awaits, so parallel calls cannot exceed a limit
together.  Windows are in UTC: the day, the week from Monday, the calendar month.
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
THRESHOLD: Final = 0.8  # fraction of a limit at which a warning is given
EPSILON: Final = 1e-9  # dollars: tolerance for rounding errors in sums
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
    """The start of the current day, week and month, or their end, in Unix seconds."""

    daily: float
    weekly: float
    monthly: float


class Purse(NamedTuple):
    """One purse and its limits; ``id`` as in the usage tables, ``policy`` the name of the policy that sets the limits."""

    id: str
    budget: Budget
    policy: str = ""


class Reservation(NamedTuple):
    """What a call has reserved.  ``warning`` is a text for the client about the purse window closest to its limit."""

    purses: tuple[Purse, ...]
    amount: float
    warning: str = ""


class Spent(Struct):
    """The sums of one purse in the current windows, and what calls in flight have reserved."""

    sums: list[float]
    since: Windows
    reserved: float = 0.0
    unpriced: int = 0  # today's calls whose price is unknown
    warned: set[str] = set()


class Check(NamedTuple):
    """One window of a purse, with a further call that would cost ``projected`` dollars."""

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
        """The error message for the client."""
        return f"{self.period.capitalize()} budget exceeded: ${self.used + self.projected:.4f} / ${self.limit:.2f}"


def windows(now: float) -> Windows:
    """The starts of the windows that contain *now*."""
    day = now // DAY * DAY
    week = day - (day // DAY + 3) % 7 * DAY  # 1970 began on a Thursday
    month = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Windows(day, week, month.timestamp())


def ends(since: Windows) -> Windows:
    """The ends of the windows that began at *since*."""
    month = datetime.fromtimestamp(since.monthly, UTC)
    following = (month + timedelta(days=31)).replace(day=1)
    return Windows(since.daily + DAY, since.weekly + 7 * DAY, following.timestamp())


class Budgets:
    """All purses.  Owned by the event loop; no method awaits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._purses: dict[str, Spent] = {}
        self._since = Windows(0, 0, 0)
        self._ends = self._since
        self._unpriced: set[str] = set()

    def restore(self, spent: Mapping[str, Sequence[float]]) -> None:
        """Replace the sums by those from the database: *spent* maps purses to day, week and month.

        Reservations of calls in flight are kept.
        """
        since = self._windows()
        reserved = {id: purse.reserved for id, purse in self._purses.items() if purse.reserved}
        self._purses = {
            id: Spent([*spent.get(id, (0.0, 0.0, 0.0))], since, reserved.get(id, 0.0)) for id in {**spent, **reserved}
        }

    def used(self, id: str) -> tuple[float, float, float]:
        """Dollars spent from a purse in the current day, week and month."""
        day, week, month = self._spent(id).sums if id in self._purses else (0.0, 0.0, 0.0)
        return day, week, month

    def unpriced(self, id: str) -> int:
        """The number of today's calls whose cost is unknown."""
        return self._spent(id).unpriced if id in self._purses else 0

    def checks(self, purse: Purse, amount: float = 0.0) -> list[Check]:
        """A check of each limited window of *purse* for a further call of *amount* dollars."""
        spent = self._spent(purse.id)
        return [
            Check(period, used + spent.reserved, amount, limit, end)
            for period, used, limit, end in zip(PERIODS, spent.sums, purse.budget.limits, self._ends, strict=True)
            if limit > 0
        ]

    def reserve(self, purses: Sequence[Purse], amount: float | None, least: float | None = None) -> Reservation:
        """Reserve *amount* dollars in all of *purses*, or in none; None is an unknown cost, for which nothing is reserved.

        If *amount* is an estimate, *least* is the minimum cost.  Such a call is admitted if the minimum fits and anything is
        left, and it reserves at most what is left.  So of several parallel calls only the last can exceed the limit.
        Raises ``OmniError("budget_exceeded")`` with ``retry_after``, the seconds until the window ends.
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
        """Free what a finished call has reserved.  Call exactly once per reservation."""
        for purse in reservation.purses:
            spent = self._spent(purse.id)
            spent.reserved = max(0.0, spent.reserved - reservation.amount)
            if spent.reserved < EPSILON:
                spent.reserved = 0.0

    def charge(self, ids: Iterable[str], cost: float | None) -> None:
        """Add the actual cost of a call to the purses *ids*; None = unknown."""
        for id in ids:
            spent = self._spent(id)
            if cost is None:
                spent.unpriced += 1
            else:
                spent.sums = [used + cost for used in spent.sums]

    def note_unpriced(self, name: str) -> None:
        """Log once that calls to *name* count towards no budget because its price is unknown."""
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
        """Remove the purse of a deleted key or policy, unless calls in flight have reservations in it."""
        if (spent := self._purses.get(id)) is not None and not spent.reserved:
            del self._purses[id]

    def _windows(self) -> Windows:
        now = self._clock.time()
        if not self._since.daily - DAY <= now < self._ends.daily:  # a clock set back over midnight begins no second window
            self._since = windows(now)
            self._ends = ends(self._since)
        return self._since

    def _spent(self, id: str) -> Spent:
        """The purse, made if necessary, with sums reset for windows that have ended."""
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
