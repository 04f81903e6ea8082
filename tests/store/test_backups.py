from __future__ import annotations

import asyncio
import shutil
import stat
import threading
from pathlib import Path

import pytest
from fakes import FakeClock
from fakes_store import a_call, a_store

from omniroute.store.backups import KEPT, surplus
from omniroute.store.stage import Unfit


async def test_the_newest_copies_are_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for number in range(KEPT + 3):
            clock.now += 1
            await store.aliases.set("a", f"openai/{number}")
            assert await store.backups.create() is not None
        rows = await store.backups.list()
        assert len(rows) == KEPT
        assert rows == sorted(rows, key=lambda row: row.created_at, reverse=True)
        assert rows[0].created_at == "2025-06-15T15:07:03.000Z"


def test_copies_made_by_hand_and_those_in_use_are_the_last_to_go() -> None:
    auto = [Path(f"db_2026-01-01T{hour:02}-00-00-000Z_auto.sqlite") for hour in reversed(range(KEPT - 1))]
    first, second = (Path(f"db_2025-01-0{day}T00-00-00-000Z_manual.sqlite") for day in (1, 2))
    assert surplus(auto) == surplus([*auto, second]) == []
    assert surplus([*auto, second, first]) == [auto[-1]]
    assert surplus([*auto, second, first], [auto[-1]]) == [auto[-2]]
    assert surplus([*[second] * KEPT, first]) == [first]


async def test_the_copy_before_a_restore_removes_neither_the_restored_one_nor_one_made_by_hand(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        mine = await store.backups.create()
        assert mine is not None
        restored = mine.with_name(mine.name.replace("manual", "pre-import"))
        shutil.copy(mine, restored)
        for hour in range(KEPT - 2):
            (mine.parent / f"db_2025-06-16T{hour:02}-00-00-000Z_auto.sqlite").touch()
        clock.now += 1
        await store.restore(restored)
        assert (mine.exists(), restored.exists(), len(await store.backups.list())) == (True, True, KEPT)


async def test_files_of_other_names_are_neither_listed_nor_removed(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.backups.create()
        other = store.backups.folder / "notes.txt"
        other.write_text("mine")
        assert len(await store.backups.list()) == 1
        assert other.exists()
        (store.backups.folder / "db_2020-01-01T00-00-00-000Z_manual.sqlite").symlink_to(other)
        with pytest.raises(Unfit, match="Backup not found"):
            store.backups.find("db_2020-01-01T00-00-00-000Z_manual.sqlite")


async def test_a_copy_that_is_pruned_while_its_restore_waits_is_named(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        path = await store.backups.create()
        assert path is not None
        path.unlink()
        with pytest.raises(Unfit, match=f"Backup not found: {path.name}"):
            await store.restore(path)


async def test_a_damaged_copy_is_listed_all_the_same(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        path = await store.backups.create()
        assert path is not None
        path.write_bytes(b"gone")
        [row] = await store.backups.list()
        assert (row.size, row.connection_count) == (4, 0)


async def test_a_copy_that_is_deleted_while_they_are_listed_is_not_listed(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        path = await store.backups.create()
        assert path is not None
        store.backups._files = lambda: [path.with_name("db_2025-01-01T00-00-00-000Z_auto.sqlite"), path]  # type: ignore[method-assign]
        assert [row.id for row in await store.backups.list()] == [path.name]


async def test_automatic_copies_come_at_most_once_an_hour_and_only_after_a_change(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:

        async def count_after(seconds: float) -> int:
            clock.now += seconds
            await store.backups.automatic()
            return len(await store.backups.list())

        assert await count_after(0) == 1
        await store.aliases.set("a", "openai/gpt-4o")
        assert await count_after(1800) == 1
        assert await count_after(1900) == 2
        assert await count_after(4000) == 2
        store.usage.put(a_call())
        await store.usage.flush()
        assert await count_after(1) == 3
        assert (await store.backups.list())[0].reason == "auto"
        await store.aliases.set("a", "openai/o1")
        assert await count_after(-2 * 86_400) == 4  # the clock has been set back: no gap of two days


async def test_what_is_still_in_the_write_ahead_log_counts_as_the_database(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for name in "ab":
            await store.config.set_many({name: "x" * 1_000_000})
            await store.backups.automatic()
            clock.now += 4000
        assert store.db.path.stat().st_size < (await store.backups.list())[0].size / 2
        assert len(await store.backups.list()) == 2


async def test_a_name_with_no_time_in_it_does_not_stop_the_automatic_copies(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.backups.folder.mkdir()
        (store.backups.folder / "db_2020-99-99T99-99-99-999Z_manual.sqlite").write_bytes(b"x")
        await store.backups.automatic()
        assert len(await store.backups.list()) == 2


async def test_a_database_that_shrank_by_half_is_not_copied_over_its_history(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        path = await store.backups.create()
        assert path is not None
        with path.open("ab") as file:
            file.write(bytes(10 * 1024 * 1024))
        clock.now += 4000
        await store.aliases.set("a", "openai/gpt-4o")
        await store.backups.automatic()
        assert len(await store.backups.list()) == 1


async def test_what_an_earlier_process_left_half_done_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".work-x"
    left.mkdir()
    (left / "half.sqlite").write_bytes(b"x")
    async with a_store(tmp_path) as store:
        assert not left.exists()  # at once: later the folder of a restore that has begun would go too
        async with store.backups.workplace() as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not folder.exists()


async def test_large_files_are_removed_off_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def removed(folder: Path, **_: object) -> None:
        threads.append(threading.get_ident())

    async with a_store(tmp_path) as store:
        monkeypatch.setattr(shutil, "rmtree", removed)
        async with store.backups.workplace():
            pass
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_restore_goes_on_when_its_caller_leaves(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.aliases.set("a", "openai/gpt-4o")
        path = await store.backups.create()
        assert path is not None
        await store.aliases.set("b", "openai/gpt-4o")
        before = store.snapshot.version
        caller = asyncio.ensure_future(store.restore(path))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        for _ in range(2000):
            if store.snapshot.version > before:
                break
            await asyncio.sleep(0.005)
        assert store.snapshot.aliases == {"a": "openai/gpt-4o"}


async def test_changes_made_during_a_restore_wait_and_are_kept(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.aliases.set("old", "openai/gpt-4o")
        path = await store.backups.create()
        assert path is not None
        restoring = asyncio.ensure_future(store.restore(path))
        for number in range(20):
            store.usage.put(a_call(f"r{number}"))
            await asyncio.sleep(0.001)
        await restoring
        await store.aliases.set("new", "openai/gpt-4o")
        await store.usage.flush()
        assert set(store.snapshot.aliases) == {"old", "new"}
        [total] = await store.analytics.totals("provider")
        assert 1 <= total.requests <= 20
