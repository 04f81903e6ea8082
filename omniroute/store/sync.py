"""Records that two gateways synchronize: connections, nodes, combos and keys here, the others in ``sync_values.py``.

Each record has a version: the time of its last change where the table has one (ISO 8601 text, which sorts by time), else a
digest.  Secrets never leave in clear text.  They are re-encrypted with ``STORAGE_ENCRYPTION_KEY``, so that only a gateway
with the same value can decrypt them, or left out when that variable is not set.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import orjson

from ..clock import iso, parse_iso
from ..errors import OmniError
from . import keyvalue
from .connections import SEALED
from .db import Database, Row, Transaction, json_object
from .keys import DIGEST_PREFIX
from .keyvalue import Reader
from .nodes import refresh_connections
from .private_fields import without_secrets
from .sync_values import NAME, VALUES
from .vault import Vault

_STATE: Final = "cloudSync"
_MOST_TEXT: Final = 200_000
_FIELDS: Final = "provider_specific_data"
_OBJECTS: Final = frozenset({_FIELDS, "data"})  # JSON columns
_LISTS: Final = frozenset({"allowed_models", "scopes"})
_NEVER_NULL: Final = frozenset({
    "provider", "auth_type", "name", "type", "priority", "is_active", "rate_limit_protection", "no_log", "created_at",
    "data", "allowed_models", "scopes", "key_head", "key_tail",
})  # fmt: skip
_SKEW_SECONDS: Final = 300.0
_DIGEST: Final = re.compile(re.escape(DIGEST_PREFIX) + r"[0-9a-f]{64}")


class Table(NamedTuple):
    """How one kind of record is stored.

    ``key`` is the column that identifies a record on both gateways; ``timed``: there is a column ``updated_at``.
    """

    name: str
    key: str
    texts: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    timed: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are synchronized."""
        return (*self.texts, *self.numbers)


TABLES: Final[dict[str, Table]] = {
    "nodes": Table("provider_nodes", "id", ("type", "name", "prefix", "api_type", "base_url", "created_at")),
    "providers": Table(
        "provider_connections", "id",
        ("provider", "auth_type", "name", "display_name", "email", "default_model", "project_id", "scope", "token_type",
         "expires_at", "token_expires_at", "provider_specific_data", "created_at"),
        ("priority", "global_priority", "is_active", "expires_in", "rate_limit_protection", "health_check_interval"),
        SEALED,
    ),
    "combos": Table("combos", "name", ("id", "data", "created_at")),
    "apiKeys": Table(
        "api_keys", "id",
        ("name", "machine_id", "allowed_models", "scopes", "expires_at", "key_head", "key_tail", "created_at"),
        ("no_log",), ("key",), timed=False,
    ),
}  # fmt: skip
KINDS: Final = (*TABLES, *VALUES)


class Record(NamedTuple):
    """One record.  ``timed``: its version is a time, not a digest.  ``secretive``: it has secrets, sent along or not.

    ``secrets`` are as stored (encrypted) in a record read here, in clear text in a record from another gateway.
    """

    version: str
    data: dict[str, Any]
    secrets: dict[str, str] = {}  # noqa: RUF012 - never changed
    timed: bool = True
    secretive: bool = False


Records = dict[str, dict[str, Record]]  # kind -> id -> record
Versions = dict[str, dict[str, str]]  # kind -> id -> version


