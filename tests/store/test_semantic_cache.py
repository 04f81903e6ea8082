from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import FakeClock
from fakes_store import a_store

from omniroute.errors import OmniError
from omniroute.gateway.cache import Cached
from omniroute.store import semantic_cache
from omniroute.store.semantic_cache import FLUSH_SECONDS, QUEUE, SWEEP_SECONDS
from omniroute.store.store import Store
from omniroute.tasks import cancel, spawn


def answer(clock: FakeClock, seconds: float = 3600.0, *, model: str = "up/m", body: bytes = b'{"id":"1"}') -> Cached:
    return Cached(model, body, 26, clock.time(), clock.time() + seconds)


async def rows(store: Store) -> dict[str, int]:
    found = await store.db.fetch("SELECT signature, hit_count FROM semantic_cache ORDER BY signature")
    return {row[0]: row[1] for row in found}


async def test_an_answer_outlives_the_process(tmp_path: Path) -> None:
    clock = FakeClock()
    made = answer(clock)
    async with a_store(tmp_path, clock) as store:
        store.semantic_cache.put("s", made)
        assert await store.semantic_cache.find("s") == made  # not written yet
    async with a_store(tmp_path, clock) as store:
        assert await store.semantic_cache.find("s") == made
        assert await store.semantic_cache.find("other") is None


async def test_what_is_queued_is_written_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        flushed: list[object] = []
        monkeypatch.setattr(semantic_cache, "spawn", lambda work, name: (flushed.append(name), work.close()))
        store.semantic_cache.put("a", answer(clock))
        store.semantic_cache.put("b", answer(clock))
        clock.advance(FLUSH_SECONDS)
        assert flushed == ["cache flush"]


async def test_uses_are_counted_together(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        cache = store.semantic_cache
        for name in ("a", "b"):
            cache.put(name, answer(clock))
        for name in ("a", "a", "b", "gone"):
            cache.count(name)
        await cache.flush()
        cache.count("a")
        await cache.flush()
        assert await rows(store) == {"a": 3, "b": 1}


async def test_a_newer_answer_takes_the_place_of_the_older(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for body in (b"1", b"2"):
            store.semantic_cache.put("s", answer(clock, body=body))
            await store.semantic_cache.flush()
        assert cast(Cached, await store.semantic_cache.find("s")).body == b"2"


async def test_an_expired_answer_is_not_found_and_swept(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        cache = store.semantic_cache
        cache.put("short", answer(clock, 10))
        cache.put("long", answer(clock, 20))
        clock.now += 10  # still queued
        assert await cache.find("short") is None
        assert await cache.find("long") is not None
        assert await cache.size() == 1
        assert await cache.find("short") is None
        await cache.sweep()
        assert [*await rows(store)] == ["long"]


async def test_the_sweep_leaves_the_newest_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic_cache, "ROWS", 2)
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for name, seconds in (("b", 20), ("a", 10), ("c", 30)):
            store.semantic_cache.put(name, answer(clock, seconds))
        await store.semantic_cache.flush()
        await store.semantic_cache.sweep()
        assert [*await rows(store)] == ["b", "c"]


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({}, {"a", "b", "c"}),
        ({"model": "m"}, {"a", "c"}),
        ({"model": "up/m"}, {"a"}),
        ({"model": "%"}, set()),
        ({"signature": "b"}, {"b"}),
        ({"before": 1_750_000_005.0}, {"a"}),
    ],
)
async def test_all_or_chosen_answers_are_deleted(tmp_path: Path, filters: dict[str, Any], gone: set[str]) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        store.semantic_cache.put("a", answer(clock))
        clock.now += 10
        store.semantic_cache.put("b", answer(clock, model="up/big-m"))
        store.semantic_cache.put("c", answer(clock, model="m"))
        assert await store.semantic_cache.delete(**filters) == gone
        assert {*await rows(store)} == {"a", "b", "c"} - gone


async def test_the_sweep_comes_every_five_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        swept: list[float] = []

        async def sweep() -> None:
            swept.append(clock.now)

        monkeypatch.setattr(store.semantic_cache, "sweep", sweep)
        task = spawn(store.semantic_cache.keep_house(), "sweep")
        start = clock.now
        for _ in range(2):
            await asyncio.sleep(0)
            clock.now += SWEEP_SECONDS - 1
            clock.advance(1)
            await asyncio.sleep(0)
        await cancel(task)
        assert {at - start for at in swept} == {SWEEP_SECONDS, 2 * SWEEP_SECONDS}


async def test_a_flood_is_not_queued_without_end(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for number in range(QUEUE + 10):
            store.semantic_cache.put(str(number), answer(clock))
        assert await store.semantic_cache.size() == QUEUE


async def test_bytes_that_are_no_text_are_not_archived(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        store.semantic_cache.put("s", answer(clock, body=b"\xff"))
        store.semantic_cache.put("t", answer(clock))
        await store.semantic_cache.flush()
        assert [*await rows(store)] == ["t"]


async def test_a_database_that_fails_costs_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()

    async def fails(*_: Any) -> Any:
        raise OmniError("internal", "the disk is full")

    async with a_store(tmp_path, clock) as store:
        with monkeypatch.context() as patch:
            patch.setattr(store.db, "fetch_one", fails)
            assert await store.semantic_cache.find("s") is None
        async with store.db.log() as tx:
            await tx.execute("DROP TABLE semantic_cache")
        store.semantic_cache.put("s", answer(clock))
        await store.semantic_cache.flush()
        await store.semantic_cache.sweep()


async def test_a_row_of_an_earlier_installation_is_no_obstacle(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.log() as tx:
            columns = "id, signature, response, created_at, expires_at"
            await tx.execute(f"INSERT INTO semantic_cache ({columns}) VALUES ('1', 's', '{{}}', 'x', 'y')")
        assert await store.semantic_cache.find("s") is None
        assert await store.db.fetch_one("SELECT 1 FROM semantic_cache") is not None


def test_rows_can_be_counted_and_joined_in_one_statement() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35)  # UPDATE … FROM and RETURNING
