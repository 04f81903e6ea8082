"""What a combo has done so far, in all and by model, and whose turn it is.  In memory; one event loop owns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, field

from ..clock import iso
from .combo_gate import Gate


class ModelCounts(Struct):
    """One model's share.  ``requests`` counts those that began; latency is to the first byte."""

    requests: int = 0
    successes: int = 0
    failures: int = 0
    latency_ms: float = 0.0
    last_ok: bool | None = None
    last_used: float = 0.0  # Unix seconds


class ComboCounts(Struct):
    """One combo's calls.  A fallback is a model that was asked in vain before the one that answered."""

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
        """How many calls the combo had before this one; *peek* only looks."""
        turn = self._turns.get(name, 0)
        if not peek:
            self._turns[name] = turn + 1
        return turn

    @contextmanager
    def gate(self, model: str) -> Iterator[Gate]:
        """The gate of a model, kept as long as somebody is at it."""
        gate = self._gates.setdefault(model, Gate())
        try:
            yield gate
        finally:
            if gate.idle and self._gates.get(model) is gate:
                del self._gates[model]

    def used(self, name: str) -> dict[str, int]:
        """Requests so far by model."""
        counts = self._counts.get(name)
        return {model: of.requests for model, of in counts.models.items()} if counts is not None else {}

    def began(self, name: str, model: str, now: float) -> None:
        """A model is asked."""
        of = self._counts.setdefault(name, ComboCounts()).models.setdefault(model, ModelCounts())
        of.requests += 1
        of.last_used = now

    def ended(self, name: str, model: str, *, ok: bool, latency_ms: float) -> None:
        """It answered, or could not."""
        of = self._counts.setdefault(name, ComboCounts()).models.setdefault(model, ModelCounts())
        of.successes += ok
        of.failures += not ok
        of.latency_ms += latency_ms
        of.last_ok = ok

    def finished(self, name: str, strategy: str, now: float, *, ok: bool, fallbacks: int, latency_ms: float) -> None:
        """A call to the combo is over."""
        counts = self._counts.setdefault(name, ComboCounts())
        counts.strategy, counts.last_used = strategy, now
        counts.requests += 1
        counts.successes += ok
        counts.failures += not ok
        counts.fallbacks += fallbacks
        counts.latency_ms += latency_ms

    def forget(self, name: str) -> None:
        """The combo is gone: what it did is too."""
        self._turns.pop(name, None)
        self._counts.pop(name, None)

    def reset(self, name: str = "") -> None:
        """Start the counts of one combo, or of all, anew."""
        if name:
            self._counts.pop(name, None)
        else:
            self._counts.clear()

    def metrics(self) -> Mapping[str, dict[str, Any]]:
        """By combo, as ``GET /api/combos/metrics`` gives them."""
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
