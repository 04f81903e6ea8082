"""The built-in providers: loads and checks ``catalog.toml``, which explains its rows and columns at the top.

The models of a provider are lines of one literal string in the TOML file, not hundreds of TOML tables.  tomllib, written in
Python, is slow at tables but skips a literal string in one step, so the whole catalogue loads in a few milliseconds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from .providers import ABILITIES, CHECKS, EXTRAS, KINDS, MEDIA, WIRES, AuthScheme, Catalog, Model, Price, Provider, Served

_AUDIO: Final = frozenset({"transcription", "speech"})  # abilities that make a model one for audio


class CatalogError(ValueError):
    """``catalog.toml`` is invalid; the message says where and why."""


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
        words = seen[text] = _read_words(f"{where}: model {name}", text, quirks)
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


def _read_words(where: str, text: str, quirks: frozenset[str]) -> _Words:
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
