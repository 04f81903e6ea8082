"""Providers as data: the types, the loader of ``catalog.toml`` and the conversion of a user's node into a provider.

The models of a provider are lines of one literal string in the TOML file, not hundreds of TOML tables.  tomllib, written in
Python, is slow at tables but skips a literal string in one step, so the whole catalogue loads in a few milliseconds.  The
columns are explained at the top of ``catalog.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from typing import Final, Literal, NamedTuple

import msgspec
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
_AUDIO: Final = frozenset({"transcription", "speech"})


class CatalogError(ValueError):
    """``catalog.toml`` is invalid; the message says where and why."""


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


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[provider.<id>]`` table of the file."""

    name: str
    alias: str = ""
    base_url: str = ""
    wire: str = ""
    auth: AuthScheme = "bearer"
    auth_type: str = "apikey"
    local: bool = False
    quirks: list[str] = []
    headers: dict[str, str] = {}
    env: str = ""
    extras: list[str] = []
    media: dict[str, str] = {}
    renames: dict[str, str] = {}
    wires: dict[str, str] = {}
    pass_through: bool = False
    lists_models: bool = True
    models_path: str = ""
    check: str = "models"
    models_of: str = ""
    models: str = ""


class _Reserved(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of ``[reserved]``."""

    id: str
    provider: str = ""
    wire: str = ""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    quirks: dict[str, str]
    reserved: dict[str, _Reserved]
    provider: dict[str, _Row]
    default_provider: str = ""


def load_catalog() -> Catalog:
    """The catalogue that ships with the package.  Raises :class:`CatalogError`."""
    text = resources.files("omniroute.upstream").joinpath("catalog.toml").read_text(encoding="utf-8")
    return parse_catalog(text)


def parse_catalog(text: str) -> Catalog:
    """Parse and check a catalogue.  Raises :class:`CatalogError` naming the row and the invalid value."""
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogError(f"catalog: {error}") from None
    quirks = frozenset(file.quirks)
    providers: dict[str, Provider] = {}
    for key, row in file.provider.items():
        providers[key] = _provider(key, row, quirks, providers)
    prefixes = _prefixes(providers)
    _add_reserved(prefixes, file.reserved, providers)
    offers: dict[str, list[str]] = {}
    for provider in providers.values():
        for model in provider.models:
            offers.setdefault(model, []).append(provider.id)
    both = [(name, row) for alias, row in file.reserved.items() for name in (alias, row.id)]
    return Catalog(
        providers=providers,
        prefixes=prefixes,
        reserved={name: row.provider for name, row in both},
        reserved_ids={alias: row.id for alias, row in file.reserved.items()},
        reserved_wires={name: row.wire for name, row in both if row.wire},
        models_by_id={model: tuple(ids) for model, ids in offers.items()},
        quirks=file.quirks,
        default_provider=file.default_provider,
    )


def _provider(key: str, row: _Row, quirks: frozenset[str], earlier: Mapping[str, Provider]) -> Provider:
    where = f"provider {key}"
    models = _models(where, row.models, quirks)
    if row.models_of:
        if row.models_of not in earlier:
            raise CatalogError(f"catalog: {where}: models_of names {row.models_of}, which is not defined earlier")
        models = earlier[row.models_of].models | models
    if row.wire:
        _known(where, "wire", [row.wire], WIRES)
    _known(where, "wire", row.wires.values(), WIRES)
    if row.base_url.endswith("/"):
        raise CatalogError(f"catalog: {where}: base_url must not end with a slash")
    if row.check not in CHECKS and not row.check.startswith(("/", "./", "../")):
        raise CatalogError(f"catalog: {where}: check is one of {', '.join(sorted(CHECKS))} or a path, not {row.check!r}")
    return Provider(
        id=key,
        alias=row.alias or key,
        name=row.name,
        wire=row.wire,
        base_url=row.base_url,
        auth=row.auth,
        auth_type=row.auth_type,
        local=row.local,
        quirks=_known(where, "quirk", row.quirks, quirks),
        headers=tuple((name.lower(), value) for name, value in row.headers.items()),
        env=row.env,
        models=models,
        renames=row.renames,
        wires=row.wires,
        pass_through=row.pass_through,
        lists_models=row.lists_models,
        extras=_known(where, "extra", row.extras, EXTRAS),
        media=_media(where, row.media),
        models_path=row.models_path,
        check=row.check,
    )


def _known(where: str, what: str, names: Iterable[str], allowed: Collection[str]) -> frozenset[str]:
    found = frozenset(names)
    if unknown := found.difference(allowed):
        raise CatalogError(f"catalog: {where}: unknown {what} {', '.join(sorted(unknown))}")
    return found


def _media(where: str, rows: Mapping[str, str]) -> dict[str, Served]:
    _known(where, "operation", rows, MEDIA)
    for value in rows.values():
        if not 1 <= len(value.split()) <= 2:
            raise CatalogError(f'catalog: {where}: media says "codec" or "codec path", not {value!r}')
    return {operation: Served(*value.split()) for operation, value in rows.items()}


def _prefixes(providers: Mapping[str, Provider]) -> dict[str, str]:
    prefixes = {key: key for key in providers}
    for provider in providers.values():
        if (owner := prefixes.setdefault(provider.alias, provider.id)) != provider.id:
            raise CatalogError(f"catalog: provider {provider.id}: alias {provider.alias} already belongs to {owner}")
    return prefixes


def _add_reserved(prefixes: dict[str, str], rows: Mapping[str, _Reserved], providers: Mapping[str, Provider]) -> None:
    for alias, row in rows.items():
        where = f"reserved {alias}"
        if row.wire:
            _known(where, "wire", [row.wire], WIRES)
        if row.provider and row.provider not in providers:
            raise CatalogError(f"catalog: {where}: unknown provider {row.provider}")
        for name in (alias, row.id):
            if name in prefixes:
                raise CatalogError(f"catalog: {where}: {name} already belongs to {prefixes[name]}")
            if row.provider:
                prefixes[name] = row.provider


class _Words(NamedTuple):
    """The contents of the last column of a model's line."""

    kind: str
    abilities: frozenset[str]
    quirks: frozenset[str]
    wire: str
    dimensions: int
    each: Mapping[str, float]  # field of Price -> price, where not per token


_UNIT_PRICES: Final = {
    "image": "per_image",
    "second": "per_second",
    "mchar": "per_million_characters",
    "search": "per_search",
}


def _models(where: str, table: str, quirks: frozenset[str]) -> dict[str, Model]:
    models: dict[str, Model] = {}
    seen: dict[str, _Words] = {}  # a cache: many lines end in the same words
    for line in table.splitlines():
        if not line or line[0] == "#":
            continue
        model = _model(where, line, seen, quirks)
        if model.id in models:
            raise CatalogError(f"catalog: {where}: model {model.id} listed twice")
        models[model.id] = model
    return models


def _model(where: str, line: str, seen: dict[str, _Words], quirks: frozenset[str]) -> Model:
    cells = line.split(None, 8)
    try:
        name, context, output, *prices = cells[:8]
        into, out, cached, creation, reasoning = [None if cell == "-" else float(cell) for cell in prices]
        limits = [0 if cell == "-" else int(cell) for cell in (context, output)]
    except ValueError:
        raise CatalogError(f"catalog: {where}: a model line needs an id and seven numbers or dashes: {line!r}") from None
    text = cells[8] if len(cells) > 8 else ""
    if (words := seen.get(text)) is None:
        words = seen[text] = _words(f"{where}: model {name}", text, quirks)
    priced = words.each or any(cell != "-" for cell in prices)
    return Model(
        id=name,
        kind=words.kind,
        context=limits[0],
        max_output=limits[1],
        abilities=words.abilities,
        price=Price(into, out, cached, reasoning, creation, **words.each) if priced else None,
        wire=words.wire,
        quirks=words.quirks,
        dimensions=words.dimensions,
    )


def _words(where: str, text: str, quirks: frozenset[str]) -> _Words:
    words = set(text.replace(",", " ").split())
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    words = {word for word in words if "=" not in word}
    _known(where, "setting", settings, {"wire", "dim", *_UNIT_PRICES})
    _known(where, "word", words, KINDS | ABILITIES | quirks)
    kinds = words & KINDS or ({"audio"} if words & _AUDIO else {"chat"})
    if len(kinds) > 1:
        raise CatalogError(f"catalog: {where}: more than one kind: {', '.join(sorted(kinds))}")
    wire = settings.get("wire", "")
    if wire:
        _known(where, "wire", [wire], WIRES)
    each = {_UNIT_PRICES[name]: float(value) for name, value in settings.items() if name in _UNIT_PRICES}
    able = frozenset(words & ABILITIES)
    return _Words(kinds.pop(), able, frozenset(words & quirks), wire, int(settings.get("dim", 0)), each)


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
