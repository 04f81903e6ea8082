"""Replacing the live database by another file: copy it next to the live one, check and migrate it, write it over.

All functions block.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from ..clock import Clock
from ..errors import OmniError
from . import migrate
from .db import RUNNING, SET_STATE

REQUIRED: Final = ("provider_connections", "provider_nodes", "combos", "api_keys")
STAGED: Final = "staged.sqlite"
_BUSY_SECONDS: Final = 30.0
_NAMED: Final = 5  # missing columns that an error message names


class Unfit(Exception):
    """A file that cannot replace the database; the message is for the user."""


class Counts(NamedTuple):
    """The numbers of rows in a database."""

    connections: int
    nodes: int
    combos: int
    keys: int


def count(path: Path) -> Counts:
    """Count the rows of the :data:`REQUIRED` tables."""
    with closing(reading(path)) as db:
        return Counts(*(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in REQUIRED))


def prepare(source: Path, folder: Path, live: Path, clock: Clock) -> Path:
    """Copy *source* to *folder*, check and migrate the copy, give it the page size of *live*; returns the copy's path.

    Raises :class:`Unfit` when *source* is not a usable database.
    """
    staged = folder / STAGED
    if not source.is_file():  # pruned while its restore waited for another
        raise Unfit(absent(source.name))
    try:
        with closing(reading(source)) as origin, closing(sqlite3.connect(staged, isolation_level=None)) as copy:
            _check(origin)
            origin.backup(copy)
            _tame(copy)
            migrate.apply(copy, staged, clock)
            if missing := migrate.missing_columns(copy):  # its user_version was wrong
                raise Unfit(f"Invalid OmniRoute database. Missing columns: {', '.join(missing[:_NAMED])}")
            migrate.restore_triggers(copy)
            copy.execute(SET_STATE, (RUNNING,))
            _fit_pages(copy, live)
    except sqlite3.DatabaseError as error:
        raise Unfit(f"Invalid database file: {error}") from error
    except OmniError as error:
        raise Unfit(error.message) from error
    return staged


def absent(name: str) -> str:
    """The message when there is no such backup."""
    return f"Backup not found: {name}"


def overwrite(staged: Path, live: Path) -> None:
    """Replace the content of *live* by that of *staged* in one transaction.  The caller keeps other writers away.

    Raises OmniError ``internal``.
    """
    try:
        with closing(sqlite3.connect(staged)) as source, closing(sqlite3.connect(live, timeout=_BUSY_SECONDS)) as target:
            source.backup(target, progress=_no_waiting)
    except sqlite3.DatabaseError as error:
        raise OmniError("internal", f"The database cannot be replaced: {error}") from error


def _no_waiting(status: int, _remaining: int, _total: int) -> None:
    """Give up when the lock could not be acquired within the timeout; ``backup()`` itself would retry forever."""
    if status & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("another process holds it locked")


def reading(path: Path) -> sqlite3.Connection:
    """Open *path* read-only."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _check(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Unfit(f"Database integrity check failed. {found}")
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := [table for table in REQUIRED if table not in tables]:
        raise Unfit(f"Invalid OmniRoute database. Missing tables: {', '.join(missing)}")


def _tame(db: sqlite3.Connection) -> None:
    """Drop all triggers and views: those of an uploaded file could run arbitrary SQL within our transactions."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA journal_mode = DELETE")
    for kind in ("trigger", "view"):
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = ?", (kind,)).fetchall():
            quoted = name.replace('"', '""')
            db.execute(f'DROP {kind} "{quoted}"')


def _fit_pages(db: sqlite3.Connection, live: Path) -> None:
    """Give the copy the page size of *live*, which cannot change its own in WAL mode."""
    with closing(reading(live)) as other:
        wanted = other.execute("PRAGMA page_size").fetchone()[0]
    if db.execute("PRAGMA page_size").fetchone()[0] != wanted:
        db.execute(f"PRAGMA page_size = {wanted}")
        db.execute("VACUUM")
