"""How the gateway fares (contract section 8)."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from ..clock import iso
from ..errors import OmniError
from .access import open_to
from .call import Call, Reply, log


async def health(call: Call) -> Reply:
    """Public, but a stranger learns no more than that the gateway lives."""
    try:
        return Reply(200, await _report(call))
    except (OmniError, sqlite3.Error) as error:
        log.exception("health report failed (%s)", type(error).__name__)
        return Reply(500, {"status": "error", "error": "Health report failed"})


async def reset(call: Call) -> Reply:
    """Lift every cooldown and lock."""
    count = call.services.live.health.clear_all()
    await call.audit("resilience.reset", None, {"resetCount": count})
    message = f"Reset {count} circuit breaker(s) to healthy state"
    return Reply(200, {"success": True, "message": message, "resetCount": count})


async def _report(call: Call) -> dict[str, Any]:
    report: dict[str, Any] = {"status": "healthy", "timestamp": iso(call.now), "version": __version__}
    if not call.actor.known and not await open_to(call):
        return report
    live = call.services.live
    uptime, memory = max(0.0, call.now - call.services.started_at), {"rss": resident_bytes()}
    return report | {
        "system": {
            "version": __version__,
            "nodeVersion": None,
            "pythonVersion": platform.python_version(),
            "uptime": uptime,
            "memoryUsage": memory,
            "pid": os.getpid(),
            "platform": sys.platform,
        },
        "uptime": uptime,
        "memoryUsage": memory,
        "activeConnections": sum(map(len, call.services.snapshot.connections.values())),
        "inFlight": sum(live.in_flight.values()),
        "providerHealth": {name: _provider(call, name) for name in call.services.snapshot.connections},
        "rateLimitStatus": {},
        "lockouts": lockouts(call),
        "setupComplete": call.services.snapshot.settings.setup_complete or bool(call.services.settings.initial_password),
    }


def _provider(call: Call, name: str) -> dict[str, Any]:
    """``state`` stays CLOSED as long as there are no breakers; ``lastFailure`` is Unix milliseconds."""
    states = [call.services.live.health.view(row.id) for row in call.services.snapshot.connections[name]]
    failures = [state.last_error_at for state in states if state.troubled]
    last = max((at for at in failures if at is not None), default=None)
    return {"state": "CLOSED", "failures": len(failures), "lastFailure": None if last is None else int(last * 1000)}


def lockouts(call: Call) -> list[dict[str, Any]]:
    """The models that accounts may not be asked for now."""
    return [
        {
            "provider": lock.provider,
            "connectionId": lock.connection_id,
            "model": lock.model,
            "reason": lock.reason,
            "remainingMs": max(0, int((lock.until - call.now) * 1000)),
        }
        for lock in call.services.live.health.locks()
    ]


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
