from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock

from omniroute.clock import Clock
from omniroute.errors import OmniError
from omniroute.store import db as db_module
from omniroute.store.db import BLOCK, Database, Transaction, containing, explained

SET = "INSERT INTO key_value VALUES ('settings', ?, '1')"
COLUMNS = ("namespace", "key", "value")


def setting(name: str) -> tuple[str, str, str]:
    return "settings", name, "1"


async def opened(tmp_path: Path, *, owner: bool = True) -> Database:
    return await Database.open(tmp_path / "storage.sqlite", FakeClock(), owner=owner)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("storage.sqlite*")}


async def stored(db: Database) -> list[str]:
    return [row["key"] for row in await db.fetch("SELECT key FROM key_value ORDER BY key")]


async def test_a_new_database_is_a_private_file_with_write_ahead_log_and_foreign_keys(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.log() as tx:
        await tx.execute(SET, ("a",))
        keys = await tx.fetch_one("PRAGMA foreign_keys")
    mode = await db.fetch_one("PRAGMA journal_mode")
    assert keys is not None
    assert keys[0] == 1
    assert mode is not None
    assert mode[0] == "wal"
    assert modes(tmp_path) == {0o600}
    await db.close()


@pytest.mark.parametrize(("kind", "level"), [("change", 2), ("transaction", 2), ("log", 1)])
async def test_configuration_is_written_through_to_the_disk_and_logs_are_not(tmp_path: Path, kind: str, level: int) -> None:
    db = await opened(tmp_path)
    async with db.log() if kind != "log" else db.change():
        pass
    async with getattr(db, kind)() as tx:
        row = await tx.fetch_one("PRAGMA synchronous")
    assert row is not None
    assert row[0] == level
    await db.close()


async def test_a_failure_inside_a_transaction_undoes_it_and_frees_the_writer(tmp_path: Path) -> None:
    db = await opened(tmp_path)

    async def fail() -> None:
        async with db.change() as tx:
            await tx.execute(SET, ("a",))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with db.change() as tx:
        await tx.execute(SET, ("b",))
    assert await stored(db) == ["b"]
    await db.close()


async def test_a_broken_constraint_is_the_callers_to_handle(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        async with db.change() as tx:
            await tx.insert("key_value", COLUMNS, [setting("a"), setting("a")])
    assert await stored(db) == []
    await db.close()


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, 300])
async def test_many_rows_are_inserted_with_few_statements(tmp_path: Path, count: int) -> None:
    db = await opened(tmp_path)
    names = [f"{number:03}" for number in range(count)]
    async with db.log() as tx:
        await tx.insert("key_value", COLUMNS, [*map(setting, names)])
    assert await stored(db) == names
    await db.close()


@pytest.mark.parametrize("value", ["", "Zürich", 'a "quoted" \\ text\n', "null", "[1]", "1"])
async def test_inserted_texts_are_read_back_as_they_were(tmp_path: Path, value: str) -> None:
    db = await opened(tmp_path)
    async with db.log() as tx:
        await tx.insert("key_value", COLUMNS, [("settings", "a", value)])
    assert [tuple(row) for row in await db.fetch("SELECT value, typeof(value) FROM key_value")] == [(value, "text")]
    await db.close()


