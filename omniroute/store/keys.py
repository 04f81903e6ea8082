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
from ..log import MASK
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
    """A table row as a :class:`KeyRow`, which has no more of the key than its masked ends."""
    return KeyRow(
        id=record["id"],
        name=record["name"],
        masked=f"{record['key_head']}{MASK}{record['key_tail']}",
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
        """One key, expired or not; None for an unknown id."""
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
        id = str(uuid4())
        row = {
            "id": id,
            "name": name,
            "machine_id": self.machine_id,
            "allowed_models": _json(allowed_models),
            "no_log": int(no_log),
            "scopes": _json(scopes),
            "expires_at": expires_at,
            "created_at": iso(self._clock.time()),
            **_key_columns(text, self.secret),
        }
        async with self._db.change() as tx:
            await tx.insert_one("api_keys", row)
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
        async with self._db.change() as tx:
            await tx.update("api_keys", id, row)
            record = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def delete(self, id: str) -> bool:
        """Delete a key and its budget; returns whether it existed."""
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
                await tx.update("api_keys", id, _key_columns(text, self.secret))
        return len(found)


def _key_columns(text: str, secret: bytes) -> dict[str, str]:
    """What is stored of a key's text."""
    head, tail = mask_ends(text)
    return {"key": DIGEST_PREFIX + digest(text, secret).hex(), "key_head": head, "key_tail": tail}


def _json(items: Sequence[str]) -> str:
    return orjson.dumps([*items]).decode()
