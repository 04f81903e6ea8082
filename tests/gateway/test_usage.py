from __future__ import annotations

import gc

from omniroute.gateway.usage import CallRecord


def record() -> CallRecord:
    return CallRecord(
        id="r1",
        at=0.0,
        method="POST",
        path="/v1/messages",
        status=200,
        provider="p",
        model="m",
        requested_model="p/m",
        connection_id="c1",
        account="acct",
        key_id="",
        key_name="",
        source_format="anthropic",
        target_format="anthropic",
        stream=False,
        duration_ms=1.0,
        first_byte_ms=None,
    )


def test_unreported_counts_are_unknown_and_not_zero() -> None:
    made = record()
    unknown = ("tokens_in", "tokens_out", "tokens_cache_read", "tokens_cache_write", "tokens_reasoning", "cost")
    assert [getattr(made, name) for name in unknown] == [None] * len(unknown)
    assert not made.estimated


def test_bodies_are_kept_only_when_they_are_given() -> None:
    made = record()
    assert (made.request_body, made.response_body) == (None, None)


def test_queued_records_are_not_tracked_by_the_garbage_collector() -> None:
    assert not gc.is_tracked(record())
