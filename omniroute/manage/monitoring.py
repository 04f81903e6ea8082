"""The gateway's health."""

from __future__ import annotations

import math
import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from msgspec import Struct

from .. import __version__
from ..clock import iso
from ..errors import OmniError
from ..gateway.ratelimit_headers import Quota
from .access import open_to
from .call import Call, Reply, log


class HealthReport(TypedDict):
    """The health; an unknown caller gets only the first three fields."""

    status: str
    timestamp: str
    version: str
    system: NotRequired[dict[str, Any]]
    uptime: NotRequired[float]
    memoryUsage: NotRequired[dict[str, int]]
    activeConnections: NotRequired[int]
    inFlight: NotRequired[int]
    providerHealth: NotRequired[dict[str, dict[str, Any]]]
    circuitBreakers: NotRequired[dict[str, int]]
    rateLimitStatus: NotRequired[dict[str, Any]]
    lockouts: NotRequired[list[dict[str, Any]]]
    setupComplete: NotRequired[bool]


class HealthReset(Struct, rename="camel"):
    success: bool
    message: str
    reset_count: int


async def health(call: Call) -> Reply:
    """Show the health.  Public, but an unknown caller learns only that the gateway is up."""
    try:
        return Reply(200, await _report(call))
    except (OmniError, sqlite3.Error) as error:
        log.exception("health report failed (%s)", type(error).__name__, extra={"request_id": call.request_id})
        return Reply(500, {"status": "error", "error": "Health report failed"})


async def reset(call: Call) -> Reply:
    """Close every breaker, lift every cooldown and lock."""
    count = await lift_all(call)
    return Reply(200, HealthReset(True, f"Reset {count} circuit breaker(s) to healthy state", count))


async def lift_all(call: Call) -> int:
    """Close every breaker, lift every cooldown and lock; return how many providers had any of these."""
    live = call.live
    cooling = live.health.cooling()
    troubled = {
        provider
        for provider, accounts in call.snapshot.connections.items()
        if any(account.id in cooling or live.health.view(account.id).troubled for account in accounts)
    }
    troubled |= {lock.provider for lock in live.health.locks()} | {closed.provider for closed in live.health.closed()}
    troubled |= set(live.breakers.reset())
    live.health.clear_all()
    live.limiter.clear()
    await call.store.connections.flush()  # the list of connections shows the stored health
    await call.audit("resilience.reset", None, {"resetCount": len(troubled)})
    return len(troubled)


async def _report(call: Call) -> HealthReport:
    report: HealthReport = {"status": "healthy", "timestamp": iso(call.now), "version": __version__}
    if not call.actor.known and not await open_to(call):
        return report
    live = call.live
    uptime, memory = max(0.0, call.now - call.services.started_at), {"rss": resident_bytes()}
    return {
        **report,
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
        "activeConnections": sum(map(len, call.snapshot.connections.values())),
        "inFlight": sum(live.in_flight.values()),
        "providerHealth": {name: _provider(call, name) for name in call.snapshot.connections},
        "circuitBreakers": _breakers(call),
        "rateLimitStatus": rate_limit_status(call),
        "lockouts": lockouts(call),
        "setupComplete": call.snapshot.settings.setup_complete or bool(call.services.settings.initial_password),
    }


def _provider(call: Call, name: str) -> dict[str, Any]:
    """Show one provider's breaker and accounts; ``failures`` are the breaker's, or the number of troubled accounts."""
    live = call.live
    breaker = live.breakers.view(name)
    states = [live.health.view(row.id) for row in call.snapshot.connections[name]]
    failures = [state.last_error_at for state in states if state.troubled]
    last = max((at for at in (*failures, breaker.last_failure) if at is not None), default=None)
    return {
        "state": breaker.state,
        "failures": max(breaker.failures, len(failures)),
        "lastFailure": None if last is None else int(last * 1000),
        "retryAfterMs": round(live.breakers.wait(name) * 1000),
    }


def _breakers(call: Call) -> dict[str, int]:
    states = [call.live.breakers.view(name).state for name in call.snapshot.connections]
    counts = {"open": states.count("OPEN"), "halfOpen": states.count("HALF_OPEN"), "closed": states.count("CLOSED")}
    return counts | {"total": len(states)}


def rate_limit_status(call: Call) -> dict[str, Any]:
    """Return the limits that providers reported, and how long a call would wait, by ``provider:connection``."""
    limiter, status = call.live.limiter, {}
    for provider, accounts in call.snapshot.connections.items():
        for account in accounts:
            said, wait = limiter.said(account.id), limiter.wait(account.id)
            if said or wait:
                status[f"{provider}:{account.id}"] = {"waitMs": math.ceil(wait * 1000), "limits": [_limit(q) for q in said]}
    return status


def _limit(quota: Quota) -> dict[str, Any]:
    reset = None if quota.reset is None else math.ceil(quota.reset * 1000)
    return {"kind": quota.kind, "limit": quota.limit, "remaining": quota.remaining, "resetMs": reset}


def lockouts(call: Call) -> list[dict[str, Any]]:
    """Return the models that are locked on an account now."""
    return [
        {
            "provider": lock.provider,
            "connectionId": lock.connection_id,
            "model": lock.model,
            "reason": lock.reason,
            "remainingMs": max(0, int((lock.until - call.now) * 1000)),
        }
        for lock in call.live.health.locks()
    ]


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 if the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
