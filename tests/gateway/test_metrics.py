"""Counting finished calls: what is counted, and how many labels there can be."""

from __future__ import annotations

import time
from typing import Any

from omniroute.gateway.metrics import BUCKETS, MODELS, OTHER, PROVIDERS, Metrics
from omniroute.gateway.usage import CallRecord


def a_call(provider: str = "openai", model: str = "gpt-4o", status: int = 200, **more: Any) -> CallRecord:
    return CallRecord(
        "r", 0.0, "POST", "/v1/chat/completions", status, provider, model, model, "c", "main", "", "", "openai-chat",
        "openai-chat", False, **{"duration_ms": 70.0, "first_byte_ms": 20.0, **more},
    )  # fmt: skip


def test_a_call_is_counted_once_and_passed_on() -> None:
    passed: list[CallRecord] = []
    metrics = Metrics(passed.append)
    call = a_call(tokens_in=7, tokens_out=9, tokens_cache_read=1, tokens_cache_write=2, tokens_reasoning=3, cost=0.5)
    metrics.put(call)
    metrics.put(a_call(status=429, first_byte_ms=None))
    assert passed[0] is call
    [(label, one)] = metrics.series.items()
    assert label == ("openai", "gpt-4o")
    assert (one.requests, one.errors, one.statuses) == (2, 1, {200: 1, 429: 1})
    assert (one.input, one.output, one.cache_read, one.cache_write, one.reasoning, one.cost) == (7, 9, 1, 2, 3, 0.5)
    assert (sum(one.duration), one.duration_ms) == (2, 140.0)
    assert (sum(one.first), one.first_ms) == (1, 20.0)


def test_a_bucket_counts_durations_up_to_its_bound() -> None:
    metrics = Metrics(lambda _: None)
    for seconds in (BUCKETS[0], BUCKETS[0] + 0.001, BUCKETS[-1] + 1):
        metrics.put(a_call(duration_ms=seconds * 1000))
    counts = metrics.series["openai", "gpt-4o"].duration
    assert (counts[0], counts[1], counts[-1]) == (1, 1, 1)


def test_invented_model_names_are_bounded() -> None:
    metrics = Metrics(lambda _: None)
    for number in range(3 * MODELS):
        metrics.put(a_call(model=f"m{number}"))
    assert len(metrics.series) == MODELS + 1
    assert metrics.series["openai", OTHER].requests == 2 * MODELS
    for number in range(2 * PROVIDERS):
        metrics.put(a_call(provider=f"p{number}"))
    assert len({provider for provider, _ in metrics.series}) == PROVIDERS + 1
    metrics.put(a_call(provider="p1", model="new"))
    assert metrics.series["p1", "new"].requests == 1


def test_a_call_that_reached_no_provider_names_no_model() -> None:
    metrics = Metrics(lambda _: None)
    for number in range(100):
        metrics.put(a_call("", f"nonsense-{number}", 404))
    assert {label: one.requests for label, one in metrics.series.items()} == {("", ""): 100}


def test_counting_a_call_takes_microseconds() -> None:
    metrics, call = Metrics(lambda _: None), a_call(tokens_in=7, tokens_out=9, cost=0.5)

    def microseconds() -> float:
        began = time.process_time()
        for _ in range(2000):
            metrics.put(call)
        return (time.process_time() - began) * 1e6 / 2000

    assert min(microseconds() for _ in range(5)) < 10  # about 1 on an idle machine
