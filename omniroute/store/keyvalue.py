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

    async def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
        """All rows of a query."""


async def read(source: Reader, namespace: str) -> dict[str, Any]:
    """All values of *namespace*, sorted by key; null and invalid JSON (hand-edited) are left out."""
    values = {record["key"]: _value(record["value"]) for record in await source.fetch(_ALL, (namespace,))}
    return {key: value for key, value in values.items() if value is not None}


async def read_several(source: Reader, namespaces: Sequence[str]) -> dict[str, dict[str, Any]]:
    """:func:`read` for several namespaces in one statement: on a busy event loop each statement waits for the GIL."""
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
    """One value; None when it is absent or invalid JSON."""
    records = await source.fetch(_GET, (namespace, key))
    return _value(records[0]["value"]) if records else None


async def write(tx: Transaction, namespace: str, key: str, value: Any) -> bool:
    """Set *key*, or remove it when *value* is None; returns whether a row changed."""
    return await tx.execute(*statement(namespace, key, value)) > 0


def statement(namespace: str, key: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    """The SQL and parameters of :func:`write`, to be executed later."""
    if value is None:
        return _DELETE, (namespace, key)
    return _SET, (namespace, key, orjson.dumps(value).decode())
