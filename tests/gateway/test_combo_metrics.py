from __future__ import annotations

from omniroute.gateway.combo_metrics import Combos

NOW = 1_750_000_000.0


def test_what_a_combo_did_is_counted_in_all_and_by_model() -> None:
    combos = Combos()
    combos.began("x", "a/m", NOW)
    combos.ended("x", "a/m", ok=False, latency_ms=100.0)
    combos.began("x", "b/m", NOW)
    combos.ended("x", "b/m", ok=True, latency_ms=300.0)
    combos.finished("x", "priority", NOW, ok=True, fallbacks=1, latency_ms=400.0)
    combos.finished("x", "priority", NOW + 1, ok=False, fallbacks=0, latency_ms=200.0)
    assert combos.metrics() == {
        "x": {
            "totalRequests": 2, "totalSuccesses": 1, "totalFailures": 1, "totalFallbacks": 1, "totalLatencyMs": 600,
            "strategy": "priority", "lastUsedAt": "2025-06-15T15:06:41.000Z",
            "avgLatencyMs": 300, "successRate": 50, "fallbackRate": 50,
            "byModel": {
                "a/m": {
                    "requests": 1, "successes": 0, "failures": 1, "totalLatencyMs": 100, "lastStatus": "error",
                    "lastUsedAt": "2025-06-15T15:06:40.000Z", "avgLatencyMs": 100, "successRate": 0,
                },
                "b/m": {
                    "requests": 1, "successes": 1, "failures": 0, "totalLatencyMs": 300, "lastStatus": "ok",
                    "lastUsedAt": "2025-06-15T15:06:40.000Z", "avgLatencyMs": 300, "successRate": 100,
                },
            },
        }
    }  # fmt: skip
    assert combos.used("x") == {"a/m": 1, "b/m": 1}


def test_a_call_under_way_has_no_outcome_yet() -> None:
    combos = Combos()
    combos.began("x", "a/m", NOW)
    found = combos.metrics()["x"]
    assert (found["totalRequests"], found["lastUsedAt"], found["byModel"]["a/m"]["lastStatus"]) == (0, None, None)


def test_the_turn_advances_unless_only_looked_at() -> None:
    combos = Combos()
    assert [combos.turn("x"), combos.turn("x", peek=True), combos.turn("x"), combos.turn("y")] == [0, 1, 1, 0]
    combos.forget("x")
    assert combos.turn("x") == 0


def test_counts_begin_anew_for_one_or_for_all() -> None:
    combos = Combos()
    for name in ("x", "y", "z"):
        combos.began(name, "a/m", NOW)
    combos.reset("x")
    assert [*combos.metrics()] == ["y", "z"]
    combos.forget("y")
    assert combos.used("y") == {}
    combos.reset()
    assert combos.metrics() == {}


def test_a_gate_is_kept_only_while_somebody_is_at_it() -> None:
    combos = Combos()
    with combos.gate("a/m") as first:
        first.running += 1
        with combos.gate("a/m") as second:
            assert second is first
        first.running -= 1
    with combos.gate("a/m") as third:
        assert third is not first
