"""Resolution of model names.  Pure: a snapshot in, a route out.

The order of the rules is in ``docs/routing.md``, "What a model's name means".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..errors import OmniError
from ..upstream.providers import Price, Provider, quirks_of
from .cost import price_of
from .policies import glob
from .snapshot import Combo, Snapshot

ALIAS_DEPTH: Final = 5
LONGEST_NAME: Final = 512
_LATEST: Final = ":latest"  # a tag that some clients add to every name
_FORBIDDEN: Final = re.compile(r"\.\./|\.\.\\|[\x00-\x1f\x7f-\x9f]")


class Route(NamedTuple):
    """One provider and its id of the model.  ``via`` tells how the name was resolved, for explanations."""

    provider: Provider
    model: str
    wire: str
    via: str
    price: Price | None
    quirks: frozenset[str]
    aside: str = ""  # an operation other than chat that the model is not known to support

    @property
    def kept_as(self) -> str:
        """The model's name for cooldowns: a failure of the operation ``aside`` does not affect chat."""
        return f"{self.model} ({self.aside})" if self.aside else self.model


class RouteCache:
    """A cache of routes by name, cleared with each new snapshot.  Failures are not cached."""

    __slots__ = ("_routes", "_snapshot")
    _MOST: Final = 4096

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._routes: dict[tuple[str, str], Route] = {}

    def resolve(self, snapshot: Snapshot, name: str, only: str) -> Route:
        """As :func:`resolve`."""
        if snapshot is not self._snapshot:
            self._snapshot, self._routes = snapshot, {}
        route = self._routes.get((name, only))
        if route is None:
            route = resolve(snapshot, name, only=only)
            if len(self._routes) < self._MOST:
                self._routes[name, only] = route
        return route


def resolve(snapshot: Snapshot, name: str, *, only: str = "") -> Route:
    """The route of the model *name*; *only* restricts it to one provider (dedicated routes).

    Raises ``OmniError("invalid_request", param="model")``.
    """
    if not name or name.isspace():
        raise OmniError("invalid_request", "Missing model", param="model")
    if len(name) > LONGEST_NAME or _FORBIDDEN.search(name):
        raise OmniError("invalid_request", "Invalid model format", param="model")
    if only:
        return _route(snapshot, *dedicated(snapshot, only, name), "dedicated")
    return _resolve(snapshot, name, 0)


def _resolve(snapshot: Snapshot, name: str, depth: int) -> Route:
    head, slash, rest = name.partition("/")
    if slash and rest and (provider_id := snapshot.prefixes.get(head)) is not None:
        return _route(snapshot, provider_id, rest, "prefix", snapshot.wires.get(head, ""))
    target, via = _exact_alias(snapshot, name), "alias"
    if target is None and (target := _wildcard(snapshot, name)) is not None:
        via = "wildcard alias"
    if target is not None and target != name:
        if depth >= ALIAS_DEPTH:
            raise too_deep(name)
        route = _resolve(snapshot, target, depth + 1)
        return route._replace(via=f"{via} {name}")
    if not slash:
        return _bare(snapshot, name)
    if not (head and rest):
        raise OmniError("invalid_request", "Invalid model format", param="model")
    return _unknown(snapshot, head, rest)


def alias_target(snapshot: Snapshot, name: str) -> str | None:
    """The target of an exact alias (never for names with a slash), else of the most specific wildcard alias, else None."""
    exact = _exact_alias(snapshot, name)
    return exact if exact is not None else _wildcard(snapshot, name)


def _exact_alias(snapshot: Snapshot, name: str) -> str | None:
    if "/" in name:
        return None
    target = snapshot.aliases.get(name)
    return target if target is not None else snapshot.aliases.get(_untagged(snapshot, name))


def _untagged(snapshot: Snapshot, name: str) -> str:
    """*name* without the tag ``:latest``, unless a model is listed with it."""
    return name if name in snapshot.models else name.removesuffix(_LATEST)


def find_combo(snapshot: Snapshot, name: str) -> Combo | None:
    """The active combo with this name, directly or through aliases; None if there is none."""
    if not snapshot.combos or len(name) > LONGEST_NAME:
        return None
    for _ in range(ALIAS_DEPTH + 1):
        if (combo := snapshot.combos.get(name)) is not None:
            return combo
        head, slash, rest = name.partition("/")
        if slash and rest and head in snapshot.prefixes:
            return None
        if name not in snapshot.aliases and (combo := snapshot.combos.get(_untagged(snapshot, name))) is not None:
            return combo
        target = alias_target(snapshot, name)
        if target is None:
            return None
        name = target
    return None


class _Wildcard(NamedTuple):
    """A wildcard alias; among several matches the greatest (specificity, place) wins."""

    specificity: int
    place: int  # negative index, so that earlier aliases win
    pattern: re.Pattern[str]
    target: str


class _Wildcards:
    """Wildcard aliases, indexed by the text before their first wildcard so that a name is compared with few of them."""

    __slots__ = ("_aliases", "_by_start")

    def __init__(self) -> None:
        self._aliases: tuple[tuple[str, str], ...] = ()
        self._by_start: dict[str, list[_Wildcard]] = {}

    def find(self, aliases: tuple[tuple[str, str], ...], name: str) -> str | None:
        """The target of the most specific of *aliases* that *name* matches."""
        if aliases is not self._aliases:
            self._aliases, self._by_start = aliases, _by_start(aliases)
        text = name.casefold()
        near = (self._by_start.get(text[:end], ()) for end in range(len(text) + 1))
        found = [alias for group in near for alias in group if alias.pattern.fullmatch(name)]
        return max(found, key=lambda alias: alias[:2]).target if found else None


