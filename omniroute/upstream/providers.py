"""Providers as data: their vocabulary and types, and the conversion of a user's node into a provider.

``catalog.py`` loads the built-in ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from ..errors import OmniError

AuthScheme = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "token", "raw", "none", "optional-bearer"]

WIRES: Final = frozenset({"openai-chat", "openai-responses", "anthropic", "gemini", "ollama"})
KINDS: Final = frozenset({"chat", "embedding", "image", "audio", "rerank", "moderation"})
EXTRAS: Final = frozenset({"responses", "embeddings", "images", "transcriptions", "speech", "rerank", "moderations"})
MEDIA: Final[Mapping[str, str]] = {  # media operation (any but chat) -> the word in EXTRAS that covers it
    "embeddings": "embeddings",
    "images": "images",
    "image_edits": "images",
    "transcriptions": "transcriptions",
    "translations": "transcriptions",
    "speech": "speech",
    "rerank": "rerank",
    "moderations": "moderations",
}
ABILITIES: Final = frozenset(
    {"tools", "parallel_tools", "json_schema", "reasoning", "vision", "pdf", "audio_in", "prompt_caching", "web_search"}
    | {"transcription", "speech"}
)
CHECKS: Final = frozenset({"models", "chat", "embeddings"})


class Price(Struct, frozen=True):
    """US dollars per 1,000,000 tokens; fields named ``per_…`` are for operations not billed by tokens.  None = unknown."""

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    reasoning: float | None = None
    cache_creation: float | None = None
    per_image: float | None = None  # generated
    per_second: float | None = None  # of sound
    per_million_characters: float | None = None  # spoken
    per_search: float | None = None  # ranking


class Served(NamedTuple):
    """The codec of a media operation at a provider, and its path where that differs from the codec's usual one.

    ``path`` is relative to the base URL (``./x``; ``/x`` from the host's root) or a whole URL, whose host an account's own
    base URL replaces.  ``{model}`` in it is filled in.
    """

    codec: str
    path: str = ""


class Model(Struct, frozen=True):
    """One model of one provider; limits in tokens, 0 = unknown."""

    id: str
    name: str = ""
    kind: str = "chat"  # chat, embedding, image, audio, rerank, moderation
    context: int = 0
    max_output: int = 0
    abilities: frozenset[str] = frozenset()  # known abilities; one that is missing may still exist
    price: Price | None = None
    wire: str = ""  # overrides the provider's
    quirks: frozenset[str] = frozenset()  # in addition to the provider's, see quirks_of
    dimensions: int = 0  # of embeddings, 0 = unknown


class Provider(Struct, frozen=True):
    """One provider, built in or a user's node."""

    id: str
    alias: str
    name: str
    wire: str  # key of translate.FORMATS, or "" when it has no chat
    base_url: str  # without a trailing slash, e.g. https://api.openai.com/v1
    auth: AuthScheme = "bearer"
    auth_type: str = "apikey"  # "apikey", "oauth", "free"
    local: bool = False  # keyless servers on this machine
    node: bool = False  # a user's own endpoint
    prefix: str = ""  # of nodes
    quirks: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()  # sent with every call
    env: str = ""  # the environment variable that seeds a connection
    models: dict[str, Model] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)  # requested model id -> id sent
    wires: dict[str, str] = field(default_factory=dict)  # part of a model id -> the wire of all models whose id has it
    pass_through: bool = False  # takes any vendor/model
    lists_models: bool = True
    extras: frozenset[str] = frozenset()
    media: dict[str, Served] = field(default_factory=dict)  # media operation -> how it is served, where not as usual
    models_path: str = ""  # of the model list, relative to base_url (/x from the host's root); "" = <base_url>/models
    check: str = "models"  # the request that tests a key: "models", "chat", "embeddings", or a path like models_path

    def wire_of(self, model: str) -> str:
        """The wire of a model for which the catalogue gives none of its own."""
        return next((wire for part, wire in self.wires.items() if part in model), self.wire)


