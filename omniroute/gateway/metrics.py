"""Counters of finished calls, kept in plain attributes: a call costs about a microsecond, without locks or allocations.

Label sets are bounded, because clients choose the names of models: at most :data:`MODELS` per provider and
:data:`PROVIDERS` in all; the rest is counted as :data:`OTHER`.  A call that reached no provider has empty labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from .usage import CallRecord

MODELS: Final = 50
PROVIDERS: Final = 500
OTHER: Final = "other"
BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""Upper bounds of the histogram buckets, in seconds; a last bucket holds longer durations."""

_BOUNDS_MS: Final = [bound * 1000 for bound in BUCKETS]


class Series:
    """The counters of one provider's model.  ``duration`` and ``first`` hold counts by bucket; sums are milliseconds."""

    __slots__ = (
        "cache_read", "cache_write", "cost", "duration", "duration_ms", "errors", "first", "first_ms", "input", "output",
        "reasoning", "requests", "statuses",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.statuses: dict[int, int] = {}
        self.input = self.output = self.cache_read = self.cache_write = self.reasoning = 0
        self.cost = self.duration_ms = self.first_ms = 0.0
        self.duration = [0] * (len(BUCKETS) + 1)
        self.first = [0] * (len(BUCKETS) + 1)

    def add(self, call: CallRecord) -> None:
        """Count one finished call."""
        status = call.status
        self.requests += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 400:
            self.errors += 1
        self.duration[bisect_left(_BOUNDS_MS, call.duration_ms)] += 1
        self.duration_ms += call.duration_ms
        if call.first_byte_ms is not None:
            self.first[bisect_left(_BOUNDS_MS, call.first_byte_ms)] += 1
            self.first_ms += call.first_byte_ms
        if call.tokens_in:
            self.input += call.tokens_in
        if call.tokens_out:
            self.output += call.tokens_out
        if call.tokens_cache_read:
            self.cache_read += call.tokens_cache_read
        if call.tokens_cache_write:
            self.cache_write += call.tokens_cache_write
        if call.tokens_reasoning:
            self.reasoning += call.tokens_reasoning
        if call.cost:
            self.cost += call.cost


class Metrics:
    """Counts each finished call and passes it on to *then*."""

    def __init__(self, then: Callable[[CallRecord], None]) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        self._then = then
        self._models: dict[str, int] = {}  # provider -> how many of its models have a series

    def put(self, call: CallRecord) -> None:
        """Count *call* and pass it on."""
        found = self.series.get((call.provider, call.model))
        if found is None:
            found = self.find(call.provider, call.model)
        found.add(call)
        self._then(call)

    def find(self, provider: str, model: str) -> Series:
        """The series that counts calls of *model* at *provider*."""
        label = self.labels(provider, model)
        if (found := self.series.get(label)) is None:
            found = self.series[label] = Series()
            self._models[label[0]] = self._models.get(label[0], 0) + 1
        return found

    def labels(self, provider: str, model: str) -> tuple[str, str]:
        """The bounded label values (provider, model)."""
        if not provider:
            return "", ""
        if (provider, model) in self.series:
            return provider, model
        known = self._models.get(provider)
        if known is None and len(self._models) >= PROVIDERS:
            return OTHER, OTHER
        return (provider, model) if (known or 0) < MODELS else (provider, OTHER)
