"""Table ``semantic_cache``: the persistent tier of the response cache.

New answers and hit counts are queued and written in the background; only a lookup waits for the database.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any, Final

import msgspec

from ..clock import Clock, Timer, iso, parse_iso
from ..errors import OmniError
from ..gateway.cache import Cached
from ..tasks import spawn
from .db import Database, insertion

FLUSH_SECONDS: Final = 0.5
SWEEP_SECONDS: Final = 300.0
QUEUE: Final = 256  # answers waiting to be written; more are dropped
ROWS: Final = 10_000
_log = logging.getLogger("omniroute.store")
_COLUMNS: Final = ("id", "signature", "model", "prompt_hash", "response", "tokens_saved", "created_at", "expires_at")
_PUT: Final = f"""
{insertion("semantic_cache", _COLUMNS)} WHERE true
ON CONFLICT (signature) DO UPDATE SET response = excluded.response, tokens_saved = excluded.tokens_saved,
  created_at = excluded.created_at, expires_at = excluded.expires_at, model = excluded.model
"""
_COUNT: Final = """
UPDATE semantic_cache SET hit_count = hit_count + uses.value
FROM (SELECT key, value FROM json_each(?)) AS uses WHERE signature = uses.key
"""
_FIND: Final = """
SELECT model, response, tokens_saved, created_at, expires_at FROM semantic_cache WHERE signature = ? AND expires_at > ?
"""
_DELETE: Final = """
DELETE FROM semantic_cache WHERE (:signature IS NULL OR signature = :signature)
AND (:model IS NULL OR model = :model OR substr(model, -length('/' || :model)) = '/' || :model)
AND (:before IS NULL OR created_at < :before) RETURNING signature
"""
_OLDEST: Final = """
DELETE FROM semantic_cache WHERE id IN (SELECT id FROM semantic_cache ORDER BY expires_at DESC LIMIT -1 OFFSET ?)
"""


class SemanticCache:
    """The second tier of the cache; implements ``gateway.cache.Archive``."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._answers: dict[str, Cached] = {}  # not yet written
        self._uses: dict[str, int] = {}
        self._timer: Timer | None = None

    async def find(self, signature: str) -> Cached | None:
        """The cached answer; None when there is none, it has expired, or the database cannot be read."""
        now = self._clock.time()
        if (queued := self._answers.get(signature)) is not None:
            return queued if queued.expires > now else None
        try:
            row = await self._db.fetch_one(_FIND, (signature, iso(now)))
            return _answer(row) if row is not None else None
        except (OmniError, sqlite3.Error, ValueError) as error:
            _log.warning("the cache cannot be read: %s", error)
            return None

    def put(self, signature: str, answer: Cached) -> None:
        """Queue *answer* for writing; dropped when the queue is full."""
        if len(self._answers) < QUEUE:
            self._answers[signature] = answer
            self._arm()

    def count(self, signature: str) -> None:
        """Queue one more hit of *signature*."""
        self._uses[signature] = self._uses.get(signature, 0) + 1
        self._arm()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(FLUSH_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        spawn(self.flush(), "cache flush")

    async def flush(self) -> None:
        """Write what is queued.  When that fails, it is dropped and logged: it is only a cache."""
        answers, self._answers = self._answers, {}
        uses, self._uses = self._uses, {}
        if not answers and not uses:
            return
        rows = [row for signature, answer in answers.items() if (row := _row(signature, answer)) is not None]
        try:
            async with self._db.log() as tx:
                if rows:
                    await tx.execute(_PUT, (msgspec.json.encode(rows).decode(),))
                if uses:
                    await tx.execute(_COUNT, (msgspec.json.encode(uses).decode(),))
        except (OmniError, sqlite3.Error) as error:
            _log.warning("%d answers cannot be written to the cache: %s", len(rows), error)

    async def size(self) -> int:
        """Number of answers that have not expired."""
        await self.flush()
        row = await self._db.fetch_one(
            "SELECT count(*) FROM semantic_cache WHERE expires_at > ?", (iso(self._clock.time()),)
        )
        return int(row[0]) if row is not None else 0

    async def delete(
        self, *, model: str | None = None, signature: str | None = None, before: float | None = None
    ) -> set[str]:
        """Delete the answers that match all given criteria (without any: all answers); returns their signatures.

        *model* matches with or without its prefix; *before* is a Unix time, compared with the time of creation.
        """
        await self.flush()
        wanted = {"model": model, "signature": signature, "before": iso(before) if before is not None else None}
        async with self._db.log() as tx:
            return {row[0] for row in await tx.fetch(_DELETE, wanted)}

    async def sweep(self) -> None:
        """Delete expired answers and, beyond :data:`ROWS`, those that expire first."""
        try:
            async with self._db.log() as tx:
                await tx.execute("DELETE FROM semantic_cache WHERE expires_at <= ?", (iso(self._clock.time()),))
                await tx.execute(_OLDEST, (ROWS,))
        except (OmniError, sqlite3.Error) as error:
            _log.warning("old answers cannot be deleted from the cache: %s", error)

    async def keep_house(self) -> None:
        """Sweep every :data:`SWEEP_SECONDS`, forever."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
        await self.flush()


def _row(signature: str, answer: Cached) -> tuple[Any, ...] | None:
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return None
    return (
        signature, signature, answer.model, signature, text, answer.tokens, iso(answer.created), iso(answer.expires),
    )  # fmt: skip


def _answer(row: sqlite3.Row) -> Cached:
    model, text, tokens, created, expires = row
    return Cached(model, text.encode(), tokens or 0, parse_iso(created), parse_iso(expires))
