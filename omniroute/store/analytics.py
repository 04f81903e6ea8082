"""Queries on the daily usage sums, grouped by any columns."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from .db import Database, text_of

GROUPS: Final = frozenset({"day", "provider", "model", "connection_id", "api_key_id", "api_key_name"})


class Total(Struct, kw_only=True):
    """The sums of one group.

    ``key`` holds the values of the columns grouped by; ``cost`` is in US dollars, ``duration_ms`` is a sum too.
    """

    key: tuple[str, ...]
    requests: int
    successes: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    duration_ms: float
    first_used: str
    last_used: str

    @property
    def name(self) -> str:
        """The first value of the key."""
        return self.key[0]

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


class Analytics:
    """Table ``usage_daily``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def totals(self, *columns: str, since: str = "") -> list[Total]:
        """Sums from the day *since* (``YYYY-MM-DD``) on, grouped by *columns*; the group with most requests first.

        Raises ``ValueError`` for columns that are not in :data:`GROUPS`.
        """
        if unknown := set(columns) - GROUPS:
            raise ValueError(f"not columns of usage_daily: {sorted(unknown)}")
        names = ", ".join(columns)
        records = await self._db.fetch(
            f"SELECT {names}, sum(requests), sum(successes), sum(tokens_input), sum(tokens_output), sum(cost),"
            f" sum(duration_ms), min(first_used), max(last_used) FROM usage_daily WHERE day >= ?"
            f" GROUP BY {names} ORDER BY sum(requests) DESC, {names}",
            (since,),
        )
        return [_total(tuple(record), len(columns)) for record in records]


def _total(values: tuple[object, ...], width: int) -> Total:
    names = Total.__struct_fields__[1:]
    sums = dict(zip(names, values[width:], strict=True))
    texts = {name: text_of(sums[name]) for name in ("first_used", "last_used")}
    return Total(key=tuple(map(text_of, values[:width])), **{**sums, **texts})  # type: ignore[arg-type]
