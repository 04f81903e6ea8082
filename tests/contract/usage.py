"""Section 6: usage, logs, budgets."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, row
from contract.shape import ANY, ISO, NUMBER, UUID, Some, either

_COUNTS: Final = {"requests": int, "promptTokens": int, "completionTokens": int, "cost": NUMBER}
_HISTORY: Final = {
    "totalRequests": 1, "totalPromptTokens": 812, "totalCompletionTokens": 240, "totalCost": NUMBER,
    "byProvider": {"openai": _COUNTS},
    "byModel": {"gpt-4o (openai)": {**_COUNTS, "rawModel": "gpt-4o", "provider": "openai", "lastUsed": ISO}},
    "byAccount": {str: {**_COUNTS, "connectionId": "conn-1", "accountName": str}},
    "byApiKey": {str: {**_COUNTS, "apiKeyId": "key-1", "apiKeyName": "laptop"}},
    "last10Minutes": (_COUNTS,) * 10, "pending": {"byModel": dict, "byAccount": dict}, "activeRequests": list,
}  # fmt: skip
_LINES: Final = (re.compile(r"^\d\d-\d\d-\d{4} \d\d:\d\d:\d\d \| gpt-4o \| OPENAI \| .+ \| 812 \| 240 \| 200 OK$"),)
_CALL: Final[dict[str, Any]] = {
    "id": str, "timestamp": ISO, "method": "POST", "path": "/v1/chat/completions", "status": 200, "model": str,
    "provider": str, "account": str, "duration": NUMBER, "tokens": {"in": int, "out": int}, "sourceFormat": str,
    "targetFormat": str, "error": None, "comboName": str | None, "apiKeyId": str, "apiKeyName": str,
    "hasRequestBody": bool, "hasResponseBody": bool,
}  # fmt: skip
_FILTERS: Final = (
    "status=ok",
    "status=200",
    "model=gpt-4o",
    "provider=openai",
    "account=work",
    "apiKey=key-1",
    "search=gpt",
    "limit=1",
)
_ANALYTICS: Final = {
    "summary": {
        "totalTokens": 1052, "promptTokens": 812, "completionTokens": 240, "totalCost": NUMBER, "totalRequests": 1,
        "uniqueModels": 1, "uniqueAccounts": 1, "uniqueApiKeys": 1, "streak": int,
    },
    "dailyTrend": [dict], "dailyByModel": [dict], "modelNames": [str], "byModel": [dict], "byAccount": [dict],
    "byProvider": [dict], "byApiKey": [dict], "activityMap": dict, "weeklyPattern": list, "range": "30d",
}  # fmt: skip
_PROXIED: Final = {
    "id": ANY, "timestamp": ISO, "status": "success", "proxy": {"type": "http", "host": str, "port": int}, "level": "global",
    "levelId": None, "provider": str, "targetUrl": str, "publicIp": str | None, "latencyMs": NUMBER, "error": None,
    "connectionId": UUID, "comboId": None, "account": str,
}  # fmt: skip
_PROXY: Final = {"type": "http", "host": "127.0.0.1", "port": 9}

USAGE: Final = (
    row(
        "GET /api/usage/history", "M",
        Ask(200, _HISTORY),
        *(Ask(200, {"totalRequests": 1}, at=f"?range={name}") for name in ("1d", "7d", "30d", "90d", "all")),
        Ask(200, {"totalRequests": int}, at="?range=ytd"),
        given="call",
    ),
    row("GET /api/usage/logs", "M", Ask(200, _LINES), Ask(200, _LINES, at="?limit=1"), given="call"),
    row(
        "GET /api/usage/request-logs", "M",
        Ask(200, _LINES),
        Ask(200, (_CALL,), at="?format=json"),
        given="call",
    ),
    row(
        "GET /api/usage/{connectionId}", "M",
        Ask(200, {"message": "Usage not available for API key connections", "local": _COUNTS}, ids={"connectionId": "{id}"}),
        Ask(404, error("Connection not found"), ids={"connectionId": "nope"}),
        given="connection",
    ),
    row(
        "GET /api/usage/{connectionId}", "M",
        Ask(200, either({"message": str}, {"plan": ANY, "quotas": dict}), ids={"connectionId": "{login}"}),
        given="login",
    ),
    row(
        "GET /api/usage/call-logs", "M",
        Ask(200, (_CALL,)),
        *(Ask(200, (_CALL,), at=f"?{query}") for query in _FILTERS),
        *(Ask(200, [], at=f"?{query}") for query in ("status=error", "model=zz", "apiKey=zz", "combo=1", "search=zzz")),
        given="call",
    ),
    row(
        "GET /api/usage/call-logs/{id}", "M",
        Ask(200, (_CALL,), at="GET /api/usage/call-logs", keep={"id": "0.id"}),
        Ask(200, {**_CALL, "connectionId": str, "requestBody": ANY, "responseBody": ANY}),
        Ask(404, {"error": str}, ids={"id": "nope"}),
        given="call",
    ),
    row("GET /api/usage/analytics", "M", Ask(200, _ANALYTICS, at="?range=30d"), given="call"),
    row(
        "GET /api/usage/proxy-logs", "M",
        Ask(200, (_PROXIED,)),
        *(Ask(200, (_PROXIED,), at=f"?{query}") for query in (
            "status=success", "type=http", "level=global", "search=127.0.0.1", "limit=1")),
        Ask(200, [], at="?provider=zzz"),
        given="account proxied",
    ),
    row(
        "DELETE /api/usage/proxy-logs", "M",
        Ask(200, {"cleared": True}),
        Ask(200, [], at="GET /api/usage/proxy-logs"),
        given="account proxied",
    ),
)  # fmt: skip

_SPENT: Final = {"dailyTotal": NUMBER, "monthlyTotal": NUMBER, "totalEntries": int}
_CHECK: Final = {"allowed": True, "dailyUsed": NUMBER, "dailyLimit": NUMBER, "warningReached": False}
_LIMITS: Final = {"dailyLimitUsd": 5, "monthlyLimitUsd": 50, "warningThreshold": 0.5}
_REF: Final = {"apiKeyId": "{key}", **_LIMITS}
_ECHO: Final = {
    "success": True,
    "apiKeyId": "{key}",
    "keyId": "{key}",
    "limit": NUMBER,
    "period": str,
    "dailyLimitUsd": NUMBER,
}
_INCOMPLETE: Final = error("apiKeyId and dailyLimitUsd are required")
_SET: Final = Ask(200, _ECHO, _REF, at="POST /api/usage/budget")
_BUDGET: Final = {**_SPENT, "budget": _LIMITS, "budgetCheck": {**_CHECK, "dailyLimit": 5}}

BUDGET: Final = (
    row(
        "GET /api/usage/budget", "M",
        Ask(200, {**_SPENT, "budget": None, "budgetCheck": {"allowed": True}}, at="?apiKeyId={key}"),
        _SET,
        Ask(200, _BUDGET, at="?apiKeyId={key}"),
        Ask(200, _BUDGET, at="?keyId={key}"),
        Ask(200, {"total": int, "budgets": Some({
            "keyId": "{key}", "apiKeyId": "{key}", "name": "laptop", "limit": 5, "period": "daily", "used": NUMBER,
            "remaining": NUMBER, "warningReached": False, "allowed": True, "resetAt": ISO, **_BUDGET,
        })}),
        given="key",
    ),
    row(
        "POST /api/usage/budget", "M",
        *(Ask(200, {**_ECHO, "limit": 50, "period": period}, {"keyId": "{key}", "limit": 50.0, "period": period})
          for period in ("daily", "weekly", "monthly")),
        Ask(200, {**_ECHO, "limit": 5, "dailyLimitUsd": 5}, _REF),
        Ask(200, {**_ECHO, "dailyLimitUsd": 7}, {"apiKeyId": "{key}", "dailyLimitUsd": 7}),
        Ask(200, {"budget": {"dailyLimitUsd": 7, "warningThreshold": 0.8}}, at="GET /api/usage/budget?apiKeyId={key}"),
        Ask(400, _INCOMPLETE, {"apiKeyId": "{key}"}),
        Ask(400, _INCOMPLETE, {"limit": 5, "period": "daily"}),
        Ask(404, error("Key not found"), {"keyId": "nope", "limit": 5, "period": "daily"}),
        Ask(200, SUCCESS, {"keyId": "{key}", "limit": 0, "period": "daily"}),
        Ask(200, {"budget": None}, at="GET /api/usage/budget?apiKeyId={key}"),
        given="key",
    ),
    row(
        "DELETE /api/usage/budget", "M",
        _SET,
        Ask(200, SUCCESS, at="?apiKeyId={key}"),
        Ask(200, {"budget": None}, at="GET /api/usage/budget?apiKeyId={key}"),
        Ask(400, {"error": str}),
        given="key",
    ),
)  # fmt: skip
