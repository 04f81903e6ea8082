from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes_store import a_store

from omniroute.store import keyvalue


@pytest.mark.parametrize("value", [True, 0, 1.5, "text", "größe", [1, "a", None], {"a": {"b": []}}])
async def test_json_values_come_back_as_they_were(tmp_path: Path, value: Any) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            assert await keyvalue.write(tx, "settings", "a", value)
            assert await keyvalue.get(tx, "settings", "a") == value
        assert await keyvalue.read(store.db, "settings") == {"a": value}


async def test_namespaces_are_apart_and_keys_sorted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            for namespace, key in (("x", "b"), ("x", "a"), ("y", "a")):
                await keyvalue.write(tx, namespace, key, namespace + key)
        assert [*(await keyvalue.read(store.db, "x")).items()] == [("a", "xa"), ("b", "xb")]
        assert await keyvalue.get(store.db, "y", "b") is None


async def test_none_removes_and_tells_whether_there_was_something(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store, store.db.change() as tx:
        await keyvalue.write(tx, "settings", "a", 1)
        await keyvalue.write(tx, "settings", "a", 2)
        assert await keyvalue.get(tx, "settings", "a") == 2
        assert await keyvalue.write(tx, "settings", "a", None) is True
        assert await keyvalue.write(tx, "settings", "a", None) is False


async def test_a_value_that_is_no_json_counts_as_absent(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("INSERT INTO key_value VALUES ('settings', 'a', 'not json'), ('settings', 'b', '1')")
        assert await keyvalue.read(store.db, "settings") == {"b": 1}
        assert await keyvalue.get(store.db, "settings", "a") is None
