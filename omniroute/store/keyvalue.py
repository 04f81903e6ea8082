"""Table ``key_value``: JSON values by namespace and key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson

from .db import Row, Transaction

_GET: Final = "SELECT value FROM key_value WHERE namespace = ? AND key = ?"
_ALL: Final = "SELECT key, value FROM key_value WHERE namespace = ? ORDER BY key"
_SEVERAL: Final = "SELECT namespace, key, value FROM key_value WHERE namespace IN ({}) ORDER BY key"
_SET: Final = "INSERT INTO key_value VALUES (?, ?, ?) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value"
_DELETE: Final = "DELETE FROM key_value WHERE namespace = ? AND key = ?"


class Reader(Protocol):
    """A database or a transaction."""

    async def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]: ...


async def read(source: Reader, namespace: str) -> dict[str, Any]:
    """All values of *namespace*, sorted by key; a value that is no JSON (hand-edited) is left out."""
    values = {record["key"]: _value(record["value"]) for record in await source.fetch(_ALL, (namespace,))}
    return {key: value for key, value in values.items() if value is not None}


async def read_several(source: Reader, namespaces: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The same of several namespaces with one statement: on a busy loop each waits for the interpreter's lock."""
    found: dict[str, dict[str, Any]] = {namespace: {} for namespace in namespaces}
    for record in await source.fetch(_SEVERAL.format(", ".join("?" * len(namespaces))), tuple(namespaces)):
        if (value := _value(record["value"])) is not None:
            found[record["namespace"]][record["key"]] = value
    return found


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


async def get(source: Reader, namespace: str, key: str) -> Any:
    """One value; None when it is absent or no JSON."""
    records = await source.fetch(_GET, (namespace, key))
    return _value(records[0]["value"]) if records else None


async def write(tx: Transaction, namespace: str, key: str, value: Any) -> bool:
    """Set *key*, or remove it when *value* is None; tells whether a row was touched."""
    return await tx.execute(*statement(namespace, key, value)) > 0


def statement(namespace: str, key: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    """The SQL of :func:`write`, for those who write later."""
    if value is None:
        return _DELETE, (namespace, key)
    return _SET, (namespace, key, orjson.dumps(value).decode())