async def test_inserted_numbers_and_nothing_keep_their_types(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.log() as tx:
        await tx.execute("CREATE TABLE t (a, b, c, d)")
        await tx.insert("t", ("a", "b", "c", "d"), [(1, 0.1, None, -(1 << 62))])
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t")] == [(1, 0.1, None, -(1 << 62))]
    await db.close()


async def test_many_rows_are_written_while_the_event_loop_never_rests(tmp_path: Path) -> None:
    """With one statement for each row these took seconds: each waits for the interpreter's lock."""
    db = await opened(tmp_path)

    async def write() -> None:
        async with db.log() as tx:
            await tx.insert("key_value", COLUMNS, [setting(f"{number}") for number in range(1000)])

    writing = asyncio.ensure_future(write())
    began = time.perf_counter()
    while not writing.done():
        sum(range(1000))
        await asyncio.sleep(0)
    await writing
    assert time.perf_counter() - began < 2.0
    await db.close()


async def test_transactions_follow_one_another(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    inside = 0

    async def one(name: str) -> None:
        nonlocal inside
        async with db.change() as tx:
            inside += 1
            assert inside == 1
            await tx.execute(SET, (name,))
            inside -= 1

    await asyncio.gather(*(one(name) for name in "abcdef"))
    assert await stored(db) == [*"abcdef"]
    await db.close()


async def test_readers_see_committed_rows_only_and_need_not_wait(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.change() as tx:
        await tx.execute(SET, ("a",))
        assert await stored(db) == []
        assert len(await tx.fetch("SELECT * FROM key_value")) == 1
    assert await stored(db) == ["a"]
    await db.close()


async def test_a_change_is_followed_by_the_prepared_step_after_its_commit_and_a_log_is_not(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    seen: list[int] = []

    async def prepare(tx: Transaction) -> Callable[[], None]:
        count = len(await tx.fetch("SELECT * FROM key_value"))
        return lambda: seen.append(count)

    db.prepare = prepare
    async with db.change() as tx:
        await tx.execute(SET, ("a",))
    async with db.log() as tx:
        await tx.execute(SET, ("b",))
    assert seen == [1]
    await db.close()


async def test_a_change_whose_snapshot_cannot_be_built_is_undone(tmp_path: Path) -> None:
    db = await opened(tmp_path)

    async def prepare(tx: Transaction) -> Callable[[], None]:
        raise OmniError("internal", "no snapshot")

    db.prepare = prepare
    with pytest.raises(OmniError, match="no snapshot"):
        async with db.change() as tx:
            await tx.execute(SET, ("a",))
    assert await stored(db) == []
    await db.close()


async def test_a_caller_cancelled_during_the_commit_does_not_stop_it(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    at_prepare, go_on, published = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def prepare(tx: Transaction) -> Callable[[], None]:
        at_prepare.set()
        await go_on.wait()
        return published.set

    async def caller() -> None:
        async with db.change() as tx:
            await tx.execute(SET, ("a",))

    db.prepare = prepare
    task = asyncio.ensure_future(caller())
    await at_prepare.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await published.wait()
    assert await stored(db) == ["a"]
    await db.close()


async def test_a_caller_cancelled_inside_the_transaction_undoes_it(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    inside = asyncio.Event()

    async def caller() -> None:
        async with db.change() as tx:
            await tx.execute(SET, ("a",))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(caller())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.change() as tx:
        await tx.execute(SET, ("b",))
    assert await stored(db) == ["b"]
    await db.close()


async def test_after_close_a_transaction_is_a_clear_error_and_close_again_is_fine(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    await db.close()
    await db.close()
    with pytest.raises(OmniError, match="closed"):
        async with db.change():
            pass


def state(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "storage.sqlite")) as connection:
        return str(connection.execute("SELECT value FROM db_meta WHERE key = 'state'").fetchone()[0])


async def test_the_file_is_checked_only_after_an_unclean_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    monkeypatch.setattr(db_module, "_check", lambda connection, path: checked.append(path))
    db = await opened(tmp_path)
    assert state(tmp_path) == "running"
    await db.close()
    assert state(tmp_path) == "clean"
    await (await opened(tmp_path)).close()
    assert checked == []
    with closing(sqlite3.connect(tmp_path / "storage.sqlite")) as connection, connection:
        connection.execute("UPDATE db_meta SET value = 'running' WHERE key = 'state'")
    await (await opened(tmp_path, owner=False)).close()
    assert checked == []
    assert state(tmp_path) == "running"
    await (await opened(tmp_path)).close()
    assert checked == [tmp_path / "storage.sqlite"]


async def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.change() as tx:
        for number in range(200):
            await tx.execute(SET, (f"{number}" + "x" * 500,))
    await db.close()
    path = tmp_path / "storage.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE db_meta SET value = 'running' WHERE key = 'state'")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'key_value'").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[4096 * (page - 1) : 4096 * page] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(OmniError) as caught:
        await opened(tmp_path)
    database, copies = tmp_path / "storage.sqlite", tmp_path / "db_backups"
    assert caught.value.message.startswith(f"Database {database}: it is damaged; restore a copy from {copies} (")


async def test_a_file_that_is_no_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "storage.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(OmniError, match="not a database") as caught:
        await opened(tmp_path)
    assert str(tmp_path / "db_backups") in caught.value.message


async def test_a_path_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "storage.sqlite").mkdir()
    with pytest.raises(OmniError, match=r"storage\.sqlite"):
        await opened(tmp_path)


async def test_a_full_disk_is_a_clear_error_and_the_database_works_when_there_is_room_again(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    pages = await db.fetch_one("PRAGMA page_count")
    assert pages is not None
    async with db.log() as tx:
        await tx.fetch(f"PRAGMA max_page_count = {pages[0]}")
    with pytest.raises(OmniError, match="disk is full"):
        async with db.change() as tx:
            await tx.insert("key_value", COLUMNS, [setting(f"{number}" + "x" * 4000) for number in range(100)])
    async with db.log() as tx:
        await tx.fetch("PRAGMA max_page_count = 100000")
    async with db.change() as tx:
        await tx.execute(SET, ("a",))
    assert await stored(db) == ["a"]
    await db.close()


async def test_a_read_only_database_is_a_clear_error(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.log() as tx:
        await tx.execute("PRAGMA query_only = ON")
    with pytest.raises(OmniError, match="cannot be written; check the permissions"):
        async with db.change() as tx:
            await tx.execute(SET, ("a",))
    await db.close()


def test_a_mistake_in_sql_is_no_trouble_of_the_disk() -> None:
    with (
        pytest.raises(sqlite3.OperationalError),
        explained(Path("storage.sqlite")),
        closing(sqlite3.connect(":memory:")) as db,
    ):
        db.execute("SELECT * FROM nothing")


def test_file_system_errors_name_the_file_and_not_its_folder() -> None:
    with pytest.raises(OmniError) as caught, explained(Path("/secret/place/storage.sqlite")):
        raise PermissionError(13, "Permission denied", "/secret/place/storage.sqlite")
    assert caught.value.message == "Database storage.sqlite: Permission denied"


async def test_a_failed_commit_is_reported_once_to_its_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    db = await opened(tmp_path)

    async def prepare(tx: Transaction) -> Callable[[], None]:
        raise OmniError("internal", "no snapshot")

    db.prepare = prepare
    with caplog.at_level(logging.ERROR), pytest.raises(OmniError):
        async with db.change():
            pass
    assert caplog.records == []
    await db.close()


async def test_a_second_process_waits_for_its_turn_and_then_says_who_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_module, "_BUSY_SECONDS", 0.01)
    db = await Database.open(tmp_path / "storage.sqlite", Clock())
    with closing(sqlite3.connect(tmp_path / "storage.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OmniError, match="another process holds it locked"):
            async with db.change():
                pass
        other.execute("ROLLBACK")
    async with db.change() as tx:
        await tx.execute(SET, ("a",))
    await db.close()


def test_a_text_is_found_as_it_stands_whatever_like_makes_of_its_characters() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for text in ("a_b", "50%", "c\\d"):
            others = ("xa-by", "x500y", "xcdy")
            found = [other for other in (f"x{text}y", *others) if _fits(db, other, text)]
            assert found == [f"x{text}y"]


def _fits(db: sqlite3.Connection, value: str, text: str) -> bool:
    return bool(db.execute("SELECT ? LIKE ? ESCAPE '\\'", (value, containing(text))).fetchone()[0])
