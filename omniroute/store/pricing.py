"""The user's prices, which override those of the catalogue.  For the units see ``Price``; tables are by provider alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..upstream.providers import Catalog, Price
from . import keyvalue
from .db import Database

NAMESPACE: Final = "pricing"
FIELDS: Final = Price.__struct_fields__
Table = dict[str, dict[str, dict[str, float]]]  # provider alias -> model id -> field -> dollars


class Pricing:
    """Namespace ``pricing`` of table ``key_value``: provider alias -> {model: {field: dollars}}."""

    def __init__(self, db: Database, catalog: Catalog) -> None:
        self._db = db
        self._defaults = _catalogue_table(catalog)

    def defaults(self) -> Table:
        """The catalogue's prices.  A shared object: do not modify it."""
        return self._defaults

    async def user(self) -> Table:
        """The user's own prices, in US dollars per million tokens."""
        return of_values(await keyvalue.read(self._db, NAMESPACE))

    async def merged(self) -> Table:
        """The catalogue's prices overlaid, field by field, with the user's."""
        return overlay(self._defaults, await self.user())

    async def merge(self, table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
        """Overlay *table* on the user's prices; returns the user's prices.

        The caller has validated *table*: only fields of :data:`FIELDS`, values >= 0.
        """
        async with self._db.change() as tx:
            result = overlay(of_values(await keyvalue.read(tx, NAMESPACE)), table)
            for provider in table:
                await keyvalue.write(tx, NAMESPACE, provider, result[provider])
        return result

    async def delete(self, provider: str | None = None, model: str | None = None) -> Table:
        """Remove the user's price of one model, of all models of a provider, or all prices; returns the merged table."""
        async with self._db.change() as tx:
            table = of_values(await keyvalue.read(tx, NAMESPACE))
            for name, models in table.items():
                if provider in (None, name):
                    rest = {id: price for id, price in models.items() if model not in (None, id)}
                    await keyvalue.write(tx, NAMESPACE, name, rest or None)
        return await self.merged()


def of_values(values: Mapping[str, object]) -> Table:
    """Convert the values of the namespace; anything that is not a price is left out."""
    return {
        provider: {
            model: {field: float(price[field]) for field in FIELDS if isinstance(price.get(field), int | float)}
            for model, price in models.items()
            if isinstance(price, dict)
        }
        for provider, models in values.items()
        if isinstance(models, dict)
    }


def overlay(base: Table, top: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """A new table: *base*, overridden field by field by *top*."""
    result = {provider: {**models} for provider, models in base.items()}
    for provider, models in top.items():
        into = result.setdefault(provider, {})
        for model, price in models.items():
            into[model] = {**into.get(model, {}), **price}
    return result


def _catalogue_table(catalog: Catalog) -> Table:
    return {
        provider.alias: priced
        for provider in catalog.providers.values()
        if (priced := {model.id: as_fields(model.price) for model in provider.models.values() if model.price})
    }


def as_fields(price: Price) -> dict[str, float]:
    """The known prices by field name."""
    return {field: value for field in FIELDS if (value := getattr(price, field)) is not None}
