"""Sections 8 and 13: monitoring and system."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, row
from contract.shape import ANY, ISO, NUMBER, UUID, Some

_LIMITS: Final = {
    "connections": [{
        "connectionId": UUID, "provider": str, "name": "acct", "rateLimitProtection": bool, "enabled": bool, "active": bool,
        "queued": int, "running": int, "executing?": int, "done?": int,
    }],
    "overview": {str: {"queued": int, "running": int, "executing": int}}, "lockouts": list, "cacheStats": dict,
    "defaults": dict,
}  # fmt: skip
_GET_LIMITS: Final = (
    Ask(200, _LIMITS),
    Ask(200, {"success": True}, {"connectionId": "{account}", "enabled": True}, at="POST /api/rate-limits"),
    Ask(200, {"connections": [{"rateLimitProtection": True, "enabled": True}]}),
)
_PROTECT: Final = (
    *(Ask(200, {"success": True, "connectionId": "{account}", "enabled": on}, {"connectionId": "{account}", "enabled": on})
      for on in (True, False)),
    Ask(400, error("Missing connectionId"), {"enabled": True}),
)  # fmt: skip
_PERCENTILES: Final = {"p50": NUMBER, "p95": NUMBER, "p99": NUMBER, "count": 1}
_PHASES: Final = ("parse", "validate", "policy", "resolve", "connect", "stream", "finalize")
_HEALTH: Final = {
    "status": "healthy", "timestamp": ISO,
    "system": {
        "version": str, "nodeVersion": None, "pythonVersion": str, "uptime": NUMBER, "memoryUsage": {"rss": int}, "pid": int,
        "platform": str,
    },
    "providerHealth": {str: {"state": str, "failures": int, "lastFailure": NUMBER | None}}, "rateLimitStatus": dict,
    "lockouts": list, "setupComplete": True,
}  # fmt: skip
_STATS: Final = {
    "memorySize": int, "memoryMaxSize": int, "dbSize": int, "hitRate": 0.5, "hitRatePercent": "50.0", "memoryEntries": 1,
    "dbEntries": int, "hits": 1, "misses": 1, "tokensSaved": int,
}  # fmt: skip
_CHAT: Final = {"model": "up/m1", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
_CHAT_PATH: Final = "POST /v1/chat/completions"
_AGAIN: Final = Ask(200, ANY, _CHAT, at=_CHAT_PATH, who="inference", gives={"x-omniroute-cache": "HIT"})

ROWS: Final = (
    row(
        "GET /api/sessions", "M",
        Ask(200, {"count": 1, "sessions": ({
            "sessionId": re.compile("^[0-9a-f]{16}$"), "createdAt": int, "lastActive": int, "requestCount": 1,
            "connectionId": UUID, "ageMs": NUMBER,
        },)}),
        given="account chat",
    ),
    row("GET /api/rate-limits", "M", *_GET_LIMITS, given="account"),
    row("POST /api/rate-limits", "M", *_PROTECT, given="account"),
    row("GET /api/rate-limit", "M", *_GET_LIMITS, given="account"),
    row("POST /api/rate-limit", "M", *_PROTECT, given="account"),
    row(
        "GET /api/monitoring/health", "P",
        Ask(200, {"status": "healthy", "timestamp": ISO, "version": str, "!system": 0, "!providerHealth": 0}),
        Ask(200, _HEALTH, who="cookie"),
        Ask(500, {"status": "error", "error": str}, who="nobody", breaks="store.config.get"),
        given="account chat",
    ),
    row(
        "DELETE /api/monitoring/health", "M",
        Ask(200, {"success": True, "message": re.compile(r"^Reset \d+ circuit breaker\(s\) to healthy state$"),
                  "resetCount": int}),
        given="account chat",
    ),
    row(
        "GET /api/cache", "M",
        _AGAIN,
        Ask(200, {"semanticCache": _STATS, "idempotency": {"activeKeys": int, "windowMs": 5000}}),
        given="account chat",
    ),
    row(
        "DELETE /api/cache", "M",
        Ask(200, {"ok": True, "invalidated": 1, "scope": "model"}, at="?model=up/m1"),
        Ask(200, {"ok": True, "invalidated": 0, "scope": "signature"}, at="?signature=zz"),
        Ask(200, {"ok": True, "invalidated": int, "scope": "stale"}, at="?staleMs=1000"),
        Ask(200, {"ok": True, "expiredRemoved": int, "scope": "all"}),
        given="account chat",
    ),
    row("GET /api/cache/stats", "M", Ask(200, {"size": int, "maxSize": int, "hits": int, "misses": int, "hitRate": NUMBER})),
    row("DELETE /api/cache/stats", "M", Ask(200, {"success": True, "message": "Cache cleared"})),
    row(
        "GET /api/telemetry/summary", "M",
        *(Ask(200, {
            "count": 1, "p50": NUMBER, "p95": NUMBER, "p99": NUMBER, "providers": {str: _PERCENTILES},
            "phaseBreakdown": {name: {"count": int, "p50": NUMBER, "p95": NUMBER, "avg": NUMBER} for name in _PHASES[:5]},
        }, at=query) for query in ("", "?windowMs=300000")),
        Ask(200, {"count": int}, at="?windowMs=1"),
        given="account chat",
    ),
)  # fmt: skip

_TAG: Final[dict[str, Any]] = {
    "name": str, "model": str, "modified_at": str, "size": 0, "digest": str,
    "details": {"format": str, "family": str, "families": [str], "parameter_size": str, "quantization_level": str},
}  # fmt: skip

SYSTEM: Final = (
    row("GET /api/init", "P", Ask(200, re.compile("^Initialized$"), gives={"content-type": re.compile("^text/plain")})),
    row(
        "GET /api/tags", "P",
        Ask(200, {"models": Some({**_TAG, "name": re.compile("up/m1")})}),
        Ask(200, {"models": [_TAG]}, at="GET /v1/api/tags"),
        given="account listed",
    ),
    row("POST /api/restart", "M", Ask(200, {"status": "restarting"})),
    row("POST /api/shutdown", "M", Ask(200, {**SUCCESS, "message": "Shutting down..."})),
    row(
        "GET /api/token-health", "M",
        Ask(200, {"total": 1, "healthy": int, "errored": int, "warning": int, "lastCheckAt": str | None, "status": str}),
        given="login",
    ),
    row(
        "GET /api/provider-metrics", "M",
        Ask(200, {"metrics": {str: {"totalRequests": 1, "totalSuccesses": 1, "successRate": NUMBER,
            "avgLatencyMs": NUMBER}}}),
        given="account chat",
    ),
    *(row(f"POST /api/translator/{name}", "M", Ask(404), delivered=False) for name in ("detect", "translate", "send")),
    row("GET /api/translator/history", "M", Ask(404), delivered=False),
)  # fmt: skip
