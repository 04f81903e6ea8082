"""Fallback chains: for a model, the providers that may serve it instead, in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from .db import Database, Row, Transaction

Link = dict[str, Any]
"""``{"provider", "priority", "enabled"}``; the lowest priority comes first."""

SELECT: Final = "SELECT model, chain FROM domain_fallback_chains ORDER BY model"
_SET: Final = "INSERT INTO domain_fallback_chains VALUES (?, ?) ON CONFLICT (model) DO UPDATE SET chain = excluded.chain"


def of_records(records: Iterable[Row]) -> dict[str, list[Link]]:
    """Model -> chain, sorted by priority; malformed links (hand-edited) are left out."""
    return {record["model"]: _links(record["chain"]) for record in records}


def _links(text: str) -> list[Link]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return links_of(found) if isinstance(found, list) else []


def links_of(items: Iterable[Any]) -> list[Link]:
    """The valid links among *items*, with defaults filled in, sorted by priority."""
    links = [_link(item) for item in items if isinstance(item, dict)]
    return sorted((link for link in links if link["provider"]), key=lambda link: link["priority"])


def _link(item: Mapping[str, Any]) -> Link:
    provider, priority = item.get("provider"), item.get("priority")
    return {
        "provider": provider if isinstance(provider, str) else "",
        "priority": priority if isinstance(priority, int | float) and not isinstance(priority, bool) else 0,
        "enabled": item.get("enabled") is not False,
    }


def in_force(
    chains: Mapping[str, list[Link]], prefixes: Mapping[str, str], providers: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Model -> ids of the enabled, existing providers in order; a link may name a provider by its prefix."""
    found = {}
    for model, links in chains.items():
        ids = (prefixes.get(link["provider"], link["provider"]) for link in links if link["enabled"])
        found[model] = tuple(dict.fromkeys(id for id in ids if id in providers))
    return {model: ids for model, ids in found.items() if ids}


async def put(tx: Transaction, model: str, chain: Sequence[Link] | None) -> bool:
    """Set the chain of *model*, or remove it when *chain* is None.  Returns whether a row changed."""
    if chain is None:
        return await tx.execute("DELETE FROM domain_fallback_chains WHERE model = ?", (model,)) > 0
    return await tx.execute(_SET, (model, orjson.dumps(list(chain)).decode())) > 0


class Chains:
    """Table ``domain_fallback_chains``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> dict[str, list[Link]]:
        """Model -> chain, for all models."""
        return of_records(await self._db.fetch(SELECT))

    async def set(self, model: str, chain: Sequence[Link]) -> None:
        """Add or replace a model's chain."""
        async with self._db.change() as tx:
            await put(tx, model, chain)

    async def delete(self, model: str) -> bool:
        """Remove a model's chain; returns whether it had one."""
        async with self._db.change() as tx:
            return await put(tx, model, None)
