from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest
from fakes import FakeClock
from fakes_store import a_call, a_store, small_catalog

from omniroute.errors import OmniError
from omniroute.gateway.snapshot import Snapshot
from omniroute.settings import Settings
from omniroute.store import store as store_module
from omniroute.store.store import Store, machine_id


async def test_a_new_data_directory_is_private_in_all_its_parts(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with a_store(folder) as store:
        await store.connections.create("openai", name="work", api_key="k")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {"storage.sqlite", "storage.key", "jwt.key", "api-key.key"} <= files.keys()
    assert {*files.values()} == {0o600}


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        connection = await store.connections.create("openai", name="work", api_key="sk-1")
        node = await store.nodes.create(type="openai-compatible", name="n", prefix="n")
        key, _ = await store.keys.create("laptop")
        await store.config.set_many({"theme": "dark"})
        await store.aliases.set("fast", "openai/gpt-4o")
        store.usage.put(a_call())
        before, secret = store.snapshot, store.jwt_secret
    async with a_store(tmp_path) as store:
        assert await store.connections.list() == [connection]
        assert await store.nodes.list() == [node]
        assert await store.keys.list() == [key]
        assert await store.config.get("theme") == "dark"
        assert [group.requests for group in await store.usage.history()] == [1]
        assert store.jwt_secret == secret
        for field in Snapshot.__struct_fields__:
            if field != "version":
                assert getattr(store.snapshot, field) == getattr(before, field)


async def test_secrets_given_by_the_environment_are_used_and_none_is_kept(tmp_path: Path) -> None:
    given = {"jwt_secret": "j" * 32, "api_key_secret": "a" * 32, "storage_encryption_key": "s" * 32}
    async with a_store(tmp_path, **given) as store:
        assert store.jwt_secret == b"j" * 32
        assert store.keys.secret == store.snapshot.key_secret == b"a" * 32
    assert not {"jwt.key", "api-key.key", "storage.key"} & {*os.listdir(tmp_path)}


async def test_each_change_is_handed_to_the_listener_and_logs_are_not(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        seen: list[int] = []
        store.on_publish = lambda snapshot: seen.append(snapshot.version)
        first = store.snapshot.version
        await store.aliases.set("a", "openai/gpt-4o")
        await store.publish()
        await store.audit.append("x", "admin")
        store.usage.put(a_call())
        await store.usage.flush()
        assert seen == [first + 1, first + 2]


async def test_api_keys_of_the_environment_seed_connections_of_providers_that_have_none(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.connections.create("deepseek", name="mine", api_key="sk-mine")
    keys = {"openai": "sk-env", "deepseek": "sk-other", "nobody": "sk-x"}
    async with a_store(tmp_path, provider_keys=keys) as store:
        assert {(row.provider, row.name) for row in await store.connections.list()} == {
            ("deepseek", "mine"),
            ("openai", "env"),
        }
        assert store.snapshot.connections["openai"][0].secret == "sk-env"


async def test_a_deleted_seed_does_not_come_back_and_a_new_variable_still_seeds(tmp_path: Path) -> None:
    async with a_store(tmp_path, provider_keys={"openai": "sk-env"}) as store:
        [row] = await store.connections.list()
        await store.connections.delete(row.id)
    async with a_store(tmp_path, provider_keys={"openai": "sk-env", "anthropic": "sk-ant"}) as store:
        assert [row.provider for row in await store.connections.list()] == ["anthropic"]


async def test_an_initial_password_completes_the_setup_and_requires_login_once(tmp_path: Path) -> None:
    async with a_store(tmp_path, initial_password="correct horse") as store:
        assert await store.config.get("setupComplete") is True
        assert await store.config.get("requireLogin") is True
        assert "correct horse" not in str(await store.config.all())
        await store.config.set_many({"requireLogin": False})
    async with a_store(tmp_path, initial_password="correct horse") as store:
        assert await store.config.get("requireLogin") is False


async def test_a_second_process_seeds_nothing_and_does_not_touch_the_running_mark(tmp_path: Path) -> None:
    async with a_store(tmp_path) as server:
        async with a_store(tmp_path, owner=False, provider_keys={"openai": "sk-env"}, initial_password="x") as tool:
            assert await tool.connections.list() == []
            assert await tool.config.get("setupComplete") is None
            await tool.keys.create("made by the tool")
        row = await server.db.fetch_one("SELECT value FROM db_meta WHERE key = 'state'")
        assert row is not None
        assert row[0] == "running"
        await server.publish()
        assert [key.name for key in server.snapshot.keys.values()] == ["made by the tool"]


async def test_old_rows_are_deleted_at_start_usage_first_and_audit_after_twice_the_time(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock, log_retention_days=10) as store:
        store.usage.put(a_call())
        await store.audit.append("x", "admin")
        await store.usage.flush()
    for days, usage, audit in ((9, 1, 1), (15, 0, 1), (21, 0, 0)):
        clock.now = 1_750_000_000.0 + days * 86_400
        async with a_store(tmp_path, clock, owner=False, log_retention_days=10) as store:
            store._housekeeping = None
            await _one_round(store)
            assert len(await store.usage.history()) == usage
            assert len(await store.audit.list()) == audit


async def _one_round(store: Store) -> None:
    class Done(Exception):
        pass

    async def stop(seconds: float) -> None:
        raise Done

    store.clock.sleep = stop  # type: ignore[method-assign]
    with pytest.raises(Done):
        await store._keep_house()


async def test_a_file_that_is_no_database_ends_the_start_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "storage.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(OmniError, match="restore a copy"):
        await Store.open(Settings(data_dir=tmp_path), FakeClock(), small_catalog())


async def test_a_start_that_fails_leaves_nothing_that_would_keep_the_process_alive(tmp_path: Path) -> None:
    (tmp_path / "jwt.key").touch()
    before = {*threading.enumerate()}
    with pytest.raises(OmniError, match=r"Key file jwt\.key in the data directory is empty"):
        await Store.open(Settings(data_dir=tmp_path), FakeClock(), small_catalog())
    for thread in {*threading.enumerate()} - before:
        if "_connection_worker" in thread.name:
            thread.join(2)
            assert not thread.is_alive()


def test_the_machine_id_is_16_hex_digits_of_host_and_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tmp_path / "machine-id"
    host.write_text("abc\n")
    monkeypatch.setattr(store_module, "_HOST_IDS", (tmp_path / "missing", host))
    first = machine_id(tmp_path, "salt")
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert machine_id(tmp_path, "salt") == first != machine_id(tmp_path, "other")


def test_a_host_without_an_id_gets_one_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "machine-id"
    empty.write_text("\n")
    monkeypatch.setattr(store_module, "_HOST_IDS", (empty,))
    assert machine_id(tmp_path, "salt") == machine_id(tmp_path, "salt")
    assert (tmp_path / "machine.key").exists()
