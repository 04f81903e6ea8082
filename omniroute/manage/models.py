"""The models that the gateway offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from ..gateway.snapshot import Snapshot
from ..store.custom_models import CustomModel
from ..upstream.providers import Provider
from .call import Call, Reply, flag


class Offer(NamedTuple):
    """One model of one provider; ``source`` is ``""`` unless the user added it."""

    provider: Provider
    id: str
    name: str
    kind: str
    source: str


class Models(Struct):
    models: list[dict[str, Any]]


class ModelCatalog(Struct):
    catalog: dict[str, Any]
    remapped: dict[str, str]


async def catalog(call: Call) -> Reply:
    """List every provider, under the alias that addresses it, with its models."""
    snapshot, custom = call.snapshot, await call.store.custom_models.all()
    found: dict[str, Any] = {}
    for provider in snapshot.providers.values():
        alias = alias_of(provider)
        models = [
            {"id": f"{alias}/{o.id}", "name": o.name, "type": o.kind, "custom": o.source not in ("", "imported")}
            for o in offers(snapshot, provider, custom)
        ]
        active = is_active(snapshot, provider.id)
        found[alias] = {"provider": provider.name, "active": active, "models": models}
    return Reply(200, ModelCatalog(found, _remapped(call)))


async def list_models(call: Call) -> Reply:
    """List the models of active providers; with ``?all=true`` those of inactive ones too."""
    snapshot, custom = call.snapshot, await call.store.custom_models.all()
    aliases = {target: alias for alias, target in reversed(snapshot.aliases.items())}
    rows = []
    for provider in snapshot.providers.values():
        alias, available = alias_of(provider), is_active(snapshot, provider.id)
        if not available and not flag(call.query.get("all")):
            continue
        for offer in offers(snapshot, provider, custom):
            full = f"{alias}/{offer.id}"
            name = aliases.get(full) or aliases.get(f"{provider.id}/{offer.id}") or offer.id
            row = {"provider": alias, "model": offer.id, "name": offer.name, "fullModel": full, "alias": name}
            rows.append({**row, "available": available})
    return Reply(200, Models(rows))


def offers(snapshot: Snapshot, provider: Provider, custom: dict[str, list[CustomModel]]) -> Iterator[Offer]:
    """Yield the models of *provider*: built in, added by the user, and the default models of its connections."""
    known = set(provider.models)
    for model in provider.models.values():
        yield Offer(provider, model.id, model.name or model.id, model.kind, "")
    for added in custom.get(provider.id, ()):
        if added.id not in known:
            known.add(added.id)
            yield Offer(provider, added.id, added.name, "chat", added.source)
    for connection in snapshot.connections.get(provider.id, ()):
        if (id := connection.default_model) and id not in known:
            known.add(id)
            yield Offer(provider, id, id, "chat", "")


def alias_of(provider: Provider) -> str:
    """Return the prefix under which a provider's models are listed."""
    return provider.prefix or provider.alias or provider.id


def is_active(snapshot: Snapshot, provider_id: str) -> bool:
    """Whether requests may go to the provider: it has an active connection and is not blocked."""
    return bool(snapshot.connections.get(provider_id)) and provider_id not in snapshot.settings.blocked_providers


def _remapped(call: Call) -> dict[str, str]:
    """Return the prefixes of subscription logins, each with the provider that serves it now."""
    prefixes = call.snapshot.prefixes
    return {prefix: prefixes[prefix] for prefix in call.services.catalog.reserved_ids if prefix in prefixes}
