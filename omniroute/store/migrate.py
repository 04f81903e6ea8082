"""Schema migrations: numbered SQL files, each applied once, all in one transaction, after a backup.

``PRAGMA user_version`` holds the number of the last migration applied.  A database of an earlier installation, without that
number, is *adopted*: its tables are kept, missing columns are added, and values that do not fit a column are converted.
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
from .online_backup import FOLDER, online_backup


class Migration(NamedTuple):
    number: int
    name: str
    sql: str


ADOPTED: Final = "adopted"  # db_meta: usage rows of an earlier installation have no costs yet (store/adopted.py)
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_FITTING: Final = {"TEXT": "'text'", "INTEGER": "'integer'", "REAL": "'integer', 'real'"}  # type -> values of typeof()
_NUMBER: Final = "iif(CAST({0} AS TEXT) GLOB '[-0-9]*' AND abs({0}) < 9e15, CAST({0} AS {1}), {2})"
_CONVERTED: Final = {
    "TEXT": "iif(typeof({0}) IN ('blob', 'null'), {2}, CAST({0} AS TEXT))",
    "INTEGER": _NUMBER,
    "REAL": _NUMBER,
}
_TIMES: Final = ("timestamp", "_at", "_until", "_tested")  # suffixes of the columns that hold times
_SPACED: Final = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]*'"
_ISO: Final = "ifnull(strftime('%Y-%m-%dT%H:%M:%fZ', {0}), {0})"
_LAST: Final = 5  # the highest migration number; saves reading the files at each start


def migrations() -> list[Migration]:
    """The migrations in the files ``NNN_name.sql``, in order."""
    folder = resources.files("omniroute.store").joinpath("migrations")
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(int(name[:3]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in files]


def apply(connection: sqlite3.Connection, path: Path, clock: Clock) -> bool:
    """Apply the missing migrations; returns whether there were any.

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
        version = _version(connection)  # another process may have migrated meanwhile
        for migration in migrations():
            if migration.number > version:
                _run(connection, migration.sql)
                if filled:
                    _add_missing_columns(connection, migration.number)
                if filled and migration.number == 1:
                    _fit_values(connection)
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
            if "duplicate column name" not in str(error):  # a restored dump has the columns but lost user_version
                raise


def statements(sql: str) -> Iterator[str]:
    """Split *sql* into statements.  Each must end at the end of a line."""
    part = ""
    for line in sql.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def restore_triggers(connection: sqlite3.Connection) -> None:
    """Create the missing triggers."""
    for migration in migrations():
        for statement in statements(migration.sql):
            if "CREATE TRIGGER IF NOT EXISTS" in statement:
                connection.execute(statement)


def missing_columns(connection: sqlite3.Connection) -> list[str]:
    """The columns of the current schema that this database lacks, as ``table.column``."""
    return [f"{column.table}.{column.name}" for column in _missing(connection, _LAST)]


def _add_missing_columns(connection: sqlite3.Connection, number: int) -> None:
    """Add the columns that the schema has after migration *number* and *connection* lacks."""
    for column in _missing(connection, number):
        if not column.key:
            connection.execute(f"ALTER TABLE {column.table} ADD COLUMN {column.name} {column.definition}")


def _fit_values(connection: sqlite3.Connection) -> None:
    """Convert the values of an adopted database to the types of the schema's columns.

    A value that cannot be converted, or a NULL in a required column, becomes the default.  Times in SQLite's own format
    become ISO 8601.
    """
    for table, name, kind, required, default, key in _columns(1):
        if not key and (default or not required):
            fitting = _FITTING[kind] + ("" if required else ", 'null'")
            value = _CONVERTED[kind].format(name, kind, default or "NULL")
            connection.execute(f"UPDATE OR IGNORE {table} SET {name} = {value} WHERE typeof({name}) NOT IN ({fitting})")
        if kind == "TEXT" and name.endswith(_TIMES):
            connection.execute(f"UPDATE {table} SET {name} = {_ISO.format(name)} WHERE {name} GLOB {_SPACED}")


class _Column(NamedTuple):
    """One column of the schema.  ``key``: it is part of the primary key.  ``default``: an SQL expression or None."""

    table: str
    name: str
    kind: str
    required: bool
    default: str | None
    key: bool

    @property
    def definition(self) -> str:
        return self.kind + (" NOT NULL" if self.required else "") + (f" DEFAULT {self.default}" if self.default else "")


def _columns(number: int) -> list[_Column]:
    """All columns of the schema after migration *number*."""
    with closing(sqlite3.connect(":memory:")) as model:
        for migration in migrations():
            if migration.number <= number:
                _run(model, migration.sql)
        tables = [table for (table,) in model.execute(_TABLES)]
        return [_Column(table, *row[1:]) for table in tables for row in model.execute(f"PRAGMA table_info({table})")]


def _missing(connection: sqlite3.Connection, number: int) -> list[_Column]:
    """The columns of :func:`_columns` that *connection* lacks."""
    ours = _columns(number)
    present = {
        (table, row[1])
        for table in {column.table for column in ours}
        for row in connection.execute(f"PRAGMA table_info({table})")
    }
    return [column for column in ours if (column.table, column.name) not in present]
