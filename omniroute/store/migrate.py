"""Numbered SQL files, each applied once, all in one transaction, after a copy was taken.

``PRAGMA user_version`` holds the number of the last one.  A database of an earlier installation is adopted: its tables stay,
and the columns that ours have and it lacks are added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from ..clock import Clock
from ..errors import OmniError
from .audit_chain import CHAINED, chain_all
from .backup import FOLDER, online_backup


class Migration(NamedTuple):
    number: int
    name: str
    sql: str


ADOPTED: Final = "adopted"  # db_meta: the usage of an earlier installation is yet to be priced (store/adopted.py)
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_LAST: Final = 4  # the highest number; saves reading the files at each start


def migrations() -> list[Migration]:
    """The files ``NNN_name.sql``, in order."""
    folder = resources.files("omniroute.store").joinpath("migrations")
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(int(name[:3]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in files]


def apply(connection: sqlite3.Connection, path: Path, clock: Clock) -> bool:
    """Bring the database up to date; tells whether there was anything to do.

    *connection* must be in autocommit mode.  Raises OmniError ``internal`` for a database of a newer version.
    """
    version = _version(connection)
    if version > _LAST:
        raise OmniError("internal", f"Database {path.name} was made by a newer version of OmniRoute: install that version")
    if version == _LAST:
        return False
    filled = bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
    if filled:
        online_backup(connection, path.parent / FOLDER, clock.time(), "pre-migration")
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may have been faster
        for migration in migrations():
            if migration.number > version:
                _run(connection, migration.sql)
                _add_missing_columns(connection, migration.number)
        if version < CHAINED:
            chain_all(connection)
        if version == 0 and filled:
            connection.execute("INSERT OR REPLACE INTO db_meta VALUES (?, '1')", (ADOPTED,))
        connection.execute(f"PRAGMA user_version = {_LAST}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, sql: str) -> None:
    for statement in statements(sql):  # executescript() would commit first
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if "duplicate column name" not in str(error):  # ours already, but a dump lost the number
                raise


def statements(sql: str) -> Iterator[str]:
    """The statements of a file.  Each must end at the end of a line."""
    part = ""
    for line in sql.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def restore_triggers(connection: sqlite3.Connection) -> None:
    """Make those of ours that are missing."""
    for migration in migrations():
        for statement in statements(migration.sql):
            if "CREATE TRIGGER IF NOT EXISTS" in statement:
                connection.execute(statement)


def missing_columns(connection: sqlite3.Connection) -> list[str]:
    """What an up-to-date database has and this one lacks, as ``table.column``."""
    return [f"{column.table}.{column.name}" for column in _missing(connection, _LAST)]


def _add_missing_columns(connection: sqlite3.Connection, number: int) -> None:
    """Those that the tables have after migration *number*."""
    for column in _missing(connection, number):
        if not column.key:
            connection.execute(f"ALTER TABLE {column.table} ADD COLUMN {column.name} {column.definition}")


class _Column(NamedTuple):
    """One of ours; ``key``: part of the primary key."""

    table: str
    name: str
    definition: str
    key: bool


def _missing(connection: sqlite3.Connection, number: int) -> list[_Column]:
    """Columns that the tables have after migration *number*, and not in *connection*."""
    found: list[_Column] = []
    with closing(sqlite3.connect(":memory:")) as model:
        for migration in migrations():
            if migration.number <= number:
                _run(model, migration.sql)
        for (table,) in model.execute(_TABLES).fetchall():
            present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for _, column, kind, required, default, key in model.execute(f"PRAGMA table_info({table})").fetchall():
                if column not in present:
                    limits = (" NOT NULL" if required else "") + (f" DEFAULT {default}" if default is not None else "")
                    found.append(_Column(table, column, kind + limits, bool(key)))
    return found