def digest(data: Mapping[str, Any]) -> str:
    """A hash of a record by content, for records without a time of change."""
    return hashlib.sha256(orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def versions(records: Records) -> Versions:
    """The version of each record, by kind and id."""
    return {kind: {id: record.version for id, record in group.items()} for kind, group in records.items()}


class Sync:
    """Reads and writes records.  *shared*: ``STORAGE_ENCRYPTION_KEY`` is set, so other gateways can have the same key."""

    def __init__(self, db: Database, vault: Vault, key_secret: bytes, shared: bool) -> None:
        self._db = db
        self._vault = vault
        self._shared = shared
        self._proof = hmac.new(key_secret, b"omniroute-sync", hashlib.sha256).hexdigest()

    # -- reading

    async def read(self) -> Records:
        """All current records.  Gateway keys that may manage are left out; without a shared encryption key, all of them."""
        return await self._read(self._db)

    async def _read(self, source: Reader) -> Records:
        found: Records = {}
        for kind, table in TABLES.items():
            columns = (table.key, *table.columns, *table.secrets, *(("updated_at",) if table.timed else ()))
            rows = await source.fetch(f"SELECT {', '.join(columns)} FROM {table.name}")
            found[kind] = {row[table.key]: self._record(table, row) for row in rows if row[table.key]}
        found["apiKeys"] = {id: key for id, key in found["apiKeys"].items() if self._shared and may_travel(key.data)}
        for name, value in VALUES.items():
            stored = {id: value.check(id, data) for id, data in (await value.read(source)).items() if NAME.fullmatch(id)}
            found[name] = {id: _untimed(data) for id, data in stored.items() if data is not None}
        return found

    def _record(self, table: Table, row: Row) -> Record:
        data = {name: row[name] for name in table.columns}
        if _FIELDS in data:
            data[_FIELDS] = _dump(without_secrets(json_object(data[_FIELDS])))
        secrets = {name: row[name] for name in table.secrets if row[name]}
        version = (row["updated_at"] or "") if table.timed else digest(data)
        return Record(version, data, secrets if self._shared else {}, table.timed, bool(secrets))

    def export(self, records: Records) -> dict[str, Any]:
        """*records* as JSON values: objects with ``id``, ``data`` and, if present, ``updatedAt`` and sealed ``secrets``."""
        return {kind: [self._exported(id, record) for id, record in group.items()] for kind, group in records.items()}

    def _exported(self, id: str, record: Record) -> dict[str, Any]:
        sealed = {name: text for name, value in record.secrets.items() if (text := self._sealed(value))}
        shown: dict[str, Any] = {"id": id, "data": record.data, **({"secrets": sealed} if sealed else {})}
        if record.secretive:
            shown |= {"hasSecrets": True}
        return {**shown, "updatedAt": record.version} if record.timed else shown

    def _sealed(self, text: str) -> str:
        """Re-encrypt *text*, which may be encrypted with this machine's key file; "" when it cannot be decrypted."""
        try:
            return self._vault.seal(self._vault.open(text))
        except OmniError:
            return ""

    @property
    def proof(self) -> str:
        """An encrypted proof that lets another gateway see that it hashes keys alike; ``""`` without a shared key."""
        return self._vault.seal(self._proof) if self._shared else ""

    def trusts(self, proof: Any) -> bool:
        """Whether the gateway that made *proof* has the same ``STORAGE_ENCRYPTION_KEY``."""
        return self._open(proof) is not None

    def _same_keys(self, proof: Any) -> bool:
        return hmac.compare_digest(self._open(proof) or "", self._proof)

    def _open(self, text: Any) -> str | None:
        if not (self._shared and isinstance(text, str) and Vault.sealed(text)):
            return None
        try:
            return self._vault.open(text)
        except OmniError:
            return None

    # -- writing

    def accept(self, sent: Any, proof: Any, now: float) -> Records:
        """Validate the records of another gateway; *now* is Unix time.  Raises ``ValueError`` that names the first fault.

        Gateway keys are left out unless *proof* shows that both gateways hash them alike; so are secrets that cannot be
        decrypted.
        """
        if not isinstance(sent, dict):
            raise ValueError("records: expected an object")
        found: Records = {}
        for kind in KINDS:
            items = sent.get(kind, [])
            if not isinstance(items, list):
                raise ValueError(f"{kind}: expected an array")
            group = [self._accepted(kind, item, now) for item in items]
            found[kind] = {id: record for id, record in group if record is not None}
        if not self._same_keys(proof):
            found["apiKeys"] = {}
        return found

    def _accepted(self, kind: str, item: Any, now: float) -> tuple[str, Record | None]:
        id, data = (item.get("id"), item.get("data")) if isinstance(item, dict) else (None, None)
        if not isinstance(id, str) or not NAME.fullmatch(id) or not isinstance(data, dict):
            raise ValueError(f"{kind}: expected records with id and data")
        if (value := VALUES.get(kind)) is not None:
            fitting = value.check(id, data)
            if fitting is None and value.strict:
                raise ValueError(f"{kind}: {id!r} is no {value.noun}")
            return id, _untimed(fitting) if fitting is not None else None
        table = TABLES[kind]
        clean = {name: _value(kind, name, data.get(name), str) for name in table.texts}
        clean |= {name: _value(kind, name, data.get(name), int) for name in table.numbers}
        given = item.get("secrets")
        opened = {name: self._open(given.get(name)) for name in table.secrets} if isinstance(given, dict) else {}
        secrets = {name: text for name, text in opened.items() if text}
        if not table.timed:
            fits = _DIGEST.fullmatch(secrets.get("key", "")) is not None and may_travel(clean)
            return id, Record(digest(clean), clean, secrets, False, True) if fits else None
        if table.key != "id" and not clean["id"]:
            raise ValueError(f"{kind}: id does not fit")
        moment = _moment(kind, item.get("updatedAt"), now)
        return id, Record(moment, clean, secrets, True, item.get("hasSecrets") is True)

    async def apply(self, take: Records, drop: Mapping[str, Collection[str]]) -> None:
        """Delete the records of *drop*, then write those of *take*, in one transaction, and publish.

        The order matters: a renamed combo is a deleted and a new record with the same row id.
        """
        async with self._db.change() as tx:
            for kind, ids in drop.items():
                for id in ids:
                    await _delete(tx, kind, id)
            for kind, group in take.items():
                for id, record in group.items():
                    await self._put(tx, kind, id, record)

    async def _put(self, tx: Transaction, kind: str, id: str, record: Record) -> None:
        if (value := VALUES.get(kind)) is not None:
            await value.put(tx, id, record.data)
            return
        table = TABLES[kind]
        row = {name: value for name, value in record.data.items() if value is not None or name not in _NEVER_NULL}
        if kind == "providers":
            row |= await _with_own_secrets(tx, id, record)
        if kind == "combos":
            row["id"] = await _combo_id(tx, id, row["id"])
        seal = kind != "apiKeys"  # the key column holds a hash
        row |= {name: self._vault.seal(text) if seal else text for name, text in record.secrets.items()}
        if table.timed:
            row["updated_at"] = record.version
        if not await tx.update(table.name, id, row, key=table.key):
            row[table.key] = id
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            await tx.execute(f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})", [*row.values()])
        if kind == "nodes":
            await refresh_connections(tx, id)

    # -- state between two synchronizations

    async def state(self, name: str) -> dict[str, Any]:
        """What is remembered under *name*, or an empty object."""
        found = await keyvalue.get(self._db, _STATE, name)
        return found if isinstance(found, dict) else {}

    async def remember(self, name: str, state: dict[str, Any] | None) -> None:
        """Replace what is remembered under *name*; None removes it."""
        async with self._db.transaction() as tx:
            await keyvalue.write(tx, _STATE, name, state)


