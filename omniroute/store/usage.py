"""Usage history and call log: rows are written through the batch, queries read the tables."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from msgspec import Struct

from ..clock import Clock, iso
from ..gateway.usage import CallRecord
from .batch import Batch
from .call_rows import LOG_ROWS
from .daily import DAY_CHARS
from .db import Database, Row, containing, text_of

_SECONDS_A_DAY: Final = 86_400
_CHUNK: Final = 5000  # rows deleted in one transaction


class UsageGroup(Struct, kw_only=True):
    """All calls with the same provider, model, account and key.  ``cost`` in US dollars, 0 where no price is known."""

    provider: str = ""
    model: str = ""
    connection_id: str = ""
    api_key_id: str = ""
    api_key_name: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    last_used: str = ""


class UsageMinute(Struct):
    """The sums of one minute, which begins at ``at`` (ISO 8601)."""

    at: str
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class CallRow(Struct, kw_only=True):
    """One call of the log, without bodies.  ``duration`` in milliseconds."""

    id: str
    timestamp: str
    method: str = ""
    path: str = ""
    status: int = 0
    model: str = ""
    provider: str = ""
    account: str = ""
    connection_id: str | None = None
    duration: float = 0.0
    tokens_in: int | None = None
    tokens_out: int | None = None
    source_format: str = ""
    target_format: str = ""
    api_key_id: str | None = None
    api_key_name: str | None = None
    combo_name: str | None = None
    error: str | None = None
    request_id: str | None = None
    requested_model: str | None = None
    first_byte_ms: float | None = None
    attempts: int | None = None
    route: str | None = None
    cost: float | None = None
    has_request_body: bool = False
    has_response_body: bool = False


class CallDetail(CallRow, kw_only=True):
    """One call with its bodies as stored: redacted text, or JSON ``{"_truncated", "_originalSize", "_preview"}``."""

    request_body: str | None = None
    response_body: str | None = None


_SUMS: Final = "count(*), total(tokens_input), total(tokens_output), total(cost)"
_HISTORY: Final = f"""
SELECT provider, model, connection_id, api_key_id, api_key_name, {_SUMS}, max(timestamp) FROM usage_history
WHERE timestamp >= ?1 AND (?2 IS NULL OR connection_id = ?2)
GROUP BY provider, model, connection_id, api_key_id, api_key_name ORDER BY count(*) DESC
"""
_ALL_HISTORY: Final = """
SELECT provider, model, connection_id, api_key_id, api_key_name, sum(requests), sum(tokens_input), sum(tokens_output),
  sum(cost), max(last_used)
FROM usage_daily WHERE ?1 IS NULL OR connection_id = ?1
GROUP BY provider, model, connection_id, api_key_id, api_key_name ORDER BY sum(requests) DESC
"""
_MINUTES: Final = f"""
SELECT substr(timestamp, 1, 16) AS minute, {_SUMS} FROM usage_history WHERE timestamp >= ? GROUP BY minute
"""
_LAST_USED: Final = """
SELECT connection_id, max(last_used) FROM usage_daily WHERE connection_id <> '' AND (?1 IS NULL OR connection_id = ?1)
GROUP BY connection_id
"""
_ALL_UNPRICED: Final = """
SELECT provider, model, sum(unpriced) FROM usage_daily WHERE day >= ? GROUP BY provider, model HAVING sum(unpriced) > 0
"""
_UNPRICED: Final = """
SELECT provider, model, count(*) FROM usage_history
WHERE timestamp >= ? AND cost IS NULL AND (tokens_input > 0 OR tokens_output > 0 OR status = '200') GROUP BY provider, model
"""
_STORED: Final = tuple(name for name in CallRow.__struct_fields__ if not name.startswith("has_"))
_LOG: Final = f"""
SELECT {", ".join(_STORED)}, request_body IS NOT NULL AS has_request_body, response_body IS NOT NULL AS has_response_body
"""
_SEARCHED: Final = ("model", "provider", "account", "path", "error", "api_key_name", "combo_name", "request_id")
_RECENT: Final = (
    _LOG
    + r"""FROM call_logs WHERE (:low IS NULL OR status BETWEEN :low AND :high)
