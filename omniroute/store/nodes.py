"""Nodes: endpoints that the user added.

A node's id is the ``provider`` of its connections; clients address its models as ``prefix/model``.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import msgspec
import orjson
from msgspec import Struct

from ..clock import Clock, iso
from ..upstream.providers import NODE_TYPES, node_base_url
from . import keyvalue
from .connections import node_copy
from .custom_models import NAMESPACE as CUSTOM_MODELS
from .db import Database, Row, Transaction, json_object

TYPES: Final[dict[str, str]] = {name: kind.base_url for name, kind in NODE_TYPES.items()}  # type -> default base URL
API_TYPES: Final = ("chat", "responses")  # the first is the default
_OPENAI: Final = "openai-compatible"


class NodeRow(Struct, kw_only=True):
    """One node.  ``api_type`` is set for type ``openai-compatible`` only; ``base_url`` has no trailing slash."""

    id: str
    type: str
    name: str
    prefix: str
    api_type: str | None = None
    base_url: str
    created_at: str = ""
    updated_at: str = ""


SELECT: Final = f"SELECT {', '.join(NodeRow.__struct_fields__)} FROM provider_nodes"


def row_of(record: Row) -> NodeRow:
    """A table row as a :class:`NodeRow`; what an adopted row lacks becomes the default of its type."""
    values = {name: record[name] for name in NodeRow.__struct_fields__}
    values["base_url"] = values["base_url"] or TYPES.get(values["type"], "")
    values["prefix"] = values["prefix"] or ""
    if values["type"] == _OPENAI:
        values["api_type"] = values["api_type"] or API_TYPES[0]  # not every adopted row has one
    return NodeRow(**values)


class Nodes:
    """Table ``provider_nodes``."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list(self) -> list[NodeRow]:
        """All nodes, in order of creation."""
        return [row_of(record) for record in await self._db.fetch(SELECT + " ORDER BY created_at, rowid")]

    async def get(self, id: str) -> NodeRow | None:
        """One node; None for an unknown id."""
        record = await self._db.fetch_one(SELECT + " WHERE id = ?", (id,))
        return row_of(record) if record else None

    async def create(self, *, type: str, name: str, prefix: str, base_url: str = "", api_type: str | None = None) -> NodeRow:
        """Add a node.  *type* is a key of :data:`TYPES`.

        *api_type*, for ``openai-compatible`` only, is one of :data:`API_TYPES` (default ``chat``).
        """
        openai = type == _OPENAI
        api_type = (api_type or API_TYPES[0]) if openai else None
        now = iso(self._clock.time())
        row = NodeRow(
            id=f"{type}-{api_type}-{uuid4()}" if openai else f"{type}-{uuid4()}",
            type=type,
            name=name,
            prefix=prefix,
            api_type=api_type,
            base_url=node_base_url(type, base_url),
            created_at=now,
            updated_at=now,
        )
        async with self._db.change() as tx:
            await tx.insert_one("provider_nodes", msgspec.structs.asdict(row))
        return row

    async def update(
        self,
        id: str,
        *,
        name: str | None = None,
        prefix: str | None = None,
        base_url: str | None = None,
        api_type: str | None = None,
    ) -> NodeRow | None:
        """Change the given fields, also in the copies in its connections.  Returns None when there is no such node."""
        async with self._db.change() as tx:
            before = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
            if before is None:
                return None
            given: dict[str, Any] = {"name": name, "prefix": prefix, "api_type": api_type}
            given["base_url"] = node_base_url(before["type"], base_url) if base_url else None
            row = {key: value for key, value in given.items() if value is not None} | {"updated_at": iso(self._clock.time())}
            await tx.update("provider_nodes", id, row)
            await refresh_connections(tx, id)
            after = await tx.fetch_one(SELECT + " WHERE id = ?", (id,))
        assert after is not None
        return row_of(after)

    async def delete(self, id: str) -> bool:
        """Delete a node, its connections and its custom models; returns whether it existed."""
        async with self._db.change() as tx:
            await keyvalue.write(tx, CUSTOM_MODELS, id, None)
            await tx.execute("DELETE FROM provider_connections WHERE provider = ?", (id,))
            return await tx.execute("DELETE FROM provider_nodes WHERE id = ?", (id,)) > 0


async def refresh_connections(tx: Transaction, id: str) -> None:
    """Update the copies of node *id*'s fields in its connections."""
    copy = await node_copy(tx, id)
    for record in await tx.fetch("SELECT id, provider_specific_data FROM provider_connections WHERE provider = ?", (id,)):
        data = {**json_object(record["provider_specific_data"]), **copy}
        await tx.update("provider_connections", record["id"], {"provider_specific_data": orjson.dumps(data).decode()})
