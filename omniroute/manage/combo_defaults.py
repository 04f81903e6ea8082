"""The defaults of all combos, and what replaces them for the models of one provider."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from ..gateway.combos import DEFAULTS
from ..store.config import sound
from .bodies import given_json
from .call import Call, Reply, one_at_a_time
from .combos import ComboConfig, kept
from .refusals import Invalid


class DefaultsBody(Struct, rename="camel"):
    """Overrides are by provider: its id, alias or prefix."""

    combo_defaults: ComboConfig | UnsetType = UNSET  # type: ignore[valid-type]
    provider_overrides: dict[str, ComboConfig] | UnsetType = UNSET  # type: ignore[valid-type]


class Defaults(Struct, rename="camel"):
    """The defaults in force, built-in ones included, and the stored overrides; times in milliseconds."""

    combo_defaults: dict[str, Any]
    provider_overrides: dict[str, dict[str, Any]]


async def read(call: Call) -> Reply:
    """Return the defaults of all combos and what overrides them by provider."""
    stored = sound(await call.store.config.all())
    overrides = stored.get("providerOverrides", {})
    return Reply(200, Defaults({**DEFAULTS, **stored.get("comboDefaults", {})}, overrides))


@one_at_a_time
async def write(call: Call) -> Reply:
    """PATCH and PUT: set the given defaults (null: the built-in one), keep the rest; replace all overrides if given."""
    body: Any = call.body
    changes: dict[str, Any] = {}
    if body.combo_defaults is not UNSET:
        stored = sound(await call.store.config.all()).get("comboDefaults", {})
        gone = {name for name, value in given_json(body.combo_defaults).items() if value is None}
        changes["comboDefaults"] = {k: v for k, v in stored.items() if k not in gone} | kept(body.combo_defaults)
    if body.provider_overrides is not UNSET:
        changes["providerOverrides"] = {name: kept(config) for name, config in body.provider_overrides.items()}
    if not changes:
        raise Invalid(("", "Nothing to update"))
    await call.store.config.set_many(changes)
    await call.audit("settings.update", "combo-defaults", {"changed": sorted(changes)})
    return await read(call)
