"""Costs for the usage rows of an adopted database, at the prices in force at the time of adoption.

Earlier installations stored no costs; they computed them on each query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..gateway.cost import cost, price_of
from ..gateway.snapshot import Snapshot
from ..translate.events import Usage
from . import daily
from .db import Database, Row
from .migrate import ADOPTED

_CHUNK: Final = 5000
_ROWS: Final = f"""
SELECT id, timestamp, provider, model, connection_id, api_key_id, api_key_name, tokens_input, tokens_output,
  tokens_cache_read, tokens_cache_creation, tokens_reasoning, status
FROM usage_history WHERE id > ? AND cost IS NULL AND duration_ms IS NULL ORDER BY id LIMIT {_CHUNK}
"""
_SET: Final = """
UPDATE usage_history SET cost = json_extract(found.value, '$[1]') FROM json_each(?) AS found
WHERE usage_history.id = json_extract(found.value, '$[0]')
"""


async def price_usage(db: Database, snapshot: Snapshot) -> None:
    """Add the cost of each row with a known price to the row and to the daily sums.  Runs once per adopted database."""
    if await db.fetch_one("SELECT 1 FROM db_meta WHERE key = ?", (ADOPTED,)) is None:
        return
    async with db.log() as tx:
        last = -(2**63)
        while rows := await tx.fetch(_ROWS, (last,)):
            costs, days = await asyncio.to_thread(_priced, rows, snapshot)
            await tx.execute(_SET, (msgspec.json.encode(costs).decode(),))
            await daily.add(tx, days)
            last = rows[-1]["id"]
        await tx.execute("DELETE FROM db_meta WHERE key = ?", (ADOPTED,))


def _priced(rows: Sequence[Row], snapshot: Snapshot) -> tuple[list[tuple[int, float]], list[tuple[Any, ...]]]:
    """The (id, cost) pairs of the rows with a known price, and the rows for :func:`daily.add`."""
    costs: list[tuple[int, float]] = []
    days: list[tuple[Any, ...]] = []
    for row in rows:
        paid = _cost(row, snapshot)
        if paid is not None:
            costs.append((row["id"], paid))
            at = str(row["timestamp"])
            names = [row[name] or "" for name in ("provider", "model", "connection_id", "api_key_id", "api_key_name")]
            was_unpriced = (row["tokens_input"] or 0) > 0 or (row["tokens_output"] or 0) > 0 or row["status"] == "200"
            days.append((at[: daily.DAY_CHARS], *names, 0, 0, 0, 0, paid, 0.0, -int(was_unpriced), at, at))
    return costs, days


def _cost(row: Row, snapshot: Snapshot) -> float | None:
    name, model = row["provider"], row["model"]
    provider = snapshot.providers.get(snapshot.prefixes.get(name, name))
    if provider is None or not isinstance(model, str):
        return None
    counts = [value if isinstance(value, int) else None for value in tuple(row)[7:12]]
    usage = Usage(input=counts[0], output=counts[1], cache_read=counts[2], cache_write=counts[3], reasoning=counts[4])
    return cost(usage.plausible(), price_of(snapshot, provider, model))
