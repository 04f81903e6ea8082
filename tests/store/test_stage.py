from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock

from omniroute.errors import OmniError
from omniroute.store.migrate import apply
from omniroute.store.stage import Unfit, count, overwrite, prepare


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A database in use."""
    path = tmp_path / "live.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        apply(db, path, FakeClock())
        db.execute("INSERT INTO combos (id, name) VALUES ('1', 'mine')")
        yield path


def _other(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        apply(db, path, FakeClock())
        db.execute("INSERT INTO combos (id, name) VALUES ('2', 'theirs')")
    return path


def _combos(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("SELECT name FROM combos")]


@pytest.mark.parametrize("statement", ["PRAGMA page_size = 4096", "PRAGMA page_size = 16384", "PRAGMA journal_mode = WAL"])
def test_the_live_database_takes_the_content_of_any_sound_one(tmp_path: Path, live: Path, statement: str) -> None:
    other = _other(tmp_path / "other.sqlite", statement)
    folder = tmp_path / "work"
    folder.mkdir()
    with closing(sqlite3.connect(live)) as reader:
        assert reader.execute("SELECT name FROM combos").fetchall() == [("mine",)]
        overwrite(prepare(other, folder, live, FakeClock()), live)
        assert reader.execute("SELECT name FROM combos").fetchall() == [("theirs",)]
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert reader.execute("SELECT value FROM db_meta WHERE key = 'state'").fetchone() == ("running",)
    assert _combos(other) == ["theirs"]
    assert count(live).combos == 1


def test_a_file_that_is_no_database_is_unfit(tmp_path: Path, live: Path) -> None:
    bad = tmp_path / "bad.sqlite"
    bad.write_bytes(b"not a database at all" * 400)
    with pytest.raises(Unfit, match="Invalid database file: file is not a database"):
        prepare(bad, tmp_path, live, FakeClock())


def test_a_damaged_database_is_unfit(tmp_path: Path, live: Path) -> None:
    other = _other(tmp_path / "other.sqlite")
    raw = bytearray(other.read_bytes())
    raw[8192:40_000] = b"\xaa" * (40_000 - 8192)
    other.write_bytes(raw)
    with pytest.raises(Unfit):
        prepare(other, tmp_path, live, FakeClock())
    assert _combos(live) == ["mine"]


def test_triggers_and_views_do_not_come_along(tmp_path: Path, live: Path) -> None:
    other = _other(tmp_path / "other.sqlite")
    with closing(sqlite3.connect(other)) as db:
        db.executescript("""
            CREATE VIEW "a "" view" AS SELECT 1;
            CREATE TRIGGER bad AFTER INSERT ON combos BEGIN DELETE FROM api_keys; END;
        """)
    staged = prepare(other, tmp_path, live, FakeClock())
    with closing(sqlite3.connect(staged)) as db:
        found = db.execute("SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchall()
        assert {name for (name,) in found} == {"audit_no_update", "audit_no_delete"}  # ours


def test_a_database_that_another_process_writes_stays_as_it_is(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omniroute.store.stage._BUSY_SECONDS", 0.05)
    other = _other(tmp_path / "other.sqlite")
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(OmniError, match="cannot be replaced"):
            overwrite(other, live)
        writer.execute("ROLLBACK")
    assert _combos(live) == ["mine"]
