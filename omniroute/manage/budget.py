"""Budgets of gateway keys, in US dollars; a change applies from the next request on."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import iso
from ..gateway.budgets import PERIODS, THRESHOLD, Check, Purse, ends, windows
from ..store.budgets import BudgetRow
from ..store.keys import KeyRow
from .bodies import decode_if_sent
from .call import Call, Reply
from .refusals import existing, refused

_Dollars = Annotated[float, Meta(ge=0, le=1e9)]
Period = Literal["daily", "weekly", "monthly"]
_INCOMPLETE: Final = "apiKeyId and dailyLimitUsd are required"


class BudgetBody(Struct, rename="camel", kw_only=True):
    """One limit, ``{keyId, limit, period}``, or several, ``{apiKeyId, dailyLimitUsd, …}``; both replace the whole budget."""

    api_key_id: str | UnsetType = UNSET
    key_id: str | UnsetType = UNSET
    limit: _Dollars | UnsetType = UNSET
    period: Period | UnsetType = UNSET
    daily_limit_usd: _Dollars | UnsetType = UNSET
    weekly_limit_usd: _Dollars = 0.0
    monthly_limit_usd: _Dollars = 0.0
    warning_threshold: Annotated[float, Meta(gt=0, le=1)] = THRESHOLD
    reset_interval: Period | UnsetType = UNSET
    reset_time: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$(?!\n)")] = "00:00"


class KeyBody(Struct, rename="camel"):
    api_key_id: str = ""
    key_id: str = ""


class BudgetView(Struct, rename="camel", kw_only=True):
    """The limits; 0 = none.  Windows begin at 00:00 UTC, whatever ``resetTime`` says."""

    daily_limit_usd: float
    weekly_limit_usd: float
    monthly_limit_usd: float
    warning_threshold: float
    reset_interval: str
    reset_time: str


class BudgetCheck(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Whether the key may spend; ``reason`` says why not.  Amounts reserved by running calls count as used."""

    allowed: bool
    reason: str = ""
    daily_used: float
    daily_limit: float
    weekly_used: float
    weekly_limit: float
    monthly_used: float
    monthly_limit: float
    warning_reached: bool


class OneBudget(Struct, rename="camel", kw_only=True):
    """One key's spending in the current windows; the sums exclude the day's ``unpricedCalls``, whose cost is unknown."""

    api_key_id: str
    daily_total: float
    weekly_total: float
    monthly_total: float
    total_entries: int
    unpriced_calls: int
    budget: BudgetView | None
    budget_check: BudgetCheck


class BudgetItem(Struct, rename="camel", kw_only=True):
    """One key's budget in a list: the limit of its period, then all limits."""

    key_id: str
    api_key_id: str
    name: str
    limit: float
    period: str
    used: float
    remaining: float
    warning_reached: bool
    allowed: bool
    reset_at: str
    daily_total: float
    weekly_total: float
    monthly_total: float
    total_entries: int
    budget: BudgetView
    budget_check: BudgetCheck


class BudgetList(Struct):
    budgets: list[BudgetItem]
    total: int


class BudgetSet(Struct, rename="camel", kw_only=True):
    success: bool
    api_key_id: str
    key_id: str
    limit: float
    period: str
    daily_limit_usd: float
    weekly_limit_usd: float
    monthly_limit_usd: float
    warning_threshold: float
    budget: BudgetView | None


class BudgetRemoved(Struct, rename="camel"):
    success: bool
    removed: bool
    api_key_id: str


async def read(call: Call) -> Reply:
    """Show the budget of one key (``?apiKeyId=``), or of all keys that have one."""
    if key_id := call.query.get("apiKeyId") or call.query.get("keyId"):
        return Reply(200, await _one(call, existing(await call.store.keys.get(key_id), "Key")))
    names = {key.id: key.name for key in await call.store.keys.list()}
    rows = [row for row in await call.store.budgets.list() if row.key_id in names]
    await call.store.usage.flush()
    entries = await call.store.budgets.all_entries()
    found = [_item(call, row, names[row.key_id], entries.get(row.key_id, 0)) for row in rows]
    return Reply(200, BudgetList(found, len(found)))


