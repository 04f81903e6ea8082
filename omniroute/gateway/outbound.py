"""The choice of an outbound proxy: connection, combo, provider, global, environment, none.

Pure; it is made once per connection, when a snapshot is built.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from msgspec import Struct, field

from ..proto.proxy import Proxy
from ..proto.transport import PORTS
from ..settings import is_loopback
from ..upstream.providers import Provider
from .ip_filter import AddressSet, address_of


class Via(NamedTuple):
    """A proxy and the level that it was set at: ``key``, ``combo``, ``provider``, ``global`` or ``environment``."""

    proxy: Proxy
    level: str
    level_id: str | None = None


class ProxiedCall(NamedTuple):
    """One call through a proxy.  ``at``: Unix seconds when it began; ``status``: success, error or timeout."""

    via: Via
    at: float
    status: str
    provider: str
    model: str
    latency_ms: float
    error: str
    connection_id: str
    account: str
    combo_id: str | None


class Environment(Struct, frozen=True):
    """The proxies in ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY``.  ``exempt``: the entries of ``NO_PROXY``."""

    plain: Proxy | None = None  # for http targets
    secure: Proxy | None = None  # for https ones
    exempt: tuple[str, ...] = ()

    def proxy(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for a target, None if it is exempt.  Loopback is always reached directly."""
        found = self.secure if scheme == "https" else self.plain
        if found is None or is_loopback(host) or exempt(self.exempt, host, port):
            return None
        return found


class Outbound(Struct, frozen=True):
    """The proxies of all levels.  ``combos`` has those set for combos, by the id of each provider in the combo."""

    everywhere: Proxy | None = None
    providers: dict[str, Proxy] = field(default_factory=dict)
    combos: dict[str, Via] = field(default_factory=dict)
    connections: dict[str, Proxy] = field(default_factory=dict)
    environment: Environment = Environment()

    def choose(self, provider: Provider | None, provider_id: str, connection_id: str, base_url: str = "") -> Via | None:
        """The proxy for calls of one connection, None for direct ones.  ``base_url``: the connection's own, if any.

        The global and environment levels do not apply to servers on this machine (``Provider.local``).
        """
        if (proxy := self.connections.get(connection_id)) is not None:
            return Via(proxy, "key", connection_id)
        if (via := self.combos.get(provider_id)) is not None:
            return via
        if (proxy := self.providers.get(provider_id)) is not None:
            return Via(proxy, "provider", provider_id)
        if provider is not None and provider.local:
            return None
        if self.everywhere is not None:
            return Via(self.everywhere, "global")
        proxy = self._by_environment(provider, base_url)
        return Via(proxy, "environment") if proxy is not None else None

    def elsewhere(self, url: str) -> Via | None:
        """The proxy for calls to a *url* that belongs to no provider: the global one, else the environment's."""
        if is_loopback(urlsplit(url).hostname or ""):
            return None
        return self.choose(None, "", "", url)

    def _by_environment(self, provider: Provider | None, base_url: str) -> Proxy | None:
        if self.environment.plain is None and self.environment.secure is None:
            return None
        try:
            place = urlsplit(base_url or (provider.base_url if provider is not None else ""))
            port = place.port or PORTS.get(place.scheme, 0)
        except ValueError:
            return None
        return self.environment.proxy(place.scheme, place.hostname or "", port) if place.hostname else None


def exempt(entries: Collection[str], host: str, port: int) -> bool:
    """Whether ``NO_PROXY`` matches *host*.  Entries are ``*``, domains, addresses or ranges, each with or without port."""
    name = host.lower().rstrip(".")
    return any(_matches(entry.lower(), name, port) for entry in entries)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    head, colon, tail = entry.rpartition(":")
    if colon and tail.isdigit() and (":" not in head or head.startswith("[")):
        if int(tail) != port:
            return False
        entry = head
    entry = entry.strip("[]")
    try:
        return address_of(host) in AddressSet((entry,))
    except ValueError:
        pass
    domain = entry.removeprefix("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


class Entry(Protocol):
    """The part of a combo's entry that is used here."""

    @property
    def model(self) -> str: ...


class Listed(Protocol):
    """The part of a combo that is used here."""

    @property
    def id(self) -> str: ...
    @property
    def entries(self) -> Collection[Entry]: ...


class Names(NamedTuple):
    """Maps to resolve model names: prefix -> provider, alias -> model, model -> the providers that offer it."""

    prefixes: Mapping[str, str]
    aliases: Mapping[str, str]
    models: Mapping[str, tuple[str, ...]]

    def providers(self, model: str) -> tuple[str, ...]:
        """The ids of the providers that may serve *model*."""
        model = self.aliases.get(model, model)
        prefix, slash, _ = model.partition("/")
        if slash and prefix in self.prefixes:
            return (self.prefixes[prefix],)
        return self.models.get(model, ())


def by_provider(chosen: Mapping[str, Proxy], combos: Mapping[str, Listed], names: Names) -> dict[str, Via]:
    """Turn proxies by combo id or name into proxies by provider; of several combos the first by name counts."""
    found: dict[str, Via] = {}
    for name in sorted(combos):
        combo = combos[name]
        proxy = chosen.get(combo.id) or chosen.get(name)
        if proxy is not None:
            for provider in _providers_in(name, combos, names):
                found.setdefault(provider, Via(proxy, "combo", combo.id))
    return found


def _providers_in(name: str, combos: Mapping[str, Listed], names: Names) -> set[str]:
    """The providers in a combo and in the combos it refers to."""
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        for entry in combos[waiting.pop()].entries:
            if entry.model not in combos:
                found.update(names.providers(entry.model))
            elif entry.model not in seen:
                seen.add(entry.model)
                waiting.append(entry.model)
    return found
