from __future__ import annotations

from pathlib import Path

from fakes_store import a_call, a_store

from omniroute.store.daily import sums

DAY = 86_400.0


def test_a_batch_is_summed_by_day_model_account_and_key() -> None:
    at = a_call().at
    rows = sums([
        a_call(tokens_in=1, tokens_out=2, cost=0.5, duration_ms=10.0),
        a_call(at=at + 1, status=500, tokens_in=None, tokens_out=None, cost=None, duration_ms=20.0),
        a_call(at=at + DAY, cost=None),
        a_call(key_id="other"),
    ])  # fmt: skip
    assert len(rows) == 3
    assert [row[12] for row in rows] == [0, 1, 0], "a failure without tokens needs no price"
    assert rows[0] == (
        "2025-06-15", "openai", "gpt-4o", "conn-1", "key-1", "laptop", 2, 1, 1, 2, 0.5, 30.0, 0, "2025-06-15T15:06:40.000Z",
        "2025-06-15T15:06:41.000Z",
    )  # fmt: skip


async def test_each_batch_adds_to_its_days(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for seconds in (5.0, 1.0):
            store.usage.put(a_call(at=a_call().at + seconds, cost=0.25))
            await store.usage.flush()
        store.usage.put(a_call(model="connection-test"))
        await store.usage.flush()
        [row] = await store.db.fetch("SELECT * FROM usage_daily")
        assert (row["requests"], row["successes"], row["tokens_input"], row["cost"]) == (2, 2, 1624, 0.5)
        assert (row["first_used"], row["last_used"]) == ("2025-06-15T15:06:41.000Z", "2025-06-15T15:06:45.000Z")


async def test_sums_end_with_the_rows_they_came_from(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call(at=store.clock.time() - 100 * DAY))
        store.usage.put(a_call(at=store.clock.time()))
        await store.usage.flush()
        await store.usage.prune(90)  # the hourly round may have been first
        assert len(await store.db.fetch("SELECT * FROM usage_history")) == 1
        assert len(await store.db.fetch("SELECT * FROM usage_daily")) == 1