async def write(call: Call) -> Reply:
    """Set a key's budget, or remove it if no limit is above 0."""
    body: BudgetBody = call.body
    key_id = body.api_key_id or body.key_id or ""
    simple = body.limit is not UNSET and body.period is not UNSET
    if not key_id or not (simple or body.daily_limit_usd is not UNSET):
        raise refused(400, _INCOMPLETE)
    key = existing(await call.store.keys.get(key_id), "Key")
    row = _row(body, key.id)
    await call.store.budgets.set(row)
    limited = any(row.budget.limits)
    details = {"daily": row.daily, "weekly": row.weekly, "monthly": row.monthly} if limited else None
    await call.audit("budget.update" if limited else "budget.delete", key.id, details)
    return Reply(200, BudgetSet(
        success=True, api_key_id=key.id, key_id=key.id, limit=row.limit, period=row.period, daily_limit_usd=row.daily,
        weekly_limit_usd=row.weekly, monthly_limit_usd=row.monthly, warning_threshold=row.threshold,
        budget=_view(row) if limited else None,
    ))  # fmt: skip


async def delete(call: Call) -> Reply:
    """Remove a budget; query or body name the key."""
    sent = decode_if_sent(call.request.body, KeyBody)
    key_id = call.query.get("apiKeyId") or call.query.get("keyId") or sent.api_key_id or sent.key_id
    if not key_id:
        raise refused(400, "apiKeyId is required")
    key = existing(await call.store.keys.get(key_id), "Key")
    removed = await call.store.budgets.delete(key.id)
    if removed:
        await call.audit("budget.delete", key.id)
    return Reply(200, BudgetRemoved(True, removed, key.id))


def _row(body: BudgetBody, key_id: str) -> BudgetRow:
    """Return the budget that *body* describes; if it has both forms, the full one counts."""
    row = BudgetRow(key_id=key_id, threshold=body.warning_threshold, reset_time=body.reset_time)
    if body.daily_limit_usd is UNSET:
        assert body.period is not UNSET
        setattr(row, body.period, body.limit)
        row.period = body.period
        return row
    row.daily, row.weekly, row.monthly = body.daily_limit_usd, body.weekly_limit_usd, body.monthly_limit_usd
    limited = [period for period, limit in zip(PERIODS, row.budget.limits, strict=True) if limit]
    wish = body.reset_interval
    row.period = wish if wish is not UNSET and wish in limited else next(iter(limited), PERIODS[0])
    return row


def _view(row: BudgetRow) -> BudgetView:
    return BudgetView(
        daily_limit_usd=row.daily,
        weekly_limit_usd=row.weekly,
        monthly_limit_usd=row.monthly,
        warning_threshold=row.threshold,
        reset_interval=row.period,
        reset_time=row.reset_time,
    )


def _check(row: BudgetRow, used: tuple[float, float, float], checks: list[Check]) -> BudgetCheck:
    """Check the budget; a used-up window lets nothing through."""
    over = next((check for check in checks if check.used >= check.limit), None)
    with_reserved = {check.period: check.used for check in checks}
    sums = {f"{period}_used": with_reserved.get(period, spent) for period, spent in zip(PERIODS, used, strict=True)}
    limits: dict[str, Any] = {f"{period}_limit": limit for period, limit in zip(PERIODS, row.budget.limits, strict=True)}
    warned = any(check.used >= row.threshold * check.limit for check in checks)
    reason = over.reason if over is not None else ""
    return BudgetCheck(allowed=over is None, reason=reason, warning_reached=warned, **sums, **limits)


async def _one(call: Call, key: KeyRow) -> OneBudget:
    row = await call.store.budgets.get(key.id)
    budgets = call.live.budgets
    used = budgets.used(key.id)
    shown = row or BudgetRow(key_id=key.id)
    await call.store.usage.flush()
    return OneBudget(
        api_key_id=key.id,
        daily_total=used[0],
        weekly_total=used[1],
        monthly_total=used[2],
        total_entries=await call.store.budgets.entries(key.id),
        unpriced_calls=budgets.unpriced(key.id),
        budget=_view(row) if row is not None else None,
        budget_check=_check(shown, used, budgets.checks(Purse(key.id, shown.budget))),
    )


def _item(call: Call, row: BudgetRow, name: str, entries: int) -> BudgetItem:
    budgets = call.live.budgets
    used = budgets.used(row.key_id)
    check = _check(row, used, budgets.checks(Purse(row.key_id, row.budget)))
    place = PERIODS.index(row.period)
    return BudgetItem(
        key_id=row.key_id,
        api_key_id=row.key_id,
        name=name,
        limit=row.limit,
        period=row.period,
        used=used[place],
        remaining=max(0.0, row.limit - used[place]),
        warning_reached=check.warning_reached,
        allowed=check.allowed,
        reset_at=iso(ends(windows(call.now))[place]),
        daily_total=used[0],
        weekly_total=used[1],
        monthly_total=used[2],
        total_entries=entries,
        budget=_view(row),
        budget_check=check,
    )
