"""The chain over the audit log: every way of meddling is seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock
from fakes_store import a_store

from omniroute.store.audit_chain import Place, Verdict, chain_all, digest, place, verify
from omniroute.store.migrate import apply

DAY = 86_400
FORBIDDEN = ["audit_no_update", "audit_no_delete"]


async def written(folder: Path, actions: str = "abcde", clock: FakeClock | None = None) -> Path:
    """The database of a store that has noted *actions*, a day apart."""
    clock = clock or FakeClock()
    async with a_store(folder, clock) as store:
        for action in actions:
            await store.audit.append(action, "admin", "target", {"n": action}, "127.0.0.1")
            clock.now += DAY
        return store.db.path


def meddle(path: Path, *statements: str) -> None:
    """As someone with access to the file would, who removes the triggers first."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for name in FORBIDDEN:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)


def checked(path: Path) -> Verdict:
    with closing(sqlite3.connect(path)) as db:
        return verify(db)


async def test_what_was_written_is_whole(tmp_path: Path) -> None:
    found = checked(await written(tmp_path))
    assert (found.rows, found.head.id, found.broken) == (5, 5, "")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_log SET action = 'x' WHERE id = 2", "row 2 (2025-06-16T15:06:40.000Z x) was changed"),
        ("UPDATE audit_log SET details = NULL WHERE id = 3", "row 3 "),
        ("UPDATE audit_log SET timestamp = '2024' WHERE id = 1", "row 1 "),
        ("UPDATE audit_log SET hash = 'f' WHERE id = 5", "row 5 "),
        ("UPDATE audit_log SET hash = NULL WHERE id = 4", "row 4 "),
        ("DELETE FROM audit_log WHERE id = 1", "row 2 "),
        ("DELETE FROM audit_log WHERE id = 3", "does not follow row 2"),
        ("DELETE FROM audit_log WHERE id > 3", "rows 4 to 5 are gone"),
        ("DELETE FROM audit_log", "rows 1 to 5 are gone"),
        ("INSERT INTO audit_log (timestamp, action) VALUES ('2026', 'forged')", "row 6 (2026 forged) was not written"),
        ("UPDATE audit_log SET id = 9 WHERE id = 2", "does not follow row 1"),
        ("DELETE FROM db_meta WHERE key = 'audit_head'", "the newest rows are gone"),
    ],
)
async def test_the_first_broken_row_is_named(tmp_path: Path, statement: str, words: str) -> None:
    path = await written(tmp_path)
    meddle(path, statement)
    assert words in checked(path).broken


async def test_rows_are_neither_changed_nor_deleted(tmp_path: Path) -> None:
    path = await written(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log WHERE id = 1", "DELETE FROM audit_log"):
            with pytest.raises(sqlite3.IntegrityError, match="audit rows cannot be"):
                db.execute(statement)


async def test_retention_leaves_an_anchor_from_which_the_chain_goes_on(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for action in "abcde":
            await store.audit.append(action, "admin")
            clock.now += DAY
        assert await store.audit.prune(3) == 2
        await store.audit.append("f", "admin")
        path = store.db.path
        assert checked(path)[:1] == (4,)
        assert checked(path).broken == ""
        clock.now += 100 * DAY
        assert await store.audit.prune(1) == 4
        assert await store.audit.prune(1) == 0
        await store.audit.append("g", "admin")
        assert checked(path).broken == ""
        assert checked(path).head.id == 7
    meddle(path, "DELETE FROM audit_log WHERE id = 7")
    assert checked(path).broken == "rows 7 to 7 are gone"


async def test_old_rows_behind_newer_ones_stay_when_the_clock_went_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        await store.audit.append("a", "admin")
        clock.now -= 10 * DAY
        await store.audit.append("b", "admin")
        clock.now += 10 * DAY
        assert await store.audit.prune(5) == 0
        assert checked(store.db.path).broken == ""


def test_rows_from_before_the_chain_are_chained_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            CREATE TABLE audit_log (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, action TEXT, actor TEXT);
            INSERT INTO audit_log (timestamp, action, actor) VALUES ('2024', 'a', 'admin'), ('2025', 'b', NULL);
        """)
        apply(db, path, FakeClock())
        assert verify(db)[:1] == (2,)
        assert verify(db).broken == ""
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit_log SET actor = 'nobody' WHERE id = 1")
        assert "row 1 (2024 a) was changed" in verify(db).broken


@pytest.mark.parametrize("source", ["backup", "export"])
async def test_a_restored_database_keeps_its_chain_and_its_protection(tmp_path: Path, source: str) -> None:
    async with a_store(tmp_path) as store:
        await store.audit.append("before", "admin")
        made = await (store.backups.create() if source == "backup" else store.backups.snapshot())
        assert made is not None
        await store.audit.append("after", "admin")
        await store.restore(made)
        await store.audit.append("restored", "admin")
        assert [row.action for row in await store.audit.list()] == ["restored", "before"]
        assert checked(store.db.path).broken == ""
        with pytest.raises(sqlite3.IntegrityError):
            async with store.db.log() as tx:
                await tx.execute("DELETE FROM audit_log")


def test_chaining_twice_changes_nothing() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        apply(db, Path("storage.sqlite"), FakeClock())
        db.execute("INSERT INTO audit_log (timestamp, action) VALUES ('2026', 'a')")
        chain_all(db)
        first = verify(db)
        chain_all(db)
        assert verify(db) == first
        assert first.rows == 1


def test_a_hash_depends_on_every_column_and_on_what_was_before() -> None:
    row = (1, "t", "a", "b", "c", "d", "e")
    others = [digest((*row[:i], "other", *row[i + 1 :]), "x") for i in range(7)] + [digest(row, "y")]
    assert len({digest(row, "x"), *others}) == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7:ab", Place(7, "ab")), (None, Place()), ("", Place()), ("x:ab", Place()), ("9" * 30 + ":ab", Place())],
)
def test_a_place_is_read_or_is_the_beginning(text: str | None, expected: Place) -> None:
    assert place(text) == expected
