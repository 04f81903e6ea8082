"""The route table of the data plane."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import Struct

from ..proto.exchange import Exchange
from . import count_tokens, media, media_files, models, ollama, pipeline
from .job import Gateway, Line
from .recorder import recorded

_FILES: Final = 101 * 1024 * 1024  # a file of 100 MiB and the form around it
Handler = Callable[[Gateway, Exchange, "DataRoute"], Coroutine[Any, Any, None]]


class DataRoute(Struct, frozen=True):
    """One row.  ``wire``: the client's wire format, which depends only on the path."""

    method: str
    path: str
    handler: Handler
    wire: str = "openai-chat"
    body_limit: int | None = None
    stream_body: bool = False


def chat(gateway: Gateway, exchange: Exchange, row: DataRoute) -> Coroutine[Any, Any, None]:
    """A chat request in the row's wire format; ``{provider}`` in the path restricts it to that provider."""
    return pipeline.serve(gateway, exchange, Line(row.wire, exchange.request.params.get("provider", "")))


def generate(gateway: Gateway, exchange: Exchange, row: DataRoute) -> Coroutine[Any, Any, None]:
    """Gemini's ``generateContent``: the model is in the path, the answer is not streamed."""
    return pipeline.serve(gateway, exchange, Line(row.wire, model=_model(exchange)))


def stream_generate(gateway: Gateway, exchange: Exchange, row: DataRoute) -> Coroutine[Any, Any, None]:
    """Gemini's ``streamGenerateContent``: server-sent events with ``alt=sse``, else one JSON array."""
    array = dict(parse_qsl(exchange.request.query)).get("alt") != "sse"
    return pipeline.serve(gateway, exchange, Line(row.wire, model=_model(exchange), stream=True, array=array))


def _model(exchange: Exchange) -> str:
    return exchange.request.params["model"]


async def list_models(gateway: Gateway, exchange: Exchange, row: DataRoute) -> None:
    """All models, or one."""
    models.serve(gateway, exchange)


async def list_embeddings(gateway: Gateway, exchange: Exchange, row: DataRoute) -> None:
    """All embedding models, or one."""
    models.serve(gateway, exchange, kind="embedding")


async def list_images(gateway: Gateway, exchange: Exchange, row: DataRoute) -> None:
    """All image models, or one."""
    models.serve(gateway, exchange, kind="image")


async def list_gemini_models(gateway: Gateway, exchange: Exchange, row: DataRoute) -> None:
    """All chat models, or one, in Gemini's format."""
    models.serve(gateway, exchange, gemini=True)


# Google's SDK uses /v1 by default, its documentation and most clients /v1beta.  Google's older SDK and the AI SDK take a
# name with a slash for a complete path (tunedModels/x) and omit "models/".
_GEMINI: Final = tuple(
    row
    for model in ("/v1beta/models/{model*}", "/v1/models/{model*}", "/v1beta/{model*}")
    for row in (
        DataRoute("POST", f"{model}:generateContent", generate, "gemini"),
        DataRoute("POST", f"{model}:streamGenerateContent", stream_generate, "gemini"),
        DataRoute("POST", f"{model}:countTokens", count_tokens.serve, "gemini"),
        DataRoute("POST", f"{model}:embedContent", media.embed_content, "gemini"),
        DataRoute("POST", f"{model}:batchEmbedContents", media.embed_contents, "gemini"),
    )
)
_ROWS: Final = (
    DataRoute("POST", "/v1/chat/completions", chat, "openai-chat"),
    DataRoute("POST", "/v1/responses", chat, "openai-responses"),
    DataRoute("POST", "/v1/messages", chat, "anthropic"),
    DataRoute("POST", "/v1/messages/count_tokens", count_tokens.serve, "anthropic"),
    DataRoute("POST", "/v1/providers/{provider}/chat/completions", chat, "openai-chat"),
    DataRoute("POST", "/v1/embeddings", media.embed),
    DataRoute("GET", "/v1/embeddings", list_embeddings),
    DataRoute("POST", "/v1/providers/{provider}/embeddings", media.embed),
    DataRoute("POST", "/v1/images/generations", media_files.generate),
    DataRoute("GET", "/v1/images/generations", list_images),
    DataRoute("POST", "/v1/images/edits", media_files.edit, body_limit=_FILES, stream_body=True),
    DataRoute("POST", "/v1/images/variations", media_files.vary, body_limit=_FILES, stream_body=True),
    DataRoute("POST", "/v1/providers/{provider}/images/generations", media_files.generate),
    DataRoute("POST", "/v1/audio/transcriptions", media_files.transcribe, body_limit=_FILES, stream_body=True),
    DataRoute("POST", "/v1/audio/translations", media_files.translate, body_limit=_FILES, stream_body=True),
    DataRoute("POST", "/v1/audio/speech", media_files.speak),
    DataRoute("POST", "/v1/rerank", media.rank),
    DataRoute("POST", "/v1/moderations", media.moderate),
    DataRoute("GET", "/v1", list_models),
    *_GEMINI,  # before the shorter patterns
    DataRoute("GET", "/v1/models", list_models),
    DataRoute("GET", "/v1/models/{id*}", list_models),
    DataRoute("GET", "/v1beta/models", list_gemini_models, "gemini"),
    DataRoute("GET", "/v1beta/models/{id*}", list_gemini_models, "gemini"),
    DataRoute("POST", "/v1/api/chat", ollama.chat, "ollama"),
    DataRoute("GET", "/v1/api/tags", ollama.tags, "ollama"),
)
_NATIVE: Final = (
    DataRoute("POST", "/api/chat", ollama.chat, "ollama"),
    DataRoute("POST", "/api/generate", ollama.generate, "ollama"),
    DataRoute("GET", "/api/tags", ollama.tags, "ollama"),
    DataRoute("POST", "/api/embed", media.embed_native, "ollama"),
    DataRoute("POST", "/api/embeddings", media.embed_legacy, "ollama"),
    DataRoute("POST", "/api/show", ollama.show, "ollama"),
    DataRoute("GET", "/api/version", ollama.version, "ollama"),
    DataRoute("GET", "/api/ps", ollama.ps, "ollama"),
    DataRoute("POST", "/codex/{path*}", chat, "openai-responses"),
)
# Other paths for the same routes: under /api, and with the prefix /v1 doubled or omitted, as some clients send them.
_BARE: Final = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/models")
# The SDK of a vendor with such paths always sends the whole path, whatever its base URL is.
_FIXED: Final = (
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/models",
    "/v1/models/{id*}",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/audio/speech",
)


def _twins(row: DataRoute) -> list[DataRoute]:
    paths = ["/api" + row.path]
    if row.path.startswith("/v1/") or row.path == "/v1":
        paths.append("/v1" + row.path)
    if row.path in _FIXED:
        paths.append("/openai" + row.path)
    if row.path in _BARE:
        paths.append(row.path.removeprefix("/v1"))
    return [DataRoute(row.method, path, row.handler, row.wire, row.body_limit, row.stream_body) for path in paths]


DATA_ROUTES: Final[tuple[DataRoute, ...]] = (*_ROWS, *_NATIVE, *(twin for row in _ROWS for twin in _twins(row)))


class DataPlane:
    """Serves the routes above."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """The coroutine that answers *exchange*."""
        row = exchange.request.route
        assert isinstance(row, DataRoute)
        return row.handler(self._gateway, recorded(self._gateway.live, exchange), row)
