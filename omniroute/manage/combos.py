"""Combos: one name for several models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import iso
from ..gateway import inside
from ..gateway.combos import DEFAULTS, RANGES, STRATEGIES, make_lineup
from ..gateway.resolve import find_combo
from ..gateway.snapshot import Combo, ComboEntry
from ..store.combos import ComboRow, as_json
from ..store.config import sound
from .bodies import given, given_json
from .call import Call, Reply, one_at_a_time
from .refusals import Invalid, existing, refused

TEST_SECONDS: Final = 15.0
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


class TestBody(Struct, rename="camel"):
    combo_name: str = ""


class TestRow(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The test of one model."""

    model: str
    status: Literal["ok", "error"]
    status_code: int | None = None
    error: str = ""
    latency_ms: int | None = None


class TestResult(Struct, rename="camel", kw_only=True):
    """The test of a combo; ``resolvedBy`` is the first model that answered."""

    combo_name: str
    strategy: str
    resolved_by: str | None
    results: list[TestRow]
    tested_at: str


class DefaultsBody(Struct, rename="camel"):
    combo_defaults: ComboConfig | UnsetType = UNSET  # type: ignore[valid-type]
    provider_overrides: dict[str, ComboConfig] | UnsetType = UNSET  # type: ignore[valid-type]


class Defaults(Struct, rename="camel"):
    combo_defaults: dict[str, Any]
    provider_overrides: dict[str, dict[str, Any]]


# -- the resource


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


# -- metrics and tests


async def metrics(call: Call) -> Reply:
    """Show the metrics of one combo (``?combo=``), or of all."""
    found = call.live.combos.metrics()
    name = call.query.get("combo")
    if not name:
        return Reply(200, {"metrics": found})
    if name in found:
        return Reply(200, {"metrics": found[name]})
    return Reply(200, {"metrics": None, "message": f'No metrics recorded for combo "{name}" yet'})


async def reset_metrics(call: Call) -> Reply:
    """Set one combo's metrics (``?combo=``) back to zero, or all of them."""
    name = call.query.get("combo", "")
    call.live.combos.reset(name)
    await call.audit("combo.metrics.reset", name or None)
    return Reply(
        200, {"success": True, "message": f'Metrics reset for combo "{name}"' if name else "All combo metrics reset"}
    )


async def test(call: Call) -> Reply:
    """Send "Hi" to each model, one after another."""
    name = call.body.combo_name.strip()
    if not name:
        raise refused(400, "comboName is required")
    row = existing(next((row for row in await call.store.combos.list() if row.name == name), None), "Combo")
    entries = tuple(ComboEntry(model, weight) for model, weight in row.entries)
    snapshot = call.snapshot
    lineup = make_lineup(snapshot, find_combo(snapshot, name) or Combo(row.id, name, entries, row.strategy))
    if not lineup.members:
        raise refused(400, "Combo has no models")
    results = []
    for member in lineup.members:
        if member.route is None:
            results.append(TestRow(model=member.name, status="error", error=member.barred, latency_ms=0))
        else:
            results.append(await _try(call, member.name, member.route.provider.id, member.route.model))
    first = next((result.model for result in results if result.status == "ok"), None)
    return Reply(200, TestResult(
        combo_name=name, strategy=row.strategy, resolved_by=first, results=results, tested_at=iso(call.now)
    ))  # fmt: skip


async def _try(call: Call, name: str, provider: str, model: str) -> TestRow:
    gateway = call.services.gateway
    if gateway is None:
        raise refused(500, "The data plane is not running")
    body = {"model": f"{provider}/{model}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    got = await inside.ask(gateway, body, TEST_SECONDS, only=provider)
    latency = round(got.seconds * 1000)
    if got.ok:
        return TestRow(model=name, status="ok", latency_ms=latency)
    return TestRow(model=name, status="error", status_code=got.status or None, error=got.error, latency_ms=latency)


# -- defaults


async def read_defaults(call: Call) -> Reply:
    """Return the defaults of all combos and what overrides them by provider; times in milliseconds."""
    stored = sound(await call.store.config.all())
    overrides = stored.get("providerOverrides", {})
    return Reply(200, Defaults({**DEFAULTS, **stored.get("comboDefaults", {})}, overrides))


@one_at_a_time
async def write_defaults(call: Call) -> Reply:
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
    return await read_defaults(call)
