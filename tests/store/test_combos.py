from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes_store import a_store

from omniroute.gateway.snapshot import Combo, ComboEntry
from omniroute.store.combos import as_json
from omniroute.store.store import Store

FIELDS: dict[str, Any] = {
    "name": "coding",
    "models": ["openai/gpt-4o", {"model": "ds/x", "weight": 70}],
    "strategy": "weighted",
}


async def test_a_combo_is_in_force_until_it_is_deleted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.combos.create({**FIELDS, "config": {"maxRetries": 3}})
        entries = (ComboEntry("openai/gpt-4o", 0), ComboEntry("ds/x", 70))
        assert store.snapshot.combos == {"coding": Combo(row.id, "coding", entries, "weighted", {"maxRetries": 3})}
        assert await store.combos.get(row.id) == row
        assert as_json(row) == {
            "id": row.id, "name": "coding", "models": FIELDS["models"], "strategy": "weighted", "config": {"maxRetries": 3},
            "isActive": True, "createdAt": "2025-06-15T15:06:40.000Z", "updatedAt": "2025-06-15T15:06:40.000Z",
        }  # fmt: skip
        assert await store.combos.delete(row.id) == []
        assert await store.combos.delete(row.id) is None
        assert store.snapshot.combos == {}


async def test_a_document_has_all_that_is_stored(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("""INSERT INTO combos VALUES ('c2', 'old', '{"models": 5, "colour": "red"}', 'then', 'now')""")
        row = await store.combos.create(FIELDS)
        assert await store.combos.documents() == [
            as_json(row),
            {"models": 5, "colour": "red", "id": "c2", "name": "old", "createdAt": "then"},
        ]


async def test_what_is_switched_off_is_known_but_not_in_force(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.combos.create(FIELDS)
        row.is_active = False
        await store.combos.update(row)
        assert store.snapshot.combos == {}
        assert store.snapshot.inactive_combos == {"coding"}


async def nest(store: Store) -> str:
    """``outer`` and ``other`` contain ``coding``; its id."""
    row = await store.combos.create(FIELDS)
    await store.combos.create({"name": "outer", "models": ["coding", {"model": "coding", "weight": 3}, "openai/o1"]})
    await store.combos.create({"name": "other", "models": ["openai/o1"]})
    return row.id


async def test_a_new_name_is_taken_over_where_the_old_one_stood(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.combos.get(await nest(store))
        assert row is not None
        row.name = "hacking"
        await store.combos.update(row)
        found = {row.name: row.models for row in await store.combos.list()}
        assert found["outer"] == ["hacking", {"model": "hacking", "weight": 3}, "openai/o1"]
        assert [*found] == ["hacking", "other", "outer"]


async def test_a_deleted_combo_leaves_the_others(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.combos.delete(await nest(store)) == ["outer"]
        assert [entry.model for entry in store.snapshot.combos["outer"].entries] == ["openai/o1"]


@pytest.mark.parametrize(
    ("data", "entries", "strategy", "config"),
    [
        ("no json", (), "priority", {}),
        ({"models": 3, "strategy": 4, "config": []}, (), "priority", {}),
        ({"models": [1, None, {"model": 2}, {"model": "a/m", "weight": "x"}, {"model": "b/m", "weight": None}, "c/m"]},
         (ComboEntry("b/m", 0), ComboEntry("c/m", 0)), "priority", {}),
        ({"models": [], "config": {"maxRetries": 99, "timeoutMs": 2000}}, (), "priority", {"timeoutMs": 2000}),
    ],
)  # fmt: skip
async def test_of_an_adopted_row_the_sound_part_counts(
    tmp_path: Path, data: Any, entries: tuple[ComboEntry, ...], strategy: str, config: dict[str, Any]
) -> None:
    async with a_store(tmp_path) as store:
        text = data if isinstance(data, str) else orjson.dumps(data).decode()
        async with store.db.change() as tx:
            await tx.execute("INSERT INTO combos VALUES ('1', 'odd', ?, '', '')", (text,))
        assert store.snapshot.combos == {"odd": Combo("1", "odd", entries, strategy, config)}


async def test_fields_of_another_version_are_kept(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("""INSERT INTO combos VALUES ('1', 'odd', '{"models":[],"sortOrder":7}', '', '')""")
        row = await store.combos.get("1")
        assert row is not None
        row.models = ["a/m"]
        await store.combos.update(row)
        (record,) = await store.db.fetch("SELECT data FROM combos")
        assert orjson.loads(record["data"])["sortOrder"] == 7


async def test_the_settings_of_combos_are_in_force_by_provider_id(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.config.set_many({
            "comboDefaults": {"maxRetries": 2, "odd": 1},
            "providerOverrides": {"ds": {"timeoutMs": 5000}, "openai": {"timeoutMs": 1}, "x": 3},
        })  # fmt: skip
        assert store.snapshot.settings.combo_defaults == {"maxRetries": 2}
        assert store.snapshot.settings.provider_overrides == {"deepseek": {"timeoutMs": 5000}, "openai": {}}
