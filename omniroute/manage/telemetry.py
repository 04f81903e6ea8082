"""How long calls take (contract sections 8 and 13): the newest thousand from memory, all of them from the usage tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..gateway.live import Timing
from .call import Call, Reply, whole

WINDOW_MS: Final = 300_000
_LONGEST_MS: Final = 86_400_000


async def summary(call: Call) -> Reply:
    """Percentiles in milliseconds of the calls that ended within ``windowMs``, at most the newest thousand."""
    window = whole(call.query.get("windowMs"), WINDOW_MS, 1, _LONGEST_MS)
    since = call.services.clock.monotonic() - window / 1000
    calls = [timing for timing in call.services.live.recent if timing[0] >= since]
    failed = sum(1 for timing in calls if timing[2] >= 400)
    return Reply(200, {
        **percentiles(total for _, _, _, total, _ in calls),
        "phaseBreakdown": _phases(calls),
        "providers": _by_provider(calls),
        "errorRate": round(failed / len(calls), 4) if calls else 0,
        "windowMs": window,
    })  # fmt: skip


async def provider_metrics(call: Call) -> Reply:
    await call.store.usage.flush()
    metrics = {
        total.name: {
            "totalRequests": total.requests,
            "totalSuccesses": total.successes,
            "successRate": round(100 * total.successes / total.requests),
            "avgLatencyMs": round(total.duration_ms / total.requests),
        }
        for total in await call.store.analytics.totals("provider")
        if total.requests
    }
    return Reply(200, {"metrics": metrics})


def percentiles(values: Iterable[float]) -> dict[str, Any]:
    """Count, mean and nearest-rank percentiles, rounded to milliseconds; 0 where there is nothing."""
    ranked = sorted(values)
    mean = round(sum(ranked) / len(ranked)) if ranked else 0
    return {"count": len(ranked), "avg": mean, **{f"p{share}": _rank(ranked, share) for share in (50, 95, 99)}}


def _rank(ranked: Sequence[float], share: int) -> int:
    return round(ranked[max(0, -(-len(ranked) * share // 100) - 1)]) if ranked else 0


def _by_provider(calls: Iterable[Timing]) -> dict[str, Any]:
    groups: dict[str, list[float]] = {}
    for _, provider, _, total, _ in calls:
        groups.setdefault(provider, []).append(total)
    return {provider: percentiles(group) for provider, group in groups.items()}


def _phases(calls: Iterable[Timing]) -> dict[str, Any]:
    """``connect``: until the first byte for the client; ``stream``: from there to the end."""
    timed = [(first, total - first) for _, _, _, total, first in calls if first is not None]
    phases = {"connect": [first for first, _ in timed], "stream": [rest for _, rest in timed]}
    return {name: percentiles(values) for name, values in phases.items() if values}
