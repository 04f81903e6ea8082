"""Model aliases: a short name for ``provider/model``."""

from __future__ import annotations

from typing import Final

from . import keyvalue
from .db import Database

NAMESPACE: Final = "modelAliases"


class Aliases:
    """Namespace ``modelAliases`` of table ``key_value``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> dict[str, str]:
        """All aliases: alias -> model, sorted by alias."""
        return only_texts(await keyvalue.read(self._db, NAMESPACE))

    async def set(self, alias: str, model: str) -> None:
        """Add or replace an alias; *model* is ``provider/model``, another alias, or a bare model name."""
        async with self._db.change() as tx:
            await keyvalue.write(tx, NAMESPACE, alias, model)

    async def delete(self, alias: str) -> bool:
        """Remove an alias; returns whether it existed."""
        async with self._db.change() as tx:
            return await keyvalue.write(tx, NAMESPACE, alias, None)


def only_texts(values: dict[str, object]) -> dict[str, str]:
    """*values* without those that are not text, which another program may have stored."""
    return {key: value for key, value in values.items() if isinstance(value, str)}
