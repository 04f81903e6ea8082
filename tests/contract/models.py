"""Section 5 without combos: aliases, catalogue, availability, keys, prices."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, error, invalid, row, typed
from contract.shape import ISO, NUMBER, UUID, Some, either

_SET: Final = {"model": "openai/gpt-4o", "alias": "fast"}
_DENIED: Final = error("Authentication required")
_TYPES: Final = re.compile("^(chat|embedding|image|audio|rerank|moderation)$")

MODELS: Final = (
    row("GET /api/models/alias", "L", Ask(200, {"aliases": {"fast": "openai/gpt-4o"}}), given="alias", denied=_DENIED),
    row(
        "PUT POST /api/models/alias", "L",
        Ask(200, {"success": True, **_SET}, _SET),
        Ask(400, error("Model and alias required"), {"alias": "fast"}),
        Ask(400, error("Model and alias required"), {"model": "openai/gpt-4o"}),
        denied=_DENIED,
    ),
    row(
        "DELETE /api/models/alias", "L",
        Ask(200, SUCCESS, at="?alias=fast"),
        Ask(200, {"aliases": {"!fast": 0}}, at="GET /api/models/alias"),
        Ask(400, error("Alias required")),
        given="alias", denied=_DENIED,
    ),
    row(
        "GET /api/models/catalog", "M",
        Ask(200, {"catalog": {"openai": {
            "provider": "OpenAI", "active": True, "models": [{"id": str, "name": str, "type": _TYPES, "custom": bool}],
        }}}),
        Ask(200, {"catalog": {"openai": {"models": Some({"id": "openai/cm-1", "name": "CM", "custom": True})}}}),
        given="connection custom-model",
        denied=typed("Authentication required", "invalid_api_key"),
    ),
    row(
        "GET /api/models", "M",
        Ask(200, {"models": [
            {"provider": str, "model": str, "name": str, "fullModel": str, "alias": str | None, "available": bool}
        ]}, at="?all=true"),
        given="connection",
    ),
    row(
        "PUT /api/models", "M",
        Ask(200, SUCCESS, _SET),
        Ask(400, error("Alias already in use"), {**_SET, "model": "openai/o1"}),
    ),
    row(
        "GET /api/models/availability", "M",
        Ask(200, {
            "unavailableCount": 1,
            "models": [{"provider": "openai", "model": str, "reason": "HTTP 429", "remainingMs": NUMBER,
                        "unavailableSince": ISO}],
            "providers": {"openai": {"available": False, "accounts": 1, "accountsAvailable": 0, "breaker": str}},
        }),
        given="connection failing",
    ),
    row(
        "POST /api/models/availability", "M",
        Ask(200, {"model": "openai/gpt-4o", "available": False, "providers": [{
            "provider": "openai", "available": False, "accounts": 1, "accountsAvailable": 0, "reason": str,
            "retryAfter": NUMBER,
        }]}, {"model": "openai/gpt-4o"}),
        Ask(200, {"available": False}, {"provider": "openai", "model": "gpt-4o", "action": "check"}),
        Ask(200, {"success": True, "removed": True}, {"provider": "openai", "model": "gpt-4o"}),
        Ask(200, {"available": True, "providers": [{"available": True, "reason": None, "retryAfter": None}]},
            {"model": "openai/gpt-4o"}),
        Ask(200, {"success": True, "removed": False}, {"provider": "openai", "model": "gpt-4o", "action": "clear"}),
        Ask(400, error("provider and model are required"), {}),
        Ask(400, error("provider and model are required"), {"provider": "openai"}),
        given="connection failing",
    ),
)  # fmt: skip

_MASKED: Final = {
    "id": UUID, "name": "laptop", "key": re.compile(r"^sk-.{5}\*{4}.{4}$"), "machineId": re.compile("^[0-9a-f]{16}$"),
    "allowedModels": [], "createdAt": ISO,
}  # fmt: skip
_NEW_KEY: Final = {
    "key": re.compile(r"^sk-[0-9a-f]{16}-[a-z0-9]{6}-[0-9a-f]{8}$"), "name": "laptop", "id": UUID,
    "machineId": re.compile("^[0-9a-f]{16}$"),
}  # fmt: skip
_CHANGED: Final[dict[str, Any]] = {"message": "Permissions updated successfully", "allowedModels": ["up/*"]}
_NO_KEY: Final = error("Key not found")
_ARRAY: Final = "allowedModels must be an array"

KEYS: Final = (
    row("GET /api/keys", "M", Ask(200, {"keys": Some(_MASKED), "total": int}), Ask(200, {"keys": list},
        at="?limit=1&offset=0"),
        given="key"),
    row(
        "POST /api/keys", "M",
        Ask(201, _NEW_KEY, {"name": "laptop"}),
        Ask(201, _NEW_KEY, {"label": "laptop"}),
        Ask(201, _NEW_KEY, {"name": "laptop", "allowedModels": ["up/*"], "noLog": True, "scopes": ["inference", "manage"],
                            "expiresAt": "2030-01-01T00:00:00.000Z"}),
        Ask(400, invalid("name", "Name is required"), {}),
        Ask(400, invalid("name"), {"name": "x" * 201}),
        Ask(400, invalid("name", "Name is required"), {"name": ""}),
    ),
    row("GET /api/keys/{id}", "M", Ask(200, _MASKED), Ask(404, _NO_KEY, ids={"id": "nope"}), given="key"),
    row(
        "PATCH PUT /api/keys/{id}", "M",
        Ask(200, {**_CHANGED, "noLog": True}, {"allowedModels": ["up/*"], "noLog": True}),
        Ask(200, _CHANGED, {"allowedModels": ["up/*"]}),
        Ask(400, invalid("allowedModels", _ARRAY), {"allowedModels": "up/*"}),
        Ask(400, invalid("allowedModels", _ARRAY), {}),
        Ask(400, invalid(re.compile(r"^allowedModels"), "Each model ID must be a string"), {"allowedModels": [5]}),
        Ask(404, _NO_KEY, {"allowedModels": []}, ids={"id": "nope"}),
        given="key",
    ),
    row(
        "DELETE /api/keys/{id}", "M",
        Ask(200, {"message": "Key deleted successfully"}),
        Ask(404, _NO_KEY),
        given="key",
    ),
)  # fmt: skip

_PRICE: Final = {"input": NUMBER, "output": NUMBER, "cached?": NUMBER, "reasoning?": NUMBER, "cache_creation?": NUMBER}
_TABLE: Final = {"openai": {"gpt-4o": _PRICE}}
_OURS: Final = {"openai": {"gpt-4o": {"input": 77}}}

PRICING: Final = (
    row(
        "GET /api/pricing", "M",
        Ask(200, _TABLE),
        Ask(200, _OURS, _OURS, at="PATCH /api/pricing"),
        Ask(200, {"openai": {"gpt-4o": {"input": 77, "output": NUMBER}}}),
    ),
    row(
        "PATCH PUT POST /api/pricing", "M",
        Ask(200, _OURS, _OURS),
        Ask(200, {"openai": {"gpt-4o": {"input": 77}, "o1": {"output": 1}}}, {"openai": {"o1": {"output": 1}}}),
        Ask(400, error("Invalid pricing field: x for openai/m"), {"openai": {"m": {"x": 1}}}),
        Ask(400, error(re.compile("^Invalid pricing value for .*: must be non-negative number$")),
            {"openai": {"m": {"input": -1}}}),
        Ask(400, error("Invalid pricing for provider: openai"), {"openai": 1}),
        Ask(400, error("Invalid pricing for model: openai/m"), {"openai": {"m": 1}}),
    ),
    row(
        "DELETE /api/pricing", "M",
        *(ask for query in ("?provider=openai&model=gpt-4o", "?provider=openai", "") for ask in (
            Ask(200, _OURS, _OURS, at="PATCH /api/pricing"),
            Ask(200, either({"!openai": 0}, {"openai": {"gpt-4o": {"input": 2.5}}}), at=query),
        )),
        Ask(200, _TABLE, at="GET /api/pricing"),
    ),
    row("GET /api/pricing/defaults", "M", Ask(200, _TABLE)),
    row(
        "GET /api/pricing/models", "M",
        Ask(200, {"openai": {
            "id": "openai", "alias": "openai", "name": "OpenAI", "authType": str, "format": str, "modelCount": int,
            "models": [{"id": str, "name": str, "custom": bool}],
        }}),
    ),
)  # fmt: skip
