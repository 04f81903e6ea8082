"""Section 14: the data plane."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import Ask, Form, Row, error, row, said, starts
from contract.shape import ANY, NUMBER, Some

_KEYED: Final = {"require_api_key": True}
_HI: Final = {"model": "up/m1", "messages": [{"role": "user", "content": "hi"}]}
_CLAUDE: Final = {**_HI, "max_tokens": 50}
_GEMINI: Final = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
_SSE: Final = {"content-type": re.compile("^text/event-stream")}
_USAGE: Final = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int}
_COMPLETION: Final = {
    "id": str, "object": "chat.completion", "created": int, "model": str, "usage": _USAGE,
    "choices": ({"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"},),
}  # fmt: skip
_MESSAGE: Final = {
    "id": str, "type": "message", "role": "assistant", "model": str, "content": ({"type": "text", "text": "Hi."},),
    "stop_reason": "end_turn", "usage": {"input_tokens": int, "output_tokens": int},
}  # fmt: skip
_RESPONSE: Final = {
    "id": str, "object": "response", "status": "completed", "model": str,
    "output": Some({"type": "message", "content": ({"type": "output_text", "text": "Hi."},)}),
    "usage": {"input_tokens": int, "output_tokens": int},
}  # fmt: skip
_CANDIDATES: Final = {
    "candidates": ({"content": {"role": "model", "parts": ({"text": "Hi."},)}, "finishReason": "STOP"},),
    "usageMetadata": {"promptTokenCount": int},
}  # fmt: skip
_LINE: Final = {
    "model": str, "created_at": str, "message": {"role": "assistant", "content": "Hi."}, "done": True, "done_reason": "stop",
    "prompt_eval_count": int, "eval_count": int,
}  # fmt: skip
_EMBEDDED: Final = {
    "object": "list", "data": ({"object": "embedding", "index": 0, "embedding": [NUMBER]},), "model": str,
    "usage": {"prompt_tokens": int, "total_tokens": int},
}  # fmt: skip
_IMAGES: Final = {"created": int, "data": [{"url": str}]}
_ENTRY: Final = {"id": str, "object": "model", "created": int, "owned_by": str}
_NO_JSON: Final = said("Invalid JSON body")
_NO_MODEL: Final = said("Missing model")


def _refusals(body: dict[str, Any], model: str = "groq/x", kind: str = "") -> tuple[Ask, ...]:
    """The errors common to all paths, in OpenAI's format."""
    return (
        Ask(400, _NO_JSON, b'{"model":'),
        Ask(400, _NO_MODEL, {name: value for name, value in body.items() if name != "model"}),
        Ask(400, said(f"No credentials for {kind}provider: {model.partition('/')[0]}"), {**body, "model": model}),
    )


def _gateway(methods_path: str, *asks: Ask, given: str = "account", denied: Any = None) -> Row:
    return row(methods_path, "K", *asks, given=given, denied=denied, settings=_KEYED)


_KEY: Final = re.compile("^(Missing|Invalid) API key$")
_GOOGLE: Final = {"error": {"code": 401, "message": _KEY, "status": "UNAUTHENTICATED"}}


def _anthropic(message: Any) -> Any:
    return {"type": "error", "error": {"type": str, "message": message, "code": str}}


_MODELS: Final = {"object": "list", "data": Some({
    **_ENTRY, "id": "pair", "owned_by": "combo", "permission": [], "root": "pair", "parent": None,
})}  # fmt: skip
_LISTS: Final = (
    Ask(200, _MODELS),
    Ask(200, {"data": Some({**_ENTRY, "id": "openai/gpt-4o", "owned_by": "openai", "root": "gpt-4o", "parent": None})}),
    Ask(200, {"data": Some({**_ENTRY, "id": "up/m1", "custom": True})}),
    Ask(200, {"data": Some({"id": "ds/deepseek-chat", "parent": None})}),
    Ask(200, {"data": Some({"id": "deepseek/deepseek-chat", "parent": "ds/deepseek-chat"})}),
    Ask(200, {"data": Some({"type": "embedding"})}),
    Ask(200, {"data": Some({"type": "image"})}),
    Ask(200, {"data": Some({"type": "audio", "subtype": str})}),
)
_NEED_KEY: Final = Ask(200, ANY, {"requireAuthForModels": True}, at="PUT /api/settings", who="cookie")
_CLOSED: Final = (_NEED_KEY, Ask(401, said(str, "authentication_error", "invalid_api_key")), Ask(200, who="inference"))
_BLOCKED: Final = Ask(200, ANY, {"blockedProviders": ["openai"]}, at="PUT /api/settings", who="cookie")
_GIVEN: Final = "account combo listed connection deepseek"