class Catalog(Struct, frozen=True):
    """All built-in providers and the names that lead to them.

    ``prefixes`` maps every id, alias and served reserved prefix to a provider id.  ``reserved`` maps the prefixes and ids of
    subscription logins to the provider that serves them, or to ``""`` when none does.  ``reserved_ids`` maps those prefixes
    to the id under which a connection may be stored; ``reserved_wires`` gives the wire where it is not the provider's own.
    ``models_by_id`` maps a bare model id to the providers that offer it, in file order.
    """

    providers: dict[str, Provider]
    prefixes: dict[str, str]
    reserved: dict[str, str]
    reserved_ids: dict[str, str]
    reserved_wires: dict[str, str]
    models_by_id: dict[str, tuple[str, ...]]
    quirks: dict[str, str]  # name -> meaning
    default_provider: str = ""  # for a bare model id that no provider lists

    def price(self, provider_id: str, model: str) -> Price | None:
        """The catalogue's price of *model*, or None when unknown.

        Looks up the provider by id, then by alias, then by id without ``-cn``.  In each it tries the model id, the id it is
        renamed to, and the last ``/`` segment of the model id.
        """
        tail = model.rpartition("/")[2]
        for name in (provider_id, self.prefixes.get(provider_id, ""), provider_id.removesuffix("-cn")):
            if provider := self.providers.get(name):
                for key in (model, provider.renames.get(model, model), tail):
                    if (found := provider.models.get(key)) and found.price:
                        return found.price
        return None


def quirks_of(provider: Provider, model_id: str) -> frozenset[str]:
    """The quirks of one model at one provider: those of the provider and the model's own."""
    model = provider.models.get(model_id)
    return provider.quirks | model.quirks if model and model.quirks else provider.quirks


def serves(provider: Provider, operation: str) -> Served | None:
    """How *provider* serves an operation of :data:`MEDIA`: by its own row, else by its wire.  None when it does not."""
    if own := provider.media.get(operation):
        return own
    if MEDIA[operation] not in provider.extras:
        return None
    return Served(provider.wire if provider.wire in ("gemini", "ollama") else "openai")


class _NodeType(NamedTuple):
    """What a node's type implies.  ``tails`` are operation paths that users paste along with the base URL."""

    wires: Mapping[str, str]  # apiType -> wire
    base_url: str
    auth: AuthScheme
    tails: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()
    extras: frozenset[str] = frozenset()  # operations that such servers may have


ANTHROPIC_VERSION: Final = ("anthropic-version", "2023-06-01")
NODE_TYPES: Final[Mapping[str, _NodeType]] = {
    "openai-compatible": _NodeType(
        {"chat": "openai-chat", "responses": "openai-responses"},
        "https://api.openai.com/v1",
        "optional-bearer",
        ("/chat/completions", "/responses", "/embeddings", "/models"),
        extras=EXTRAS - {"responses"},
    ),
    "anthropic-compatible": _NodeType(
        {"": "anthropic"}, "https://api.anthropic.com/v1", "x-api-key", ("/messages",), (ANTHROPIC_VERSION,)
    ),
    "gemini-compatible": _NodeType(
        {"": "gemini"},
        "https://generativelanguage.googleapis.com/v1beta",
        "x-goog-api-key",
        ("/models",),
        extras=frozenset({"embeddings", "images"}),
    ),
    "ollama-compatible": _NodeType(
        {"": "ollama"},
        "http://localhost:11434",
        "optional-bearer",
        ("/api/chat", "/api/tags", "/api"),
        extras=frozenset({"embeddings"}),
    ),
}


def node_base_url(node_type: str, base_url: str = "") -> str:
    """Normalise a node's base URL: the type's default when empty, no trailing slashes, no pasted operation path."""
    kind = _node_type(node_type)
    url = base_url.strip().rstrip("/") or kind.base_url
    for tail in kind.tails:
        if url.endswith(tail):
            return url[: -len(tail)].rstrip("/")
    return url


def node_provider(
    node_id: str, node_type: str, name: str, prefix: str, base_url: str = "", api_type: str | None = None
) -> Provider:
    """The provider for a user's node.  Raises ``OmniError("invalid_request")`` for an unknown type or apiType."""
    kind = _node_type(node_type)
    wire = kind.wires.get("") or kind.wires.get(api_type or "")
    if not wire:
        raise OmniError("invalid_request", "Invalid OpenAI compatible API type", param="apiType")
    return Provider(
        id=node_id,
        alias=prefix or node_id,
        name=name,
        wire=wire,
        base_url=node_base_url(node_type, base_url),
        auth=kind.auth,
        node=True,
        prefix=prefix,
        headers=kind.headers,
        pass_through=True,
        extras=kind.extras,
    )


def _node_type(node_type: str) -> _NodeType:
    if kind := NODE_TYPES.get(node_type):
        return kind
    raise OmniError("invalid_request", "Invalid provider node type", param="type")
