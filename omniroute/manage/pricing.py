"""Prices in US dollars per 1,000,000 tokens or per piece; changes apply from the next request on."""

from __future__ import annotations

import math
from typing import Any

from ..store.pricing import FIELDS
from .bodies import decode_object
from .call import Call, Reply
from .models import alias_of, offers
from .refusals import refused

Prices = dict[str, dict[str, dict[str, Any]]]
"""Provider id -> model -> prices in US dollars per million tokens."""


async def read(call: Call) -> Reply:
    """Show the built-in prices, overridden field by field with the user's."""
    return Reply(200, await call.store.pricing.merged())


async def defaults(call: Call) -> Reply:
    """Return the catalogue's prices, in US dollars per million tokens, without the user's."""
    return Reply(200, call.store.pricing.defaults())


async def write(call: Call) -> Reply:
    """PATCH, PUT and POST: merge into the user's table, and return it."""
    table = decode_object(call.request.body)
    check(table)
    result = await call.store.pricing.merge(table)
    await call.audit("pricing.update", None, {"changed": [f"{p}/{m}" for p, models in table.items() for m in models][:100]})
    return Reply(200, result)


async def delete(call: Call) -> Reply:
    """Restore the built-in price of one model, of a provider's models, or of all."""
    provider, model = call.query.get("provider") or None, call.query.get("model") or None
    table = await call.store.pricing.delete(provider, model)
    await call.audit("pricing.delete", "/".join(filter(None, (provider, model))) or None)
    return Reply(200, table)


async def models(call: Call) -> Reply:
    """List every provider with the models that can have a price."""
    snapshot, custom = call.snapshot, await call.store.custom_models.all()
    found = {}
    for provider in snapshot.providers.values():
        listed = [{"id": o.id, "name": o.name, "custom": bool(o.source)} for o in offers(snapshot, provider, custom)]
        found[alias_of(provider)] = {
            "id": provider.id,
            "alias": alias_of(provider),
            "name": provider.name,
            "authType": provider.auth_type,
            "format": provider.wire,
            "models": listed,
            "modelCount": len(listed),
        }
    return Reply(200, found)


def check(table: dict[str, Any]) -> None:
    """Raise a 400 for the first invalid price."""
    for provider, models in table.items():
        if not provider or not isinstance(models, dict):
            raise refused(400, f"Invalid pricing for provider: {provider}")
        for model, price in models.items():
            if not model or not isinstance(price, dict):
                raise refused(400, f"Invalid pricing for model: {provider}/{model}")
            for field, value in price.items():
                if field not in FIELDS:
                    raise refused(400, f"Invalid pricing field: {field} for {provider}/{model}")
                if not _dollars(value):
                    where = f"{field} in {provider}/{model}"
                    raise refused(400, f"Invalid pricing value for {where}: must be non-negative number")


def _dollars(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
