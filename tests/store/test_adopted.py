from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fakes_store import a_call, a_store

DAY = "2025-06-15T"
COST = (4 * 2.5 + 6 * 1.25 + 10 * 10) / 1e6  # of the first row: gpt-4o, 10 tokens in, 6 of them from the cache, 10 out


def _reference(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"""
            CREATE TABLE usage_history (id INTEGER PRIMARY KEY, provider TEXT, model TEXT, connection_id TEXT,
              api_key_id TEXT, api_key_name TEXT, tokens_input INTEGER, tokens_output INTEGER, tokens_cache_read INTEGER,
              tokens_cache_creation INTEGER, tokens_reasoning INTEGER, status TEXT, timestamp TEXT);
            INSERT INTO usage_history (provider, model, tokens_input, tokens_output, tokens_cache_read, timestamp) VALUES
              ('openai', 'gpt-4o', 10, 10, 6, '{DAY}10:00:00.000Z'), ('openai', 'gpt-4o', 10, 10, 6, '{DAY}11:00:00.000Z'),
              ('openai', 'no-price', 10, 10, 0, '{DAY}10:00:00.000Z'), ('nobody', 'm', 1, 1, 0, '{DAY}10:00:00.000Z'),
              ('openai', 'gpt-4o', 'many', -5, NULL, '{DAY}10:00:00.000Z'), (NULL, NULL, 1, 1, 1, '{DAY}10:00:00.000Z');
        """)


async def test_usage_of_an_earlier_installation_costs_what_its_tokens_do(tmp_path: Path) -> None:
    _reference(tmp_path / "storage.sqlite")
    for _ in range(2):  # nothing is counted twice
        async with a_store(tmp_path) as store:
            rows = await store.db.fetch("SELECT cost FROM usage_history ORDER BY id")
            assert [row[0] for row in rows] == [pytest.approx(COST), pytest.approx(COST), None, None, 0.0, None]
            assert await store.usage.unpriced() == {("openai", "no-price"): 1, ("nobody", "m"): 1, ("", ""): 1}
            [day] = await store.analytics.totals("day")
            assert (day.requests, day.tokens, day.cost) == (6, 59, pytest.approx(2 * COST))
            assert (day.first_used, day.last_used) == (f"{DAY}10:00:00.000Z", f"{DAY}11:00:00.000Z")


async def test_a_call_of_our_own_without_a_price_stays_unpriced(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call(cost=None))
    async with a_store(tmp_path) as store:
        row = await store.db.fetch_one("SELECT cost FROM usage_history")
        assert row is not None
        assert row[0] is None
