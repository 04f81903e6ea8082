from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from fakes_store import a_call, a_store

from omniroute import tasks
from omniroute.errors import OmniError
from omniroute.store import batch as batch_module
from omniroute.store.batch import (
    BODIES,
    ERROR_BODIES,
    FLUSH_SECONDS,
    RECORDS,
    RETRY_SECONDS,
    STATEMENTS,
    STATEMENTS_AT_ONCE,
    Batch,
)
from omniroute.store.store import Store


def batch_of(store: Store) -> Batch:
    return store._batch


async def count(store: Store, table: str = "usage_history") -> int:
    row = await store.db.fetch_one(f"SELECT count(*) FROM {table}")
    assert row is not None
    return int(row[0])


async def spawned_work_done() -> None:
    """Let the tasks that a timer started come to their end."""
    while any(task.get_name() in ("usage flush", "database commit") for task in asyncio.all_tasks()):
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() in ("usage flush", "database commit")])


async def test_queued_calls_are_written_together_when_the_time_is_up(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for number in range(3):
            store.usage.put(a_call(str(number)))
        clock.advance(FLUSH_SECONDS - 0.01)
        await spawned_work_done()
        assert await count(store) == 0
        clock.advance(0.01)
        await spawned_work_done()
        assert await count(store) == 3


async def test_the_promise_of_200_milliseconds_leaves_room_for_the_write() -> None:
    assert FLUSH_SECONDS <= 0.15


async def test_an_idle_store_has_no_timer(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        await tasks.drain(0)
        assert clock.pending == 0
        store.usage.put(a_call())
        store.usage.put(a_call())
        assert clock.pending == 1


async def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call())
    async with a_store(tmp_path) as store:
        assert await count(store) == 1
        assert await count(store, "call_logs") == 1


async def test_a_put_takes_the_bodies_out_of_the_record(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        record = a_call(request_body=b"x" * 1_000_000, response_body=b"{}")
        store.usage.put(record)
        assert (record.request_body, record.response_body) == (None, None)
        [entry] = batch_of(store)._entries
        assert entry.request is not None
        assert len(entry.request.data) < 10_000


async def test_when_many_calls_end_at_once_bodies_go_first_and_those_of_failures_last(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number in range(BODIES + 10):
            store.usage.put(a_call(str(number), request_body=b"{}"))
        for number in range(ERROR_BODIES):
            store.usage.put(a_call(f"failed-{number}", status=502, request_body=b"{}"))
        kept = [entry.record.id for entry in batch_of(store)._entries if entry.request]
        assert kept[:BODIES] == [str(number) for number in range(BODIES)]
        assert len(kept) == BODIES + (ERROR_BODIES - BODIES - 10)
        assert batch_of(store).dropped == 0


async def test_a_full_queue_counts_what_it_drops(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number in range(RECORDS + 5):
            store.usage.put(a_call(str(number)))
        assert store.usage.dropped == 5
        await store.usage.flush()
        assert await count(store) == RECORDS
        assert await count(store, "call_logs") <= 500


async def test_a_database_that_cannot_be_written_is_tried_again_and_complained_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    failing = True
    write = batch_module.write

    async def flaky(*arguments: Any) -> None:
        if failing:
            raise OmniError("internal", "Database storage.sqlite: the disk is full; free some space")
        await write(*arguments)

    monkeypatch.setattr(batch_module, "write", flaky)
    async with a_store(tmp_path, clock) as store:
        row = await store.connections.create("openai", name="work")
        with caplog.at_level(logging.ERROR):
            store.usage.put(a_call("1"))
            store.connections.mark(row.id, {"backoff_level": 1, "error_code": "429"})
            for _ in range(3):
                await store.usage.flush()
        assert [record.message for record in caplog.records if "disk is full" in record.message] == [
            caplog.records[0].message
        ]
        store.usage.put(a_call("2"))
        store.connections.mark(row.id, {"backoff_level": 2})
        failing = False
        clock.advance(RETRY_SECONDS)
        await spawned_work_done()
        assert [row.request_id for row in await store.usage.recent()] == ["2", "1"]
        marked = await store.connections.get(row.id)
        assert marked is not None
        assert (marked.backoff_level, marked.error_code) == (2, "429")
        assert store.usage.dropped == 0


async def test_one_row_that_no_column_can_hold_does_not_take_the_others_along(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call("1"))
        store.usage.put(a_call("2", model="\ud800"))
        store.usage.put(a_call("3", tokens_in=1 << 80))  # nonsense, but a number
        store.usage.put(a_call("4"))
        await store.usage.flush()
        assert [row.request_id for row in await store.usage.recent()] == ["4", "3", "1"]
        assert store.usage.dropped == 1


async def test_nor_what_became_of_accounts(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="a", api_key="sk-1")
        store.usage.put(a_call("1", model="\ud800"))
        store.connections.mark(row.id, {"backoff_level": 2})
        batch_of(store).latest("x", ("INSERT INTO db_meta VALUES ('x', ?)", ("1",)))
        await store.usage.flush()
        marked = await store.connections.get(row.id)
        assert marked is not None
        assert marked.backoff_level == 2
        assert await store.db.fetch_one("SELECT value FROM db_meta WHERE key = 'x'")


async def test_of_statements_with_the_same_key_only_the_last_one_is_carried_out(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number in range(3):
            batch_of(store).latest("x", ("INSERT INTO db_meta VALUES (?, 'x')", (str(number),)))
        await store.usage.flush()
        rows = await store.db.fetch("SELECT key FROM db_meta WHERE value = 'x'")
        assert [row["key"] for row in rows] == ["2"]


async def test_a_flood_of_statements_is_written_bit_by_bit_and_what_is_too_much_is_lost(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        batch = batch_of(store)
        for number in range(STATEMENTS + 50):
            batch.latest(str(number), ("INSERT INTO db_meta VALUES (?, 'x')", (f"flood {number}",)))
        await batch.flush(STATEMENTS_AT_ONCE)
        assert len(await store.db.fetch("SELECT key FROM db_meta WHERE value = 'x'")) == STATEMENTS_AT_ONCE
        await batch.flush()
        assert len(await store.db.fetch("SELECT key FROM db_meta WHERE value = 'x'")) == STATEMENTS


async def test_the_event_loop_keeps_turning_while_a_batch_is_written(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number in range(2000):
            store.usage.put(a_call(str(number)))
        flush = asyncio.ensure_future(store.usage.flush())
        turns = 0
        while not flush.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 20
        assert await count(store) == 2000


async def test_while_it_is_held_nothing_is_written_and_what_waits_can_be_looked_at(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        batch = batch_of(store)
        batch.put(a_call("1"))
        async with batch.held() as waiting:
            writing = asyncio.ensure_future(batch.flush())
            batch.put(a_call("2"))
            assert [record.id for record in waiting] == ["1", "2"]
            assert await count(store) == 0
        await writing
        assert await count(store) == 2