CHAT: Final = (
    _gateway(
        "POST /v1/chat/completions",
        Ask(200, _COMPLETION, _HI),
        Ask(200, _COMPLETION, {**_HI, "stream": False, "max_tokens": 5}),
        Ask(200, re.compile(r"(?s)^data: \{.*chat\.completion\.chunk.*data: \[DONE\]\n\n$"), {**_HI, "stream": True},
            gives=_SSE),
        *_refusals(_HI),
        Ask(403, said('Model "up/m1" is not allowed for this API key', "permission_error", "insufficient_quota"), _HI,
            sends={"authorization": "Bearer {narrow}"}),
        Ask(200, {"success": True}, {"keyId": "{poor}", "limit": 0.0000001, "period": "daily"},
            at="POST /api/usage/budget", who="cookie"),
        Ask(200, ANY, {"up": {"m1": {"input": 1000, "output": 1000}}}, at="PATCH /api/pricing", who="cookie"),
        Ask(429, said(re.compile(r"^Daily budget exceeded: \$\d+\.\d{4} / \$\d+\.\d{2}$"), "rate_limit_error",
                      "rate_limit_exceeded"), _HI, sends={"authorization": "Bearer {poor-key}"}, times=2),
        Ask(400, said("Ambiguous model 'glm-4.6'. Use provider/model prefix (ex: gh/glm-4.6 or cc/glm-4.6)."),
            {**_HI, "model": "glm-4.6"}),
        given="account narrow poor",
    ),
    _gateway(
        "POST /v1/messages",
        Ask(200, _MESSAGE, _CLAUDE),
        Ask(200, re.compile("(?s)^event: message_start\ndata: .*event: content_block_delta\n.*event: message_stop\ndata: "),
            {**_CLAUDE, "stream": True}, gives=_SSE),
        Ask(400, _anthropic("Invalid JSON body"), b'{"model":'),
        Ask(400, _anthropic("Missing model"), {"max_tokens": 5, "messages": _HI["messages"]}),
        Ask(400, _anthropic("No credentials for provider: groq"), {**_CLAUDE, "model": "groq/x"}),
    ),
    _gateway(
        "POST /v1/messages/count_tokens",
        Ask(200, {"input_tokens": int}, _HI),
        Ask(200, {"input_tokens": int}, {**_HI, "system": "Be brief.", "tools": [{"name": "t", "input_schema": {}}]}),
        Ask(400, _anthropic("Invalid JSON body"), b'{"model":'),
    ),
    _gateway(
        "POST /v1/responses",
        Ask(200, _RESPONSE, {"model": "up/m1", "input": "hi"}),
        Ask(200, re.compile("(?s)event: response.created\n.*event: response.completed\n"),
            {"model": "up/m1", "input": "hi", "stream": True}, gives=_SSE),
        *_refusals({"model": "up/m1", "input": "hi"}),
    ),
    _gateway(
        "POST /v1/api/chat",
        Ask(200, _LINE, {**_HI, "stream": False, "options": {"temperature": 0, "num_predict": 9}}),
        Ask(200, re.compile(r'(?s)^\{.*"done":false.*\n\{.*"done":true.*\}\n$'), _HI,
            gives={"content-type": re.compile("^application/x-ndjson")}),
        Ask(400, error("Invalid JSON body"), b'{"model":'),
        Ask(400, error(starts("No credentials for provider")), {**_HI, "model": "groq/x"}),
        denied=error(_KEY),
    ),
    _gateway(
        "POST /v1beta/models/{model}:generateContent",
        Ask(200, _CANDIDATES, _GEMINI, ids={"model": "up/m1"}),
        Ask(400, {"error": {"code": 400, "message": "Invalid JSON body", "status": "INVALID_ARGUMENT"}}, b"{",
            ids={"model": "up/m1"}),
        Ask(400, {"error": {"code": 400, "message": "No credentials for provider: groq", "status": "INVALID_ARGUMENT"}},
            _GEMINI, ids={"model": "groq/x"}),
        denied=_GOOGLE,
    ),
    _gateway(
        "POST /v1beta/models/{model}:streamGenerateContent",
        Ask(200, re.compile(r'(?s)^data: \{.*"candidates".*\n\n$'), _GEMINI, at="?alt=sse", ids={"model": "up/m1"},
            gives=_SSE),
        Ask(200, [{"candidates": list}], _GEMINI, ids={"model": "up/m1"}),
        denied=_GOOGLE,
    ),
    _gateway(
        "POST /v1beta/models/{model}:countTokens",
        Ask(200, {"totalTokens": int}, _GEMINI, ids={"model": "up/m1"}),
        denied=_GOOGLE,
    ),
    _gateway(
        "POST /v1/providers/{provider}/chat/completions",
        Ask(200, _COMPLETION, _HI, ids={"provider": "up"}),
        Ask(200, _COMPLETION, {**_HI, "model": "m1"}, ids={"provider": "up"}),
        Ask(400, said("Unknown provider: zzz"), _HI, ids={"provider": "zzz"}),
        Ask(400, said('Model "groq/m" does not belong to provider "deepseek". Expected prefix: ds/'),
            {**_HI, "model": "groq/m"}, ids={"provider": "deepseek"}),
        Ask(400, said(ANY), {**_HI, "model": "pair"}, ids={"provider": "deepseek"}),
        given="account combo",
    ),
)  # fmt: skip

