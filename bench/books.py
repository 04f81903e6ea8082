"""Rows about management: how long views over a million recorded calls take, and how much management slows requests."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from statistics import median

from . import load, procs

CALLS = 1_000_000
_BACKUPS = "/api/db-backups"
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
    """Insert :data:`CALLS` calls of the last weeks into a gateway's database; the gateway must not be running."""
    sums = (procs.ROOT / "omniroute/store/migrations/002_usage_daily.sql").read_text().partition("INSERT INTO")
    with closing(sqlite3.connect(data / "storage.sqlite")) as db:
        db.execute(_FILL, (CALLS,))
        db.execute("DELETE FROM usage_daily")
        db.executescript(sums[1] + sums[2])
        db.commit()


def slowest_view(port: int, rounds: int) -> float:
    """Return the milliseconds that the slowest view takes; the median over the rounds."""
    return max(median(_milliseconds(port, "GET", view) for _ in range(rounds)) for view in _VIEWS)


def _milliseconds(port: int, method: str, path: str) -> float:
    began = time.perf_counter()
    procs.call(port, method, path)
    return (time.perf_counter() - began) * 1000


async def added_p99(port: int, shot: load.Shot, rounds: int, seconds: float, other: bytes) -> float:
    """Return the milliseconds that management work adds to the p99 at 300 requests/s; *other*: a database to import."""
    quiet, busy = [], []
    for turn in range(rounds):
        quiet.append(await _p99(shot, seconds, turn))
        over = asyncio.Event()
        work = asyncio.create_task(_manage(port, other, over))
        busy.append(await _p99(shot, seconds, turn))
        over.set()
        await work
    return (median(busy) - median(quiet)) / 1000


async def _p99(shot: load.Shot, seconds: float, seed: int) -> float:
    return (await load.opened(shot, 32, 300, seconds, seed=seed)).check().percentile(0.99)


async def _manage(port: int, other: bytes, over: asyncio.Event) -> None:
    """Run one management task after another without a pause; the last one restores the data that the import replaced."""
    while not over.is_set():
        for view in _VIEWS:
            await asyncio.to_thread(procs.call, port, "GET", view)
        await asyncio.to_thread(procs.call, port, "PUT", _BACKUPS)
        await asyncio.to_thread(_import, port, other)
        listed = await asyncio.to_thread(procs.call, port, "GET", _BACKUPS)
        before = next(backup["id"] for backup in listed["backups"] if backup["reason"] == "pre-import")
        await asyncio.to_thread(procs.call, port, "POST", _BACKUPS, {"backupId": before})


def export(port: int) -> bytes:
    """Download the gateway's database."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{_BACKUPS}/export", timeout=10) as answer:
        content: bytes = answer.read()
        return content


def _import(port: int, database: bytes) -> None:
    """Upload *database* to replace the gateway's."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="other.sqlite"\r\n\r\n'
    request = urllib.request.Request(f"http://127.0.0.1:{port}{_BACKUPS}/import", head + database + b"\r\n--b--\r\n")
    request.add_header("content-type", "multipart/form-data; boundary=b")
    urllib.request.urlopen(request, timeout=10).close()
