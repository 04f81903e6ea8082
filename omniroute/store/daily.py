"""Table ``usage_daily``: the usage sums per day, to which each batch adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..clock import iso
from ..gateway.budgets import DAY
from ..gateway.usage import CallRecord
from .db import Transaction, insertion

DAY_CHARS: Final = 10  # of an ISO 8601 time: YYYY-MM-DD
_KEYS: Final = ("day", "provider", "model", "connection_id", "api_key_id", "api_key_name")
_SUMS: Final = ("requests", "successes", "tokens_input", "tokens_output", "cost", "duration_ms", "unpriced")
_COLUMNS: Final = (*_KEYS, *_SUMS, "first_used", "last_used")
_ADD: Final = f"""
{insertion("usage_daily", _COLUMNS)} WHERE true
ON CONFLICT ({", ".join(_KEYS)}) DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)},
  first_used = min(first_used, excluded.first_used), last_used = max(last_used, excluded.last_used)
"""


async def add(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    """Add *rows*, made by :func:`sums`, to the stored sums of their days."""
    if rows:
        await tx.execute(_ADD, (msgspec.json.encode(rows).decode(),))


def sums(records: Iterable[CallRecord]) -> list[tuple[Any, ...]]:
    """Sum up *records*: one row per day, provider, model, connection and key, in the order of the table's columns."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for r in records:
        at = r.at
        key = (at // DAY, r.provider, r.model, r.connection_id, r.key_id, r.key_name)
        group = groups.get(key)
        if group is None:
            group = groups[key] = [0, 0, 0, 0, 0.0, 0.0, 0, at, at]
        group[0] += 1
        group[1] += r.status < 400
        group[2] += r.tokens_in or 0
        group[3] += r.tokens_out or 0
        group[4] += r.cost or 0.0
        group[5] += r.duration_ms
        group[6] += r.cost is None and bool(r.tokens_in or r.tokens_out or r.status == 200)
        if at < group[7]:
            group[7] = at
        elif at > group[8]:
            group[8] = at
    return [
        (iso(first)[:DAY_CHARS], *key[1:], *counts, iso(first), iso(last)) for key, (*counts, first, last) in groups.items()
    ]
