"""Combos: one name for several models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..gateway.combos import DEFAULTS, RANGES, STRATEGIES
from ..store.combos import ComboRow, as_json
from ..store.config import sound
from .bodies import given, given_json
from .call import Call, Reply, one_at_a_time
from .refusals import existing, refused

_MOST_MODELS: Final = 200

# no control characters, and not blank; "$" alone would accept a final line feed
_ModelName = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^(?=.*\S)[^\x00-\x1f\x7f]+$(?!\n)")]
_ComboName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_/.-]+$(?!\n)")]
_NAME_TEXT: Final = "Name can only contain letters, numbers, -, _, / and ."


class WeightedModel(Struct):
    """One entry with its weight in a random choice."""

    model: _ModelName
    weight: Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)] = 0  # an int stays an int when shown


def _type(name: str) -> Any:
    if name not in RANGES:
        return bool | None
    low, high = RANGES[name]
    return Annotated[int, Meta(ge=low, le=high)] | None


ComboConfig: Final[type[Struct]] = msgspec.defstruct(
    "ComboConfig", [(name, _type(name) | UnsetType, UNSET) for name in DEFAULTS], module=__name__
)
_Models = Annotated[list[_ModelName | WeightedModel], Meta(max_length=_MOST_MODELS)]
Strategy = Literal[STRATEGIES]  # type: ignore[valid-type]


class ComboBody(Struct, rename="camel", kw_only=True):
    """POST: a new combo."""

    PATTERNS: ClassVar = {"name": _NAME_TEXT}
    name: _ComboName
    models: _Models = []
    strategy: Strategy = "priority"
    config: ComboConfig = msgspec.field(default_factory=ComboConfig)  # type: ignore[valid-type]
    is_active: bool = True


class ComboChange(Struct, rename="camel", kw_only=True):
    """PUT and PATCH: given fields are replaced, the rest stays."""

    PATTERNS: ClassVar = {"name": _NAME_TEXT}
    name: _ComboName | UnsetType = UNSET
    models: _Models | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    config: ComboConfig | UnsetType = UNSET  # type: ignore[valid-type]
    is_active: bool | UnsetType = UNSET


class ComboView(Struct, rename="camel", kw_only=True):
    """A combo as the API shows it."""

    id: str
    name: str
    models: list[str | WeightedModel]
    strategy: str
    config: dict[str, Any]
    is_active: bool
    created_at: str
    updated_at: str


class ComboList(Struct):
    combos: list[ComboView]


async def list_combos(call: Call) -> Reply:
    """Return all combos, sorted by name, inactive ones too."""
    return Reply(200, {"combos": [as_json(row) for row in await call.store.combos.list()]})


async def read(call: Call) -> Reply:
    """Return one combo.  404 for an unknown id."""
    return Reply(200, as_json(await _found(call)))


@one_at_a_time
async def create(call: Call) -> Reply:
    """Add a combo and return it, unwrapped.  400 for a name in use, a cycle, or combos nested too deeply."""
    body: ComboBody = call.body
    fields = given(body) | {"models": msgspec.to_builtins(body.models), "config": kept(body.config)}
    await _check(call, ComboRow(**{**fields, "id": ""}))
    row = await call.store.combos.create(fields)
    await call.audit("combo.create", row.name, {"strategy": row.strategy, "models": len(row.models)})
    return Reply(201, as_json(row))


@one_at_a_time
async def change(call: Call) -> Reply:
    """PUT and PATCH: change the given fields."""
    row = await _found(call)
    before = row.name
    changes = {name: msgspec.to_builtins(value) for name, value in given(call.body).items()}
    if "config" in changes:
        changes["config"] = kept(call.body.config)
    for name, value in changes.items():
        setattr(row, name, value)
    await _check(call, row)
    row = await call.store.combos.update(row)
    if row.name != before:
        call.live.combos.forget(before)
    await call.audit("combo.update", row.name, {"changed": sorted(given_json(call.body))})
    return Reply(200, as_json(row))


@one_at_a_time
async def delete(call: Call) -> Reply:
    """Delete a combo, also from the combos that contain it; ``removedFrom`` names those."""
    row = await _found(call)
    others = existing(await call.store.combos.delete(row.id), "Combo")
    call.live.combos.forget(row.name)
    more = {"removedFrom": others} if others else {}
    await call.audit("combo.delete", row.name, more)
    return Reply(200, {"success": True, **more})


async def _found(call: Call) -> ComboRow:
    return existing(await call.store.combos.get(call.params["id"]), "Combo")


def kept(config: Struct) -> dict[str, Any]:
    """Return the values that a config sets; null counts as absent."""
    return {name: value for name, value in given_json(config).items() if value is not None}


async def _check(call: Call, row: ComboRow) -> None:
    """Check that the name is free, and that neither this combo nor one containing it is circular or nested too deeply."""
    rows = [other for other in await call.store.combos.list() if other.id != row.id]
    if any(other.name == row.name for other in rows):
        raise refused(400, "Combo name already exists")
    default = {**DEFAULTS, **sound(await call.store.config.all()).get("comboDefaults", {})}["maxComboDepth"]
    combos = {other.name: other for other in (*rows, row)}
    if row.name in _reach(combos, row.name, set()):
        raise refused(400, f"Circular combo reference detected: {row.name}")
    for other in (row, *(other for other in rows if row.name in _reach(combos, other.name, set()))):
        _check_depth(combos, other.name, other.config.get("maxComboDepth", default))


def _check_depth(combos: Mapping[str, ComboRow], name: str, deepest: int) -> None:
    level = [name]
    for _ in range(deepest + 1):
        level = list(dict.fromkeys(model for above in level for model, _ in combos[above].entries if model in combos))
    if level:
        raise refused(400, f'Max combo nesting depth ({deepest}) exceeded at "{level[0]}"')


def _reach(combos: Mapping[str, ComboRow], name: str, seen: set[str]) -> set[str]:
    """Return the names of all combos nested in *name*."""
    for model, _ in combos[name].entries:
        if model in combos and model not in seen:
            seen.add(model)
            _reach(combos, model, seen)
    return seen
