"""Usage over time, from the daily totals.

Days are UTC days.  A range of n days includes the whole day on which it begins, so it never shows less than was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ..clock import iso
from ..store.analytics import Total
from .call import Call, Reply
from .usage import key_names, range_start

DEFAULT_RANGE: Final = "30d"
_MAP_DAYS: Final = 365
_WEEK: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


async def read(call: Call) -> Reply:
    """Return the sums of ``?range=`` for charts: by UTC day, model, account, provider and key.

    Costs are in US dollars.  ``activityMap`` and ``streak`` look at the whole past, whatever the range.
    """
    chosen = call.query.get("range") or DEFAULT_RANGE
    start = range_start(chosen, call.now)
    since = "" if start is None else iso(start)[:10]
    await call.store.usage.flush()
    today = datetime.fromtimestamp(call.now, UTC).date()
    every_day = sorted(await call.store.analytics.totals("day"), key=lambda day: day.name)
    days = [day for day in every_day if day.name >= since]
    by_day_and_model, model_names = daily_by_model(await _placed(call, "day", "model", since=since))
    groups = await _groups(call, since)
    in_a_row = streak({day.name for day in every_day}, today)
    unpriced = sum((await call.store.usage.unpriced(since)).values())
    return Reply(200, {
        "summary": summary(days) | _uniques(groups) | {"streak": in_a_row, "unpricedRequests": unpriced},
        "dailyTrend": [{"date": day.name, **_counts(day)} for day in days],
        "dailyByModel": by_day_and_model,
        "modelNames": model_names,
        **groups,
        "activityMap": activity_map(every_day, today),
        "weeklyPattern": weekly_pattern(days),
        "range": chosen,
    })  # fmt: skip


async def _groups(call: Call, since: str) -> dict[str, list[dict[str, Any]]]:
    """Return the lists ``byModel``, ``byAccount``, ``byProvider`` and ``byApiKey``, most used first."""
    names = {row.id: row.label or row.id for row in await call.store.connections.list()}
    models = await _placed(call, "model", since=since)
    accounts = await _placed(call, "connection_id", since=since)
    return {
        "byModel": [{"model": t.name, "rawModel": t.name, "provider": t.key[1], **_measured(t)} for t in models],
        "byAccount": [
            {
                "account": names.get(t.name, t.name or "-"),
                "connectionId": t.name or None,
                "provider": t.key[1],
                **_measured(t),
            }
            for t in accounts
        ],
        "byProvider": [{"provider": t.name, **_measured(t)} for t in await _placed(call, since=since)],
        "byApiKey": await _by_key(call, since),
    }


async def _by_key(call: Call, since: str) -> list[dict[str, Any]]:
    totals = call.store.analytics.totals
    used = ((t.last_used, t.name, t.key[1]) for t in await totals("api_key_id", "api_key_name", since=since))
    names = key_names(await call.store.keys.list(), used)
    return [
        {"apiKey": f"{names[t.name]} ({t.name})", "apiKeyId": t.name, "apiKeyName": names[t.name], **_measured(t)}
        for t in await totals("api_key_id", since=since)
        if t.name  # not the calls without a key
    ]


async def _placed(call: Call, *columns: str, since: str) -> list[Total]:
    """Return the totals by *columns* and provider, without calls that ended before a provider was chosen."""
    return [total for total in await call.store.analytics.totals(*columns, "provider", since=since) if total.key[-1]]


def _uniques(groups: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "uniqueModels": len({row["model"] for row in groups["byModel"]}),
        "uniqueAccounts": len({row["connectionId"] for row in groups["byAccount"] if row["connectionId"]}),
        "uniqueApiKeys": len({row["apiKeyId"] for row in groups["byApiKey"]}),
    }


def summary(days: Iterable[Total]) -> dict[str, Any]:
    """Return the sums over all days."""
    parts = [*days]
    requests, successes = sum(day.requests for day in parts), sum(day.successes for day in parts)
    prompt, completion = sum(day.prompt_tokens for day in parts), sum(day.completion_tokens for day in parts)
    return {
        "totalRequests": requests,
        "promptTokens": prompt,
        "completionTokens": completion,
        "totalTokens": prompt + completion,
        "totalCost": round(sum(day.cost for day in parts), 10),
        "successfulRequests": successes,
        "successRatePct": round(100 * successes / requests, 2) if requests else 0,
        "avgLatencyMs": round(sum(day.duration_ms for day in parts) / requests) if requests else 0,
        "firstRequest": min((day.first_used for day in parts), default=None),
        "lastRequest": max((day.last_used for day in parts), default=None),
    }


def daily_by_model(totals: Iterable[Total]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return tokens by model for each day, and the models, most used first."""
    days: dict[str, dict[str, Any]] = {}
    models: dict[str, int] = {}
    for total in totals:
        day, model, *_ = total.key
        row = days.setdefault(day, {"date": day})
        row[model] = row.get(model, 0) + total.tokens
        models[model] = models.get(model, 0) + total.tokens
    return [days[day] for day in sorted(days)], sorted(models, key=lambda name: (-models[name], name))


def activity_map(days: Iterable[Total], today: date) -> dict[str, int]:
    """Return the tokens of each day of the last year that had calls."""
    first = (today - timedelta(days=_MAP_DAYS)).isoformat()
    return {day.name: day.tokens for day in days if day.name >= first}


def streak(days: set[str], today: date) -> int:
    """Return the number of consecutive days with calls up to today; a day without calls breaks it only once it is over."""
    day = today if today.isoformat() in days else today - timedelta(days=1)
    count = 0
    while (day - timedelta(days=count)).isoformat() in days:
        count += 1
    return count


def weekly_pattern(days: Sequence[Total]) -> list[dict[str, Any]]:
    """Return tokens by weekday, Sunday first; ``avgTokens`` is averaged over the days that had calls."""
    groups: dict[int, list[Total]] = {}
    for day in days:
        groups.setdefault(_weekday(day.name), []).append(day)
    return [_weekday_row(name, groups.get(number, [])) for number, name in enumerate(_WEEK)]


def _weekday(day: str) -> int:
    try:
        return date.fromisoformat(day).isoweekday() % 7
    except ValueError:  # an imported row without a time
        return -1


def _weekday_row(name: str, days: Sequence[Total]) -> dict[str, Any]:
    tokens = sum(day.tokens for day in days)
    average = round(tokens / len(days)) if days else 0
    return {"day": name, "avgTokens": average, "totalTokens": tokens, "requests": sum(day.requests for day in days)}


def _counts(total: Total) -> dict[str, Any]:
    return {
        "requests": total.requests,
        "promptTokens": total.prompt_tokens,
        "completionTokens": total.completion_tokens,
        "totalTokens": total.tokens,
        "cost": round(total.cost, 10),
    }


def _measured(total: Total) -> dict[str, Any]:
    return {
        **_counts(total),
        "avgLatencyMs": round(total.duration_ms / total.requests),
        "successRatePct": f"{100 * total.successes / total.requests:.2f}",
        "lastUsed": total.last_used,
    }
