"""The load of each connection, locked models, and switching protection on or off."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..store.config import RATE_FIELDS
from .cache import semantic_view
from .call import Call, Reply
from .monitoring import lockouts, rate_limit_status
from .refusals import refused


class ProtectionBody(Struct, rename="camel"):
    connection_id: str = ""
    enabled: bool | None = None


async def read(call: Call) -> Reply:
    running: dict[str, int] = {}
    for (_, _, connection_id), count in call.services.live.in_flight.items():
        running[connection_id] = running.get(connection_id, 0) + count
    rows = await call.store.connections.list()
    lanes, status = call.services.live.limiter.lanes, rate_limit_status(call)
    queued = {id: len(lane.queue) for id, lane in lanes.items()}
    overview = {
        f"{row.provider}:{row.id}": {
            "queued": queued.get(row.id, 0), "running": running.get(row.id, 0), "executing": running.get(row.id, 0),
        }
        for row in rows
        if row.rate_limit_protection or row.id in running or row.id in lanes
    }  # fmt: skip
    connections = [
        {
            "connectionId": row.id,
            "provider": row.provider,
            "name": row.name,
            "rateLimitProtection": row.rate_limit_protection,
            "enabled": row.rate_limit_protection,
            "active": row.rate_limit_protection and row.is_active,
            "queued": queued.get(row.id, 0),
            "running": running.get(row.id, 0),
            "executing": running.get(row.id, 0),
            "learned": status.get(f"{row.provider}:{row.id}"),
        }
        for row in rows
    ]
    return Reply(200, {
        "connections": connections, "overview": overview, "lockouts": lockouts(call),
        "cacheStats": await semantic_view(call), "defaults": defaults(call),
    })  # fmt: skip


async def write(call: Call) -> Reply:
    body: ProtectionBody = call.body
    if not body.connection_id:
        raise refused(400, "Missing connectionId")
    if body.enabled is None:
        raise refused(400, "Missing enabled")
    row = await call.store.connections.update(body.connection_id, rate_limit_protection=body.enabled)
    if row is None:
        raise refused(404, "Connection not found")
    await call.audit("ratelimit.update", row.id, {"enabled": body.enabled})
    return Reply(200, {"success": True, "connectionId": row.id, "enabled": body.enabled})


def defaults(call: Call) -> dict[str, Any]:
    """Return the current limits of protected connections, under their API names."""
    values = call.services.snapshot.settings.rate_defaults._asdict()
    return {name: round(values[field] / factor) for name, (field, factor) in RATE_FIELDS.items()}
