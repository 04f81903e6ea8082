"""Who changed what: one row per act of management."""

from __future__ import annotations

from typing import Any, Final

import orjson
from msgspec import Struct

from ..clock import Clock, iso
from .db import Database

_SECONDS_A_DAY: Final = 86_400


class AuditRow(Struct):
    """``action`` like ``settings.update``; ``actor``: ``admin``, ``system``, ``anonymous`` or ``apikey:<id>``."""

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
        """*details* is any JSON value, without secrets."""
        text = None if details is None else orjson.dumps(details).decode()
        async with self._db.log() as tx:
            await tx.execute(
                "INSERT INTO audit_log (timestamp, action, actor, target, details, ip_address) VALUES (?, ?, ?, ?, ?, ?)",
                (iso(self._clock.time()), action, actor, target, text, ip),
            )

    async def list(
        self, limit: int = 50, offset: int = 0, action: str | None = None, actor: str | None = None
    ) -> list[AuditRow]:
        """Newest first."""
        records = await self._db.fetch(
            "SELECT id, timestamp, action, actor, target, details, ip_address FROM audit_log"
            " WHERE (?1 IS NULL OR action = ?1) AND (?2 IS NULL OR actor = ?2) ORDER BY id DESC LIMIT ?3 OFFSET ?4",
            (action, actor, limit, offset),
        )
        return [AuditRow(r[0], r[1], r[2], r[3], r[4], _details(r["details"]), r["ip_address"]) for r in records]

    async def prune(self, days: int) -> int:
        """Delete what is older than *days*; returns how many rows."""
        cutoff = iso(self._clock.time() - days * _SECONDS_A_DAY)
        async with self._db.log() as tx:
            return await tx.execute("DELETE FROM audit_log WHERE timestamp < ?", (cutoff,))


def _details(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # an adopted database may hold plain text
