"""The hash chain over the audit log: what was written cannot be changed, taken out or cut off without its being seen.

A row's hash is the SHA-256 of its columns and of the hash before it.  ``db_meta`` holds two places of the chain as
``<id>:<hash>``: the *head*, its newest row, and the *anchor*, the newest row that retention has deleted.  Nothing is keyed:
who can write the whole file can write a whole new chain; a copy of the head elsewhere (a backup, what ``omniroute doctor``
said) is what that would differ from.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

CHAINED: Final = 3  # the migration since which there is a chain
HEAD: Final = "audit_head"
ANCHOR: Final = "audit_anchor"
PUT: Final = "INSERT INTO db_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
GET: Final = "SELECT value FROM db_meta WHERE key = ?"
SEAL: Final = "UPDATE audit_log SET prev_hash = ?, hash = ? WHERE id = ?"
COLUMNS: Final = "id, timestamp, action, actor, target, details, ip_address"
_ROWS: Final = f"SELECT {COLUMNS}, prev_hash, hash FROM audit_log ORDER BY id"
_HASHED: Final = 7  # columns


class Place(NamedTuple):
    """One row of the chain; before the first there is ``Place()``."""

    id: int = 0
    hash: str = ""

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"


class Verdict(NamedTuple):
    """``rows`` are in order, up to *head*; ``broken`` says what is wrong with the first that is not."""

    rows: int
    head: Place
    broken: str = ""


def place(text: str | None) -> Place:
    """What ``db_meta`` holds, read."""
    number, _, digest = (text or "").partition(":")
    return Place(int(number), digest) if number.isdecimal() and len(number) < 19 else Place()


def digest(row: Sequence[Any], before: str) -> str:
    """The hash of *row* (the columns of :data:`COLUMNS`, as stored) after a row with the hash *before*."""
    return hashlib.sha256(orjson.dumps([before, *map(_stored, row)])).hexdigest()


def _stored(value: Any) -> Any:
    """An adopted row may hold what JSON cannot."""
    return value if value is None or isinstance(value, int | str) else repr(value)


def chain_all(db: sqlite3.Connection) -> None:
    """Give each row that has none its hash, within the caller's transaction: rows from before there was a chain."""
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
            return Verdict(count, last, f"{name} does not follow {after}: rows between them are gone or were put in")
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
