"""Latencies of the newest calls, and figures by provider."""

from __future__ import annotations

import pytest
from fakes_manage import Admin
from fakes_store import a_call

from omniroute.gateway.live import Timing
from omniroute.manage.telemetry import percentiles

PATH = "/api/telemetry/summary"


def _done(
    admin: Admin, total: float, *moments: float | None, ago: float = 0, status: int = 200, stream: bool = False
) -> None:
    """A call of *total* milliseconds; *moments*, ms after its begin: read, planned, checked, placed, first byte."""
    at = admin.clock.monotonic() - ago
    began = at - total / 1000
    noted = [None if moment is None else began + moment / 1000 for moment in moments]
    admin.live.recent.append(Timing(at, "openai", status, total, began, *noted, stream=stream))


def test_nothing_has_happened_yet(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == {
        "count": 0, "avg": 0, "p50": 0, "p95": 0, "p99": 0, "phaseBreakdown": {}, "providers": {}, "errorRate": 0,
        "windowMs": 300_000,
    }  # fmt: skip


def test_percentiles_in_all_by_provider_and_by_phase(admin: Admin) -> None:
    for number in range(1, 101):
        _done(admin, float(number), number / 10, number / 5, number / 4, number * 0.3, number / 2, stream=number > 50)
    found = admin.send("GET", PATH).json
    assert (found["count"], found["p50"], found["p95"], found["p99"]) == (100, 50, 95, 99)
    assert found["providers"]["openai"] == {"count": 100, "avg": 50, "p50": 50, "p95": 95, "p99": 99}
    phases = found["phaseBreakdown"]
    assert {name: (phase["count"], phase["p50"]) for name, phase in phases.items()} == {
        "parse": (100, 5), "resolve": (100, 5), "validate": (100, 2.5), "policy": (100, 2.5), "connect": (100, 10),
        "stream": (50, 37.5), "finalize": (50, 12.5),
    }  # fmt: skip


def test_only_what_was_measured_is_a_phase(admin: Admin) -> None:
    _done(admin, 10, 0.0215)
    found = admin.send("GET", PATH).json["phaseBreakdown"]
    assert list(found) == ["parse"]
    assert 0.02 < found["parse"]["p50"] < 0.023
    _done(admin, 8, None, None, None, None, 5)
    found = admin.send("GET", PATH).json["phaseBreakdown"]
    assert {name: (phase["count"], phase["p50"]) for name, phase in found.items() if name != "parse"} == {
        "connect": (1, 5), "finalize": (1, 3),
    }  # fmt: skip


def test_older_calls_and_failures(admin: Admin) -> None:
    _done(admin, 10, ago=400)
    _done(admin, 20, ago=100)
    _done(admin, 30, status=502)
    found = admin.send("GET", PATH).json
    assert (found["count"], found["errorRate"]) == (2, 0.5)
    assert admin.send("GET", f"{PATH}?windowMs=50000").json["count"] == 1
    assert admin.send("GET", f"{PATH}?windowMs=1000000").json["count"] == 3
    assert admin.send("GET", f"{PATH}?windowMs=x").json["count"] == 2


@pytest.mark.parametrize(("values", "expected"), [([], (0, 0, 0)), ([7.0], (7, 7, 7)), ([1.0, 2.0], (1, 2, 2))])
def test_ranks_of_few_values(values: list[float], expected: tuple[int, int, int]) -> None:
    found = percentiles(values)
    assert (found["p50"], found["p95"], found["p99"]) == expected


def test_provider_metrics_count_all_calls(admin: Admin) -> None:
    assert admin.send("GET", "/api/provider-metrics").json == {"metrics": {}}
    admin.store.usage.put(a_call(duration_ms=100.0))
    admin.store.usage.put(a_call(duration_ms=201.0, status=502))
    admin.store.usage.put(a_call(provider="deepseek", duration_ms=10.0))
    admin.store.usage.put(a_call(provider="", status=400))
    metrics = admin.send("GET", "/api/provider-metrics").json["metrics"]
    assert metrics["openai"] == {"totalRequests": 2, "totalSuccesses": 1, "successRate": 50, "avgLatencyMs": 150}
    assert metrics["deepseek"]["successRate"] == 100
    assert metrics.keys() == {"openai", "deepseek"}  # a call refused before it was routed has no provider
