"""The load of each connection, locked models, and switching protection on or off."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..store.config import RATE_FIELDS
from .cache import SemanticView, semantic_view
from .call import Call, Reply
from .monitoring import lockouts, rate_limit_status
from .refusals import existing, refused


class ProtectionBody(Struct, rename="camel"):
    connection_id: str = ""
    enabled: bool | None = None


class RateLimits(Struct, rename="camel"):
    connections: list[dict[str, Any]]
    overview: dict[str, dict[str, Any]]
    lockouts: list[dict[str, Any]]
    cache_stats: SemanticView
    defaults: dict[str, Any]


class Protection(Struct, rename="camel"):
    success: bool
    connection_id: str
    enabled: bool


async def read(call: Call) -> Reply:
    """Return each account's protection, queue and what its provider announced, and the models that are locked."""
    running: dict[str, int] = {}
    for (_, _, connection_id), count in call.live.in_flight.items():
        running[connection_id] = running.get(connection_id, 0) + count
    rows = await call.store.connections.list()
    lanes, status = call.live.limiter.lanes, rate_limit_status(call)
    load: dict[str, dict[str, int]] = {}
    for row in rows:
        queued, count = len(lanes[row.id].queue) if row.id in lanes else 0, running.get(row.id, 0)
        load[row.id] = {"queued": queued, "running": count, "executing": count}
    overview = {
        f"{row.provider}:{row.id}": load[row.id]
        for row in rows
        if row.rate_limit_protection or row.id in running or row.id in lanes
    }
    connections = [
        {
            "connectionId": row.id,
            "provider": row.provider,
            "name": row.name,
            "rateLimitProtection": row.rate_limit_protection,
            "enabled": row.rate_limit_protection,
            "active": row.rate_limit_protection and row.is_active,
            **load[row.id],
            "learned": status.get(f"{row.provider}:{row.id}"),
        }
        for row in rows
    ]
    return Reply(200, RateLimits(connections, overview, lockouts(call), await semantic_view(call), defaults(call)))


async def write(call: Call) -> Reply:
    """Switch the fixed limits on or off for one account.  400 for a missing field, 404 for an unknown account."""
    body: ProtectionBody = call.body
    if not body.connection_id:
        raise refused(400, "Missing connectionId")
    if body.enabled is None:
        raise refused(400, "Missing enabled")
    changed = await call.store.connections.update(body.connection_id, rate_limit_protection=body.enabled)
    row = existing(changed, "Connection")
    await call.audit("ratelimit.update", row.id, {"enabled": body.enabled})
    return Reply(200, Protection(True, row.id, body.enabled))


def defaults(call: Call) -> dict[str, Any]:
    """Return the current limits of protected connections, under their API names."""
    values = call.snapshot.settings.rate_defaults._asdict()
    return {name: round(values[field] / factor) for name, (field, factor) in RATE_FIELDS.items()}