AND (:model IS NULL OR model LIKE :model ESCAPE '\' OR requested_model LIKE :model ESCAPE '\')
AND (:provider IS NULL OR provider = :provider) AND (:account IS NULL OR account LIKE :account ESCAPE '\')
AND (:key IS NULL OR api_key_id = :key OR api_key_name = :key COLLATE NOCASE)
AND (:combo = 0 OR combo_name IS NOT NULL) AND (:search IS NULL"""
    + "".join(rf" OR {column} LIKE :search ESCAPE '\'" for column in _SEARCHED)
    + """) ORDER BY timestamp DESC, rowid DESC LIMIT :limit"""
)
_DETAIL: Final = (
    _LOG
    + """, request_body, response_body FROM call_logs
WHERE id = ?1 OR request_id = ?1 ORDER BY rowid DESC LIMIT 1
"""
)
_PRUNE: Final = """
DELETE FROM usage_history WHERE id IN (SELECT id FROM usage_history WHERE timestamp < ? ORDER BY timestamp LIMIT ?)
"""
_STATUSES: Final = {"ok": (200, 399), "error": (400, 999)}


class Usage:
    """Tables ``usage_history`` and ``call_logs``."""

    def __init__(self, db: Database, batch: Batch, clock: Clock) -> None:
        self._db = db
        self._batch = batch
        self._clock = clock

    def put(self, record: CallRecord) -> None:
        """Queue a finished call; *record* then belongs to the store.  Never waits, never raises."""
        self._batch.put(record)

    async def flush(self) -> None:
        """Write what is queued, e.g. before a query that must see the latest calls."""
        await self._batch.flush()

    def held(self) -> AbstractAsyncContextManager[Iterator[CallRecord]]:
        """See ``Batch.held``."""
        return self._batch.held()

    @property
    def dropped(self) -> int:
        """Number of records lost because the queue was full or a write failed."""
        return self._batch.dropped

    @property
    def queued(self) -> int:
        """Number of records waiting to be written."""
        return self._batch.queued

    async def history(self, since: float | None = None, connection_id: str | None = None) -> list[UsageGroup]:
        """Sums since Unix time *since* (None: all), the group with most requests first."""
        if since is None:
            records = await self._db.fetch(_ALL_HISTORY, (connection_id,))
        else:
            records = await self._db.fetch(_HISTORY, (iso(since), connection_id))
        return [UsageGroup(
            provider=r[0] or "", model=r[1] or "", connection_id=r[2] or "", api_key_id=r[3] or "", api_key_name=r[4] or "",
            requests=r[5], prompt_tokens=int(r[6]), completion_tokens=int(r[7]), cost=r[8], last_used=r[9] or "",
        ) for r in records]  # fmt: skip

    async def last_used(self, connection_id: str | None = None) -> dict[str, str]:
        """Connection id -> start of its last call (ISO 8601), for all connections or one."""
        return {row[0]: text_of(row[1]) for row in await self._db.fetch(_LAST_USED, (connection_id,))}

    async def unpriced(self, since: str = "") -> dict[tuple[str, str], int]:
        """(provider, model) -> number of calls without a known cost since a time or a day (ISO 8601; "" is the beginning).

        Failed calls that used no tokens are not counted.
        """
        records = await self._db.fetch(_UNPRICED if len(since) > DAY_CHARS else _ALL_UNPRICED, (since,))
        return {(row[0] or "", row[1] or ""): row[2] for row in records}

    async def minutes(self, count: int = 10) -> list[UsageMinute]:
        """The last *count* minutes, including those without calls; the current one comes last."""
        now = self._clock.time()
        starts = [iso((now // 60 - back) * 60) for back in reversed(range(count))]
        found = {r[0]: r for r in await self._db.fetch(_MINUTES, (starts[0],))}
        minutes = []
        for start in starts:
            row = found.get(start[:16])
            minutes.append(UsageMinute(start, row[1], int(row[2]), int(row[3]), row[4]) if row else UsageMinute(start))
        return minutes

    async def recent(
        self,
        limit: int = 200,
        *,
        status: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        account: str | None = None,
        api_key: str | None = None,
        combo: bool = False,
        search: str | None = None,
    ) -> builtins.list[CallRow]:
        """Calls, newest first, at most 500.  *status* is ``ok``, ``error`` or a number.

        *model*, *account* and *search* match anywhere in the value; *provider* and *api_key* (id or name) match exactly.
        """
        low, high = _status_range(status)
        records = await self._db.fetch(_RECENT, {
            "low": low, "high": high, "model": _like(model), "provider": provider or None, "account": _like(account),
            "key": api_key or None, "combo": int(combo), "search": _like(search), "limit": min(limit, LOG_ROWS),
        })  # fmt: skip
        return [CallRow(**_values(record)) for record in records]

    async def call(self, id: str) -> CallDetail | None:
        """One call with its bodies, by its id in the log or its request id; None when there is none."""
        record = await self._db.fetch_one(_DETAIL, (id,))
        if record is None:
            return None
        return CallDetail(**_values(record), request_body=record["request_body"], response_body=record["response_body"])

    async def prune(self, days: int) -> int:
        """Delete usage rows older than *days*, in small transactions; returns their number."""
        cutoff = iso(self._clock.time() - days * _SECONDS_A_DAY)
        total = 0
        while True:
            async with self._db.log() as tx:
                count = await tx.execute(_PRUNE, (cutoff, _CHUNK))
            total += count
            if count < _CHUNK:
                break
        async with self._db.log() as tx:
            await tx.execute("DELETE FROM usage_daily WHERE day < ?", (cutoff[:DAY_CHARS],))
        return total


def _values(record: Row) -> dict[str, Any]:
    values = {name: record[name] for name in _STORED if record[name] is not None}  # adopted rows may have NULL anywhere
    blobs = {name: text_of(value) for name, value in values.items() if isinstance(value, bytes)}
    status, duration = values.get("status"), values.get("duration")
    return {
        "id": "",
        "timestamp": "",
        **values,
        **blobs,
        "status": int(status) if isinstance(status, int | float) else 0,  # text in one adopted row must not break the list
        "duration": duration if isinstance(duration, int | float) else 0.0,
        "has_request_body": bool(record["has_request_body"]),
        "has_response_body": bool(record["has_response_body"]),
    }


def _status_range(status: str | None) -> tuple[int | None, int | None]:
    if not status:
        return None, None
    if status.isdecimal() and len(status) < 10:
        code = min(int(status), 9999)
        return code, code
    return _STATUSES.get(status, (None, None))


def _like(text: str | None) -> str | None:
    return containing(text) if text else None
