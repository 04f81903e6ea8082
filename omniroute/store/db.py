"""Access to the SQLite file: one connection for writing and one for reading, each with its own thread.

The file uses a write-ahead log and foreign keys.  All writes go through one connection behind one lock.
:meth:`Database.change` is for keys, settings and connections: with ``synchronous=FULL`` a committed change survives a power
cut, and the new snapshot is built inside the transaction that is about to be committed.  :meth:`Database.log` is for usage,
call log and audit rows: with ``synchronous=NORMAL`` they survive a kill of the process, but a power cut may lose the newest.

The commit runs in a task of its own, so a caller that is cancelled during it cannot leave a committed change unpublished.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import aiosqlite
import msgspec
import orjson

from ..clock import Clock
from ..errors import OmniError
from ..tasks import spawn
from . import migrate
from .online_backup import FOLDER

Prepare = Callable[["Transaction"], Awaitable[Callable[[], None]]]
Row = sqlite3.Row

BLOCK: Final = 64  # rows of one statement
_BUSY_SECONDS: Final = 5.0
RUNNING, CLEAN = "running", "clean"
SET_STATE: Final = "INSERT INTO db_meta VALUES ('state', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
# https://www.sqlite.org/rescode.html, primary codes
_REMEDIES: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the folder exists and can be written",
    sqlite3.SQLITE_PERM: "access is denied; check the permissions of the file and its folder",
    sqlite3.SQLITE_AUTH: "access is denied; check the permissions of the file and its folder",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check its health and free space",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a copy from {copies}",
    sqlite3.SQLITE_NOTADB: "it is not a database or is damaged; restore a copy from {copies}",
    sqlite3.SQLITE_BUSY: "another process holds it locked; stop that process or try again",
    sqlite3.SQLITE_LOCKED: "another process holds it locked; stop that process or try again",
}


@contextmanager
def explained(path: Path, *, in_full: bool = False) -> Iterator[None]:
    """Turn errors of SQLite and the file system about *path* into an OmniError ``internal`` that names a remedy.

    With *in_full* it names whole paths, for the operator; other messages may reach clients.  Constraint violations and
    SQLite errors without a known remedy pass unchanged.
    """
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        remedy = _REMEDIES.get(code & 0xFF) if code is not None else None
        if remedy is None:
            raise
        remedy = remedy.format(copies=path.absolute().parent / FOLDER if in_full else FOLDER)
        raise OmniError("internal", f"Database {path.absolute() if in_full else path.name}: {remedy}") from error
    except OSError as error:
        name = path.absolute() if in_full else path.name
        raise OmniError("internal", f"Database {name}: {error.strerror or 'cannot be used'}") from error


def containing(text: str) -> str:
    """A pattern for ``LIKE ? ESCAPE '\\'`` that matches values containing *text* literally."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


@cache
def insertion(table: str, columns: tuple[str, ...]) -> str:
    """A statement that inserts any number of rows, given as one JSON text: an array of arrays."""
    values = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(columns)))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM json_each(?)"


@cache
def _block(table: str, columns: tuple[str, ...]) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * BLOCK)}"


