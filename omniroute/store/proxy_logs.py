"""The newest calls that went through an outbound proxy: table ``proxy_logs``."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from msgspec import Struct

from ..clock import iso
from ..gateway.outbound import ProxiedCall
from .batch import Batch
from .db import Database, Row, containing

KEPT: Final = 500
_COLUMNS: Final = (
    "id, timestamp, status, proxy_type, proxy_host, proxy_port, level, level_id, provider, target_url, public_ip, "
    "latency_ms, error, connection_id, combo_id, account"
)
_INSERT: Final = f"INSERT INTO proxy_logs ({_COLUMNS}) VALUES ({', '.join('?' * 16)})"
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
    """Rows are written with the batch; of those that wait, the newest 500 are kept too."""

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
            call.provider, f"{call.provider}/{call.model}", None, round(call.latency_ms), call.error or None,
            call.connection_id, call.combo_id, call.account,
        )  # fmt: skip
        self._batch.latest(f"proxy log {self._count % KEPT}", (_INSERT, values))
        self._batch.latest("proxy log prune", (_PRUNE, (KEPT,)))

    async def list(self, limit: int = KEPT, search: str = "", **filters: str) -> list[ProxyLogRow]:
        """Newest first; *filters*: ``status``, ``type``, ``provider``, ``level``."""
        await self._batch.flush()
        wanted = [(_FILTERS[name], value) for name, value in filters.items()]
        clauses, values = [clause for clause, _ in wanted], [value for _, value in wanted]
        if search:
            clauses.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED) + ")")
            values += [containing(search)] * len(_SEARCHED)
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        sql = f"SELECT {_COLUMNS} FROM proxy_logs{where} ORDER BY timestamp DESC, rowid DESC LIMIT ?"
        return [row_of(record) for record in await self._db.fetch(sql, (*values, limit))]

    async def clear(self) -> None:
        await self._batch.flush()
        async with self._db.log() as tx:
            await tx.execute("DELETE FROM proxy_logs", ())
