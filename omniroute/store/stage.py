"""A database file about to become the live one: checked, brought up to date beside it, written over it.  Blocking."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from ..clock import Clock
from ..errors import OmniError
from . import migrate

REQUIRED: Final = ("provider_connections", "provider_nodes", "combos", "api_keys")
STAGED: Final = "staged.sqlite"
_BUSY_SECONDS: Final = 30.0
_NAMED: Final = 5  # of what is missing
_RUNNING: Final = "INSERT INTO db_meta VALUES ('state', 'running') ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class Unfit(Exception):
    """A file that cannot be put in force; the text is for the user."""


class Counts(NamedTuple):
    """How much a database holds."""

    connections: int
    nodes: int
    combos: int
    keys: int


def count(path: Path) -> Counts:
    """Rows of the tables of :data:`REQUIRED`."""
    with closing(reading(path)) as db:
        return Counts(*(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in REQUIRED))


def prepare(source: Path, folder: Path, live: Path, clock: Clock) -> Path:
    """A copy of *source* in *folder*, sound, of this version and with the page size of *live*.  Raises :class:`Unfit`."""
    staged = folder / STAGED
    try:
        with closing(reading(source)) as origin, closing(sqlite3.connect(staged, isolation_level=None)) as copy:
            _check(origin)
            origin.backup(copy)
            _tame(copy)
            migrate.apply(copy, staged, clock)
            if missing := migrate.missing_columns(copy):  # it said it was of this version
                raise Unfit(f"Invalid OmniRoute database. Missing columns: {', '.join(missing[:_NAMED])}")
            migrate.restore_triggers(copy)
            copy.execute(_RUNNING)
            _fit_pages(copy, live)
    except sqlite3.DatabaseError as error:
        raise Unfit(f"Invalid database file: {error}") from error
    except OmniError as error:
        raise Unfit(error.message) from error
    return staged


def overwrite(staged: Path, live: Path) -> None:
    """Make *live* hold what *staged* holds, in one transaction; the caller keeps other writers away."""
    try:
        with closing(sqlite3.connect(staged)) as source, closing(sqlite3.connect(live, timeout=_BUSY_SECONDS)) as target:
            source.backup(target, progress=_no_waiting)
    except sqlite3.DatabaseError as error:
        raise OmniError("internal", f"The database cannot be replaced: {error}") from error


def _no_waiting(status: int, _remaining: int, _total: int) -> None:
    """Give up when the lock was not to be had within the time-out; by itself the copying would try for ever."""
    if status & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("another process holds it locked")


def reading(path: Path) -> sqlite3.Connection:
    """*path* opened to be read only."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _check(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Unfit(f"Database integrity check failed. {found}")
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := [table for table in REQUIRED if table not in tables]:
        raise Unfit(f"Invalid OmniRoute database. Missing tables: {', '.join(missing)}")


def _tame(db: sqlite3.Connection) -> None:
    """Drop what would run by itself: an uploaded trigger or view has no business in our transactions."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA journal_mode = DELETE")
    for kind in ("trigger", "view"):
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = ?", (kind,)).fetchall():
            quoted = name.replace('"', '""')
            db.execute(f'DROP {kind} "{quoted}"')


def _fit_pages(db: sqlite3.Connection, live: Path) -> None:
    """A database in WAL mode cannot change its page size, so the copy must have that of the live one."""
    with closing(reading(live)) as other:
        wanted = other.execute("PRAGMA page_size").fetchone()[0]
    if db.execute("PRAGMA page_size").fetchone()[0] != wanted:
        db.execute(f"PRAGMA page_size = {wanted}")
        db.execute("VACUUM")
