"""An immutable, fully indexed view of all configuration.

``store/publish.py`` builds a new snapshot after each committed change and swaps one reference; the data plane reads that
reference once per request.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from msgspec import Struct, field

from ..translate.thinking_budget import ThinkingRule
from ..upstream.providers import Price, Provider
from .budgets import Budget
from .ip_filter import IpFilter
from .outbound import Outbound, Via
from .policies import Policy


class Connection(Struct, frozen=True):
    """One account at one provider.  ``secret`` is the plaintext key: kept only in memory, never logged."""

    id: str
    provider: str
    name: str
    secret: str = ""
    auth_type: str = "apikey"
    priority: int = 1
    is_active: bool = True
    base_url: str = ""  # overrides the provider's
    default_model: str = ""
    updated_at: float = 0.0  # Unix seconds
    rate_limit_protection: bool = False
    data: dict[str, Any] = field(default_factory=dict)  # providerSpecificData
    refreshable: bool = False  # the secret is an access token, and a refresh token exists
    renew_at: float = inf  # Unix seconds after which the token is renewed before a call
    proxy: Via | None = None  # outbound proxy for its calls

    def __repr__(self) -> str:
        return f"Connection({self.id}, {self.provider}, {self.name!r})"


class GatewayKey(Struct, frozen=True):
    """A client's key, looked up by the keyed hash of its text."""

    id: str
    name: str
    digest: bytes  # HMAC-SHA256(secret, text)
    scopes: frozenset[str] = frozenset({"inference"})
    allowed_models: tuple[str, ...] = ()  # empty = all
    no_log: bool = False
    expires_at: float | None = None  # Unix seconds


class ComboEntry(Struct, frozen=True):
    """One entry of a combo: the name of a model or of another combo."""

    model: str
    weight: float = 0.0


class Combo(Struct, frozen=True):
    """One name for several models.  ``config`` has only what differs from the settings, in the API's names and units."""

    id: str
    name: str
    entries: tuple[ComboEntry, ...] = ()
    strategy: str = "priority"
    config: dict[str, Any] = field(default_factory=dict)


class RateDefaults(NamedTuple):
    """The default rate limits of protected connections; ``spacing`` in seconds."""

    per_minute: int = 100
    spacing: float = 0.2
    concurrent: int = 10


class GatewaySettings(Struct, frozen=True):
    """The stored settings that the data plane uses, with their defaults."""

    require_api_key: bool = False
    require_auth_for_models: bool = False
    blocked_providers: frozenset[str] = frozenset()
    fallback_strategy: str = "fill-first"
    sticky_limit: int = 3
    wildcard_aliases: tuple[tuple[str, str], ...] = ()  # (pattern, target)
    cors_origins: tuple[str, ...] = ()
    setup_complete: bool = False
    log_bodies: bool = False  # the call log keeps requests and answers
    profiles: dict[str, dict[str, float]] = field(default_factory=dict)  # resilience profiles, seconds
    rate_defaults: RateDefaults = RateDefaults()
    system_prompt: str = ""  # put before each request's own
    thinking: ThinkingRule = ThinkingRule()
    combo_defaults: dict[str, Any] = field(default_factory=dict)  # as ``Combo.config``
    provider_overrides: dict[str, dict[str, Any]] = field(default_factory=dict)  # the same by provider id


class Snapshot(Struct, frozen=True, weakref=True):
    """All configuration that the data plane reads.

    ``providers``: built-in providers and nodes, by id.  ``prefixes``: each accepted prefix (id, alias, reserved alias, node
    prefix) -> provider id; ``wires``: the prefixes that select another wire format than the provider's.  ``connections``:
    the *active* ones by provider id, sorted by (priority, newest first), without those whose secret cannot be decrypted.
    Those are in ``unopened``: provider id -> connection id -> why.  ``models``: bare model id -> ids of its providers.
    """

    version: int = 0
    default_provider: str = ""  # for bare model names that no provider lists
    key_secret: bytes = b""
    keys: dict[bytes, GatewayKey] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    wires: dict[str, str] = field(default_factory=dict)
    connections: dict[str, tuple[Connection, ...]] = field(default_factory=dict)
    unopened: dict[str, dict[str, str]] = field(default_factory=dict)
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    custom_models: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by provider id
    aliases: dict[str, str] = field(default_factory=dict)
    combos: dict[str, Combo] = field(default_factory=dict)  # the active ones by name
    inactive_combos: frozenset[str] = frozenset()
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)  # model -> provider ids to fall back on, in order
    prices: dict[tuple[str, str], Price] = field(default_factory=dict)  # user prices over the catalogue's
    ip_filter: IpFilter | None = None  # None: all addresses may call
    outbound: Outbound = field(default_factory=Outbound)
    budgets: dict[str, Budget] = field(default_factory=dict)  # by gateway key id
    policies: tuple[Policy, ...] = ()  # the enabled ones, in order of evaluation
    settings: GatewaySettings = field(default_factory=GatewaySettings)

    def without_account(self, provider_id: str) -> str:
        """What to add to "No credentials for provider": why a stored account cannot be used, or ""."""
        return next((f". {reason}" for reason in self.unopened.get(provider_id, {}).values()), "")
