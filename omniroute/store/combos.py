"""Combos: one name for several models.

Column ``data`` holds the combo as the API shows it; unknown fields of imported combos are kept.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import uuid4

import orjson
from msgspec import Struct, field

from ..clock import Clock, iso
from ..gateway.combos import sound
from ..gateway.snapshot import Combo, ComboEntry
from .db import Database, Row, Transaction, json_object

SELECT: Final = "SELECT id, name, data, created_at, updated_at FROM combos"


class ComboRow(Struct, kw_only=True):
    """One combo.  ``models`` holds model names or ``{"model", "weight"}`` objects, as the client sent them."""

    id: str
    name: str
    models: list[str | dict[str, Any]] = field(default_factory=list)
    strategy: str = "priority"
    config: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True
    created_at: str = ""
    updated_at: str = ""
    extra: dict[str, Any] = field(default_factory=dict)  # unknown fields of an imported combo

    @property
    def entries(self) -> list[tuple[str, float]]:
        """(model, weight) pairs in order; the weight is 0 where none was given."""
        return [(item, 0.0) if isinstance(item, str) else (item["model"], item.get("weight") or 0) for item in self.models]


_OWN: Final = {"id", "name", "models", "strategy", "config", "isActive", "createdAt", "updatedAt"}


def row_of(record: Row) -> ComboRow:
    """The combo in *record*.  Malformed values, e.g. in an adopted database, are left out or become the default."""
    data = json_object(record["data"])
    models, config = data.get("models"), data.get("config")
    return ComboRow(
        id=record["id"],
        name=record["name"],
        models=[item for item in models if _is_entry(item)] if isinstance(models, list) else [],
        strategy=data["strategy"] if isinstance(data.get("strategy"), str) else "priority",
        config=config if isinstance(config, dict) else {},
        is_active=data.get("isActive") is not False,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        extra={key: value for key, value in data.items() if key not in _OWN},
    )


def _is_entry(item: object) -> bool:
    if isinstance(item, dict):
        weight = item.get("weight")
        number = isinstance(weight, int | float) and not isinstance(weight, bool) and weight >= 0
        return isinstance(item.get("model"), str) and (weight is None or number)
    return isinstance(item, str)


def as_json(row: ComboRow) -> dict[str, Any]:
    """The combo as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "models": row.models,
        "strategy": row.strategy,
        "config": row.config,
        "isActive": row.is_active,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def in_force(records: Iterable[Row]) -> tuple[dict[str, Combo], frozenset[str]]:
    """The active combos by name, and the names of the others."""
    active, others = {}, set()
    for record in records:
        row = row_of(record)
        if not row.is_active:
            others.add(row.name)
            continue
        entries = tuple(ComboEntry(model, weight) for model, weight in row.entries)
        active[row.name] = Combo(row.id, row.name, entries, row.strategy, sound(row.config))
    return active, frozenset(others)


class Combos:
    """Table ``combos``."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list(self) -> list[ComboRow]:
        """All combos, sorted by name."""
        return [row_of(record) for record in await self._db.fetch(SELECT + " ORDER BY name")]

    async def documents(self) -> builtins.list[dict[str, Any]]:
        """All combos, sorted by name, with everything that is stored, be it unknown or malformed."""
        return [
            {**json_object(record["data"]), "id": record["id"], "name": record["name"], "createdAt": record["created_at"]}
            for record in await self._db.fetch(SELECT + " ORDER BY name")
        ]

    async def get(self, id: str) -> ComboRow | None:
        """One combo, active or not; None for an unknown id."""
        record = await self._db.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def create(self, fields: Mapping[str, Any]) -> ComboRow:
        """Store a new combo.  *fields* are fields of :class:`ComboRow`, without the id and the times."""
        now = iso(self._clock.time())
        row = ComboRow(**{**fields, "id": str(uuid4()), "created_at": now, "updated_at": now})
        async with self._db.change() as tx:
            await tx.execute("INSERT INTO combos VALUES (?, ?, ?, ?, ?)", (row.id, row.name, _data(row), now, now))
        return row

    async def update(self, row: ComboRow) -> ComboRow:
        """Store *row*.  When its name has changed, combos that contain it are updated."""
        row.updated_at = iso(self._clock.time())
        async with self._db.change() as tx:
            before = await tx.fetch(SELECT + " WHERE id = ?", (row.id,))
            await self._write(tx, row)
            if before and before[0]["name"] != row.name:
                await self._rename(tx, before[0]["name"], row.name)
        return row

    async def delete(self, id: str) -> builtins.list[str] | None:
        """Delete a combo, also from the combos that contain it.  Returns their names; None when there is no such combo."""
        async with self._db.change() as tx:
            found = await tx.fetch(SELECT + " WHERE id = ?", (id,))
            if not found:
                return None
            await tx.execute("DELETE FROM combos WHERE id = ?", (id,))
            return await self._rename(tx, found[0]["name"], None)

    async def _rename(self, tx: Transaction, old: str, new: str | None) -> builtins.list[str]:
        changed = []
        for record in await tx.fetch(SELECT + " ORDER BY name"):
            row = row_of(record)
            models = [item for item in (_renamed(item, old, new) for item in row.models) if item is not None]
            if models != row.models:
                row.models = models
                await self._write(tx, row)
                changed.append(row.name)
        return changed

    async def _write(self, tx: Transaction, row: ComboRow) -> None:
        await tx.update("combos", row.id, {"name": row.name, "data": _data(row), "updated_at": row.updated_at})


def _renamed(item: str | dict[str, Any], old: str, new: str | None) -> str | dict[str, Any] | None:
    """*item* with model *old* renamed to *new*; None when *new* is None and *item* names *old*."""
    if isinstance(item, str):
        return new if item == old else item
    if item["model"] != old:
        return item
    return {**item, "model": new} if new is not None else None


def _data(row: ComboRow) -> str:
    return orjson.dumps({**row.extra, **as_json(row)}).decode()
