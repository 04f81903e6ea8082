from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes_store import a_store

from omniroute.gateway.budgets import Budget
from omniroute.gateway.usage import CallRecord
from omniroute.store.budgets import BudgetRow, cost_rows


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def call(at: float, cost: float | None = 0.1, *charged: str, duration_ms: float = 0.0) -> CallRecord:
    return CallRecord(
        id="r", at=at, method="POST", path="/v1/x", status=200, provider="p", model="m", requested_model="m",
        connection_id="", account="", key_id="k1", key_name="", source_format="", target_format="", stream=False,
        duration_ms=duration_ms, first_byte_ms=None, cost=cost, charged=charged,
    )  # fmt: skip


async def test_a_budget_is_in_force_until_it_is_removed(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = BudgetRow(key_id="k1", daily=1.0, monthly=5.0, threshold=0.5, period="monthly", reset_time="06:00")
        await store.budgets.set(row)
        assert await store.budgets.list() == [row]
        assert (await store.budgets.get("k1"), await store.budgets.get("k2")) == (row, None)
        assert store.snapshot.budgets == {"k1": Budget(1.0, 0.0, 5.0, 0.5)}
        assert row.limit == 5.0
        await store.budgets.set(BudgetRow(key_id="k1", weekly=2.0))
        assert store.snapshot.budgets == {"k1": Budget(weekly=2.0)}
        await store.budgets.set(BudgetRow(key_id="k1"))
        assert store.snapshot.budgets == {}
        assert await store.budgets.delete("k1") is False


async def test_a_deleted_key_takes_its_budget_along(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        key, _ = await store.keys.create("agent")
        await store.budgets.set(BudgetRow(key_id=key.id, daily=1.0))
        await store.keys.delete(key.id)
        assert store.snapshot.budgets == {}


async def test_of_an_adopted_row_the_sound_part_counts(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        columns = "api_key_id, daily_limit_usd, monthly_limit_usd, warning_threshold, reset_interval"
        insert = f"INSERT INTO domain_budgets ({columns}) VALUES (?, ?, ?, ?, ?)"
        async with store.db.change() as tx:
            for values in (("a", "x", 3.0, 7, "daily"), ("b", -1.0, None, 0.8, None), ("c", 0, 0, 0.8, "monthly")):
                await tx.execute(insert, values)
        assert await store.budgets.list() == [BudgetRow(key_id="a", monthly=3.0, period="monthly")]


def test_one_batch_gives_one_row_for_each_purse_and_day() -> None:
    midnight = at("2026-02-27")
    records = [
        call(midnight - 5, 0.1, "k1"),
        call(midnight - 4, 0.2, "k1", "policy:p", duration_ms=1000.0),
        call(midnight - 1, 0.4, "k1", duration_ms=2000.0),  # ends on the next day
        call(midnight, None, "k1"),
        call(midnight, 0.8),
    ]
    assert cost_rows(records) == [
        ("k1", pytest.approx(0.3), int((midnight - 3) * 1000), 2),
        ("policy:p", 0.2, int((midnight - 3) * 1000), 1),
        ("k1", 0.4, int((midnight + 1) * 1000), 1),
    ]


async def test_what_was_spent_in_the_running_windows_survives_a_restart(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        now = store.clock.now = at("2026-02-26T14:00")  # type: ignore[attr-defined]
        for days, cost in ((0, 0.5), (0, 0.5), (1, 2.0), (7, 4.0), (40, 8.0)):
            store.usage.put(call(now - days * 86_400, cost, "k1"))
        store.usage.put(call(now, 16.0, "policy:p"))
        await store.usage.flush()
    async with a_store(tmp_path) as store:
        store.clock.now = now  # type: ignore[attr-defined]
        assert await store.budgets.spent() == {"k1": [1.0, 3.0, 7.0], "policy:p": [16.0, 16.0, 16.0]}
        assert await store.budgets.entries("k1") == 5, "calls, however they were written"
        assert await store.budgets.all_entries() == {"k1": 5, "policy:p": 1}
        store.clock.now += 30 * 86_400  # type: ignore[attr-defined]
        await store.budgets.prune()
        assert await store.budgets.entries("k1") == 4


async def test_records_that_wait_for_the_books_are_counted_in_the_windows_they_fall_into(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        now = store.clock.now = at("2026-02-26T14:00")  # type: ignore[attr-defined]
        store.usage.put(call(now, 1.0, "k1"))
        await store.usage.flush()
        waiting = [call(now, 2.0, "k1"), call(now - 86_400, 4.0, "k2")]
        assert await store.budgets.spent(waiting) == {"k1": [3.0, 3.0, 3.0], "k2": [0.0, 4.0, 4.0]}
