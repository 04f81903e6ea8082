"""The hash chain over the audit log: it reveals rows that were changed, removed, inserted or cut off.

A row's hash is the SHA-256 of its columns and of the previous row's hash.  ``db_meta`` holds two places of the chain as
``<id>:<hash>``: the *head*, its newest row, and the *anchor*, the newest row that retention has deleted.  The hashes are not
keyed, so whoever can write the whole file can also write a new chain.  To detect that, compare the head with a copy kept
elsewhere (a backup, the output of ``omniroute doctor``).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

CHAINED: Final = 3  # the migration that introduced the chain
HEAD: Final = "audit_head"
ANCHOR: Final = "audit_anchor"
PUT: Final = "INSERT INTO db_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
GET: Final = "SELECT value FROM db_meta WHERE key = ?"
SEAL: Final = "UPDATE audit_log SET prev_hash = ?, hash = ? WHERE id = ?"
COLUMNS: Final = "id, timestamp, action, actor, target, details, ip_address"
_ROWS: Final = f"SELECT {COLUMNS}, prev_hash, hash FROM audit_log ORDER BY id"
_HASHED: Final = 7  # the number of COLUMNS


class Place(NamedTuple):
    """A position in the chain: a row's id and hash.  ``Place()`` is the position before the first row."""

    id: int = 0
    hash: str = ""

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"


class Verdict(NamedTuple):
    """The result of :func:`verify`: ``rows`` rows are intact, up to ``head``.

    ``broken`` describes the first fault in the chain, "" when there is none.
    """

    rows: int
    head: Place
    broken: str = ""


def place(text: str | None) -> Place:
    """Parse a place as ``db_meta`` holds it; ``Place()`` for None or malformed text."""
    number, _, digest = (text or "").partition(":")
    return Place(int(number), digest) if number.isdecimal() and len(number) < 19 else Place()


def digest(row: Sequence[Any], before: str) -> str:
    """The hash of *row* (the columns of :data:`COLUMNS`, as stored) after a row with the hash *before*."""
    return hashlib.sha256(orjson.dumps([before, *map(_stored, row)])).hexdigest()


def _stored(value: Any) -> Any:
    """A value that JSON can represent; rows of an adopted database may hold others, such as BLOBs."""
    return value if value is None or isinstance(value, int | str) else repr(value)


def chain_all(db: sqlite3.Connection) -> None:
    """Hash the rows written before the chain existed, within the caller's transaction."""
    last = place(_meta(db, HEAD))
    unsealed = f"SELECT {COLUMNS} FROM audit_log WHERE hash IS NULL ORDER BY id"
    for row in db.execute(unsealed).fetchall():
        made = digest(tuple(row), last.hash)
        db.execute(SEAL, (last.hash, made, row[0]))
        last = Place(row[0], made)
    if last.id:
        db.execute(PUT, (HEAD, str(last)))


def verify(db: sqlite3.Connection) -> Verdict:
    """Follow the chain from its anchor to its head.  Raises ``sqlite3.Error``."""
    last, count = place(_meta(db, ANCHOR)), 0
    for row in db.execute(_ROWS):
        values, before, own = tuple(row[:_HASHED]), row[_HASHED], row[_HASHED + 1]
        name = f"row {row[0]} ({row[1]} {row[2]})"
        if own is None:
            return Verdict(count, last, f"{name} was not written by OmniRoute")
        if before != last.hash:
            after = f"row {last.id}" if last.id else "the beginning"
            return Verdict(count, last, f"{name} does not follow {after}: rows between them were removed or inserted")
        if own != digest(values, before):
            return Verdict(count, last, f"{name} was changed")
        last, count = Place(row[0], own), count + 1
    head = place(_meta(db, HEAD))
    if head != last:
        lost = f"rows {last.id + 1} to {head.id}" if head.id > last.id else "the newest rows"
        return Verdict(count, last, f"{lost} are gone")
    return Verdict(count, last)


def _meta(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute(GET, (key,)).fetchone()
    return row[0] if row else None
