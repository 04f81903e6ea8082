"""Latencies: of the newest thousand calls, from memory, and of all calls, from the usage tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypedDict

from msgspec import Struct

from ..gateway.live import Timing
from .call import Call, Reply, whole

WINDOW_MS: Final = 300_000
_LONGEST_MS: Final = 86_400_000


class Percentiles(TypedDict):
    """Count of values, their mean, and percentiles."""

    count: int
    avg: float
    p50: float
    p95: float
    p99: float


class Telemetry(Percentiles):
    """Latencies in milliseconds; ``phaseBreakdown`` and ``providers`` have the same figures by phase and by provider."""

    phaseBreakdown: dict[str, Percentiles]
    providers: dict[str, Percentiles]
    errorRate: float
    windowMs: int


class ProviderFigures(Struct, rename="camel"):
    total_requests: int
    total_successes: int
    success_rate: float
    avg_latency_ms: float


class ProviderMetrics(Struct):
    metrics: dict[str, ProviderFigures]


async def summary(call: Call) -> Reply:
    """Return percentiles in milliseconds over the calls that ended within ``windowMs``, at most the newest thousand."""
    window = whole(call.query.get("windowMs"), WINDOW_MS, 1, _LONGEST_MS)
    since = call.services.clock.monotonic() - window / 1000
    calls = [timing for timing in call.live.recent if timing.at >= since]
    failed = sum(1 for timing in calls if timing.status >= 400)
    return Reply(200, Telemetry(
        **percentiles(timing.ms for timing in calls),
        phaseBreakdown=_phases(calls),
        providers=_by_provider(calls),
        errorRate=round(failed / len(calls), 4) if calls else 0,
        windowMs=window,
    ))  # fmt: skip


async def provider_metrics(call: Call) -> Reply:
    """Return calls, successes (percent) and mean duration (milliseconds) by provider, over the whole past."""
    await call.store.usage.flush()
    metrics = {
        total.name: ProviderFigures(
            total.requests,
            total.successes,
            round(100 * total.successes / total.requests),
            round(total.duration_ms / total.requests),
        )
        for total in await call.store.analytics.totals("provider")
        if total.requests and total.name  # a call that is refused before it is routed has no provider
    }
    return Reply(200, ProviderMetrics(metrics))


def percentiles(values: Iterable[float], digits: int | None = None) -> Percentiles:
    """Return count, mean and nearest-rank percentiles in milliseconds, to *digits* decimals; all 0 without values."""
    ranked = sorted(values)
    mean = round(sum(ranked) / len(ranked), digits) if ranked else 0
    p50, p95, p99 = (_rank(ranked, share, digits) for share in (50, 95, 99))
    return {"count": len(ranked), "avg": mean, "p50": p50, "p95": p95, "p99": p99}


def _rank(ranked: Sequence[float], share: int, digits: int | None) -> float:
    return round(ranked[max(0, -(-len(ranked) * share // 100) - 1)], digits) if ranked else 0


def _by_provider(calls: Iterable[Timing]) -> dict[str, Percentiles]:
    groups: dict[str, list[float]] = {}
    for timing in calls:
        groups.setdefault(timing.provider, []).append(timing.ms)
    return {provider: percentiles(group) for provider, group in groups.items()}


PHASES: Final = ("parse", "resolve", "validate", "policy", "connect")


def _phases(calls: Iterable[Timing]) -> dict[str, Percentiles]:
    """Return percentiles of the milliseconds that each phase of a call took.

    ``parse``: key, guard and body.  ``resolve``: finding the providers for the model.  ``validate``: required fields.
    ``policy``: limits, budgets and caches.  ``connect``: all attempts, up to the first byte for the client.  Then, until the
    end, ``stream``, or ``finalize`` for a call that is not streamed.
    """
    phases: dict[str, list[float]] = {name: [] for name in (*PHASES, "stream", "finalize")}
    for timing in calls:
        since = timing.began
        moments = (timing.read_at, timing.planned_at, timing.checked_at, timing.placed_at, timing.first_byte)
        for name, moment in zip(PHASES, moments, strict=True):
            if moment is not None:
                phases[name].append((moment - since) * 1000)
                since = moment
        if timing.first_byte is not None:
            phases["stream" if timing.stream else "finalize"].append((timing.at - since) * 1000)
    return {name: percentiles(values, 3) for name, values in phases.items() if values}
