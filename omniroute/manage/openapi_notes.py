"""What the API document needs besides the route tables: query parameters, media types, requests of each wire, examples.

Keys are ``METHOD path`` as in the tables; a test checks that each names a route and that each example fits its schema.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct


class ChatRequest(Struct):
    """OpenAI Chat Completions. Other fields of the vendor's API are accepted too."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None


class ResponsesRequest(Struct):
    """OpenAI Responses. Other fields of the vendor's API are accepted too."""

    model: str
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None


class MessagesRequest(Struct):
    """Anthropic Messages. Other fields of the vendor's API are accepted too."""

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None = None
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None


class GenerateContentRequest(Struct):
    """Gemini generateContent. Other fields of the vendor's API are accepted too."""

    contents: list[dict[str, Any]] | dict[str, Any] | str | None = None
    systemInstruction: dict[str, Any] | None = None
    generationConfig: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


class OllamaRequest(Struct):
    """Ollama chat and generate. Other fields of the vendor's API are accepted too."""

    model: str
    messages: list[dict[str, Any]] | None = None
    prompt: str | None = None
    stream: bool | None = None
    options: dict[str, Any] | None = None


_USER: Final = {"role": "user", "content": "Hello"}
_ID: Final = "6f1c9f0e-6f5e-4a0b-9a57-0f2f7a1d2c3b"
_AT: Final = "2026-01-31T12:00:00.000Z"

