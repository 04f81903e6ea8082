"""Endpoints of provider calls: the paths per wire and operation, and where they are below or beside a base URL.

Everything here is pure, so the gateway computes it once per connection and snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from ..errors import OmniError
from ..proto.transport import PORTS, Origin
from .providers import Provider, Served

Operation = Literal[
    "chat", "responses", "messages", "generate", "count_tokens", "models", "embeddings", "images", "transcriptions"
]


class Endpoint(NamedTuple):
    """The address of one operation: the three parts of the origin, and the request target."""

    scheme: str
    host: str  # without brackets
    port: int
    path: bytes

    @property
    def origin(self) -> Origin:
        return Origin(self.scheme, self.host, self.port)


_OPENAI: Final[Mapping[str, str]] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "models": "/models",
    "embeddings": "/embeddings",
    "images": "/images/generations",
    "transcriptions": "/audio/transcriptions",
}
PATHS: Final[Mapping[str, Mapping[str, str]]] = {  # wire -> operation -> path below the base URL
    "": _OPENAI,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    "anthropic": {"messages": "/messages", "count_tokens": "/messages/count_tokens", "models": "/models"},
    "gemini": {
        "generate": "/{model}:generateContent",
        "count_tokens": "/{model}:countTokens",
        "embeddings": "/{model}:embedContent",
        "models": "/models",
    },
    "ollama": {"chat": "/api/chat", "models": "/api/tags", "embeddings": "/api/embed"},
}
CHAT_OPERATION: Final[Mapping[str, Operation]] = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "generate",
    "ollama": "chat",
}
_MEDIA: Final[Mapping[str, str]] = {  # media operation -> its usual path, see Served.path
    "embeddings": "./embeddings",
    "images": "./images/generations",
    "image_edits": "./images/edits",
    "transcriptions": "./audio/transcriptions",
    "translations": "./audio/translations",
    "speech": "./audio/speech",
    "rerank": "./rerank",
    "moderations": "./moderations",
}
_MEDIA_OF: Final[Mapping[tuple[str, str], str]] = {  # (codec, operation) -> a path other than the usual one
    ("gemini", "embeddings"): "./{model}:batchEmbedContents",
    ("gemini", "images"): "./{model}:generateContent",
    ("gemini", "image_edits"): "./{model}:generateContent",
    ("ollama", "embeddings"): "./api/embed",
}


def media_endpoint(
    provider: Provider, base_url: str, own_base: bool, operation: str, model: str, served: Served, path: str = ""
) -> Endpoint:
    """The endpoint of a media operation at *provider*.

    *path* replaces the usual path.  *own_base* says that *base_url* is the account's own; it then replaces the host of a
    path that is a whole URL.  Raises ``OmniError("not_supported")`` when *base_url* is empty.
    """
    if not base_url:
        raise OmniError("not_supported", f"{provider.name} has no address")
    path = path or served.path or _MEDIA_OF.get((served.codec, operation), _MEDIA[operation])
    name = _gemini_name(model) if served.codec == "gemini" else quote(model, safe="/")
    path = path.replace("{model}", name)
    if own_base and "://" in path:
        path = path[path.index("/", path.index("://") + 3) :]
    return beside(base_url, path)


def endpoint(
    provider: Provider, base_url: str, operation: Operation, model: str = "", stream: bool = False, wire: str = ""
) -> Endpoint:
    """The endpoint of *operation*.  *base_url* comes from :func:`.base_url.base_url_of`; *wire* overrides the provider's.

    Raises ``OmniError("not_supported")`` when the wire has no such operation or *base_url* is empty.
    """
    if not base_url:
        raise OmniError("not_supported", f"{provider.name} has no address")
    path = PATHS[wire or provider.wire].get(operation)
    if path is None:
        raise OmniError("not_supported", f"{provider.name} has no {operation} endpoint")
    if "{model}" in path:
        path = path.replace("{model}", _gemini_name(model))
        if stream and operation == "generate":
            path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    if operation == "models" and provider.models_path:
        return beside(base_url, provider.models_path)
    return _join(base_url, path)


def _gemini_name(model: str) -> str:
    """``gemini-2.5-pro`` and ``models/gemini-2.5-pro`` -> ``models/gemini-2.5-pro``; tuned models keep their collection."""
    collection, slash, name = model.partition("/")
    if not slash or collection not in ("models", "tunedModels"):
        collection, name = "models", model
    return f"{collection}/{quote(name, safe='')}"


def beside(base_url: str, path: str) -> Endpoint:
    """Resolve *path* against *base_url*: ``/x`` from the host's root, ``../x`` next to the base URL's last segment."""
    parts = urlsplit(urljoin(base_url + "/", path))
    query = "?" + parts.query if parts.query else ""
    return _join(f"{parts.scheme}://{parts.netloc}", parts.path + query)


def _join(base_url: str, path: str) -> Endpoint:
    parts = urlsplit(base_url)
    target = quote(parts.path, safe="/:@!$&'()*+,;=~%") + path
    return Endpoint(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme], target.encode("ascii") or b"/")
