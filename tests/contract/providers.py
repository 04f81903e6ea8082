"""Section 3: connections, nodes, custom models."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, invalid, row, typed
from contract.shape import ISO, NUMBER, UUID

_SECRETS: Final = {"!apiKey": 0, "!accessToken": 0, "!refreshToken": 0, "!idToken": 0}
CONNECTION: Final[dict[str, Any]] = {
    "id": UUID, "provider": str, "authType": re.compile("^(apikey|oauth|free)$"), "name": str, "priority": int,
    "globalPriority?": int, "isActive": bool, "defaultModel?": str,
    "testStatus": re.compile("^(unknown|active|error|unavailable)$"), "lastTested?": ISO, "lastError?": str,
    "backoffLevel?": int, "rateLimitProtection": bool, "healthCheckInterval?": int, "providerSpecificData?": dict,
    "createdAt": ISO, "updatedAt": ISO, **_SECRETS,
}  # fmt: skip
_LIST: Final = {"connections": [CONNECTION]}
_ONE: Final = {"connection": CONNECTION}
_GONE: Final = error("Connection not found")
_NEW: Final = {"provider": "openai", "apiKey": "sk-good-1", "name": "main"}
_NONE: Final = {"id": "nope"}
_DIAGNOSIS: Final = {
    "type": re.compile(
        "^(ok|auth_missing|reauth_required|token_expired|token_refresh_failed|upstream_auth_error|upstream_rate_limited|"
        "upstream_unavailable|network_error|runtime_error|unsupported|upstream_error)$"
    ),
    "source": re.compile("^(local|oauth|upstream|validation)$"), "message": str | None, "code": str | int | None,
}  # fmt: skip
_TESTED: Final = {
    "valid": bool, "error": str | None, "refreshed": bool, "diagnosis": _DIAGNOSIS, "latencyMs": int,
    "statusCode": int | None, "runtime": dict | None, "testedAt": ISO,
}  # fmt: skip
_BATCH: Final = {
    "mode": str, "providerId": str | None, "testedAt": ISO, "summary": {"total": 1, "passed": 1, "failed": 0},
    "results": [{
        "provider": str, "connectionId": UUID, "connectionName": "acct", "authType": "apikey", "valid": True,
        "latencyMs": NUMBER, "error": None, "diagnosis": _DIAGNOSIS, "statusCode": int | None, "testedAt": ISO,
    }],
}  # fmt: skip
_CHANGES: Final = {
    "name": "new", "priority": 2, "globalPriority": 3, "defaultModel": "gpt-4o", "isActive": False, "apiKey": "sk-2",
    "testStatus": "error", "lastError": "e", "lastErrorAt": "2026-01-01T00:00:00.000Z", "lastErrorType": "t",
    "lastErrorSource": "s", "errorCode": "401", "rateLimitedUntil": None, "lastTested": None, "healthCheckInterval": 5,
}  # fmt: skip
_ONLY_ONE: Final = re.compile("^Only one connection is allowed for this .* node")

CONNECTIONS: Final = (
    row(
        "GET /api/providers", "M",
        Ask(200, _LIST),
        Ask(200, {"connections": []}, at="?provider=groq"),
        Ask(200, {"connections": []}, at="?isActive=false"),
        Ask(500, error("Failed to fetch providers"), breaks="store.connections.list"),
        given="connection",
    ),
    row(
        "POST /api/providers", "M",
        Ask(201, _ONE, _NEW),
        Ask(201, {"connection": {**CONNECTION, "globalPriority": 3, "defaultModel": "gpt-4o", "testStatus": "active"}},
            {**_NEW, "name": "two", "priority": 2, "globalPriority": 3, "defaultModel": "gpt-4o", "testStatus": "active"}),
        Ask(201, {"connection": {**CONNECTION, "isActive": False}},
            {**_NEW, "name": "off", "isActive": False, "baseUrl": "http://127.0.0.1:9/v1"}),
        Ask(201, _ONE, {"provider": "ollama", "name": "keyless"}),
        *(Ask(400, invalid(name), {**_NEW, name: value}) for name, value in (
            ("provider", "x" * 101), ("apiKey", "x" * 10_001), ("name", ""), ("name", "x" * 201), ("priority", 0),
            ("priority", 101), ("globalPriority", 101), ("defaultModel", "x" * 201), ("testStatus", "x" * 51))),
        Ask(400, invalid("name"), {"provider": "openai", "apiKey": "k"}),
        Ask(400, error("Invalid provider"), {**_NEW, "provider": "zzz"}),
        Ask(404, error("OpenAI Compatible node not found"), {**_NEW, "provider": "openai-compatible-chat-0"}),
        Ask(404, error("Anthropic Compatible node not found"), {**_NEW, "provider": "anthropic-compatible-0"}),
        Ask(400, error(_ONLY_ONE), {**_NEW, "provider": "{node}", "name": "second"}),
        given="account",
    ),
    row(
        "POST /api/providers", "M",
        Ask(201, _ONE, {**_NEW, "provider": "{node}", "name": "second"}),
        given="account", settings={"multi_connections_per_node": True},
    ),
    row("GET /api/providers/{id}", "M", Ask(200, _ONE), Ask(404, _GONE, ids=_NONE), given="connection"),
    row(
        "PUT PATCH /api/providers/{id}", "M",
        *(Ask(200, _ONE, {name: value}) for name, value in _CHANGES.items()),
        Ask(200, {"connection": {"name": "new", "isActive": False, "healthCheckInterval": 5}}, {}),
        Ask(404, _GONE, {"name": "x"}, ids=_NONE),
        given="connection",
    ),
    row(
        "DELETE /api/providers/{id}", "M",
        Ask(200, {"message": "Connection deleted successfully"}),
        Ask(404, _GONE),
        given="connection",
    ),
    row(
        "POST /api/providers/{id}/test", "M",
        Ask(200, {**_TESTED, "valid": True, "error": None}),
        Ask(200, {"connection": {"testStatus": "active", "lastTested": ISO, "!lastError": 0}}, at="GET /api/providers/{id}"),
        Ask(200, _ONE, {"apiKey": "sk-bad"}, at="PUT /api/providers/{id}"),
        Ask(200, {**_TESTED, "valid": False, "diagnosis": {**_DIAGNOSIS, "type": "upstream_auth_error"}}),
        Ask(404, _GONE, ids=_NONE),
        Ask(500, error("Test failed"), breaks="store.connections.get"),
        given="account",
    ),
    row(
        "GET /api/providers/{id}/models", "M",
        Ask(200, {"provider": str, "connectionId": UUID, "models": [{"id": "m1"}]}),
        Ask(404, _GONE, ids=_NONE),
        Ask(200, _ONE, {"apiKey": "sk-bad"}, at="PUT /api/providers/{id}"),
        Ask(401, error(re.compile("^Failed to fetch models: 401"))),
        Ask(401, error("No valid token found"), ids={"id": "{keyless}"}),
        Ask(400, error("Provider gone does not support models listing"), ids={"id": "{orphan}"}),
        given="keyless orphan account",
    ),
    row(
        "POST /api/providers/validate", "M",
        Ask(200, {"valid": True, "error": None}, {"provider": "{node}", "apiKey": "sk-good"}),
        Ask(200, {"valid": False, "error": "Invalid API key"}, {"provider": "{node}", "apiKey": "sk-bad"}),
        Ask(200, {"valid": True}, {"provider": "openai", "apiKey": "sk-good", "baseUrl": "{upstream}/v1"}),
        Ask(400, invalid("apiKey", "Provider and API key required"), {"provider": "openai"}),
        Ask(400, invalid("provider", "Provider and API key required"), {}),
        Ask(404, error("OpenAI Compatible node not found"), {"provider": "openai-compatible-chat-0", "apiKey": "k"}),
        Ask(400, error("Provider validation not supported"), {"provider": "zzz", "apiKey": "k"}),
        Ask(500, error("Validation failed"), {"provider": "{node}", "apiKey": "k"}, breaks="probe.validate"),
        given="node",
    ),
    row(
        "POST /api/providers/test-batch", "M",
        *(Ask(200, {**_BATCH, "mode": mode}, {"mode": mode}) for mode in ("apikey", "compatible", "all")),
        Ask(200, {**_BATCH, "mode": "provider"}, {"mode": "provider", "providerId": "{node}"}),
        *(Ask(200, {"mode": mode, "results": [], "summary": {"total": 0}}, {"mode": mode}) for mode in ("oauth", "free")),
        Ask(400, invalid("mode", "mode is required"), {}),
        Ask(400, invalid("mode", re.compile("^Invalid option")), {"mode": "zz"}),
        given="account",
    ),
    row("GET /api/providers/client", "M", Ask(200, _LIST), given="connection"),
)  # fmt: skip

_NODE: Final = {
    "id": re.compile(r"^(openai-compatible-(chat|responses)|\w+-compatible)-[0-9a-f-]{36}$"), "type": str, "name": str,
    "prefix": str, "apiType?": str | None, "baseUrl": str, "createdAt": ISO, "updatedAt": ISO,
}  # fmt: skip
_ASKED: Final = {"name": "N", "prefix": "n", "apiType": "chat", "baseUrl": "{upstream}/v1"}
_NO_NODE: Final = error("Provider node not found")


def _kind(kind: str, url: str, **more: str) -> Ask:
    body = {"name": "N", "prefix": kind.partition("-")[0] + "x", "type": kind, **more}
    return Ask(201, {"node": {**_NODE, "type": kind, "baseUrl": url}}, body)


NODES: Final = (
    row("GET /api/provider-nodes", "M", Ask(200, {"nodes": [_NODE]}), given="node"),
    row(
        "POST /api/provider-nodes", "M",
        Ask(201, {"node": {**_NODE, "type": "openai-compatible"}}, _ASKED),
        _kind("openai-compatible", "https://api.openai.com/v1", apiType="responses"),
        _kind("anthropic-compatible", "https://api.anthropic.com/v1"),
        _kind("gemini-compatible", "{upstream}/v1beta", baseUrl="{upstream}/v1beta"),
        _kind("ollama-compatible", "{upstream}", baseUrl="{upstream}"),
        Ask(400, invalid("name", "Name is required"), {**_ASKED, "name": ""}),
        Ask(400, invalid("prefix", "Prefix is required"), {**_ASKED, "prefix": ""}),
        Ask(400, invalid("apiType", "Invalid OpenAI compatible API type"),
            {**_ASKED, "prefix": "p", "apiType": "zz"}),
        Ask(400, invalid("type", "Invalid provider node type"),
            {**_ASKED, "prefix": "p", "type": "zz"}),
    ),
    row(
        "PUT PATCH /api/provider-nodes/{id}", "M",
        Ask(200, {"node": {**_NODE, "name": "M", "prefix": "m"}},
            {"name": "M", "prefix": "m", "baseUrl": "{upstream}/v2", "apiType": "responses"}, ids={"id": "{node}"}),
        Ask(200, {"connection": {"providerSpecificData": {"prefix": "m", "baseUrl": "{upstream}/v2", "nodeName": "M"}}},
            at="GET /api/providers/{account}"),
        Ask(404, _NO_NODE, {"name": "M", "prefix": "m", "baseUrl": "{upstream}"}, ids=_NONE),
        Ask(400, invalid("name", "Name is required"), {"name": "", "prefix": "m", "baseUrl": "u"}, ids={"id": "{node}"}),
        Ask(400, invalid("prefix", "Prefix is required"), {"name": "M", "prefix": "", "baseUrl": "u"}, ids={"id": "{node}"}),
        Ask(400, invalid("baseUrl", "Base URL is required"), {"name": "M", "prefix": "m", "baseUrl": ""},
            ids={"id": "{node}"}),
        given="account",
    ),
    row(
        "DELETE /api/provider-nodes/{id}", "M",
        Ask(200, SUCCESS, ids={"id": "{node}"}),
        Ask(404, _GONE, at="GET /api/providers/{account}"),
        Ask(404, _NO_NODE, ids={"id": "{node}"}),
        given="account",
    ),
    row(
        "POST /api/provider-nodes/validate", "M",
        Ask(200, {"valid": True, "error": None}, {"baseUrl": "{upstream}/v1", "apiKey": "sk-good"}),
        Ask(200, {"valid": True}, {"baseUrl": "{upstream}/v1", "apiKey": "sk-good", "type": "anthropic-compatible"}),
        Ask(200, {"valid": False, "error": "Invalid API key"}, {"baseUrl": "{upstream}/v1", "apiKey": "sk-bad"}),
        Ask(400, invalid("apiKey", "Base URL and API key required"), {"baseUrl": "{upstream}/v1"}),
        Ask(400, invalid("baseUrl", "Base URL and API key required"), {}),
        Ask(500, error("Validation failed"), {"baseUrl": "{upstream}/v1", "apiKey": "k"}, breaks="probe.validate"),
    ),
)  # fmt: skip

_MODEL: Final = {"id": "cm-1", "name": "CM", "source": "manual"}
_DENIED: Final = typed("Authentication required", "invalid_api_key")
_BOTH: Final = "provider and modelId are required"

CUSTOM_MODELS: Final = (
    row(
        "GET /api/provider-models", "L",
        Ask(200, {"models": [_MODEL]}, at="?provider=openai"),
        Ask(200, {"models": {"openai": [_MODEL]}}),
        given="custom-model", denied=_DENIED,
    ),
    row(
        "POST /api/provider-models", "L",
        Ask(200, {"model": _MODEL}, {"provider": "openai", "modelId": "cm-1", "modelName": "CM", "source": "manual"}),
        Ask(200, {"model": _MODEL}, {"provider": "openai", "modelId": "cm-1", "modelName": "other"}),
        Ask(400, typed(_BOTH), {"provider": "openai"}),
        Ask(400, typed(_BOTH), {"modelId": "x"}),
        denied=_DENIED,
    ),
    row(
        "DELETE /api/provider-models", "L",
        Ask(200, {"removed": True}, at="?provider=openai&model=cm-1"),
        Ask(200, {"removed": False}, at="?provider=openai&model=cm-1"),
        Ask(400, typed(str), at="?provider=openai"),
        Ask(400, typed(str), at="?model=x"),
        given="custom-model", denied=_DENIED,
    ),
)  # fmt: skip
