from __future__ import annotations

from pathlib import Path

import pytest
from fakes_store import a_call, a_store

DAY = 86_400.0


async def test_totals_are_grouped_as_asked_the_most_used_first(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for fields in ({}, {"model": "o1"}, {"provider": "deepseek", "status": 500}):
            store.usage.put(a_call(**fields))
        await store.usage.flush()
        [first, second] = await store.analytics.totals("provider")
        assert (first.name, first.requests, first.successes, first.tokens) == ("openai", 2, 2, 2 * 1052)
        assert (second.name, second.successes, second.duration_ms) == ("deepseek", 0, 812.5)
        keys = [total.key for total in await store.analytics.totals("model", "provider")]
        assert keys == [("gpt-4o", "deepseek"), ("gpt-4o", "openai"), ("o1", "openai")]


async def test_only_days_from_the_given_one_on(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for days in (0, 1, 2):
            store.usage.put(a_call(at=a_call().at - days * DAY))
        await store.usage.flush()
        days_found = [total.name for total in await store.analytics.totals("day", since="2025-06-14")]
        assert days_found == ["2025-06-14", "2025-06-15"]


async def test_only_columns_of_the_table(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        with pytest.raises(ValueError, match="not columns"):
            await store.analytics.totals("day; DROP TABLE usage_daily")


async def test_values_that_are_no_text_are_shown_and_break_nothing(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call())
        await store.usage.flush()
        async with store.db.log() as tx:
            await tx.execute("UPDATE usage_daily SET day = x'ff61', last_used = x'ff61', provider = CAST(x'ff62' AS TEXT)")
            await tx.execute("UPDATE call_logs SET id = NULL, timestamp = x'ff61', provider = CAST(x'ff62' AS TEXT)")
        [total] = await store.analytics.totals("day", "provider")
        assert (total.key, total.last_used) == (("\ufffda", "\ufffdb"), "\ufffda")
        assert set((await store.usage.last_used()).values()) == {"\ufffda"}
        [call] = await store.usage.recent()
        assert (call.id, call.timestamp, call.provider) == ("", "\ufffda", "\ufffdb")
