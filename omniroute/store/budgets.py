"""Budgets of gateway keys, and the cost history: tables ``domain_budgets`` and ``domain_cost_history``.

For the term *purse* see :mod:`..gateway.budgets`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from ..clock import Clock
from ..gateway.budgets import DAY, PERIODS, THRESHOLD, Budget, windows
from ..gateway.usage import CallRecord
from .db import Database, Row, Transaction

SELECT: Final = "SELECT * FROM domain_budgets ORDER BY api_key_id"
KEPT_DAYS: Final = 62  # retention of the cost history: twice the longest window
_COLUMNS: Final = ("api_key_id", "cost", "timestamp", "calls")
_SET: Final = """
INSERT INTO domain_budgets (api_key_id, daily_limit_usd, weekly_limit_usd, monthly_limit_usd, warning_threshold,
  reset_interval, reset_time) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (api_key_id) DO UPDATE SET daily_limit_usd = excluded.daily_limit_usd,
  weekly_limit_usd = excluded.weekly_limit_usd, monthly_limit_usd = excluded.monthly_limit_usd,
  warning_threshold = excluded.warning_threshold, reset_interval = excluded.reset_interval, reset_time = excluded.reset_time
"""
_SPENT: Final = """
SELECT api_key_id, total(cost) FILTER (WHERE timestamp >= ?1), total(cost) FILTER (WHERE timestamp >= ?2),
  total(cost) FILTER (WHERE timestamp >= ?3)
FROM domain_cost_history WHERE timestamp >= min(?2, ?3) GROUP BY api_key_id
"""
_COUNT: Final = "SELECT ifnull(sum(calls), 0) FROM domain_cost_history WHERE api_key_id = ?"
_COUNTS: Final = "SELECT api_key_id, sum(calls) FROM domain_cost_history GROUP BY api_key_id"
_PRUNE: Final = "DELETE FROM domain_cost_history WHERE timestamp < ?"


class BudgetRow(Struct, kw_only=True):
    """One key's budget.  ``period`` is the window that the API reports first; ``reset_time`` is stored but has no effect."""

    key_id: str
    daily: float = 0.0
    weekly: float = 0.0
    monthly: float = 0.0
    threshold: float = THRESHOLD
    period: str = "daily"
    reset_time: str = "00:00"

    @property
    def budget(self) -> Budget:
        """The limits in the data plane's form."""
        return Budget(self.daily, self.weekly, self.monthly, self.threshold)

    @property
    def limit(self) -> float:
        """The limit of ``period``, in US dollars."""
        return self.budget.limits[PERIODS.index(self.period)]


def rows_of(records: Iterable[Row]) -> list[BudgetRow]:
    """The rows with at least one limit; a limit that is not a positive number (hand-edited) counts as 0, none."""
    rows = [_row(record) for record in records]
    return [row for row in rows if any(row.budget.limits)]


def in_force(records: Iterable[Row]) -> dict[str, Budget]:
    """Key id -> budget, for the keys that have a limit."""
    return {row.key_id: row.budget for row in rows_of(records)}


def _row(record: Row) -> BudgetRow:
    daily, weekly, monthly = (_dollars(record[f"{period}_limit_usd"]) for period in PERIODS)
    limited = [period for period, limit in zip(PERIODS, (daily, weekly, monthly), strict=True) if limit]
    period = record["reset_interval"]
    threshold = _dollars(record["warning_threshold"])
    return BudgetRow(
        key_id=record["api_key_id"],
        daily=daily,
        weekly=weekly,
        monthly=monthly,
        threshold=threshold if 0 < threshold <= 1 else THRESHOLD,
        period=period if period in limited else next(iter(limited), PERIODS[0]),
        reset_time=record["reset_time"] or "00:00",
    )


def _dollars(value: Any) -> float:
    good = isinstance(value, int | float) and math.isfinite(value) and value > 0
    return float(value) if good else 0.0


def cost_rows(records: Iterable[CallRecord]) -> list[tuple[Any, ...]]:
    """The cost history of one batch: a row (purse, cost, time, calls) per purse and day.

    The time, in Unix milliseconds, is that of the last call in the row.
    """
    sums: dict[tuple[str, int], list[Any]] = {}
    for record in records:
        if record.charged and record.cost:
            at = record.at + record.duration_ms / 1000  # when it was charged
            for id in record.charged:
                group = sums.setdefault((id, int(at // DAY)), [0.0, 0.0, 0])
                group[0] += record.cost
                group[1] = max(group[1], at)
                group[2] += 1
    return [(id, cost, int(at * 1000), calls) for (id, _), (cost, at, calls) in sums.items()]


async def add(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    """Insert *rows*, made by :func:`cost_rows`."""
    await tx.insert("domain_cost_history", _COLUMNS, rows)


class Budgets:
    """The stored limits, and the sums at startup; while the gateway runs, ``gateway/budgets.py`` keeps the sums."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list(self) -> builtins.list[BudgetRow]:
        """All budgets."""
        return rows_of(await self._db.fetch(SELECT))

    async def get(self, key_id: str) -> BudgetRow | None:
        """A key's budget; None when it has none."""
        return next((row for row in await self.list() if row.key_id == key_id), None)

    async def set(self, row: BudgetRow) -> None:
        """Replace the budget of a key; a budget without limits is removed."""
        if not any(row.budget.limits):
            await self.delete(row.key_id)
            return
        values = (row.key_id, row.daily, row.weekly, row.monthly, row.threshold, row.period, row.reset_time)
        async with self._db.change() as tx:
            await tx.execute(_SET, values)

    async def delete(self, key_id: str) -> bool:
        """Remove a key's budget; returns whether it had one."""
        async with self._db.change() as tx:
            return await tx.execute("DELETE FROM domain_budgets WHERE api_key_id = ?", (key_id,)) > 0

    async def spent(self, waiting: Iterable[CallRecord] = ()) -> dict[str, builtins.list[float]]:
        """Purse id -> US dollars spent in the current day, week and month; *waiting* are records not yet in the table."""
        since = [int(begin * 1000) for begin in windows(self._clock.time())]
        found = {row[0]: [row[1], row[2], row[3]] for row in await self._db.fetch(_SPENT, tuple(since))}
        for id, cost, at, _ in cost_rows(waiting):
            sums = found.setdefault(id, [0.0, 0.0, 0.0])
            for place, begin in enumerate(since):
                if at >= begin:
                    sums[place] += cost
        return found

    async def entries(self, id: str) -> int:
        """Number of calls in the cost history of a purse."""
        return int((await self._db.fetch(_COUNT, (id,)))[0][0])

    async def all_entries(self) -> dict[str, int]:
        """Purse id -> :meth:`entries`, for the purses that have any."""
        return {id: int(calls or 0) for id, calls in await self._db.fetch(_COUNTS)}

    async def prune(self) -> None:
        """Delete history that no window needs any more."""
        async with self._db.log() as tx:
            await tx.execute(_PRUNE, (int((self._clock.time() - KEPT_DAYS * DAY) * 1000),))
