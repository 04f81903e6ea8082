"""Section 5.4: combos."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, fact, invalid, row
from contract.shape import ISO, NUMBER, UUID, Some, either

COMBO: Final[dict[str, Any]] = {
    "id": UUID, "name": "pair", "models": ("up/m1", {"model": "up/down", "weight": 30}), "strategy": str, "config": dict,
    "isActive?": bool, "createdAt": ISO, "updatedAt": ISO,
}  # fmt: skip
_BODY: Final = {"name": "pair", "models": ["up/m1", {"model": "up/down", "weight": 30}]}
_GONE: Final = error("Combo not found")
_TAKEN: Final = error("Combo name already exists")
_POST: Final = "POST /api/combos"
_CIRCLE: Final = error(re.compile("^Circular combo reference detected: "))
_DEEP: Final = error(re.compile(r'^Max combo nesting depth \(3\) exceeded at ".*"$'))


def _made(name: str, *models: Any, **more: Any) -> Ask:
    return Ask(201, {"name": name}, {"name": name, "models": [*models], **more}, at=_POST, keep={name: "id"})


def _bad(field: str, value: Any) -> Ask:
    path = field.split(".")
    body: dict[str, Any] = {"name": "bad", "models": ["up/m1"]}
    if len(path) == 2:
        body[path[0]] = {path[1]: value}
    else:
        body[field] = value
    return Ask(400, invalid(re.compile(f"^{re.escape(field)}")), body, at=_POST)


_CONFIG: Final = {
    "maxRetries": (0, 10), "retryDelayMs": (0, 60000), "timeoutMs": (1000, 600_000), "concurrencyPerModel": (1, 20),
    "queueTimeoutMs": (1000, 120_000), "healthCheckTimeoutMs": (100, 30_000), "maxComboDepth": (1, 10),
}  # fmt: skip
_STRATEGIES: Final = ("priority", "weighted", "round-robin", "random", "least-used", "cost-optimized", "fill-first", "p2c")

FIELDS: Final = (
    fact(
        "name",
        *(_made(name, "up/m1") for name in ("a", "A-Z_0/9.x", "x" * 100)),
        Ask(400, _TAKEN, {"name": "a", "models": ["up/m1"]}, at=_POST),
        *(_bad("name", name) for name in ("", "x" * 101, "bad name!")),
        given="account",
    ),
    fact(
        "models[]",
        _made("text", "up/m1"),
        _made("weighed", {"model": "up/m1", "weight": 0}, {"model": "up/m1", "weight": 100}),
        _made("inner", "text"),
        _made("outer", "inner"),
        _made("deep", "outer"),
        Ask(400, _DEEP, {"name": "deepest", "models": ["deep"]}, at=_POST),
        Ask(400, _CIRCLE, {"models": ["inner"]}, at="PUT /api/combos/{text}"),
        _bad("models", [{"model": "up/m1", "weight": 101}]), _bad("models", [{"model": "up/m1", "weight": -1}]),
        given="account",
    ),
    fact(
        "strategy",
        Ask(201, {"strategy": "priority"}, {"name": "plain", "models": ["up/m1"]}, at=_POST),
        *(_made(name, "up/m1", strategy=name) for name in _STRATEGIES),
        _bad("strategy", "zz"),
        given="account",
    ),
    fact(
        "config",
        _made("low", "up/m1", config={name: low for name, (low, _) in _CONFIG.items()}),
        _made("high", "up/m1", config={name: high for name, (_, high) in _CONFIG.items()}),
        _made("flags", "up/m1", config={"healthCheckEnabled": True, "trackMetrics": False}),
        Ask(200, {"config": {name: high for name, (_, high) in _CONFIG.items()}}, at="GET /api/combos/{high}"),
        *(_bad(f"config.{name}", value) for name, (low, high) in _CONFIG.items() for value in (low - 1, high + 1)),
        given="account",
    ),
)  # fmt: skip

_METRICS: Final = {
    "totalRequests": 1, "totalSuccesses": 1, "totalFailures": 0, "totalFallbacks": 0, "totalLatencyMs": NUMBER,
    "strategy": "priority", "lastUsedAt": ISO, "avgLatencyMs": NUMBER, "successRate": 100, "fallbackRate": 0,
    "byModel": {str: {
        "requests": 1, "successes": 1, "failures": 0, "totalLatencyMs": NUMBER, "lastStatus": str, "lastUsedAt": ISO,
        "avgLatencyMs": NUMBER, "successRate": 100,
    }},
}  # fmt: skip
_USED: Final = Ask(
    200,
    at="POST /v1/chat/completions",
    body={"model": "pair", "messages": [{"role": "user", "content": "x"}]},
    who="inference",
)
_OK: Final = {"model": "up/m1", "status": "ok", "latencyMs": NUMBER}
_FAILED: Final = {"model": "up/down", "status": "error", "statusCode?": int, "error": str, "latencyMs": NUMBER}

ENDPOINTS: Final = (
    row(
        "GET /api/combos", "M",
        Ask(200, {"combos": Some(COMBO)}),
        Ask(500, {"error": str}, breaks="store.combos.list"),
        given="account combo",
    ),
    row(
        "POST /api/combos", "M",
        Ask(201, {**COMBO, "!combo": 0}, _BODY),
        Ask(400, invalid("name"), {"name": "bad name!", "models": []}),
        Ask(400, _TAKEN, _BODY),
        Ask(400, _CIRCLE, {"name": "self", "models": ["self"]}),
        *(Ask(201, body={"name": f"c{n}", "models": [f"c{n - 1}" if n else "up/m1"]}) for n in range(4)),
        Ask(400, _DEEP, {"name": "c4", "models": ["c3"]}),
        given="account",
    ),
    row("GET /api/combos/{id}", "M", Ask(200, COMBO), Ask(404, _GONE, ids={"id": "nope"}), given="account combo"),
    row(
        "PUT PATCH /api/combos/{id}", "M",
        Ask(200, {**COMBO, "strategy": "round-robin"}, {"strategy": "round-robin"}),
        Ask(200, {**COMBO, "strategy": "round-robin", "isActive": False}, {"isActive": False}),
        Ask(404, _GONE, {"strategy": "random"}, ids={"id": "nope"}),
        _made("other", "up/m1"),
        Ask(400, _TAKEN, {"name": "other"}),
        Ask(400, _CIRCLE, {"models": ["pair"]}),
        Ask(400, invalid("name"), {"name": "bad name!"}),
        given="account combo",
    ),
    row("DELETE /api/combos/{id}", "M", Ask(200, SUCCESS), Ask(404, _GONE), given="account combo"),
    row(
        "GET /api/combos/metrics", "M",
        Ask(200, {"metrics": None, "message": str}, at="?combo=pair"),
        _USED,
        Ask(200, {"metrics": _METRICS}, at="?combo=pair"),
        Ask(200, {"metrics": {"pair": _METRICS}}),
        given="account combo",
    ),
    row(
        "DELETE /api/combos/metrics", "M",
        _USED,
        Ask(200, {"success": True, "message": str}, at="?combo=pair"),
        Ask(200, {"metrics": None}, at="GET /api/combos/metrics?combo=pair"),
        Ask(200, {"success": True, "message": str}),
        given="account combo",
    ),
    row(
        "POST /api/combos/test", "M",
        Ask(200, {"comboName": "pair", "strategy": "priority", "resolvedBy": "up/m1", "testedAt": ISO,
                  "results": either([either(_OK, _FAILED)])}, {"comboName": "pair"}),
        Ask(400, error("comboName is required"), {}),
        Ask(404, _GONE, {"comboName": "zz"}),
        _made("hollow"),
        Ask(400, error("Combo has no models"), {"comboName": "hollow"}),
        _made("dead", "up/down"),
        Ask(200, {"comboName": "dead", "resolvedBy": None, "results": [_FAILED]}, {"comboName": "dead"}),
        given="account combo",
    ),
    row("GET /api/settings/combo-defaults", "M", Ask(200, {"comboDefaults": dict, "providerOverrides": dict})),
    row(
        "PATCH PUT /api/settings/combo-defaults", "M",
        Ask(200, {"comboDefaults": {"maxRetries": 2}, "providerOverrides": dict}, {"comboDefaults": {"maxRetries": 2}}),
        Ask(200, {"providerOverrides": {"openai": {"maxRetries": 1}}}, {"providerOverrides": {"openai": {"maxRetries": 1}}}),
        Ask(400, invalid("", "Nothing to update"), {}),
    ),
)  # fmt: skip
