"""Backups of the database: create, list, restore.

A restore never closes the database file.  The backup is first copied next to it, checked and migrated.  SQLite's online
backup then writes the copy over the live database in one transaction, while the writer's lock is held.  Meanwhile requests
continue (they read only memory) and usage rows wait in their queue.  A kill at any moment leaves either the old or the new
content.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from ..clock import Clock, iso
from ..errors import OmniError
from .db import Database
from .online_backup import FOLDER, online_backup
from .stage import Counts, Unfit, absent, count, overwrite, prepare, reading

_log = logging.getLogger("omniroute.store")
KEPT: Final = 20
_NAME: Final = re.compile(r"db_(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\d)-(\d{3})Z_([a-z-]+)\.sqlite")
_ID: Final = re.compile(r"db_[\w.-]+\.sqlite", re.ASCII)  # what may be asked for
_WORK: Final = ".work-"  # prefix of temporary folders; those left by a killed process are removed at the next start
_SMALLEST: Final = 4096
_AUTO_SECONDS: Final = 3600.0


class BackupRow(Struct, rename="camel", kw_only=True):
    """One backup as the API shows it; ``size`` in bytes."""

    id: str
    filename: str
    created_at: str
    size: int
    reason: str
    connection_count: int


class Restored(NamedTuple):
    """The result of a restore: the row counts of the new content, and the backup of the content before it."""

    counts: Counts
    before: Path


class Backups:
    """The folder ``db_backups`` beside the database."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._one = asyncio.Lock()  # one backup or restore at a time
        self._seen: tuple[int, int] | None = None
        self.folder = db.path.parent / FOLDER

    async def list(self) -> list[BackupRow]:
        """All backups, newest first."""
        return await asyncio.to_thread(lambda: [row for path in self._files() if (row := _row(path)) is not None])

    async def create(self, reason: str = "manual") -> Path | None:
        """Back up the committed content and return the file; :data:`KEPT` backups are kept, see :func:`surplus`.

        Returns None, for the reasons ``manual`` and ``auto``, when nothing has changed since the last backup.
        """
        async with self._one:
            seen = await self._fingerprint()
            newest = next(iter(await asyncio.to_thread(self._files)), None)
            if newest is not None and seen == self._seen and reason in ("manual", "auto"):
                return None
            path = await self._copy(reason)
            self._seen = seen
            return path

    async def automatic(self) -> None:
        """Make the hourly backup.

        Skipped when nothing has changed, when the newest backup is less than an hour old, or when the database is less than
        half the size of the newest backup and so may be damaged.
        """
        newest, now = next(iter(await asyncio.to_thread(self._files)), None), self._clock.time()
        if newest is not None and iso(now - _AUTO_SECONDS) < _created(newest) <= iso(now):  # later: the clock was set back
            return
        size = await self._size()
        if size < _SMALLEST or (newest is not None and size < newest.stat().st_size / 2):
            _log.warning("automatic backup skipped: the database is much smaller (%d bytes) than its last backup", size)
            return
        await self.create("auto")

    def find(self, backup_id: str) -> Path:
        """The file of a backup.  Raises ``Unfit`` when *backup_id* is not a backup's file name or there is no such file."""
        if _ID.fullmatch(backup_id) is None:
            raise Unfit("Invalid backup ID")
        path = self.folder / backup_id
        if path.is_symlink() or not path.is_file():
            raise Unfit(absent(backup_id))
        return path

    async def restore(self, source: Path, reason: str = "pre-restore") -> Restored:
        """Replace the database content with that of the file *source*, after a backup of the current content.

        Raises ``Unfit`` when *source* is unusable.  ``Store.restore`` does what the new content requires: hashing clear-text
        keys, sealing clear-text secrets, publishing.
        """
        async with self._one, self.workplace() as folder:
            staged = await asyncio.to_thread(prepare, source, folder, self._db.path, self._clock)
            async with self._db.standstill():
                before = await self._copy(reason, source)
                await asyncio.to_thread(overwrite, staged, self._db.path)
            self._seen = None
            return Restored(await asyncio.to_thread(count, staged), before)

    async def undo(self, restored: Restored) -> None:
        """Put back the content from before the restore."""
        async with self._one, self._db.standstill():
            await asyncio.to_thread(overwrite, restored.before, self._db.path)

    async def snapshot(self) -> Path:
        """A consistent copy named ``storage.sqlite`` in a private folder, which the caller must remove."""
        folder = self._new_folder()
        try:
            made = await asyncio.to_thread(self._online, folder, "export")
            return made.rename(folder / "storage.sqlite")
        except BaseException:
            await _remove(folder)
            raise

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """A private folder next to the database, removed on exit."""
        folder = self._new_folder()
        try:
            yield folder
        finally:
            await _remove(folder)

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=_WORK, dir=self._db.path.parent))

    def sweep(self) -> None:
        """Remove temporary folders that an earlier process left behind.  Blocking."""
        for folder in self._db.path.parent.glob(f"{_WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)

    async def _copy(self, reason: str, source: Path | None = None) -> Path:
        """Make a backup, then delete the surplus ones, but not *source*, which is being restored."""
        path = await asyncio.to_thread(self._online, self.folder, reason)
        for old in surplus(await asyncio.to_thread(self._files), (path, source)):
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
        """The size of the database in bytes including the write-ahead log, i.e. the size of a copy."""
        row = await self._db.fetch_one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(row[0]) if row is not None else 0

    async def _fingerprint(self) -> tuple[int, int]:
        """Two numbers that tell whether the content has changed: configuration changes so far, and the newest usage row."""
        row = await self._db.fetch_one("SELECT ifnull(max(id), 0) FROM usage_history")
        return self._db.changes, row[0] if row else 0


def surplus(files: Sequence[Path], spared: Collection[Path | None] = ()) -> list[Path]:
    """Which of *files*, newest first, must go so that :data:`KEPT` remain.

    The oldest go first; those made by hand only when there are no others.  *spared* ones are never among them.
    """
    oldest = [path for path in reversed(files) if path not in spared]
    return sorted(oldest, key=lambda path: path.stem.endswith("_manual"))[: max(0, len(files) - KEPT)]


def _order(path: Path) -> tuple[str, str]:
    return _created(path), path.name


def _created(path: Path) -> str:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return f"{found[1]}{found[2]}:{found[3]}:{found[4]}.{found[5]}Z"


def _row(path: Path) -> BackupRow | None:
    """The backup as the API shows it; None when it has been deleted meanwhile."""
    found = _NAME.fullmatch(path.name)
    assert found is not None
    try:
        size, connections = path.stat().st_size, 0
    except FileNotFoundError:
        return None
    with suppress(sqlite3.Error, Unfit):  # damaged: listed anyway; restoring it reports the damage
        connections = count(path).connections
    return BackupRow(
        id=path.name, filename=path.name, created_at=_created(path), size=size, reason=found[6], connection_count=connections
    )  # fmt: skip


async def _remove(folder: Path) -> None:
    """Delete *folder* in a thread: unlinking a file of 150 MB takes 50 ms."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