LISTS: Final = (
    *(row(f"GET {path}", "P", *_LISTS, *_CLOSED,
          _BLOCKED, Ask(200, {"data": [{"owned_by": re.compile("^(?!openai$)")}]}, who="inference"), given=_GIVEN)
      for path in ("/v1/models", "/v1")),
    row("GET /v1/models/{id}", "P",
        Ask(200, {**_ENTRY, "id": "ds/deepseek-chat"}, ids={"id": "ds/deepseek-chat"}),
        Ask(404, said(str, code="model_not_found"), ids={"id": "zz/none"}), given=_GIVEN),
    row(
        "GET /v1beta/models", "P",
        Ask(200, {"models": [{
            "name": re.compile("^models/"), "displayName": str, "description": str,
            "supportedGenerationMethods": Some("streamGenerateContent"), "inputTokenLimit": int,
            "outputTokenLimit": int,
        }]}),
        given=_GIVEN,
    ),
    row(
        "GET /v1/embeddings",
        "P",
        Ask(200, {"object": "list", "data": [{**_ENTRY, "type": "embedding", "dimensions": int}]}),
        *_CLOSED,
        given=_GIVEN,
    ),
    row(
        "GET /v1/images/generations",
        "P",
        Ask(200, {"object": "list", "data": [{**_ENTRY, "type": "image", "supported_sizes": list}]}),
        *_CLOSED,
        given=_GIVEN,
    ),
)  # fmt: skip

_EMBED: Final = {"model": "up/m1", "input": "x"}
_DRAW: Final = {"model": "up/m1", "prompt": "a cat"}
_SOUND: Final = (
    "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data"
)
_USE_FORM: Final = "Use format: provider/model"

MEDIA: Final = (
    _gateway(
        "POST /v1/embeddings",
        *(Ask(200, _EMBEDDED, {"model": "up/m1", "input": value}) for value in ("x", ["x"])),
        Ask(200, _EMBEDDED, {**_EMBED, "dimensions": 2, "encoding_format": "float", "user": "u"}),
        Ask(200, {"data": ({"embedding": str},)}, {**_EMBED, "encoding_format": "base64"}),
        *_refusals(_EMBED, "openai/text-embedding-3-small", "embedding "),
        Ask(400, said("Missing input"), {"model": "up/m1"}),
        Ask(400, said(f"Invalid embedding model: zzz. {_USE_FORM}"), {"model": "zzz", "input": "x"}),
    ),
    _gateway(
        "POST /v1/images/generations",
        Ask(200, _IMAGES, _DRAW),
        Ask(200, _IMAGES, {**_DRAW, "n": 1, "size": "1024x1024", "quality": "high", "style": "vivid",
            "response_format": "url"}),
        *_refusals(_DRAW, "openai/gpt-image-1", "image "),
        Ask(400, said("Invalid prompt: expected a non-empty string"), {"model": "up/m1", "prompt": ""}),
        Ask(400, said(starts("Invalid image model: zzz.")), {"model": "zzz", "prompt": "x"}),
    ),
    _gateway(
        "POST /v1/audio/transcriptions",
        Ask(200, {"text": "hello", "task": "transcribe", "language": "en", "duration": 12.5}, Form("a.wav", _SOUND,
            model="up/m1")),
        Ask(400, said(starts("Invalid multipart form data")), {}),
        Ask(400, said("Missing model"), Form("a.wav", _SOUND)),
        Ask(400, said(starts("file is required")), Form("a.wav", _SOUND, "other", model="up/m1")),
        Ask(400, said(starts("Invalid transcription model: zzz")), Form("a.wav", _SOUND, model="zzz")),
        Ask(401, {"error": {"message": str}}, Form("a.wav", _SOUND, model="groq/whisper-large-v3")),
    ),
    _gateway(
        "POST /v1/audio/speech",
        Ask(200, starts("ID3"), {"model": "up/m1", "input": "x", "voice": "alloy"}, gives={"content-type": "audio/mpeg"}),
        Ask(400, _NO_MODEL, {"input": "x", "voice": "alloy"}),
    ),
    _gateway(
        "POST /v1/moderations",
        Ask(200, {"results": [{"flagged": bool, "categories": dict}]}, {"model": "up/m1", "input": "x"}),
        Ask(400, _NO_JSON, b"{"),
    ),
    _gateway(
        "POST /v1/rerank",
        Ask(200, {"results": [{"index": 0, "relevance_score": 0.9}]}, {"model": "up/m1", "query": "q", "documents": ["d"]}),
        Ask(400, _NO_MODEL, {"query": "q", "documents": ["d"]}),
    ),
    _gateway(
        "POST /v1/providers/{provider}/embeddings",
        Ask(200, _EMBEDDED, {"model": "m1", "input": "x"}, ids={"provider": "up"}),
        Ask(400, said("Unknown provider: zzz"), _EMBED, ids={"provider": "zzz"}),
    ),
    _gateway(
        "POST /v1/providers/{provider}/images/generations",
        Ask(200, _IMAGES, {"model": "m1", "prompt": "x"}, ids={"provider": "up"}),
        Ask(400, said("Unknown provider: zzz"), _DRAW, ids={"provider": "zzz"}),
    ),
)  # fmt: skip
