"""What is remembered of the command line tools that were set up: when, and what of the user's had to give way.

Namespaces ``cliToolLastConfig`` and, sealed because it may hold keys, ``cliToolInitialConfig`` of table ``key_value``.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ..errors import OmniError
from . import keyvalue
from .db import Database
from .vault import Vault

_LAST: Final = "cliToolLastConfig"
_INITIAL: Final = "cliToolInitialConfig"


class CliState:
    """By tool id."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def configured_at(self) -> dict[str, str]:
        """Tool -> ISO time of the last writing."""
        found = await keyvalue.read(self._db, _LAST)
        return {
            tool: value["configuredAt"]
            for tool, value in found.items()
            if isinstance(value, dict) and isinstance(value.get("configuredAt"), str)
        }

    async def before(self, tool: str) -> dict[str, Any]:
        """What was replaced; empty when nothing was, or when it can no longer be opened."""
        value = await keyvalue.get(self._db, _INITIAL, tool)
        sealed = value.get("sealed") if isinstance(value, dict) else None
        if not isinstance(sealed, str):
            return {}
        try:
            found = orjson.loads(self._vault.open(sealed))
        except (OmniError, orjson.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    async def save(self, tool: str, moment: str, before: dict[str, Any]) -> None:
        sealed = self._vault.seal(orjson.dumps(before).decode())
        async with self._db.transaction() as tx:
            await keyvalue.write(tx, _LAST, tool, {"configuredAt": moment})
            await keyvalue.write(tx, _INITIAL, tool, {"sealed": sealed})

    async def forget(self, tool: str) -> None:
        async with self._db.transaction() as tx:
            await keyvalue.write(tx, _LAST, tool, None)
            await keyvalue.write(tx, _INITIAL, tool, None)
