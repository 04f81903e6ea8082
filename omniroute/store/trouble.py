"""Failure state that survives a restart: circuit breakers, and models locked on an account.  Written with the batch.

Breakers are stored in table ``domain_circuit_breakers`` (times in Unix milliseconds), locks in ``key_value``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import orjson
from msgspec import Meta, Struct

from ..gateway.breakers import Breaker
from ..gateway.health import ModelLock
from . import keyvalue
from .batch import Batch
from .db import Database
from .redaction import redact

NAMESPACE: Final = "modelLocks"
_SET_BREAKER: Final = """
INSERT INTO domain_circuit_breakers (name, state, failure_count, last_failure_time, options) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET state = excluded.state, failure_count = excluded.failure_count,
  last_failure_time = excluded.last_failure_time, options = excluded.options
"""
_STATES: Final = {"CLOSED", "OPEN", "HALF_OPEN"}
_KEPT: Final = 24 * 3600.0  # seconds that an expired lock stays
_COMBO: Final = "combo:"  # prefix under which earlier installations keep a second breaker of each provider


class _Options(Struct, rename="camel"):
    """The options of a breaker as stored in the table; times in milliseconds."""

    failure_threshold: Annotated[int, Meta(ge=1)] = Breaker().threshold
    reset_timeout: Annotated[float, Meta(ge=0)] = Breaker().reset * 1000


class Trouble:
    """Read at startup; after that each change is queued for writing."""

    def __init__(self, db: Database, batch: Batch) -> None:
        self._db = db
        self._batch = batch

    async def breakers(self) -> dict[str, Breaker]:
        """Provider id -> stored breaker; malformed rows are left out."""
        found = {}
        for row in await self._db.fetch("SELECT * FROM domain_circuit_breakers"):
            at = row["last_failure_time"]
            if row["state"] in _STATES and not row["name"].startswith(_COMBO) and isinstance(row["failure_count"], int):
                last = at / 1000 if isinstance(at, int | float) else None
                options = _options(row["options"])
                reset, threshold = options.reset_timeout / 1000, options.failure_threshold
                found[row["name"]] = Breaker(row["state"], row["failure_count"], last, reset, threshold)
        return found

    def put_breaker(self, provider: str, breaker: Breaker) -> None:
        """Queue the state of one breaker for writing."""
        at = None if breaker.last_failure is None else round(breaker.last_failure * 1000)
        options = {"failureThreshold": breaker.threshold, "resetTimeout": round(breaker.reset * 1000)}
        row = (provider, breaker.state, breaker.failures, at, orjson.dumps(options).decode())
        self._batch.latest(f"breaker {provider}", (_SET_BREAKER, row))

    async def locks(self) -> list[ModelLock]:
        """The stored locks, including expired ones: their step determines how long the next lock lasts."""
        found = []
        for value in (await keyvalue.read(self._db, NAMESPACE)).values():
            try:
                found.append(msgspec.convert(value, ModelLock))
            except msgspec.ValidationError:
                continue
        return found

    def put_lock(self, lock: ModelLock, lifted: bool) -> None:
        """Queue one lock for writing, or for removal when it was *lifted*."""
        key = _key(lock)
        try:
            key.encode()
            statement = keyvalue.statement(NAMESPACE, key, None if lifted else _row(lock))
        except (UnicodeEncodeError, orjson.JSONEncodeError):  # clients may send model names that are not valid Unicode
            return
        self._batch.latest(f"lock {key}", statement)

    async def sweep(self, now: float) -> None:
        """Delete locks that expired more than a day before Unix time *now*."""
        old = [lock for lock in await self.locks() if lock.until < now - _KEPT]
        if old:
            async with self._db.log() as tx:
                for lock in old:
                    await keyvalue.write(tx, NAMESPACE, _key(lock), None)


def _key(lock: ModelLock) -> str:
    return f"{lock.provider}:{lock.connection_id}:{lock.model}"


def _row(lock: ModelLock) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(lock)
    return row | {"message": redact(lock.message)}


def _options(text: str | None) -> _Options:
    try:
        return msgspec.json.decode(text or "{}", type=_Options)
    except msgspec.MsgspecError:
        return _Options()