WIRES: Final[dict[str, tuple[type[Struct], dict[str, Any]]]] = {  # wire -> the request's type, an example of one
    "openai-chat": (ChatRequest, {"model": "openai/gpt-4o", "messages": [_USER], "stream": True}),
    "openai-responses": (ResponsesRequest, {"model": "openai/gpt-4o", "input": "Hello"}),
    "anthropic": (MessagesRequest, {"model": "anthropic/claude-sonnet-4-5", "max_tokens": 1024, "messages": [_USER]}),
    "gemini": (GenerateContentRequest, {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
    "ollama": (OllamaRequest, {"model": "openai/gpt-4o", "messages": [_USER]}),
}

_RANGE: Final = {"range": "1d, 7d, 30d, 90d, ytd or all"}
_PRICED: Final = {"provider": "Only this provider's prices", "model": "Only this model's prices"}
_PREVIEW: Final = {"preview": "true: only show what would change"}
QUERY: Final[dict[str, dict[str, str]]] = {  # route -> parameter -> what it does
    "GET /api/providers": {"provider": "Only this provider's", "isActive": "true or false"},
    "GET /api/provider-models": {"provider": "Only this provider's"},
    "DELETE /api/provider-models": {"provider": "The provider", "model": "The model"},
    "GET /api/models": {"all": "true: also models without a usable account"},
    "DELETE /api/models/alias": {"alias": "The alias"},
    "GET /api/combos/metrics": {"combo": "Only this combo's"},
    "DELETE /api/combos/metrics": {"combo": "Only this combo's"},
    "DELETE /api/fallback/chains": {"model": "The model, if the body does not name it"},
    "POST /api/cli-tools/{toolId}-settings": _PREVIEW,
    "DELETE /api/cli-tools/{toolId}-settings": _PREVIEW,
    "POST /api/cli-tools/guide-settings/{toolId}": _PREVIEW,
    "DELETE /api/cli-tools/guide-settings/{toolId}": _PREVIEW,
    "GET /api/cli-tools/backups": {"tool": "Only this tool's"},
    "DELETE /api/cli-tools/backups": {"tool": "The tool", "backupId": "The backup"},
    "DELETE /api/pricing": _PRICED,
    "GET /api/keys": {"limit": "Maximum number", "offset": "Number of keys to skip"},
    "GET /api/usage/history": _RANGE,
    "GET /api/usage/analytics": _RANGE,
    "GET /api/usage/logs": {"limit": "Maximum number of lines"},
    "GET /api/usage/request-logs": {"limit": "Maximum number of entries", "format": "json: objects instead of lines"},
    "GET /api/usage/call-logs": {
        "limit": "Maximum number, 1 to 500", "status": "A status, ok or error", "model": "Part of a model's name",
        "provider": "A provider", "account": "Part of an account's name", "apiKey": "A gateway key's id or name",
        "combo": "true: only calls through combos", "search": "Text anywhere in the call",
    },
    "GET /api/oauth/{provider}/authorize": {"redirect_uri": "The address to which the provider redirects the browser"},
    "GET /api/oauth/{provider}/callback": {
        "code": "The authorization code", "state": "The state of the login", "error": "Why there is no code",
    },
    "DELETE /api/cache": {
        "model": "Only answers to this model", "signature": "Only this answer", "staleMs": "Only answers older than this",
    },
    "GET /api/telemetry/summary": {"windowMs": "How far to look back, in milliseconds"},
    "GET /api/compliance/audit-log": {
        "limit": "Maximum number, up to 1000", "offset": "Number of entries to skip", "action": "Only this action",
        "actor": "Only this actor's",
    },
}  # fmt: skip

JSON: Final = "application/json"
HTML: Final = "text/html"
MEDIA: Final[dict[str, str]] = {  # route -> media type of its response, if not JSON
    "GET /": HTML,
    "GET /dashboard": HTML,
    "GET /dashboard/{page*}": HTML,
    "GET /login": HTML,
    "GET /api/docs": HTML,
    "GET /api/oauth/{provider}/callback": HTML,
    "GET /admin_ui/{file*}": "*/*",
    "GET /favicon.ico": "image/*",
    "GET /api/init": "text/plain",
    "GET /metrics": "text/plain",
    "GET /api/metrics": "text/plain",
    "GET /api/db-backups/export": "application/octet-stream",
    "GET /api/db-backups/exportAll": "application/gzip",
}

_PRICES: Final = {"openai": {"gpt-4o": {"input": 2.5, "output": 10.0}}}
_KEY: Final = {
    "name": "laptop", "id": _ID, "machineId": "0123456789abcdef", "allowedModels": [], "noLog": False,
    "scopes": ["inference"], "expiresAt": None,
}  # fmt: skip
_CONNECTION: Final = {
    "id": _ID, "provider": "openai", "authType": "apikey", "name": "main", "priority": 1, "isActive": True,
    "testStatus": "active", "backoffLevel": 0, "consecutiveUseCount": 0, "rateLimitProtection": False,
    "createdAt": _AT, "updatedAt": _AT,
}  # fmt: skip
_CALL: Final = {
    "id": _ID, "requestId": _ID, "timestamp": _AT, "method": "POST", "path": "/v1/chat/completions", "status": 200,
    "model": "gpt-4o", "requestedModel": "openai/gpt-4o", "provider": "openai", "account": "main", "connectionId": _ID,
    "duration": 812, "tokens": {"in": 12, "out": 96}, "sourceFormat": "openai-chat", "targetFormat": "openai-chat",
    "error": None, "comboName": None, "apiKeyId": None, "apiKeyName": None, "route": None, "cost": 0.00099,
    "hasRequestBody": False, "hasResponseBody": False,
}  # fmt: skip

REQUESTS: Final[dict[str, Any]] = {  # route -> an example of its body
    "POST /api/auth/login": {"password": "correct horse battery staple"},
    "PUT /api/settings/require-login": {"requireLogin": True, "password": "correct horse battery staple"},
    "POST /api/providers": {"provider": "openai", "name": "main", "apiKey": "sk-…"},
    "POST /api/sync/cloud": {"action": "enable"},
    "PUT /api/cloud/credentials/update": {"provider": "openai", "credentials": {"accessToken": "…", "expiresIn": 3600}},
    "POST /api/cloud/model/resolve": {"alias": "fast"},
    "POST /api/cli-tools/{toolId}-settings": {"baseUrl": "http://127.0.0.1:20128", "apiKey": "sk-…", "model": "lab/m"},
    "POST /api/cli-tools/backups": {"tool": "codex", "backupId": "2026-01-02T03-04-05-678Z_000_config.toml"},
    "POST /api/providers/validate": {"provider": "openai", "apiKey": "sk-…"},
    "PUT /api/providers/{id}": {"priority": 2, "isActive": False},
    "POST /api/provider-nodes": {
        "name": "Lab", "prefix": "lab", "apiType": "chat", "baseUrl": "http://127.0.0.1:8000/v1",
        "type": "openai-compatible",
    },
    "PUT /api/models/alias": {"model": "openai/gpt-4o", "alias": "fast"},
    "POST /api/provider-models": {"provider": "openai", "modelId": "ft:gpt-4o:mine", "modelName": "Mine"},
    "POST /api/models/availability": {"provider": "openai", "model": "gpt-4o", "action": "clear"},
    "PATCH /api/pricing": _PRICES,
    "POST /api/keys": {"name": "laptop"},
    "PATCH /api/keys/{id}": {"allowedModels": ["openai/*"], "noLog": True},
    "PATCH /api/settings": {"requireLogin": True},
    "POST /api/rate-limits": {"connectionId": _ID, "enabled": True},
    "POST /api/evals": {"suiteId": "golden-set", "model": "openai/gpt-4o", "background": True},
    "POST /api/oauth/{provider}/exchange": {
        "code": "…", "redirectUri": "http://localhost:8080/callback", "codeVerifier": "…", "state": "…",
    },
    "POST /api/oauth/{provider}/poll": {"deviceCode": "…"},
    "POST /api/oauth/{provider}/refresh": {"connectionId": _ID},
    "POST /api/oauth/{provider}/import": {"accessToken": "…", "refreshToken": "…", "expiresAt": _AT},
    "PUT /api/oauth/{provider}/client": {"clientId": "…", "clientSecret": "…", "scopes": ["openid", "email"]},
    "POST /api/db-backups": {"backupId": "db_2026-01-31T12-00-00-000Z_manual.sqlite"},
}  # fmt: skip
REPLIES: Final[dict[str, Any]] = {  # route -> an example of its reply
    "POST /api/auth/login": {"success": True},
    "GET /api/auth/status": {"authenticated": True},
    "GET /api/settings/require-login": {"requireLogin": True, "hasPassword": True, "setupComplete": True},
    "GET /api/providers": {"connections": [_CONNECTION]},
    "POST /api/providers": {"connection": _CONNECTION},
    "GET /api/providers/{id}": {"connection": _CONNECTION},
    "POST /api/providers/validate": {"valid": False, "error": "Invalid API key"},
    "GET /api/pricing": _PRICES,
    "GET /api/keys": {"keys": [{**_KEY, "key": "sk-0123456…cdef", "isActive": True, "createdAt": _AT}], "total": 1},
    "POST /api/keys": {**_KEY, "key": "sk-0123456789abcdef-…"},
    "DELETE /api/keys/{id}": {"message": "Key deleted successfully"},
    "GET /api/usage/call-logs": [_CALL],
    "GET /api/usage/call-logs/{id}": {**_CALL, "requestBody": None, "responseBody": None},
    "GET /api/monitoring/health": {"status": "healthy", "timestamp": _AT, "version": "1.0.0"},
    "DELETE /api/monitoring/health": {
        "success": True, "message": "Reset 0 circuit breaker(s) to healthy state", "resetCount": 0,
    },
    "GET /api/provider-metrics": {
        "metrics": {"openai": {"totalRequests": 12, "totalSuccesses": 11, "successRate": 92, "avgLatencyMs": 43}},
    },
    "GET /api/compliance/audit-log": [
        {"id": 7, "timestamp": _AT, "action": "key.create", "actor": "admin", "target": _ID,
         "details": {"name": "laptop"}, "ip_address": "127.0.0.1"},
    ],
    "PUT /api/db-backups": {"created": True, "filename": "db_2026-01-31T12-00-00-000Z_manual.sqlite", "size": 409600},
    "POST /api/oauth/{provider}/exchange": {
        "success": True,
        "connection": {"id": _ID, "provider": "openai", "email": "ada@example.com", "displayName": "Ada"},
    },
    "POST /api/oauth/{provider}/refresh": {"success": True, "expiresAt": _AT},
    "GET /api/oauth/{provider}/status": {"configured": False, "connections": 0, "missing": ["clientId"]},
    "GET /api/token-health": {
        "total": 1, "healthy": 1, "errored": 0, "warning": 0, "lastCheckAt": _AT, "status": "healthy",
    },
    "POST /api/restart": {"status": "restarting"},
    "POST /api/shutdown": {"success": True, "message": "Shutting down..."},
}  # fmt: skip

ERRORS: Final[dict[str, Any]] = {  # component -> an example of it
    "Problem": {"error": "Key not found"},
    "TypedProblem": {"error": {"message": "Provider is required", "type": "validation_error"}},
    "CodedProblem": {
        "error": {"code": "AUTH_001", "message": "Authentication required", "correlation_id": _ID},
    },
    "InvalidFields": {
        "error": {"message": "Invalid request", "details": [{"field": "name", "message": "Name is required"}]},
    },
    "Unexpected": {"error": "Internal server error", "correlation_id": _ID},
}


# Summaries of data-plane paths by suffix; the longest matching suffix counts.
MODEL_SUMMARIES: Final[dict[str, str]] = {
    "/chat/completions": "Chat in the OpenAI Chat Completions format",
    "/responses": "Chat in the OpenAI Responses format",
    "/codex/{path*}": "Chat in the OpenAI Responses format, for Codex",
    "/messages": "Chat in the Anthropic Messages format",
    "/messages/count_tokens": "Token count of a request, counted by the provider or estimated",
    ":generateContent": "Chat in the Gemini format",
    ":streamGenerateContent": "Chat in the Gemini format, streamed: events with alt=sse, one JSON array without",
    ":countTokens": "Token count of a request, counted by the provider or estimated",
    ":embedContent": "Embedding of one text, in the Gemini format",
    ":batchEmbedContents": "Embeddings of several texts, in the Gemini format",
    "/api/chat": "Chat in the Ollama format, streamed by default",
    "/api/generate": "Completion of one prompt, in the Ollama format",
    "/api/embed": "Embeddings of texts, in the Ollama format",
    "/api/embeddings": "Embedding of one text, in the older Ollama format",
    "/v1/embeddings": "Embeddings of texts",
    "}/embeddings": "Embeddings of texts, from one provider",
    "/images/generations": "Generate images from a prompt",
    "/images/edits": "Edit images by a prompt",
    "/images/variations": "Generate variations of an image",
    "/audio/transcriptions": "Transcribe audio",
    "/audio/translations": "Translate audio into English text",
    "/audio/speech": "Generate speech from text",
    "/rerank": "Rank documents by relevance to a query",
    "/moderations": "Classify texts as harmful or not",
}