def _by_start(aliases: tuple[tuple[str, str], ...]) -> dict[str, list[_Wildcard]]:
    groups: dict[str, list[_Wildcard]] = {}
    for place, (pattern, target) in enumerate(aliases):
        start = re.split(r"[*?]", pattern, maxsplit=1)[0].casefold()
        groups.setdefault(start, []).append(_Wildcard(specificity(pattern), -place, glob(pattern), target))
    return groups


_wildcards: Final = _Wildcards()


def _wildcard(snapshot: Snapshot, name: str) -> str | None:
    aliases = snapshot.settings.wildcard_aliases
    return _wildcards.find(aliases, name) if aliases else None


def specificity(pattern: str) -> int:
    """10 per literal character except ``/``, - 50 per ``*``, - 5 per ``?``, + the pattern's length."""
    literal = sum(map(len, re.split(r"[/*?]", pattern)))
    return 10 * literal - 50 * pattern.count("*") - 5 * pattern.count("?") + len(pattern)


def _bare(snapshot: Snapshot, name: str) -> Route:
    name = _untagged(snapshot, name)
    offers = narrowed(snapshot, snapshot.models.get(name, ()))
    if snapshot.default_provider in offers:
        return _unknown(snapshot, snapshot.default_provider, name)
    if len(offers) == 1:
        return _route(snapshot, offers[0], name, "catalogue")
    for provider_id in snapshot.chains.get(name, ()):
        able = provider_id in offers or (not offers and snapshot.connections.get(provider_id))
        if able and provider_id not in snapshot.settings.blocked_providers:
            return _route(snapshot, provider_id, name, "fallback chain")
    if not offers:
        if name in snapshot.inactive_combos:
            raise OmniError("invalid_request", f"Combo '{name}' is not active", param="model")
        return _unknown(snapshot, snapshot.default_provider, name)
    raise ambiguous(name)


def narrowed(snapshot: Snapshot, offers: tuple[str, ...]) -> tuple[str, ...]:
    """The providers in *offers* that exist, are not blocked and have an account.

    The last two conditions are ignored when no provider meets them, so that the error can name the reason.
    """
    offers = tuple(p for p in offers if p in snapshot.providers)
    offers = tuple(p for p in offers if p not in snapshot.settings.blocked_providers) or offers
    return tuple(p for p in offers if snapshot.connections.get(p)) or offers


def _route(snapshot: Snapshot, provider_id: str, model: str, via: str, wire: str = "") -> Route:
    provider = snapshot.providers[provider_id]
    if provider_id in snapshot.settings.blocked_providers:
        raise OmniError("invalid_request", f"Provider '{provider_id}' is blocked in the settings", param="model")
    if model.endswith(_LATEST) and not (provider.node or provider.local):
        model = model.removesuffix(_LATEST)
    model = provider.renames.get(model, model)
    known = provider.models.get(model)
    wire = (known.wire if known is not None else "") or wire or provider.wire_of(model)
    if not wire:
        raise OmniError("invalid_request", f"Provider '{provider_id}' has no chat models", param="model")
    return Route(provider, model, wire, via, price_of(snapshot, provider, model), quirks_of(provider, model))


def _unknown(snapshot: Snapshot, provider_id: str, model: str) -> Route:
    if provider_id in snapshot.providers:
        return _route(snapshot, provider_id, model, "default")
    raise no_credentials(provider_id)


def too_deep(alias: str) -> OmniError:
    """The error for an alias that leads to itself, or through too many others."""
    message = f"Alias '{alias}' leads in a circle or too deep (limit {ALIAS_DEPTH})"
    return OmniError("invalid_request", message, param="model")


def ambiguous(name: str) -> OmniError:
    """The error for a bare name that several providers offer."""
    message = f"Ambiguous model '{name}'. Use provider/model prefix (ex: gh/{name} or cc/{name})."
    return OmniError("invalid_request", message, param="model")


def no_credentials(provider_id: str) -> OmniError:
    """The error for a provider without a connection."""
    return OmniError("invalid_request", f"No credentials for provider: {provider_id}", param="model")


def dedicated(snapshot: Snapshot, prefix: str, name: str) -> tuple[str, str]:
    """(provider id, model id) for ``/v1/providers/{provider}/…``.

    The model's prefix may be missing, but must not be another provider's: raises ``OmniError``.
    """
    provider_id = snapshot.prefixes.get(prefix)
    if provider_id is None:
        raise OmniError("invalid_request", f"Unknown provider: {prefix}")
    provider = snapshot.providers[provider_id]
    head, slash, rest = name.partition("/")
    owner = snapshot.prefixes.get(head) if slash and rest and name not in provider.models else None
    if owner is not None and owner != provider_id:
        alias = provider.prefix or provider.alias or provider_id
        message = f'Model "{name}" does not belong to provider "{prefix}". Expected prefix: {alias}/'
        raise OmniError("invalid_request", message, param="model")
    return provider_id, rest if owner is not None else name
