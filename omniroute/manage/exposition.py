"""The gateway's metrics in the Prometheus text format, written by ``prometheus-client``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from .. import __version__
from ..gateway.metrics import BUCKETS, Series
from .call import Services
from .monitoring import resident_bytes

SLICE: Final = 5
_LABELS: Final = ("provider", "model")
_TOKENS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")
_BOUNDS: Final = (*map(str, BUCKETS), "+Inf")


async def text(services: Services) -> bytes:
    """Return one scrape.  Thousands of lines take 0.1 s, so other tasks run after every few series."""
    series = sorted(services.metrics.series.items())
    families: list[list[bytes]] = []
    for start in range(0, len(series) or 1, SLICE):
        pieces = [_written(family) for family in calls(series[start : start + SLICE])]
        if start:  # the two header lines of a family are written once
            for known, piece in zip(families, pieces, strict=True):
                known.append(piece.split(b"\n", 2)[2])
        else:
            families = [[piece] for piece in pieces]
        await asyncio.sleep(0)
    return b"".join([*(b"".join(pieces) for pieces in families), *map(_written, state(services))])


class _One:
    """The part of a registry that the writer needs."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> list[Metric]:
        """What the exporter asks for: the one family."""
        return [self._family]


def _written(family: Metric) -> bytes:
    return generate_latest(_One(family))


def calls(series: Sequence[tuple[tuple[str, str], Series]]) -> Iterator[Metric]:
    """The counters of finished calls."""
    requests = CounterMetricFamily("omniroute_requests", "Finished calls by status", labels=(*_LABELS, "status"))
    errors = CounterMetricFamily("omniroute_errors", "Finished calls with a status of 400 or more", labels=_LABELS)
    tokens = CounterMetricFamily("omniroute_tokens", "Tokens by kind", labels=(*_LABELS, "kind"))
    cost = CounterMetricFamily("omniroute_cost_usd", "Cost of calls with a known price", labels=_LABELS)
    for labels, one in series:
        for status, count in sorted(one.statuses.items()):
            requests.add_metric((*labels, str(status)), count)
        errors.add_metric(labels, one.errors)
        for kind in _TOKENS:
            tokens.add_metric((*labels, kind), getattr(one, kind))
        cost.add_metric(labels, one.cost)
    yield from (requests, errors, tokens, cost)
    yield _histogram("omniroute_request_duration_seconds", "Whole calls", series, "duration")
    yield _histogram("omniroute_first_token_seconds", "Time to the first byte for the client", series, "first")


def _histogram(name: str, help: str, series: Iterable[tuple[tuple[str, str], Series]], field: str) -> Metric:
    family = HistogramMetricFamily(name, help, labels=_LABELS)
    for labels, one in series:
        counts = accumulate(getattr(one, field))
        family.add_metric(labels, list(zip(_BOUNDS, counts, strict=True)), getattr(one, f"{field}_ms") / 1000)
    return family


def state(services: Services) -> Iterator[Metric]:
    """The gauges of the current state."""
    live, store = services.live, services.store
    yield _gauge("omniroute_in_flight", "Calls at providers", _LABELS, _running(services))
    yield _gauge("omniroute_exchanges", "Client requests in progress", (), {(): live.running})
    yield _gauge("omniroute_accounts_cooling", "Accounts in a cooldown", (), {(): len(live.health.cooling())})
    yield _gauge("omniroute_models_locked", "Locked pairs of account and model", (), {(): len(live.health.locks())})
    yield _gauge("omniroute_breaker_state", "0 closed, 1 half open, 2 open", ("provider",), _breakers(services))
    yield _gauge("omniroute_calls_waiting", "Calls waiting for an account", ("provider",), _waiting(services))
    yield _gauge("omniroute_log_rows_queued", "Rows of the call log waiting to be written", (), {(): store.usage.queued})
    yield CounterMetricFamily("omniroute_log_rows_dropped", "Rows of the call log that were lost", store.usage.dropped)
    yield _gauge("omniroute_build_info", "The version", ("version",), {(__version__,): 1})
    yield _gauge("process_resident_memory_bytes", "Memory of the process", (), {(): resident_bytes()})
    yield _gauge("process_start_time_seconds", "Start, Unix time", (), {(): services.started_at})


def _gauge(name: str, help: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _running(services: Services) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for (provider, model, _), count in services.live.in_flight.items():
        services.metrics.find(provider, model)  # bounds the providers and models without counts yet, too
        label = services.metrics.labels(provider, model)
        found[label] = found.get(label, 0) + count
    return found


_STATES: Final = {"CLOSED": 0, "HALF_OPEN": 1, "OPEN": 2}


def _breakers(services: Services) -> dict[tuple[str, ...], float]:
    """The breakers of the providers that have accounts."""
    return {(name,): _STATES[services.live.breakers.view(name).state] for name in services.snapshot.connections}


def _waiting(services: Services) -> dict[tuple[str, ...], float]:
    """The number of calls waiting for an account, by provider."""
    lanes = services.live.limiter.lanes
    return {
        (name,): sum(len(lanes[account.id].queue) for account in accounts if account.id in lanes)
        for name, accounts in services.snapshot.connections.items()
    }
