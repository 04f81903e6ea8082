"""The newest calls and the outbound proxy of each: those with one in table ``proxy_logs``, the others in ``call_logs``."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from msgspec import Struct

from ..clock import iso
from ..gateway.outbound import ProxiedCall
from .batch import Batch
from .db import Database, Row, containing
from .redaction import redact

KEPT: Final = 500
_COLUMNS: Final = (
    "id, timestamp, status, proxy_type, proxy_host, proxy_port, level, level_id, provider, target_url, public_ip, "
    "latency_ms, error, connection_id, combo_id, account"
)
_INSERT: Final = f"INSERT INTO proxy_logs ({_COLUMNS}) VALUES ({', '.join('?' * 16)})"
# Calls without a proxy are in the call log already; a call that went through one is there too, and must not be shown twice.
_DIRECT: Final = """
SELECT c.id, c.timestamp, CASE WHEN c.status = 504 THEN 'timeout' WHEN c.status >= 400 THEN 'error' ELSE 'success' END,
  NULL, NULL, NULL, 'direct', NULL, c.provider, c.provider || '/' || c.model, NULL, CAST(round(c.duration) AS INTEGER),
  c.error, c.connection_id, (SELECT id FROM combos WHERE name = c.combo_name), c.account, c.rowid
FROM call_logs c
WHERE c.connection_id IS NOT NULL
  AND c.timestamp > coalesce((SELECT value FROM db_meta WHERE key = 'proxy_logs_cleared'), '')
  AND NOT EXISTS (
    SELECT 1 FROM proxy_logs p WHERE p.connection_id = c.connection_id AND p.timestamp BETWEEN c.timestamp
    AND strftime('%Y-%m-%dT%H:%M:%fZ', c.timestamp, '+' || (c.duration / 1000.0) || ' seconds'))
"""
_CALLS: Final = (
    f"WITH calls ({_COLUMNS}, place) AS (SELECT {_COLUMNS}, rowid FROM proxy_logs UNION ALL {_DIRECT}) "
    f"SELECT {_COLUMNS} FROM calls"
)
_CLEARED: Final = (
    "INSERT OR REPLACE INTO db_meta (key, value) SELECT 'proxy_logs_cleared', max(timestamp) FROM call_logs WHERE true"
)
_PRUNE: Final = (
    "DELETE FROM proxy_logs WHERE rowid NOT IN (SELECT rowid FROM proxy_logs ORDER BY timestamp DESC, rowid DESC LIMIT ?)"
)
_FILTERS: Final = {"status": "status = ?", "type": "proxy_type = ?", "provider": "provider = ?", "level": "level = ?"}
_SEARCHED: Final = ("proxy_host", "provider", "target_url", "account", "error", "level_id", "public_ip")


class ProxyLogRow(Struct, rename="camel"):
    """One call as the API shows it."""

    id: str
    timestamp: str
    status: str
    proxy: dict[str, Any] | None
    level: str
    level_id: str | None
    provider: str | None
    target_url: str | None
    public_ip: str | None
    latency_ms: int
    error: str | None
    connection_id: str | None
    combo_id: str | None
    account: str | None


def row_of(record: Row) -> ProxyLogRow:
    """A table row as a :class:`ProxyLogRow`; ``proxy`` is None for a direct call."""
    proxy = None
    if record["proxy_host"]:
        proxy = {"type": record["proxy_type"], "host": record["proxy_host"], "port": record["proxy_port"]}
    return ProxyLogRow(
        id=record["id"],
        timestamp=record["timestamp"],
        status=record["status"] or "error",
        proxy=proxy,
        level=record["level"] or "direct",
        level_id=record["level_id"],
        provider=record["provider"],
        target_url=record["target_url"],
        public_ip=record["public_ip"],
        latency_ms=record["latency_ms"] or 0,
        error=record["error"],
        connection_id=record["connection_id"],
        combo_id=record["combo_id"],
        account=record["account"],
    )


class ProxyLogs:
    """Rows are written with the batch.  The queue and the table each keep the newest :data:`KEPT`."""

    def __init__(self, db: Database, batch: Batch) -> None:
        self._db = db
        self._batch = batch
        self._count = 0

    def put(self, call: ProxiedCall) -> None:
        """Queue one row."""
        self._count += 1
        proxy = call.via.proxy
        values = (
            str(uuid4()), iso(call.at), call.status, proxy.scheme, proxy.host, proxy.port, call.via.level, call.via.level_id,
            call.provider, f"{call.provider}/{call.model}", None, round(call.latency_ms),
            redact(call.error) or None,
            call.connection_id, call.combo_id, call.account,
        )  # fmt: skip
        self._batch.latest(f"proxy log {self._count % KEPT}", (_INSERT, values))
        self._batch.latest("proxy log prune", (_PRUNE, (KEPT,)))

    async def list(self, limit: int = KEPT, search: str = "", **filters: str) -> list[ProxyLogRow]:
        """Rows, newest first.  *search* matches anywhere in the values of :data:`_SEARCHED`; *filters* match exactly.

        Filters: ``status``, ``type``, ``provider``, ``level``.
        """
        await self._batch.flush()
        wanted = [(_FILTERS[name], value) for name, value in filters.items()]
        clauses, values = [clause for clause, _ in wanted], [value for _, value in wanted]
        if search:
            clauses.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED) + ")")
            values += [containing(search)] * len(_SEARCHED)
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        sql = f"{_CALLS}{where} ORDER BY timestamp DESC, place DESC LIMIT ?"
        return [row_of(record) for record in await self._db.fetch(sql, (*values, limit))]

    async def clear(self) -> None:
        """Delete all rows, queued ones too."""
        await self._batch.flush()
        async with self._db.log() as tx:
            await tx.execute("DELETE FROM proxy_logs", ())
            await tx.execute(_CLEARED, ())
