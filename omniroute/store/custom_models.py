"""Models that the user added to a provider."""

from __future__ import annotations

import builtins
from typing import Any, Final

from msgspec import Struct

from . import keyvalue
from .db import Database

NAMESPACE: Final = "customModels"


class CustomModel(Struct):
    """``source``: ``manual`` or ``imported``."""

    id: str
    name: str
    source: str = "manual"


class CustomModels:
    """Namespace ``customModels`` of table ``key_value``: provider id -> list of models."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self) -> dict[str, builtins.list[CustomModel]]:
        """Provider id -> models; providers without any are absent."""
        return of_values(await keyvalue.read(self._db, NAMESPACE))

    async def list(self, provider: str) -> builtins.list[CustomModel]:
        """A provider's custom models, oldest first."""
        return (await self.all()).get(provider, [])

    async def add(self, provider: str, id: str, name: str = "", source: str = "manual") -> CustomModel:
        """Add a model and return it; a model that exists already is returned unchanged."""
        model = CustomModel(id, name or id, source)
        async with self._db.change() as tx:
            models = of_values(await keyvalue.read(tx, NAMESPACE)).get(provider, [])
            if (known := next((other for other in models if other.id == id), None)) is not None:
                return known
            await keyvalue.write(tx, NAMESPACE, provider, [_json(other) for other in (*models, model)])
        return model

    async def delete(self, provider: str, id: str) -> bool:
        """Remove a custom model; returns whether it existed."""
        async with self._db.change() as tx:
            models = of_values(await keyvalue.read(tx, NAMESPACE)).get(provider, [])
            rest = [_json(model) for model in models if model.id != id]
            if len(rest) < len(models):
                await keyvalue.write(tx, NAMESPACE, provider, rest or None)
        return len(rest) < len(models)


def of_values(values: dict[str, Any]) -> dict[str, list[CustomModel]]:
    """Convert the values of the namespace; entries without an id are left out."""
    lists = {provider: items for provider, items in values.items() if isinstance(items, list)}
    return {provider: found for provider, items in lists.items() if (found := [*map(_model, filter(_named, items))])}


def _named(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


def _model(item: dict[str, Any]) -> CustomModel:
    return CustomModel(item["id"], str(item.get("name") or item["id"]), str(item.get("source") or "manual"))


def _json(model: CustomModel) -> dict[str, str]:
    return {"id": model.id, "name": model.name, "source": model.source}
