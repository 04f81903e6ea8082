"""Endpoints and authentication of provider calls: base URLs, paths per wire, authentication fields.

Everything here is pure, so the gateway computes it once per connection and snapshot.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from ..errors import OmniError
from ..proto.dial import METADATA_NAMES, allowed
from ..proto.h1_client import Origin
from ..proto.headers import Headers
from .providers import Provider, Served

Operation = Literal[
    "chat", "responses", "messages", "generate", "count_tokens", "models", "embeddings", "images", "transcriptions"
]

_AUTH: Final[Mapping[str, tuple[bytes, bytes]]] = {  # scheme -> field name and the prefix of the key
    "bearer": (b"authorization", b"Bearer "),
    "optional-bearer": (b"authorization", b"Bearer "),
    "token": (b"authorization", b"Token "),
    "raw": (b"authorization", b""),
    "x-api-key": (b"x-api-key", b""),
    "x-goog-api-key": (b"x-goog-api-key", b""),
    "api-key": (b"api-key", b""),
}


def needs_secret(provider: Provider) -> bool:
    """Whether calls without a key are certain to fail.  A user's own endpoint may need no key."""
    return not provider.node and provider.auth not in ("none", "optional-bearer")


def auth_headers(provider: Provider, secret: str) -> Headers:
    """The header fields that carry *secret* in the provider's scheme; none without a secret or a scheme.

    Raises ``OmniError("invalid_request")`` when the key is not printable ASCII; its message does not contain the key.
    """
    secret = secret.strip()
    if not secret or provider.auth == "none":
        return []
    if not (secret.isascii() and secret.isprintable()):
        raise OmniError("invalid_request", "The API key contains characters that cannot be sent", param="apiKey")
    name, before = _AUTH[provider.auth]
    return [(name, before + secret.encode("ascii"))]


def with_login(provider: Provider, auth_type: str) -> Provider:
    """The provider with the scheme for an account of *auth_type*: OAuth access tokens are bearer tokens (RFC 6750)."""
    if auth_type != "oauth" or provider.auth in ("bearer", "optional-bearer", "none"):
        return provider
    return msgspec.structs.replace(provider, auth="bearer")


def call_headers(provider: Provider, secret: str) -> Headers:
    """The provider's static header fields, then its authentication fields.  Raises as :func:`auth_headers`."""
    fixed = [(name.encode("ascii"), value.encode("ascii")) for name, value in provider.headers]
    return fixed + auth_headers(provider, secret)


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
PORTS: Final = {"http": 80, "https": 443}
"""The URL schemes that calls may use, and their default ports (RFC 9110 section 4.2)."""
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
    """The endpoint of *operation*.  *base_url* comes from :func:`base_url_of`; *wire* overrides the provider's.

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


_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")


def base_url_of(provider: Provider, override: str = "", data: Mapping[str, Any] | None = None) -> str:
    """The base URL of one connection: its own or else the provider's, with placeholders filled from the connection's *data*.

    It has no trailing slash, and is "" for a provider without a server.  Raises ``OmniError("invalid_request")`` naming the
    missing or unusable value.
    """
    data = data or {}
    url = (override or str(data.get("baseUrl") or "") or provider.base_url).strip().rstrip("/")

    def value(found: re.Match[str]) -> str:
        text = str(data.get(found[1]) or "").strip()
        param = f"providerSpecificData.{found[1]}"
        if not text:
            raise OmniError("invalid_request", f'{provider.name} needs "{found[1]}" in providerSpecificData', param=param)
        if not _NAME.fullmatch(text):
            raise OmniError("invalid_request", f'"{found[1]}" can only contain letters, digits, - and _', param=param)
        return text

    url = _PLACEHOLDER.sub(value, url)
    if url and not _is_web_address(url):  # values from a restored database are unchecked
        raise OmniError("invalid_request", f"The base URL of {provider.name} is not a web address", param="baseUrl")
    return url


@lru_cache(maxsize=1024)
def _is_web_address(url: str) -> bool:
    """Whether *url* is a usable http(s) URL; :func:`check_base_url` decides whether calling it is permitted."""
    try:
        parts = urlsplit(url)
        return parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\]")


def check_base_url(url: str, allow_private: bool) -> None:
    """Refuse base URLs that must never be called.  Raises ``OmniError("invalid_request", param="baseUrl")``.

    Loopback is always permitted.  The addresses of a host name are checked when it is dialled.
    """
    problem = _url_problem(url, allow_private)
    if problem:
        raise OmniError("invalid_request", problem, param="baseUrl")


def _url_problem(url: str, allow_private: bool) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "Base URL is not a valid URL"
    checks = (
        (parts.scheme not in PORTS, "Base URL must start with http:// or https://"),
        (_UNSAFE.search(url) is not None or not url.isascii(), "Base URL contains characters that are not allowed"),
        (not host or port == 0, "Base URL needs a host"),
        ("@" in parts.netloc, "Base URL must not contain a user name or password"),
        ("#" in url or "?" in url, "Base URL must not contain a query or a fragment"),
        (any(part in (".", "..") for part in parts.path.split("/")), "Base URL must not contain dot segments"),
        (host.rstrip(".") in METADATA_NAMES, "Base URL points to a cloud metadata service"),
    )
    for wrong, problem in checks:
        if wrong:
            return problem
    if not address_allowed(host, allow_private):
        return "Base URL points to an address that is not allowed"
    return ""


def address_allowed(host: str, allow_private: bool) -> bool:
    """Whether calls may go to *host*; True for names, whose addresses are checked once they are resolved.

    Applies :func:`..proto.dial.allowed` to everything that a resolver takes for an address, e.g. also to ``0xa9fea9fe``,
    ``2852039166`` and ``169.254.43518``.
    """
    host = host.rstrip(".")
    try:
        return allowed(host, allow_private)
    except ValueError:
        if not _LEGACY.fullmatch(host):
            return True
    try:
        return allowed(socket.inet_ntoa(socket.inet_aton(host)), allow_private)
    except OSError:
        return True


_LEGACY: Final = re.compile(r"[0-9][0-9a-fA-FxX.]*")  # what inet_aton(3) may read as an IPv4 address
