"""Rows about the management side: how long the books of a million calls take to read, and whether requests notice."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median

from . import load, procs

CALLS = 1_000_000
_VIEWS = ("/api/usage/analytics?range=30d", "/api/usage/analytics?range=all", "/api/usage/history?range=all")
_FILL = """
WITH RECURSIVE calls(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM calls WHERE n + 1 < ?)
INSERT INTO usage_history (provider, model, connection_id, api_key_id, api_key_name, tokens_input, tokens_output, status,
  timestamp, cost, duration_ms, first_byte_ms)
SELECT 'provider-' || (n % 5), 'model-' || (n % 40), 'account-' || (n % 10), 'key-' || (n % 3), 'agent ' || (n % 3),
  1000 + n % 977, 50 + n % 389, iif(n % 50, '200', '429'),
  strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (n % 80) || ' days', '-' || (n % 86400) || ' seconds'),
  0.001 * (n % 17), 200 + n % 3000, 100 + n % 500
FROM calls
"""


def fill(data: Path) -> None:
    """Enter :data:`CALLS` calls of the last weeks into a gateway's database; the gateway must not run."""
    sums = (procs.ROOT / "omniroute/store/migrations/002_usage_daily.sql").read_text().partition("INSERT INTO")
    with closing(sqlite3.connect(data / "storage.sqlite")) as db:
        db.execute(_FILL, (CALLS,))
        db.execute("DELETE FROM usage_daily")
        db.executescript(sums[1] + sums[2])
        db.commit()


def slowest_view(port: int, rounds: int) -> float:
    """Milliseconds that the slowest of the views takes, in the median of the rounds."""
    return max(median(_milliseconds(port, "GET", view) for _ in range(rounds)) for view in _VIEWS)


def _milliseconds(port: int, method: str, path: str) -> float:
    began = time.perf_counter()
    procs.call(port, method, path)
    return (time.perf_counter() - began) * 1000


async def added_p99(port: int, shot: load.Shot, rounds: int, seconds: float) -> float:
    """Milliseconds that reading the books and copying the database add to the p99 of requests, 300 a second."""
    quiet, busy = [], []
    for turn in range(rounds):
        quiet.append(await _p99(shot, seconds, turn))
        work = asyncio.create_task(_manage(port))
        busy.append(await _p99(shot, seconds, turn))
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return (median(busy) - median(quiet)) / 1000


async def _p99(shot: load.Shot, seconds: float, seed: int) -> float:
    return (await load.opened(shot, 32, 300, seconds, seed=seed)).check().percentile(0.99)


async def _manage(port: int) -> None:
    """One operator's work after the other, without a rest."""
    while True:
        for view in _VIEWS:
            await asyncio.to_thread(partial(procs.call, port, "GET", view))
        await asyncio.to_thread(partial(procs.call, port, "PUT", "/api/db-backups"))
