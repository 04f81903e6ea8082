"""State of the configured command line tools: when each was configured, and the user's values that were replaced.

Namespaces ``cliToolLastConfig`` and ``cliToolInitialConfig`` of table ``key_value``; the latter is encrypted, because the
replaced values may contain keys.
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
    """The stored state, by tool id."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def configured_at(self) -> dict[str, str]:
        """Tool -> time of its last configuration (ISO 8601)."""
        found = await keyvalue.read(self._db, _LAST)
        return {
            tool: value["configuredAt"]
            for tool, value in found.items()
            if isinstance(value, dict) and isinstance(value.get("configuredAt"), str)
        }

    async def before(self, tool: str) -> dict[str, Any]:
        """The values that were replaced; empty when there are none or they cannot be decrypted."""
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
        """Remember when a tool was configured (ISO 8601) and, encrypted, which values that replaced."""
        sealed = self._vault.seal(orjson.dumps(before).decode())
        async with self._db.transaction() as tx:
            await keyvalue.write(tx, _LAST, tool, {"configuredAt": moment})
            await keyvalue.write(tx, _INITIAL, tool, {"sealed": sealed})

    async def forget(self, tool: str) -> None:
        """Remove what is remembered of a tool."""
        async with self._db.transaction() as tx:
            await keyvalue.write(tx, _LAST, tool, None)
            await keyvalue.write(tx, _INITIAL, tool, None)