def may_travel(key: Mapping[str, Any]) -> bool:
    """Whether a gateway key may be sent to another gateway: only without the scope to manage."""
    return "manage" not in str(key.get("scopes") or "")


def address(kind: str, record: Record) -> str:
    """What determines where the secrets of this record are sent: base URL, provider; "" for other kinds."""
    if kind == "nodes":
        return str(record.data.get("base_url") or "")
    if kind == "providers":
        own = json_object(record.data.get("provider_specific_data")).get("baseUrl")
        return f"{record.data.get('provider')} {own or ''}"
    return ""


def _untimed(data: dict[str, Any]) -> Record:
    return Record(digest(data), data, {}, False)


def _value(kind: str, name: str, value: Any, wanted: type) -> Any:
    if value is None:
        return None
    fits = _is_text(name, value) if wanted is str else type(value) is int and abs(value) < 2**53
    if not fits:
        raise ValueError(f"{kind}: {name} does not fit")
    return value


def _is_text(name: str, value: Any) -> bool:
    """Whether *value* is text that column *name* may hold."""
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        return False
    if name not in _OBJECTS | _LISTS:
        return True
    try:
        return isinstance(orjson.loads(value), dict if name in _OBJECTS else list)
    except orjson.JSONDecodeError:
        return False


def _moment(kind: str, text: Any, now: float) -> str:
    """A version that is a time, normalized so that versions sort as text; "" without a time.  Raises ``ValueError``."""
    try:
        moment = parse_iso(text) if text else 0.0
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"{kind}: updatedAt is no time") from None
    if moment > now + _SKEW_SECONDS:
        raise ValueError(f"{kind}: updatedAt is in the future: the clocks of the two gateways differ")
    return iso(moment) if text else ""


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS).decode()


async def _with_own_secrets(tx: Transaction, id: str, record: Record) -> dict[str, Any]:
    """The columns that depend on the stored row: unsynchronized secrets are kept, an account without a key is disabled."""
    found = await tx.fetch_one(f"SELECT {_FIELDS}, {', '.join(SEALED)} FROM provider_connections WHERE id = ?", (id,))
    own = json_object(found[_FIELDS]) if found else {}
    kept = {name: value for name, value in own.items() if name not in without_secrets(own)}
    columns: dict[str, Any] = {_FIELDS: _dump({**without_secrets(json_object(record.data[_FIELDS])), **kept})}
    if record.secretive and not record.secrets and not (found and any(found[name] for name in SEALED)):
        columns["is_active"] = 0
    return columns


async def _combo_id(tx: Transaction, name: str, sent: str) -> str:
    """The row id for combo *name*: the *sent* id, unless another combo has that id here."""
    rows = {row["id"]: row["name"] for row in await tx.fetch("SELECT id, name FROM combos")}
    if rows.get(sent, name) == name:
        return sent
    return next((id for id, known in rows.items() if known == name), str(uuid4()))


async def _delete(tx: Transaction, kind: str, id: str) -> None:
    if (value := VALUES.get(kind)) is not None:
        await value.put(tx, id, None)
    else:
        table = TABLES[kind]
        await tx.execute(f"DELETE FROM {table.name} WHERE {table.key} = ?", (id,))
