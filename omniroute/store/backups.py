"""Copies of the database: made, listed, put back.

Putting one back never closes the file.  The copy is first brought up to date beside it and checked; then SQLite's online
backup writes it over the live database in one transaction, behind the writer's lock.  Requests run on meanwhile (they read
memory only), usage rows wait in their queue, and a kill at any moment leaves either the old content or the new.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from ..clock import Clock, iso
from ..errors import OmniError
from .backup import FOLDER, online_backup
from .db import Database
from .stage import Counts, Unfit, count, overwrite, prepare, reading

_log = logging.getLogger("omniroute.store")
KEPT: Final = 20
_NAME: Final = re.compile(r"db_(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\d)-(\d{3})Z_([a-z-]+)\.sqlite")
_WORK: Final = ".work-"  # folders of copies in the making; what a kill left is removed at the next start
_SMALLEST: Final = 4096
_AUTO_SECONDS: Final = 3600.0


class BackupRow(Struct, rename="camel", kw_only=True):
    """One copy; ``size`` in bytes."""

    id: str
    filename: str
    created_at: str
    size: int
    reason: str
    connection_count: int


class Restored(NamedTuple):
    """What is in force now, and the copy of what was."""

    counts: Counts
    before: Path


class Backups:
    """The folder ``db_backups`` beside the database."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._one = asyncio.Lock()  # copies are made and put back one at a time
        self._seen: tuple[int, int] | None = None
        self.folder = db.path.parent / FOLDER

    async def list(self) -> list[BackupRow]:
        """Newest first."""
        return await asyncio.to_thread(lambda: [_row(path) for path in self._files()])

    async def create(self, reason: str = "manual") -> Path | None:
        """A copy of what is committed; None when nothing has changed since the last one.  Keeps the newest :data:`KEPT`."""
        async with self._one:
            seen = await self._fingerprint()
            newest = next(iter(await asyncio.to_thread(self._files)), None)
            if newest is not None and seen == self._seen and reason in ("manual", "auto"):
                return None
            path = await self._copy(reason)
            self._seen = seen
            return path

    async def automatic(self) -> None:
        """An hourly copy, unless nothing changed, one is recent, or the database shrank so much that it looks damaged."""
        newest = next(iter(await asyncio.to_thread(self._files)), None)
        if newest is not None and _created(newest) > iso(self._clock.time() - _AUTO_SECONDS):
            return
        size = await self._size()
        if size < _SMALLEST or (newest is not None and size < newest.stat().st_size / 2):
            _log.warning("no automatic backup: the database is much smaller (%d bytes) than its last copy", size)
            return
        await self.create("auto")

    def find(self, backup_id: str) -> Path:
        """The file of a copy.  Raises ``Unfit`` for what is no bare name of one, or is not there."""
        if _NAME.fullmatch(backup_id) is None:
            raise Unfit("Invalid backup ID")
        path = self.folder / backup_id
        if path.is_symlink() or not path.is_file():
            raise Unfit(f"Backup not found: {backup_id}")
        return path

    async def restore(self, source: Path, reason: str = "pre-restore") -> Restored:
        """Put the content of the file *source* in force, after a copy of the present one.  Raises ``Unfit``.

        What follows from the new content (hashing clear texts, publishing) is the store's: ``Store.restore``.
        """
        async with self._one, self.workplace() as folder:
            staged = await asyncio.to_thread(prepare, source, folder, self._db.path, self._clock)
            async with self._db.standstill():
                before = await self._copy(reason)
                await asyncio.to_thread(overwrite, staged, self._db.path)
            self._seen = None
            return Restored(await asyncio.to_thread(count, staged), before)

    async def undo(self, restored: Restored) -> None:
        """Put back what was there before it."""
        async with self._one, self._db.standstill():
            await asyncio.to_thread(overwrite, restored.before, self._db.path)

    async def snapshot(self) -> Path:
        """A consistent copy named ``storage.sqlite`` in a private folder, which the caller removes."""
        folder = self._new_folder()
        try:
            made = await asyncio.to_thread(self._online, folder, "export")
            return made.rename(folder / "storage.sqlite")
        except BaseException:
            await _remove(folder)
            raise

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """A private folder beside the database, removed at the end."""
        folder = self._new_folder()
        try:
            yield folder
        finally:
            await _remove(folder)

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=_WORK, dir=self._db.path.parent))

    def sweep(self) -> None:
        """Remove what an earlier process left half done; blocking."""
        for folder in self._db.path.parent.glob(f"{_WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)

    async def _copy(self, reason: str) -> Path:
        path = await asyncio.to_thread(self._online, self.folder, reason)
        for old in (await asyncio.to_thread(self._files))[KEPT:]:
            await asyncio.to_thread(old.unlink, missing_ok=True)
        return path

    def _online(self, folder: Path, reason: str) -> Path:
        try:
            with closing(reading(self._db.path)) as source:
                return online_backup(source, folder, self._clock.time(), reason)
        except (sqlite3.Error, OSError) as error:
            raise OmniError("internal", f"The backup cannot be written: {error}") from error

    def _files(self) -> builtins.list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), key=_order, reverse=True)

    async def _size(self) -> int:
        """Bytes of the database, with what is still in the write-ahead log: as large as a copy would be."""
        row = await self._db.fetch_one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(row[0]) if row is not None else 0

    async def _fingerprint(self) -> tuple[int, int]:
        """Changes of configuration in this process, and the newest usage row."""
        row = await self._db.fetch_one("SELECT ifnull(max(id), 0) FROM usage_history")
        return self._db.changes, row[0] if row else 0


def _order(path: Path) -> tuple[str, str]:
    return _created(path), path.name


def _created(path: Path) -> str:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return f"{found[1]}{found[2]}:{found[3]}:{found[4]}.{found[5]}Z"


def _row(path: Path) -> BackupRow:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    try:
        connections = count(path).connections
    except (sqlite3.Error, Unfit):  # damaged: listed all the same, restoring it says so
        connections = 0
    return BackupRow(
        id=path.name, filename=path.name, created_at=_created(path), size=path.stat().st_size, reason=found[6],
        connection_count=connections,
    )  # fmt: skip


async def _remove(folder: Path) -> None:
    """Off the event loop: to let go of a file of 150 MB takes 50 ms."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
