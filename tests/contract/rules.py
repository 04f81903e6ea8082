"""Section 12: resilience, evaluations, policies, fallback chains, audit."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, invalid, row, starts
from contract.shape import ANY, ISO, NUMBER, Some, either

_OAUTH: Final = {
    "transientCooldown": 5000, "rateLimitCooldown": 60000, "maxBackoffLevel": 8, "circuitBreakerThreshold": 3,
    "circuitBreakerReset": 60000,
}  # fmt: skip
_APIKEY: Final = {
    "transientCooldown": 3000, "rateLimitCooldown": 0, "maxBackoffLevel": 5, "circuitBreakerThreshold": 5,
    "circuitBreakerReset": 30000,
}  # fmt: skip
_DEFAULTS: Final = {"requestsPerMinute": 100, "minTimeBetweenRequests": 200, "concurrentRequests": 10}
_NEITHER: Final = error("Must provide profiles or defaults")
_BAD_FIELD: Final = "Invalid apikey.transientCooldown: must be a non-negative number"

RESILIENCE: Final = (
    row(
        "GET /api/resilience", "M",
        Ask(200, {
            "profiles": {"oauth": _OAUTH, "apikey": _APIKEY}, "defaults": _DEFAULTS,
            "circuitBreakers": [{"name": str, "state": re.compile("^(CLOSED|OPEN|HALF_OPEN)$"), "failureCount": int,
                                 "lastFailureTime": ANY}],
            "rateLimitStatus": dict,
        }),
        given="connection",
    ),
    row(
        "PUT PATCH /api/resilience", "M",
        Ask(200, {"ok": True, "profiles": {"apikey": {**_APIKEY, "transientCooldown": 1}}},
            {"profiles": {"apikey": {**_APIKEY, "transientCooldown": 1}}}),
        Ask(200, {"ok": True, "defaults": {"requestsPerMinute": 7}}, {"defaults": {**_DEFAULTS, "requestsPerMinute": 7}}),
        Ask(200, {"profiles": {"apikey": {"transientCooldown": 1}}, "defaults": {"requestsPerMinute": 7}},
            at="GET /api/resilience"),
        Ask(400, _NEITHER, {}),
        Ask(400, error("Invalid profile key: x"), {"profiles": {"x": _APIKEY}}),
        Ask(400, error(_BAD_FIELD), {"profiles": {"apikey": {**_APIKEY, "transientCooldown": -1}}}),
        Ask(400, error(starts("Invalid apikey.")), {"profiles": {"apikey": {"transientCooldown": 1}}}),
        Ask(400, error("Invalid defaults.requestsPerMinute: must be a positive number"),
            {"defaults": {"requestsPerMinute": 0}}),
    ),
    row(
        "POST /api/resilience/reset", "M",
        Ask(200, {"ok": True, "resetCount": 1, "message": "Reset 1 circuit breaker(s)"}),
        Ask(200, {"unavailableCount": 0, "models": []}, at="GET /api/models/availability"),
        given="connection failing",
    ),
)  # fmt: skip

_CASE: Final = {"id": str, "name": str, "model": str, "input": ANY, "tags": list, "!expected": 0}
_SUITE: Final = {"id": str, "name": str, "description": str, "caseCount": int, "cases": [_CASE]}
_JUDGED: Final = either(
    {"caseId": str, "caseName": str, "passed": bool, "durationMs": NUMBER, "details": ANY},
    {"caseId": str, "caseName": str, "passed": False, "durationMs": NUMBER, "error": str},
)
_REPORT: Final = {
    "suiteId": "{suite}", "suiteName": str, "results": [_JUDGED],
    "summary": {"total": int, "passed": int, "failed": int, "passRate": NUMBER},
}  # fmt: skip
_LIST: Final = Ask(200, [_SUITE], at="GET /api/evals", keep={"suite": "0.id"})
_STRATEGY: Final = re.compile("^(exact|contains|regex)$")

EVALS: Final = (
    row("GET /api/evals", "M", Ask(200, [_SUITE]), *(Ask(200, Some({"id": name})) for name in (
        "golden-set", "coding-proficiency", "reasoning-logic", "multilingual"))),
    row(
        "GET /api/evals/{suiteId}", "M",
        _LIST,
        Ask(200, {"id": "{suite}", "name": str, "cases": [{"expected": {"strategy": _STRATEGY, "value": str}}]},
            ids={"suiteId": "{suite}"}),
        Ask(404, error("Suite not found: zz"), ids={"suiteId": "zz"}),
    ),
    row(
        "POST /api/evals", "M",
        _LIST,
        Ask(200, _REPORT, {"suiteId": "{suite}", "outputs": {"zz": "hello"}}),
        Ask(200, _REPORT, {"suiteId": "{suite}", "model": "up/m1"}),
        Ask(400, invalid("suiteId"), {"outputs": {}}),
        Ask(400, invalid("outputs"), {"suiteId": "{suite}"}),
        Ask(404, error("Suite not found: zz"), {"suiteId": "zz", "outputs": {}}),
        given="account",
    ),
)  # fmt: skip

_POLICY: Final[dict[str, Any]] = {
    "id": "cheap", "name": "Cheap", "type": "budget", "enabled": True, "priority": 100,
    "conditions": {"model_pattern": "gpt-*", "provider": "openai", "api_key_id": "k"},
    "actions": {"prefer_provider": ["openai"], "block_provider": ["groq"], "block_model": ["gpt-3*"], "max_tokens": 100,
                "max_cost_per_1k": 0.5, "daily_budget": 2.5},
}  # fmt: skip
_SHOWN: Final = {**_POLICY, "actions": {**_POLICY["actions"], "prefer_provider": ("openai",), "block_provider": ("groq",),
                                        "block_model": ("gpt-3*",)}}  # fmt: skip
_MADE: Final = Ask(201, {"policy": _SHOWN}, _POLICY, at="POST /api/policies")
_VIEW: Final = {"circuitBreakers": list, "lockedIdentifiers": list, "policies": (_SHOWN,)}

POLICIES: Final = (
    row(
        "GET /api/policies", "M",
        _MADE,
        Ask(200, _VIEW),
        Ask(401, {"error": str}, {"password": "wrong"}, at="POST /api/auth/login", times=5),
        Ask(200, {"lockedIdentifiers": ({"identifier": "127.0.0.1", "lockedUntil": int, "remainingMs": NUMBER},)}),
    ),
    row(
        "POST /api/policies", "M",
        _MADE,
        Ask(200, {"policy": {**_SHOWN, "name": "Other"}}, {**_POLICY, "name": "Other"}),
        Ask(201, {"policy": {"id": str, "type": "routing", "enabled": True, "priority": 100}},
            {"name": "plain", "type": "routing", "actions": {"max_tokens": 1}}),
        Ask(201, {"policy": {"type": "access"}}, {"name": "a", "type": "access", "actions": {"block_model": ["x"]}}),
        Ask(200, {"success": True, "action": "unlocked", "identifier": "x"}, {"action": "unlock", "identifier": "x"}),
        Ask(400, error("Unknown action. Supported: unlock"), {"action": "zz"}),
        Ask(400, invalid("type"), {**_POLICY, "type": "zz"}),
    ),
    row(
        "DELETE /api/policies", "M",
        _MADE,
        Ask(200, {"success": True, "removed": True}, at="?id=cheap"),
        _MADE,
        Ask(200, {"success": True, "removed": True}, {"id": "cheap"}),
        Ask(200, {"success": True, "removed": False}, {"id": "cheap"}),
        Ask(400, {"error": str}),
    ),
)  # fmt: skip

_LINK: Final = {"provider": "openai", "priority": 1, "enabled": True}
_CHAIN: Final = Ask(200, {"success": True, "model": "gpt-4o"}, {"model": "gpt-4o", "chain": [_LINK]},
                    at="POST /api/fallback/chains")  # fmt: skip

CHAINS: Final = (
    row("GET /api/fallback/chains", "M", Ask(200, {}), _CHAIN, Ask(200, {"gpt-4o": (_LINK,)})),
    row(
        "POST /api/fallback/chains", "M",
        _CHAIN,
        Ask(200, SUCCESS, {"model": "m", "chain": [{"provider": "groq"}]}),
        Ask(200, {"m": ({"provider": "groq", "priority": 0, "enabled": True},)}, at="GET /api/fallback/chains"),
        Ask(400, {"error": ANY}, {"chain": [_LINK]}),
    ),
    row(
        "DELETE /api/fallback/chains", "M",
        _CHAIN,
        Ask(200, {"success": True, "removed": True}, {"model": "gpt-4o"}),
        Ask(200, {"success": True, "removed": False}, {"model": "gpt-4o"}),
    ),
)  # fmt: skip

_ENTRY: Final = {
    "id": int, "timestamp": ISO, "action": str, "actor": re.compile("^(admin|system|anonymous|apikey:.+)$"),
    "target": str | None, "details": dict | None, "ip_address": str | None,
}  # fmt: skip
_SWITCHED: Final = Ask(200, {"theme": "dark"}, {"theme": "dark"}, at="PUT /api/settings")

# request -> action in the audit log
_DONE: Final = (
    ("POST /api/auth/login", {"password": "{password}"}, 200, "auth.login.success"),
    ("POST /api/auth/login", {"password": "wrong"}, 401, "auth.login.failed"),
    ("POST /api/keys", {"name": "k"}, 201, "key.create"),
    ("PATCH /api/keys/{key}", {"allowedModels": []}, 200, "key.update"),
    ("DELETE /api/keys/{key}", None, 200, "key.delete"),
    ("PUT /api/providers/{account}", {"name": "n"}, 200, "provider.update"),
    ("PUT /api/provider-nodes/{node}", {"name": "n", "prefix": "n", "baseUrl": "{upstream}/v1"}, 200, "node.update"),
    ("DELETE /api/provider-nodes/{node}", None, 200, "node.delete"),
    ("PUT /api/settings", {"theme": "dark"}, 200, "settings.update"),
    ("PUT /api/settings/proxy", {"global": None}, 200, "settings.proxy"),
    ("PUT /api/settings/ip-filter", {"enabled": False}, 200, "settings.ip_filter"),
    ("PUT /api/resilience", {"defaults": _DEFAULTS}, 200, "resilience.update"),
    ("PUT /api/db-backups", None, 200, "backup.create"),
    ("POST /api/policies", _POLICY, 201, "policy.create"),
)

AUDIT: Final = (
    row(
        "GET /api/compliance/audit-log", "M",
        _SWITCHED,
        Ask(200, [_ENTRY]),
        Ask(200, ({**_ENTRY, "action": "settings.update", "actor": "admin"},), at="?limit=1"),
        Ask(200, ({"action": "settings.update"},), at="?action=settings.update&limit=1"),
        Ask(200, [{"actor": "admin"}], at="?actor=admin"),
        Ask(200, [], at="?actor=nobody"),
        Ask(200, [], at="?offset=1000"),
        Ask(200, [_ENTRY], at="?limit=1000"),
    ),
    row(
        "GET /api/compliance/audit-log", "M",
        *(Ask(status, ANY, body, at=at, who="nobody" if "login" in at else "") for at, body, status, _ in _DONE),
        *(Ask(200, Some({"action": re.compile(re.escape(action))}), at="?limit=1000") for *_, action in _DONE),
        given="account key",
    ),
)  # fmt: skip
