"""The audit log: one row per management action, each chained by hash to the row before it."""

from __future__ import annotations

from typing import Any, Final

import orjson
from msgspec import Struct

from ..clock import Clock, iso
from .audit_chain import ANCHOR, GET, HEAD, PUT, SEAL, Place, digest, place
from .db import Database, Transaction

_SECONDS_A_DAY: Final = 86_400
_INSERT: Final = (
    "INSERT INTO audit_log (timestamp, action, actor, target, details, ip_address) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
)
_LAST_OLD: Final = (  # the newest row to delete: the chain must stay contiguous, so only its oldest part can go
    "SELECT id, hash FROM audit_log WHERE id < ifnull((SELECT min(id) FROM audit_log WHERE timestamp >= ?), 9e18)"
    " ORDER BY id DESC LIMIT 1"
)


class AuditRow(Struct):
    """One entry: ``action`` like ``settings.update``, ``actor`` ``admin``, ``system``, ``anonymous`` or ``apikey:<id>``."""

    id: int
    timestamp: str
    action: str
    actor: str
    target: str | None
    details: Any
    ip_address: str | None


class Audit:
    """Table ``audit_log``."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def append(
        self, action: str, actor: str, target: str | None = None, details: Any = None, ip: str | None = None
    ) -> None:
        """Add an entry.  *details* is any JSON value; it must not contain secrets."""
        text = None if details is None else orjson.dumps(details).decode()
        row = (iso(self._clock.time()), action, actor, target, text, ip)
        async with self._db.log() as tx:
            before = await _place(tx, HEAD)
            made = await tx.fetch_one(_INSERT, row)
            assert made is not None
            own = digest((made[0], *row), before.hash)
            await tx.execute(SEAL, (before.hash, own, made[0]))
            await tx.execute(PUT, (HEAD, str(Place(made[0], own))))

    async def list(
        self, limit: int = 50, offset: int = 0, action: str | None = None, actor: str | None = None
    ) -> list[AuditRow]:
        """Entries, newest first.  *action* and *actor* must match exactly; None matches all."""
        records = await self._db.fetch(
            "SELECT id, timestamp, action, actor, target, details, ip_address FROM audit_log"
            " WHERE (?1 IS NULL OR action = ?1) AND (?2 IS NULL OR actor = ?2) ORDER BY id DESC LIMIT ?3 OFFSET ?4",
            (action, actor, limit, offset),
        )
        return [AuditRow(r[0], r[1], r[2], r[3], r[4], _details(r["details"]), r["ip_address"]) for r in records]

    async def prune(self, days: int) -> int:
        """Delete rows older than *days* and return their number.  The newest deleted row becomes the chain's anchor."""
        cutoff = iso(self._clock.time() - days * _SECONDS_A_DAY)
        async with self._db.log() as tx:
            last = await tx.fetch_one(_LAST_OLD, (cutoff,))
            if last is None:
                return 0
            await tx.execute(PUT, (ANCHOR, str(Place(last["id"], last["hash"] or ""))))
            return await tx.execute("DELETE FROM audit_log WHERE id <= ?", (last["id"],))


async def _place(tx: Transaction, key: str) -> Place:
    row = await tx.fetch_one(GET, (key,))
    return place(row[0] if row is not None else None)


def _details(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # an adopted database may hold plain text
