"""Synchronized values that are not table rows: aliases, custom models, prices, fallback chains, shared settings.

Each separately editable value is a record of its own, so that edits made on two gateways can be merged.  None has a time of
change; a record's version is a digest (``sync.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from . import aliases, chains, config, custom_models, keyvalue, pricing
from .db import Transaction
from .keyvalue import Reader

Data = dict[str, Any]
ALIASES: Final = aliases.NAMESPACE
SHARED_SETTINGS: Final = frozenset({
    "fallbackStrategy", "stickyRoundRobinLimit", "wildcardAliases", "blockedProviders", "comboDefaults", "providerOverrides",
    "providerProfiles", "rateLimitDefaults", "thinkingBudget", "systemPrompt",
})  # fmt: skip
"""Settings of routing and request shaping.  The others concern a single machine: its addresses, log, access, appearance."""
NAME: Final = re.compile(r"[!-~][ -~]{0,199}")  # valid ids and names of records
_MOST_BYTES: Final = 200_000
_MOST_DOLLARS: Final = 1e9
_MOST_LINKS: Final = 100


class Kind(NamedTuple):
    """One kind of record: ``read`` returns all by id, ``put`` writes one (None deletes it).

    ``check`` returns the cleaned data of a received record, None if invalid.  An invalid record is an error if ``strict``,
    else it is ignored: the other gateway may be of a newer version.
    """

    noun: str
    read: Callable[[Reader], Awaitable[dict[str, Data]]]
    check: Callable[[str, Mapping[str, Any]], Data | None]
    put: Callable[[Transaction, str, Data | None], Awaitable[None]]
    strict: bool = True


def _name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


# -- aliases: name -> {"model"}


async def _read_aliases(source: Reader) -> dict[str, Data]:
    names = aliases.only_texts(await keyvalue.read(source, ALIASES))
    return {name: {"model": model} for name, model in names.items()}


def _check_alias(id: str, data: Mapping[str, Any]) -> Data | None:
    model = data.get("model")
    return {"model": model} if _name(model) and "/" not in id else None


async def _put_alias(tx: Transaction, id: str, data: Data | None) -> None:
    await keyvalue.write(tx, ALIASES, id, data["model"] if data is not None else None)


# -- custom models: "provider/model" -> {"name", "source"}


async def _read_models(source: Reader) -> dict[str, Data]:
    found = custom_models.of_values(await keyvalue.read(source, custom_models.NAMESPACE))
    return {
        f"{provider}/{model.id}": {"name": model.name, "source": model.source}
        for provider, models in found.items()
        for model in models
    }


def _check_model(id: str, data: Mapping[str, Any]) -> Data | None:
    texts = {name: data.get(name) for name in ("name", "source")}
    good = all(isinstance(text, str) and 0 < len(text) <= 300 for text in texts.values())
    return texts if good and all(id.partition("/")[::2]) else None


async def _put_model(tx: Transaction, id: str, data: Data | None) -> None:
    """Replace the model in place, append it, or remove it."""
    provider, _, model = id.partition("/")
    stored = custom_models.of_values(await keyvalue.read(tx, custom_models.NAMESPACE)).get(provider, [])
    models = {known.id: {"name": known.name, "source": known.source} for known in stored}
    if data is None:
        models.pop(model, None)
    else:
        models[model] = data
    listed = [{"id": name, **fields} for name, fields in models.items()]
    await keyvalue.write(tx, custom_models.NAMESPACE, provider, listed or None)


# -- the user's prices: "alias/model" -> {field: dollars}


async def _read_prices(source: Reader) -> dict[str, Data]:
    table = pricing.of_values(await keyvalue.read(source, pricing.NAMESPACE))
    return {f"{alias}/{model}": dict(price) for alias, models in table.items() for model, price in models.items()}


def _check_price(id: str, data: Mapping[str, Any]) -> Data | None:
    price = {field: data[field] for field in pricing.FIELDS if field in data}
    good = all(
        type(value) in (int, float) and math.isfinite(value) and 0 <= value <= _MOST_DOLLARS for value in price.values()
    )
    return {field: float(value) for field, value in price.items()} if good and all(id.partition("/")[::2]) else None


async def _put_price(tx: Transaction, id: str, data: Data | None) -> None:
    alias, _, model = id.partition("/")
    models = pricing.of_values(await keyvalue.read(tx, pricing.NAMESPACE)).get(alias, {})
    rest = {name: price for name, price in models.items() if name != model}
    await keyvalue.write(tx, pricing.NAMESPACE, alias, (rest if data is None else {**rest, model: data}) or None)


# -- fallback chains: model -> {"chain"}


async def _read_chains(source: Reader) -> dict[str, Data]:
    return {model: {"chain": links} for model, links in chains.of_records(await source.fetch(chains.SELECT)).items()}


def _check_chain(_: str, data: Mapping[str, Any]) -> Data | None:
    links = data.get("chain")
    if not isinstance(links, list) or len(links) > _MOST_LINKS:
        return None
    clean = chains.links_of(links)
    return {"chain": clean} if len(clean) == len(links) and all(_name(link["provider"]) for link in clean) else None


async def _put_chain(tx: Transaction, id: str, data: Data | None) -> None:
    await chains.put(tx, id, data["chain"] if data is not None else None)


# -- settings: name -> {"value"}


async def _read_settings(source: Reader) -> dict[str, Data]:
    stored = await keyvalue.read(source, config.NAMESPACE)
    return {name: {"value": value} for name, value in stored.items() if name in SHARED_SETTINGS}


def _check_setting(id: str, data: Mapping[str, Any]) -> Data | None:
    value = data.get("value")
    if id not in SHARED_SETTINGS or config.check(id, value) is not None:
        return None
    try:
        return {"value": value} if len(orjson.dumps(value)) <= _MOST_BYTES else None
    except orjson.JSONEncodeError:  # nested too deeply
        return None


async def _put_setting(tx: Transaction, id: str, data: Data | None) -> None:
    await keyvalue.write(tx, config.NAMESPACE, id, data["value"] if data is not None else None)


VALUES: Final[dict[str, Kind]] = {
    ALIASES: Kind("alias", _read_aliases, _check_alias, _put_alias),
    "customModels": Kind("model", _read_models, _check_model, _put_model),
    "pricing": Kind("price", _read_prices, _check_price, _put_price),
    "fallbackChains": Kind("fallback chain", _read_chains, _check_chain, _put_chain),
    "settings": Kind("setting", _read_settings, _check_setting, _put_setting, strict=False),
}
