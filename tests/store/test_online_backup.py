from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from omniroute.store.online_backup import backup_name, online_backup


def test_names_say_when_and_why() -> None:
    assert backup_name(1_772_114_591.12, "manual") == "db_2026-02-26T14-03-11-120Z_manual.sqlite"


def test_a_copy_holds_what_was_committed_while_the_original_is_in_use(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as source:
        source.execute("PRAGMA journal_mode = WAL")
        source.execute("CREATE TABLE t (a)")
        source.execute("INSERT INTO t VALUES (1)")
        copy = online_backup(source, tmp_path / "db_backups", 0.0, "manual")
        source.execute("INSERT INTO t VALUES (2)")
    assert [path.name for path in copy.parent.iterdir()] == ["db_1970-01-01T00-00-00-000Z_manual.sqlite"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT * FROM t").fetchall() == [(1,)]


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    source = sqlite3.connect(tmp_path / "a.sqlite")
    source.close()
    with pytest.raises(sqlite3.ProgrammingError):
        online_backup(source, tmp_path / "db_backups", 0.0, "manual")
    assert list((tmp_path / "db_backups").iterdir()) == []