def text_of(value: object) -> str:
    """The text in a column for text, which in a file that others have written to may hold a BLOB, a number or NULL."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def json_object(text: str | None) -> dict[str, Any]:
    """The object in a JSON column; an empty one for anything else, including malformed text."""
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


class Transaction:
    """SQL inside one transaction; sees its own changes."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        with explained(self._path):
            cursor = await self._connection.execute(sql, parameters)
            return cursor.rowcount

    async def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """Insert *rows* of strings, numbers and None: :data:`BLOCK` rows per statement, the remainder as one JSON text.

        SQLite releases the GIL in each statement, and getting it back from a busy event loop takes a while (see
        ``app.settle``); with one statement per row the writer would fall behind.  JSON suits any number of rows, but a block
        takes a third of the time.
        """
        whole = len(rows) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            await self.execute(_block(table, columns), [*chain.from_iterable(rows[start : start + BLOCK])])
        if whole < len(rows):
            await self.execute(insertion(table, columns), (msgspec.json.encode(rows[whole:]).decode(),))

    async def insert_one(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row, given as column -> value."""
        marks = ", ".join("?" * len(row))
        await self.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])

    async def update(self, table: str, id: str, row: Mapping[str, Any], *, key: str = "id") -> int:
        """Set the columns in *row* where column *key* is *id*; returns the number of changed rows."""
        sets = ", ".join(f"{name} = ?" for name in row)
        return await self.execute(f"UPDATE {table} SET {sets} WHERE {key} = ?", [*row.values(), id])

    async def fetch(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """All rows of a query.  In text that is not UTF-8, from another program, U+FFFD replaces what is wrong."""
        with explained(self._path):
            try:
                return list(await self._connection.execute_fetchall(sql, parameters))
            except sqlite3.OperationalError as error:
                if not str(error).startswith("Could not decode to UTF-8"):
                    raise
            self._connection.text_factory = text_of  # from now on: it is slower, so not before there is need
            return list(await self._connection.execute_fetchall(sql, parameters))

    async def fetch_one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        rows = await self.fetch(sql, parameters)
        return rows[0] if rows else None


class Database:
    """The open database.

    ``prepare``, when set, runs at the end of each :meth:`change`, before the commit; the function that it returns is called
    after the commit.  The store builds and publishes snapshots with it.
    """

    def __init__(self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection, owner: bool) -> None:
        self.path = path
        self.prepare: Prepare | None = None
        self.changes = 0  # committed change() transactions of this process
        self._writer = Transaction(writer, path)
        self._reader = Transaction(reader, path)
        self._connections = (reader, writer)  # closing the last one checkpoints the write-ahead log
        self._owner = owner
        self._lock = asyncio.Lock()
        self._level = ""
        self._closed = False

    @classmethod
    async def open(cls, path: Path, clock: Clock, *, owner: bool = True) -> Database:
        """Open or create *path* and apply migrations; after an unclean shutdown, check its integrity first.

        ``owner=False`` is for a second process next to a running server (the command line): it does not touch the mark that
        tells a clean shutdown.  Raises OmniError ``internal`` when the file is unusable or damaged.
        """
        with explained(path, in_full=True):
            await asyncio.to_thread(_make_ready, path, clock, owner)
            writer, reader = await _connect(path), await _connect(path)
        return cls(path, writer, reader, owner)

    def change(self) -> AbstractAsyncContextManager[Transaction]:
        """A durable transaction for configuration; a new snapshot is published with its commit."""
        return self._transaction("FULL", publish=True)

    def log(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction for rows that no snapshot contains; survives a kill, but perhaps not a power cut."""
        return self._transaction("NORMAL", publish=False)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A durable transaction for data that no snapshot contains."""
        return self._transaction("FULL", publish=False)

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """Hold the writer's lock: no transaction runs or begins meanwhile, reads continue.

        Raises OmniError ``internal`` when the database is closed.
        """
        async with self._lock:
            if self._closed:
                raise OmniError("internal", f"Database {self.path.name}: it is closed")
            yield

    async def checkpoint(self) -> None:
        """Write all changes to the main file and empty the write-ahead log, unless another process is using the file."""
        async with self.standstill():
            await self._writer.fetch("PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def _transaction(self, level: str, publish: bool) -> AsyncIterator[Transaction]:
        await self._lock.acquire()
        try:
            if self._closed:
                raise OmniError("internal", f"Database {self.path.name}: it is closed")
            await self._begin(level)
            yield self._writer
        except BaseException:
            await self._rollback()
            self._lock.release()
            raise
        if (error := await asyncio.shield(spawn(self._commit(publish), "database commit"))) is not None:
            raise error

    async def _begin(self, level: str) -> None:
        if level != self._level:
            await self._writer.execute(f"PRAGMA synchronous = {level}")
            self._level = level
        await self._writer.execute("BEGIN IMMEDIATE")

    async def _rollback(self) -> None:
        with suppress(OmniError, sqlite3.Error, ValueError):  # no transaction, SQLite rolled back by itself, or closed
            await self._writer.execute("ROLLBACK")

    async def _commit(self, publish: bool) -> OmniError | sqlite3.Error | None:
        try:
            after = await self.prepare(self._writer) if publish and self.prepare else None
            await self._writer.execute("COMMIT")
            self.changes += publish
            if after is not None:
                after()
        except (OmniError, sqlite3.Error) as error:
            await self._rollback()
            return error
        except BaseException:
            await self._rollback()
            raise
        finally:
            self._lock.release()
        return None

    async def fetch(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """Read committed data; never waits for the writer."""
        return await self._reader.fetch(sql, parameters)

    async def fetch_one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """The first row of committed data, or None."""
        return await self._reader.fetch_one(sql, parameters)

    async def close(self) -> None:
        """Mark a clean shutdown and close, after the transaction in progress.  Raises nothing, even if the disk is gone."""
        if self._closed:
            return
        if self._owner:
            with suppress(OmniError, sqlite3.Error):
                async with self.transaction() as tx:
                    await tx.execute(SET_STATE, (CLEAN,))
        async with self._lock:
            self._closed = True
            for connection in self._connections:
                with suppress(sqlite3.Error):
                    await connection.close()


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    connection.row_factory = sqlite3.Row
    await connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _make_ready(path: Path, clock: Clock, owner: bool) -> None:
    """Create *path* with mode 0600, check it after an unclean shutdown, migrate it, mark it as running.  Blocking."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the -wal and -shm files get the same mode
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        if owner and _state(connection) == RUNNING:
            _check(connection, path)
        migrate.apply(connection, path, clock)
        if owner:
            connection.execute(SET_STATE, (RUNNING,))
    finally:
        connection.close()


def _state(connection: sqlite3.Connection) -> str:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'db_meta'").fetchone():
        return ""
    row = connection.execute("SELECT value FROM db_meta WHERE key = 'state'").fetchone()
    return str(row[0]) if row else ""


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        remedy = _REMEDIES[sqlite3.SQLITE_CORRUPT].format(copies=path.absolute().parent / FOLDER)
        raise OmniError("internal", f"Database {path.absolute()}: {remedy} ({found})")
