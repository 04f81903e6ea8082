"""Counters of each combo, in total and by model, and its round-robin position.  In memory, owned by one event loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, field

from ..clock import iso
from .combo_gate import Gate


class ModelCounts(Struct):
    """The counters of one model.  ``requests`` counts calls when they begin; latency is to the first byte."""

    requests: int = 0
    successes: int = 0
    failures: int = 0
    latency_ms: float = 0.0
    last_ok: bool | None = None
    last_used: float = 0.0  # Unix seconds


class ComboCounts(Struct):
    """The counters of one combo.  A fallback is a model that failed before another one answered."""

    strategy: str = ""
    requests: int = 0
    successes: int = 0
    failures: int = 0
    fallbacks: int = 0
    latency_ms: float = 0.0
    last_used: float = 0.0
    models: dict[str, ModelCounts] = field(default_factory=dict)


class Combos:
    """All combos by name."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._counts: dict[str, ComboCounts] = {}
        self._gates: dict[str, Gate] = {}

    def turn(self, name: str, *, peek: bool = False) -> int:
        """The number of calls to the combo before this one; with *peek* this one is not counted."""
        turn = self._turns.get(name, 0)
        if not peek:
            self._turns[name] = turn + 1
        return turn

    @contextmanager
    def gate(self, model: str) -> Iterator[Gate]:
        """The gate of a model, which is kept only while it is in use."""
        gate = self._gates.setdefault(model, Gate())
        try:
            yield gate
        finally:
            if gate.idle and self._gates.get(model) is gate:
                del self._gates[model]

    def used(self, name: str) -> dict[str, int]:
        """The number of requests so far, by model."""
        counts = self._counts.get(name)
        return {model: of.requests for model, of in counts.models.items()} if counts is not None else {}

    def began(self, name: str, model: str, now: float) -> None:
        """Count the start of a model's turn."""
        of = self._counts.setdefault(name, ComboCounts()).models.setdefault(model, ModelCounts())
        of.requests += 1
        of.last_used = now

    def ended(self, name: str, model: str, *, ok: bool, latency_ms: float) -> None:
        """Count the end of a model's turn."""
        of = self._counts.setdefault(name, ComboCounts()).models.setdefault(model, ModelCounts())
        of.successes += ok
        of.failures += not ok
        of.latency_ms += latency_ms
        of.last_ok = ok

    def finished(self, name: str, strategy: str, now: float, *, ok: bool, fallbacks: int, latency_ms: float) -> None:
        """Count the end of a call to the combo."""
        counts = self._counts.setdefault(name, ComboCounts())
        counts.strategy, counts.last_used = strategy, now
        counts.requests += 1
        counts.successes += ok
        counts.failures += not ok
        counts.fallbacks += fallbacks
        counts.latency_ms += latency_ms

    def forget(self, name: str) -> None:
        """Forget a deleted combo."""
        self._turns.pop(name, None)
        self._counts.pop(name, None)

    def reset(self, name: str = "") -> None:
        """Reset the counters of one combo, or of all."""
        if name:
            self._counts.pop(name, None)
        else:
            self._counts.clear()

    def metrics(self) -> Mapping[str, dict[str, Any]]:
        """The counters by combo, as ``GET /api/combos/metrics`` returns them."""
        return {name: _view(counts) for name, counts in self._counts.items()}


def _view(counts: ComboCounts) -> dict[str, Any]:
    return {
        "totalRequests": counts.requests,
        "totalSuccesses": counts.successes,
        "totalFailures": counts.failures,
        "totalFallbacks": counts.fallbacks,
        "totalLatencyMs": round(counts.latency_ms),
        "strategy": counts.strategy,
        "lastUsedAt": iso(counts.last_used) if counts.last_used else None,
        "avgLatencyMs": _mean(counts.latency_ms, counts.requests),
        "successRate": _percent(counts.successes, counts.requests),
        "fallbackRate": _percent(counts.fallbacks, counts.requests),
        "byModel": {model: _model_view(of) for model, of in counts.models.items()},
    }


def _model_view(of: ModelCounts) -> dict[str, Any]:
    over = of.successes + of.failures
    return {
        "requests": of.requests,
        "successes": of.successes,
        "failures": of.failures,
        "totalLatencyMs": round(of.latency_ms),
        "lastStatus": None if of.last_ok is None else "ok" if of.last_ok else "error",
        "lastUsedAt": iso(of.last_used),
        "avgLatencyMs": _mean(of.latency_ms, over),
        "successRate": _percent(of.successes, over),
    }


def _mean(total: float, count: int) -> int:
    return round(total / count) if count else 0


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
