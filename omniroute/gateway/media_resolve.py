"""Resolution of model names for operations other than chat.  Pure: a snapshot in, a route out.

Order: a known prefix, an alias, the bare id of a model in the catalogue, and last, if the operation guesses, the first
segment as the name of a provider.
"""

from __future__ import annotations

from ..errors import OmniError
from ..media.codecs import CODECS
from ..media.operations import MediaOperation, invalid_model, missing_model, no_credentials, not_served
from ..upstream.providers import Model, Provider, quirks_of, serves
from .cost import price_of
from .resolve import ALIAS_DEPTH, LONGEST_NAME, Route, alias_target, ambiguous, dedicated, narrowed, too_deep
from .snapshot import Snapshot

_LATEST = ":latest"


def resolve(snapshot: Snapshot, operation: MediaOperation, name: str, *, only: str = "") -> Route:
    """The route for *operation* with the model *name*; *only* restricts it to one provider (dedicated routes).

    The route's ``wire`` is the key of the codec.  Raises ``OmniError``.
    """
    if not name or name.isspace():
        raise missing_model()
    if len(name) > LONGEST_NAME or not name.isprintable() or "../" in name or "..\\" in name:
        raise OmniError("invalid_request", "Invalid model format", param="model")
    if only:
        return _route(snapshot, operation, *dedicated(snapshot, only, name), "dedicated")
    return _resolve(snapshot, operation, name, 0)


def _resolve(snapshot: Snapshot, operation: MediaOperation, name: str, depth: int) -> Route:
    head, slash, rest = name.partition("/")
    if slash and rest and (provider_id := snapshot.prefixes.get(head)) is not None:
        models = snapshot.providers[provider_id].models
        whole = name in models and rest not in models  # the vendor's own model names may begin with its prefix
        return _route(snapshot, operation, provider_id, name if whole else rest, "prefix")
    target = alias_target(snapshot, name)
    if target is not None and target != name:
        if depth >= ALIAS_DEPTH:
            raise too_deep(name)
        return _resolve(snapshot, operation, target, depth + 1)._replace(via=f"alias {name}")
    for model in dict.fromkeys((name, name.removesuffix(_LATEST))):
        if offers := _offers(snapshot, operation, model):
            return _route(snapshot, operation, _only_one(snapshot, offers, model), model, "catalogue")
    if slash and rest and head and operation.guess:
        raise no_credentials(operation, head)
    raise invalid_model(operation, name)


def _offers(snapshot: Snapshot, operation: MediaOperation, model: str) -> tuple[str, ...]:
    """The ids of providers that offer *model* for *operation*, as :func:`narrowed`."""
    found = tuple(p for p in snapshot.models.get(model, ()) if offers(snapshot.providers.get(p), operation, model))
    return narrowed(snapshot, found)


def offers(provider: Provider | None, operation: MediaOperation, model: str) -> bool:
    """Whether *provider* can do *operation* with *model*.  Models outside the catalogue are assumed to fit."""
    if provider is None or serves(provider, operation.name) is None:
        return False
    known = provider.models.get(model)
    return known is None or _made_for(known, operation)


def _made_for(model: Model, operation: MediaOperation) -> bool:
    return model.kind == operation.kind and (not operation.ability or operation.ability in model.abilities)


def _only_one(snapshot: Snapshot, offers: tuple[str, ...], model: str) -> str:
    if len(offers) == 1:
        return offers[0]
    if snapshot.default_provider in offers:
        return snapshot.default_provider
    for provider_id in snapshot.chains.get(model, ()):
        if provider_id in offers:
            return provider_id
    raise ambiguous(model)


def _route(snapshot: Snapshot, operation: MediaOperation, provider_id: str, model: str, via: str) -> Route:
    provider = snapshot.providers[provider_id]
    if provider_id in snapshot.settings.blocked_providers:
        raise OmniError("invalid_request", f"Provider '{provider_id}' is blocked in the settings", param="model")
    if model.endswith(_LATEST) and not (provider.node or provider.local):
        model = model.removesuffix(_LATEST)
    model = provider.renames.get(model, model)
    label = provider.prefix or provider.id
    served = serves(provider, operation.name)
    if served is None or served.codec not in CODECS[operation.name]:
        raise not_served(operation, label, f"{label}/{model}")
    if not snapshot.connections.get(provider_id):
        raise no_credentials(operation, label + snapshot.without_account(provider_id))
    known = provider.models.get(model)
    aside = "" if known is not None and _made_for(known, operation) else operation.name
    price, quirks = price_of(snapshot, provider, model), quirks_of(provider, model)
    return Route(provider, model, served.codec, via, price, quirks, aside)
