"""Gateway keys of clients.

Only an HMAC of a key's text and its first and last characters are stored; the text itself is shown once, at creation.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import orjson
from msgspec import UNSET, Struct, UnsetType, field

from ..clock import Clock, iso
from .db import Database, Row

DIGEST_PREFIX: Final = "hmac-sha256:"
DEFAULT_SCOPES: Final = ("inference",)
_ID_LETTERS: Final = string.ascii_lowercase + string.digits


class KeyRow(Struct, kw_only=True):
    """One key.

    ``masked`` is ``****`` between the first and last characters, see :func:`mask_ends`.  Empty ``allowed_models`` allow all
    models.  ``expires_at`` is ISO 8601, None for a key that never expires.
    """

    id: str
    name: str
    masked: str
    machine_id: str = ""
    allowed_models: list[str] = field(default_factory=list)
    no_log: bool = False
    scopes: list[str] = field(default_factory=lambda: [*DEFAULT_SCOPES])
    expires_at: str | None = None
    created_at: str = ""


SELECT: Final = (
    "SELECT id, name, key, machine_id, allowed_models, no_log, scopes, expires_at, key_head, key_tail, created_at"
    " FROM api_keys"
)
_INSERT: Final = (
    "INSERT INTO api_keys (id, name, key, machine_id, allowed_models, no_log, scopes, expires_at, key_head, key_tail,"
    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def key_text(machine_id: str, secret: bytes) -> str:
    """A new key ``sk-<machine id>-<key id>-<check>``; the check digits are the first 8 of an HMAC-SHA256 over both ids."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(6))
    check = hmac.new(secret, (machine_id + key_id).encode(), hashlib.sha256).hexdigest()[:8]
    return f"sk-{machine_id}-{key_id}-{check}"


def digest(text: str, secret: bytes) -> bytes:
    """The HMAC-SHA256 of a key's text, by which it is looked up."""
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def mask_ends(text: str) -> tuple[str, str]:
    """The first 8 and last 4 characters of a key, which may be shown; fewer of the shorter keys of earlier installations."""
    return (text[:8], text[-4:]) if len(text) >= 24 else (text[:4], text[-2:])


def row_of(record: Row) -> KeyRow:
    return KeyRow(
        id=record["id"],
        name=record["name"],
        masked=f"{record['key_head']}****{record['key_tail']}",
        machine_id=record["machine_id"] or "",
        allowed_models=_strings(record["allowed_models"]),
        no_log=bool(record["no_log"]),
        scopes=_strings(record["scopes"]),
        expires_at=record["expires_at"],
        created_at=record["created_at"],
    )


def _strings(text: str | None) -> list[str]:
    try:
        value = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        return []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


class Keys:
    """Table ``api_keys``.  *secret* is the HMAC secret, *machine_id* the 16 hex digits contained in new keys."""

    def __init__(self, db: Database, clock: Clock, secret: bytes, machine_id: str) -> None:
        self._db = db
        self._clock = clock
        self.secret = secret
        self.machine_id = machine_id

    async def list(self) -> list[KeyRow]:
        """All keys, in order of creation."""
        return [row_of(record) for record in await self._db.fetch(SELECT + " ORDER BY created_at, rowid")]

    async def get(self, id: str) -> KeyRow | None:
        record = await self._db.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def create(
        self,
        name: str,
        allowed_models: Sequence[str] = (),
        no_log: bool = False,
        scopes: Sequence[str] = DEFAULT_SCOPES,
        expires_at: str | None = None,
    ) -> tuple[KeyRow, str]:
        """Create a key; returns its row and its full text, which is not available later.  *expires_at* is ISO 8601."""
        text = key_text(self.machine_id, self.secret)
        id, now = str(uuid4()), iso(self._clock.time())
        values = (
            id, name, stored_key(text, self.secret), self.machine_id, _json(allowed_models), int(no_log), _json(scopes),
            expires_at, *mask_ends(text), now,
        )  # fmt: skip
        async with self._db.change() as tx:
            await tx.execute(_INSERT, values)
            record = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        assert record is not None
        return row_of(record), text

    async def update(
        self,
        id: str,
        *,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
        no_log: bool | None = None,
        scopes: Sequence[str] | None = None,
        expires_at: str | UnsetType | None = UNSET,
    ) -> KeyRow | None:
        """Change the given fields (``expires_at=None``: never expires).  Returns None when there is no such key."""
        row: dict[str, Any] = {
            "name": name,
            "allowed_models": None if allowed_models is None else _json(allowed_models),
            "no_log": None if no_log is None else int(no_log),
            "scopes": None if scopes is None else _json(scopes),
        }
        row = {key: value for key, value in row.items() if value is not None}
        if expires_at is not UNSET:
            row["expires_at"] = expires_at
        if not row:
            return await self.get(id)
        sets = ", ".join(f"{key} = ?" for key in row)
        async with self._db.change() as tx:
            await tx.execute(f"UPDATE api_keys SET {sets} WHERE id = ?", [*row.values(), id])
            record = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def delete(self, id: str) -> bool:
        async with self._db.change() as tx:
            await tx.execute("DELETE FROM domain_budgets WHERE api_key_id = ?", (id,))
            return await tx.execute("DELETE FROM api_keys WHERE id = ?", (id,)) > 0

    async def hash_clear_texts(self) -> int:
        """Hash keys that an adopted database holds in clear text; returns their number."""
        clear = "SELECT id, key FROM api_keys WHERE substr(key, 1, ?) <> ?"
        found = await self._db.fetch(clear, (len(DIGEST_PREFIX), DIGEST_PREFIX))
        if not found:
            return 0
        async with self._db.change() as tx:
            for id, text in found:
                await tx.execute("UPDATE api_keys SET key = ?, key_head = ?, key_tail = ? WHERE id = ?",
                                 (stored_key(text, self.secret), *mask_ends(text), id))  # fmt: skip
        return len(found)


def stored_key(text: str, secret: bytes) -> str:
    """The value of column ``key`` for the key *text*."""
    return DIGEST_PREFIX + digest(text, secret).hex()


def _json(items: Sequence[str]) -> str:
    return orjson.dumps([*items]).decode()
