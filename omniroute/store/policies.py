"""Routing policies: JSON values by id, in namespace ``policies`` of table ``key_value``."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..gateway.policies import Policy
from . import keyvalue
from .db import Database

NAMESPACE: Final = "policies"


def of_values(values: Mapping[str, Any]) -> list[Policy]:
    """The policies in order of evaluation; malformed values (hand-edited) are left out."""
    found = []
    for id, value in values.items():
        try:
            found.append(msgspec.convert({**value, "id": id}, Policy))
        except (msgspec.ValidationError, TypeError):
            continue
    return sorted(found, key=lambda policy: (policy.priority, policy.name, policy.id))


def in_force(values: Mapping[str, Any]) -> tuple[Policy, ...]:
    """The enabled policies, in order of evaluation."""
    return tuple(policy for policy in of_values(values) if policy.enabled)


class Policies:
    """The stored policies, including disabled ones."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> builtins.list[Policy]:
        """All policies, in order of evaluation."""
        return of_values(await keyvalue.read(self._db, NAMESPACE))

    async def set(self, policy: Policy) -> bool:
        """Add or replace *policy*; returns whether it is new."""
        async with self._db.change() as tx:
            known = await keyvalue.get(tx, NAMESPACE, policy.id) is not None
            await keyvalue.write(tx, NAMESPACE, policy.id, msgspec.to_builtins(policy))
        return not known

    async def delete(self, id: str) -> bool:
        """Remove a policy; returns whether it existed."""
        async with self._db.change() as tx:
            return await keyvalue.write(tx, NAMESPACE, id, None)
