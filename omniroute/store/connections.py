"""Connections: accounts at providers.

Keys and tokens are encrypted at rest; a :class:`ConnectionRow` says only whether there is one.  Health columns are written
through :meth:`Connections.mark` with the next batch.  That publishes no snapshot, because the data plane keeps health in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Final
from uuid import uuid4

import orjson
from msgspec import Struct, field

from ..clock import Clock, iso, unix_time
from .batch import Batch
from .db import Database, Row, Transaction, json_object
from .private_fields import with_sealed
from .redaction import redact
from .vault import Vault


class ConnectionRow(Struct, kw_only=True):
    """One account.  Times are ISO 8601 text; ``health_check_interval`` is in minutes, ``expires_in`` in seconds."""

    id: str
    provider: str
    auth_type: str = "apikey"
    name: str = ""
    display_name: str | None = None
    email: str | None = None
    priority: int = 1
    global_priority: int | None = None
    is_active: bool = True
    default_model: str | None = None
    project_id: str | None = None
    scope: str | None = None
    token_type: str | None = None
    expires_at: str | None = None
    expires_in: int | None = None
    token_expires_at: str | None = None
    test_status: str = "unknown"
    last_tested: str | None = None
    last_error: str | None = None
    last_error_at: str | None = None
    last_error_type: str | None = None
    last_error_source: str | None = None
    error_code: str | None = None
    backoff_level: int = 0
    rate_limited_until: str | None = None
    last_used_at: str | None = None
    consecutive_use_count: int = 0
    rate_limit_protection: bool = False
    health_check_interval: int | None = None
    last_health_check_at: str | None = None
    provider_specific_data: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    updated_at: str = ""
    has_api_key: bool = False
    has_access_token: bool = False
    has_refresh_token: bool = False

    @property
    def label(self) -> str:
        """What people call the account; ``""`` if it has no name of any kind."""
        return self.name or self.display_name or self.email or ""

    @property
    def base_url(self) -> str:
        """The connection's own base URL or ``""``; for the connections of a node, a copy of the node's."""
        return str(self.provider_specific_data.get("baseUrl") or "")

    @property
    def refreshable(self) -> bool:
        """Whether its access token can be renewed without user interaction."""
        return self.auth_type == "oauth" and self.has_refresh_token and not self.has_api_key

    @property
    def ends_at(self) -> float | None:
        """Unix time at which the access token expires; None when unknown."""
        return unix_time(self.expires_at or self.token_expires_at)

    @property
    def renew_at(self) -> float:
        """Unix time from which the token is renewed before use; ``inf`` when it is not renewed.

        That is 5 minutes before it expires, or after half of a shorter lifetime.
        """
        ends = self.ends_at
        if ends is None or not self.refreshable:
            return inf
        return ends - min(RENEW_SECONDS, (self.expires_in or inf) / 2)


RENEW_SECONDS: Final = 300.0
SEALED: Final = ("api_key", "access_token", "refresh_token", "id_token")
HEALTH: Final = frozenset({
    "test_status", "error_code", "last_error", "last_error_at", "last_error_type", "last_error_source", "backoff_level",
    "rate_limited_until", "last_used_at", "consecutive_use_count", "last_tested", "last_health_check_at",
})  # fmt: skip
_OTHERS: Final = frozenset({
    "auth_type", "name", "display_name", "email", "priority", "global_priority", "is_active", "default_model", "project_id",
    "scope", "token_type", "expires_at", "expires_in", "token_expires_at", "rate_limit_protection", "health_check_interval",
    "provider_specific_data",
})  # fmt: skip
CHANGEABLE: Final = HEALTH | _OTHERS | frozenset(SEALED)

_PLAIN: Final = tuple(name for name in ConnectionRow.__struct_fields__ if not name.startswith("has_"))
SELECT: Final = f"SELECT {', '.join((*_PLAIN, *SEALED))} FROM provider_connections"
ORDER: Final = " ORDER BY priority, updated_at DESC, rowid DESC"
_RENUMBER: Final = f"""
UPDATE provider_connections SET priority = ranked.place
FROM (SELECT id, row_number() OVER ({ORDER}) AS place FROM provider_connections WHERE provider = ?) AS ranked
WHERE ranked.id = provider_connections.id AND provider_connections.priority <> ranked.place
"""
_LAST: Final = "SELECT coalesce(max(priority), 0) AS priority FROM provider_connections WHERE provider = ?"
_DEFAULTS: Final[dict[str, Any]] = {  # instead of NULL
    "auth_type": "apikey", "name": "", "priority": 1, "is_active": True, "test_status": "unknown", "backoff_level": 0,
    "consecutive_use_count": 0, "rate_limit_protection": False, "created_at": "", "updated_at": "",
}  # fmt: skip


def row_of(record: Row) -> ConnectionRow:
    """A table row as a :class:`ConnectionRow`; NULL in a required column becomes the default."""
    values: dict[str, Any] = {name: record[name] for name in _PLAIN}
    values.update((name, default) for name, default in _DEFAULTS.items() if values[name] is None)
    for name in ("is_active", "rate_limit_protection"):
        values[name] = bool(values[name])
    values["provider_specific_data"] = json_object(record["provider_specific_data"])
    for name in SEALED[:3]:
        values[f"has_{name}"] = bool(record[name])
    return ConnectionRow(**values)


class Connections:
    """Table ``provider_connections``."""

    def __init__(self, db: Database, vault: Vault, batch: Batch, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._batch = batch
        self._clock = clock

    async def list(self, provider: str | None = None, is_active: bool | None = None) -> list[ConnectionRow]:
        """Connections, optionally of one provider or state, sorted by priority; the last changed first among equals."""
        where = " WHERE (?1 IS NULL OR provider = ?1) AND (?2 IS NULL OR is_active = ?2)"
        return [row_of(record) for record in await self._db.fetch(SELECT + where + ORDER, (provider, is_active))]

    async def get(self, id: str) -> ConnectionRow | None:
        """One connection, active or not; None for an unknown id."""
        record = await self._db.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def secret(self, id: str) -> str:
        """The API key, else the access token, decrypted; ``""`` without either.  Raises OmniError when decryption fails."""
        record = await self._db.fetch_one("SELECT api_key, access_token FROM provider_connections WHERE id = ?", (id,))
        return self._vault.open((record["api_key"] or record["access_token"] or "") if record else "")

    async def refresh_token(self, id: str) -> str:
        """The refresh token, decrypted; ``""`` without one.  Raises OmniError when decryption fails."""
        record = await self._db.fetch_one("SELECT refresh_token FROM provider_connections WHERE id = ?", (id,))
        return self._vault.open((record["refresh_token"] or "") if record else "")

    async def create(
        self,
        provider: str,
        *,
        name: str = "",
        api_key: str = "",
        priority: int | None = None,
        base_url: str | None = None,
        **others: Any,
    ) -> ConnectionRow:
        """Add an account, or change the provider's account with the same name (OAuth: the same e-mail address).

        *others* are columns of :data:`CHANGEABLE`.  Without *priority* a new account goes last.  Connections of a node get a
        copy of the node's prefix, API type, base URL and name.  Raises ``ValueError`` for unknown columns.
        """
        values = {**others, "name": name, "api_key": api_key, "priority": priority}
        values = {key: value for key, value in _checked(values).items() if value not in (None, "")}
        data = {**values.pop("provider_specific_data", {}), **({"baseUrl": base_url} if base_url else {})}
        async with self._db.change() as tx:
            data |= await node_copy(tx, provider)
            if (twin := await _twin(tx, provider, values)) is None:
                id = await self._insert(tx, provider, {**values, "provider_specific_data": data})
            else:
                id = str(twin["id"])
                data = json_object(twin["provider_specific_data"]) | data
                await self._write(tx, id, {**values, "provider_specific_data": data})
            await tx.execute(_RENUMBER, (provider,))
            record = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        assert record is not None
        return row_of(record)

    async def update(self, id: str, **changes: Any) -> ConnectionRow | None:
        """Set columns of :data:`CHANGEABLE`, or ``base_url`` (None: its node's, if any).  None for an unknown id."""
        async with self._db.change() as tx:
            before = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
            if before is None:
                return None
            if "base_url" in changes:
                data = changes.get("provider_specific_data") or json_object(before["provider_specific_data"])
                base_url = changes.pop("base_url") or (await node_copy(tx, before["provider"])).get("baseUrl")
                changes["provider_specific_data"] = {**data, "baseUrl": base_url}
            values = {key: _DEFAULTS.get(key) if value is None else value for key, value in _checked(changes).items()}
            await self._write(tx, id, values)
            if "priority" in changes:
                await tx.execute(_RENUMBER, (before["provider"],))
            record = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        self._batch.forget(id, changes.keys())
        assert record is not None
        return row_of(record)

    async def delete(self, id: str) -> bool:
        """Delete a connection and renumber its provider's others; returns whether it existed."""
        async with self._db.change() as tx:
            record = await tx.fetch_one("DELETE FROM provider_connections WHERE id = ? RETURNING provider", (id,))
            if record is not None:
                await tx.execute(_RENUMBER, (record["provider"],))
        self._batch.forget(id, HEALTH)
        return record is not None

    def mark(self, id: str, health: Mapping[str, Any]) -> None:
        """Queue values for columns of :data:`HEALTH`, written with the next batch; None clears a column.

        Times may be Unix seconds.  Raises ``ValueError`` for other columns.
        """
        if unknown := health.keys() - HEALTH:
            raise ValueError(f"not health columns: {sorted(unknown)}")
        self._batch.mark(id, {key: _stored(key, value) for key, value in health.items()})

    async def flush(self) -> None:
        """Write what :meth:`mark` has queued, so that the next read sees it."""
        await self._batch.flush()

    async def seal_clear_texts(self) -> int:
        """Encrypt keys and tokens that an adopted database holds in clear text; returns the number of such connections."""
        records = await self._db.fetch(f"SELECT id, provider_specific_data, {', '.join(SEALED)} FROM provider_connections")
        clear = {record["id"]: found for record in records if (found := self._clear(record))}
        if clear:
            async with self._db.change() as tx:
                for id, values in clear.items():
                    await tx.update("provider_connections", id, self._sealed(values))
        return len(clear)

    def _clear(self, record: Row) -> dict[str, Any]:
        """The columns of a row that hold a credential in clear text."""
        secrets = {name: record[name] for name in SEALED if record[name]}
        found: dict[str, Any] = {name: text for name, text in secrets.items() if not self._vault.sealed(text)}
        data = json_object(record["provider_specific_data"])
        sealed = with_sealed(data, self._vault)
        return found if sealed == data else {**found, "provider_specific_data": sealed}

    async def _insert(self, tx: Transaction, provider: str, values: dict[str, Any]) -> str:
        id, now = str(uuid4()), iso(self._clock.time())
        last = await tx.fetch_one(_LAST, (provider,))
        assert last is not None
        row = self._sealed({"priority": last["priority"] + 1, **values})
        row |= {"id": id, "provider": provider, "created_at": now, "updated_at": now}
        await tx.insert_one("provider_connections", row)
        return id

    async def _write(self, tx: Transaction, id: str, values: dict[str, Any]) -> None:
        await tx.update("provider_connections", id, self._sealed({**values, "updated_at": iso(self._clock.time())}))

    def _sealed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        stored = {key: _stored(key, value) for key, value in values.items()}
        return {key: self._vault.seal(value) if key in SEALED and value else value for key, value in stored.items()}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if unknown := values.keys() - CHANGEABLE:
        raise ValueError(f"not columns of a connection: {sorted(unknown)}")
    return values


def _stored(column: str, value: Any) -> Any:
    if column == "provider_specific_data":
        return orjson.dumps({key: item for key, item in (value or {}).items() if item not in (None, "")}).decode()
    if column == "last_error" and value:
        return redact(value)  # providers quote what they were sent
    if isinstance(value, float) and column.endswith(("_at", "_until", "_tested")):
        return iso(value)
    return int(value) if isinstance(value, bool) else value


async def _twin(tx: Transaction, provider: str, values: Mapping[str, Any]) -> Row | None:
    """The row of the same account, if any: for OAuth the one with the same e-mail address, for keys the one of that name."""
    login = values.get("auth_type") == "oauth"
    column = "email" if login else "name"
    if not values.get(column):
        return None
    return await tx.fetch_one(
        "SELECT id, provider_specific_data FROM provider_connections"
        f" WHERE provider = ? AND {column} = ? AND (coalesce(auth_type, '') = 'oauth') = ? ORDER BY priority",
        (provider, values[column], login),
    )


async def node_copy(tx: Transaction, provider: str) -> dict[str, Any]:
    """The node's fields that its connections carry in ``provider_specific_data``; empty when *provider* is not a node."""
    record = await tx.fetch_one("SELECT prefix, api_type, base_url, name FROM provider_nodes WHERE id = ?", (provider,))
    if record is None:
        return {}
    return {
        "prefix": record["prefix"],
        "apiType": record["api_type"],
        "baseUrl": record["base_url"],
        "nodeName": record["name"],
    }
