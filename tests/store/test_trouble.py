from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fakes import FakeClock
from fakes_store import a_store

from omniroute.gateway.breakers import Breaker
from omniroute.gateway.health import ModelLock
from omniroute.store import keyvalue
from omniroute.store.trouble import NAMESPACE


async def test_breakers_are_kept_in_the_references_table(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for failures in range(1, 6):  # only the last state is written
            store.trouble.put_breaker("openai", Breaker("OPEN", failures, clock.now, reset=60.0, threshold=3))
        store.trouble.put_breaker("groq", Breaker())
        await store.usage.flush()
        rows = await store.db.fetch("SELECT * FROM domain_circuit_breakers ORDER BY name DESC")
        assert [tuple(row) for row in rows] == [
            ("openai", "OPEN", 5, round(clock.now * 1000), '{"failureThreshold":3,"resetTimeout":60000}'),
            ("groq", "CLOSED", 0, None, '{"failureThreshold":5,"resetTimeout":30000}'),
        ]
    async with a_store(tmp_path, clock) as store:
        found = await store.trouble.breakers()
        assert found["openai"] == Breaker("OPEN", 5, clock.now, reset=60.0, threshold=3)


async def test_rows_of_others_are_left_out(tmp_path: Path) -> None:
    async with a_store(tmp_path, FakeClock()) as store:
        async with store.db.transaction() as tx:
            for name, state in (("combo:openai", "OPEN"), ("groq", "AJAR")):
                await tx.execute("INSERT INTO domain_circuit_breakers (name, state) VALUES (?, ?)", (name, state))
        assert await store.trouble.breakers() == {}


@pytest.mark.parametrize(
    "options", [None, "{", "[1]", '{"resetTimeout":"soon"}', '{"resetTimeout":-1}', '{"failureThreshold":0}']
)
async def test_a_breaker_without_numbers_of_use_has_the_usual_ones(tmp_path: Path, options: str | None) -> None:
    async with a_store(tmp_path, FakeClock()) as store:
        async with store.db.transaction() as tx:
            row = ("groq", "OPEN", 5, options)
            await tx.execute(
                "INSERT INTO domain_circuit_breakers (name, state, failure_count, options) VALUES (?, ?, ?, ?)", row
            )
        assert await store.trouble.breakers() == {"groq": Breaker("OPEN", 5)}


async def test_locks_are_kept_until_they_are_lifted_or_long_past(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        one = ModelLock("openai", "c1", "gpt-4o", "unknown", clock.now + 60.0, 2, clock.now, 404, "no model for [redacted]")
        other = ModelLock("openai", "c2", "o1", "model_capacity", clock.now + 90_000.0)
        for lock in (msgspec.structs.replace(one, message="no model for sk-of-a-client-1"), other):
            store.trouble.put_lock(lock, lifted=False)
        await store.usage.flush()
        assert await store.trouble.locks() == [one, other]
        await store.trouble.sweep(clock.now + 80_000.0)
        assert len(await store.trouble.locks()) == 2
        await store.trouble.sweep(clock.now + 86_461.0)
        assert await store.trouble.locks() == [other]
        store.trouble.put_lock(other, lifted=True)
        await store.usage.flush()
        async with store.db.transaction() as tx:
            await keyvalue.write(tx, NAMESPACE, "damaged", {"provider": 3})
        assert await store.trouble.locks() == []


async def test_a_model_whose_name_is_no_text_is_not_stored_and_harms_nothing(tmp_path: Path) -> None:
    async with a_store(tmp_path, FakeClock()) as store:
        store.trouble.put_lock(ModelLock("openai", "c1", "\ud800", "unknown", 1.0), lifted=False)
        store.trouble.put_lock(ModelLock("openai", "c1", "m", "unknown", 1.0, message="\ud800"), lifted=False)
        await store.usage.flush()
        assert await store.trouble.locks() == []
