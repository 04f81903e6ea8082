"""The write queue between requests and the tables: filled without waiting, written in one transaction every 100 ms at most.

With the time of the write itself, a kill loses no more than the last 200 ms of usage.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, Final

from ..clock import Clock, Timer
from ..errors import OmniError
from ..gateway.usage import CallRecord
from ..tasks import spawn
from .call_rows import Entry, clip, rows_of, write
from .db import Database, Transaction

FLUSH_SECONDS: Final = 0.1  # half of it costs a twentieth of the CPU of whole answers, for commits
RETRY_SECONDS: Final = 1.0  # after a write failed
RECORDS: Final = 10_000
BODIES: Final = 32  # queued calls up to which bodies are kept
ERROR_BODIES: Final = 128  # the same for the bodies of failed calls
STATEMENTS: Final = 1000
STATEMENTS_AT_ONCE: Final = 20  # on a busy event loop each one waits for the GIL, see Transaction.insert
_COMPLAIN_SECONDS: Final = 60.0

Statement = tuple[str, tuple[Any, ...]]
"""SQL with its parameters."""

_log = logging.getLogger("omniroute.store")


class Batch:
    """Pending call records and health columns.  ``dropped`` counts records lost: the queue was full, or a write failed."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.dropped = 0
        self._db = db
        self._clock = clock
        self._entries: list[Entry] = []
        self._marks: dict[str, dict[str, Any]] = {}
        self._latest: dict[str, Statement] = {}
        self._timer: Timer | None = None
        self._writing = asyncio.Lock()
        self._complained = float("-inf")

    @property
    def queued(self) -> int:
        """Number of records waiting to be written."""
        return len(self._entries)

    def put(self, record: CallRecord) -> None:
        """Queue *record*, which then belongs to the batch.  Its bodies are clipped or, when many calls wait, dropped."""
        count = len(self._entries)
        if count >= RECORDS:
            self.dropped += 1
            return
        entry = Entry(record)
        if record.request_body is not None:
            if count < BODIES or (record.status >= 400 and count < ERROR_BODIES):
                entry = Entry(record, clip(record.request_body), clip(record.response_body, record.response_size))
            record.request_body = record.response_body = None
        self._entries.append(entry)
        if self._timer is None:
            self._arm(FLUSH_SECONDS)

    def mark(self, connection_id: str, columns: Mapping[str, Any]) -> None:
        """Queue new values for columns of one connection; the last value of each column wins."""
        self._marks.setdefault(connection_id, {}).update(columns)
        if self._timer is None:
            self._arm(FLUSH_SECONDS)

    def latest(self, key: str, statement: Statement) -> None:
        """Queue a statement; of those with the same *key* only the last one is executed.

        They are written a few at a time.  When too many wait, a new one is dropped: this data only helps after a restart.
        """
        if len(self._latest) >= STATEMENTS and key not in self._latest:
            return
        self._latest[key] = statement
        if self._timer is None:
            self._arm(FLUSH_SECONDS)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Iterator[CallRecord]]:
        """Suspend writing.  Yields an iterator over the queued records, including those queued while it is suspended."""
        async with self._writing:
            yield (entry.record for entry in self._entries)

    def forget(self, connection_id: str, columns: Collection[str]) -> None:
        """Drop the queued values of *columns* because newer ones have been written directly."""
        if pending := self._marks.get(connection_id):
            for column in columns:
                pending.pop(column, None)

    def _arm(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        spawn(self.flush(STATEMENTS_AT_ONCE), "usage flush")

    async def flush(self, statements: int = STATEMENTS) -> None:
        """Write what is queued, with at most *statements* of the statements from :meth:`latest`.

        A database that cannot be written raises nothing; the write is retried a second later.
        """
        async with self._writing:
            entries, self._entries = self._entries, []
            marks, self._marks = self._marks, {}
            latest = dict(islice(self._latest.items(), statements))
            self._latest = dict(islice(self._latest.items(), statements, None))
            if not entries and not marks and not latest:
                return
            if self._latest and self._timer is None:
                self._arm(FLUSH_SECONDS)
            try:
                await self._write(entries, marks, latest.values())
            except (OmniError, sqlite3.OperationalError) as error:
                self._latest = latest | self._latest
                self._put_back(entries, marks)
                self._complain(error)
            except (sqlite3.Error, ValueError, OverflowError) as error:  # one record has a value that SQLite cannot store
                self._complain(error)
                await self._write_singly(entries)
                with suppress(OmniError, sqlite3.Error, ValueError, OverflowError):
                    await self._write([], marks, latest.values())

    async def _write(
        self, entries: list[Entry], marks: Mapping[str, Mapping[str, Any]], latest: Iterable[Statement] = ()
    ) -> None:
        rows = await asyncio.to_thread(rows_of, entries) if entries else None
        async with self._db.log() as tx:
            if rows is not None:
                await write(tx, rows)
            for connection_id, columns in marks.items():
                await _write_mark(tx, connection_id, columns)
            for sql, parameters in latest:
                await tx.execute(sql, parameters)

    async def _write_singly(self, entries: list[Entry]) -> None:
        for entry in entries:
            try:
                await self._write([entry], {})
            except (OmniError, sqlite3.Error, ValueError, OverflowError):
                self.dropped += 1

    def _put_back(self, entries: list[Entry], marks: Mapping[str, dict[str, Any]]) -> None:
        room = max(0, RECORDS - len(self._entries))
        self.dropped += max(0, len(entries) - room)
        self._entries = entries[:room] + self._entries
        for connection_id, columns in marks.items():
            self._marks[connection_id] = {**columns, **self._marks.get(connection_id, {})}
        if self._timer is not None:
            self._timer.cancel()
        self._arm(RETRY_SECONDS)

    def _complain(self, error: Exception) -> None:
        now = self._clock.monotonic()
        if now - self._complained >= _COMPLAIN_SECONDS:
            self._complained = now
            _log.error("usage rows cannot be written (%d dropped so far): %s", self.dropped, error)

    async def close(self) -> None:
        """Write what is left, and log how many records are lost when that fails."""
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()
        if lost := len(self._entries):
            _log.error("%d usage rows are lost", lost)


async def _write_mark(tx: Transaction, connection_id: str, columns: Mapping[str, Any]) -> None:
    if columns:
        sets = ", ".join(f"{name} = ?" for name in columns)
        await tx.execute(f"UPDATE provider_connections SET {sets} WHERE id = ?", [*columns.values(), connection_id])
