"""How busy each connection is, what is locked, and protection on or off (contract section 8)."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from .call import Call, Reply, refused
from .monitoring import lockouts

DEFAULTS: Final = {"requestsPerMinute": 100, "minTimeBetweenRequests": 200, "concurrentRequests": 10}


class ProtectionBody(Struct, rename="camel"):
    connection_id: str = ""
    enabled: bool | None = None


async def read(call: Call) -> Reply:
    running: dict[str, int] = {}
    for (_, _, connection_id), count in call.services.live.in_flight.items():
        running[connection_id] = running.get(connection_id, 0) + count
    rows = await call.store.connections.list()
    overview = {
        f"{row.provider}:{row.id}": {"queued": 0, "running": running.get(row.id, 0), "executing": running.get(row.id, 0)}
        for row in rows
        if row.rate_limit_protection or row.id in running
    }
    connections = [
        {
            "connectionId": row.id,
            "provider": row.provider,
            "name": row.name,
            "rateLimitProtection": row.rate_limit_protection,
            "enabled": row.rate_limit_protection,
            "active": row.rate_limit_protection and row.is_active,
            "queued": 0,
            "running": running.get(row.id, 0),
        }
        for row in rows
    ]
    return Reply(200, {
        "connections": connections, "overview": overview, "lockouts": lockouts(call), "cacheStats": {},
        "defaults": await _defaults(call),
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


async def _defaults(call: Call) -> dict[str, Any]:
    stored = await call.store.config.get("rateLimitDefaults")
    given = stored if isinstance(stored, dict) else {}
    return {name: given[name] if isinstance(given.get(name), int) else default for name, default in DEFAULTS.items()}
