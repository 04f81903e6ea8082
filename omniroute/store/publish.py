"""Builds the snapshot: everything that the data plane reads, indexed for its lookups.

It is rebuilt on each change, inside the transaction of that change, so changes are always published in commit order.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ..clock import unix_time
from ..errors import OmniError
from ..gateway.combos import sound
from ..gateway.ip_filter import compiled
from ..gateway.outbound import Environment, Names, Outbound, Via, by_provider
from ..gateway.retry import PROFILES
from ..gateway.snapshot import Combo, Connection, GatewayKey, GatewaySettings, RateDefaults, Snapshot
from ..proto.proxy import Proxy, parse_proxy
from ..settings import Settings
from ..translate.thinking_budget import ThinkingRule
from ..upstream.base_url import base_url_of
from ..upstream.providers import NODE_TYPES, Catalog, Price, Provider, node_provider
from . import (
    aliases,
    budgets,
    chains,
    combos,
    config,
    connections,
    custom_models,
    keys,
    keyvalue,
    nodes,
    policies,
    pricing,
    proxies,
)
from .db import Row
from .keyvalue import Reader
from .vault import Vault

_log = logging.getLogger("omniroute.store")
_NODE_ORDER: Final = {name: place for place, name in enumerate(NODE_TYPES)}  # precedence of node types with equal prefixes


class Publisher:
    """Builds snapshots.  It remembers which rows it had to leave out, to log each of them only once."""

    def __init__(self, catalog: Catalog, vault: Vault, settings: Settings, key_secret: bytes) -> None:
        self._catalog = catalog
        self._vault = vault
        self._settings = settings
        self._key_secret = key_secret
        self._told: set[str] = set()

    async def build(self, source: Reader, version: int) -> Snapshot:
        """The snapshot of the content of *source*, a database or an open transaction."""
        values = await keyvalue.read_several(source, _NAMESPACES)
        active_rows = await source.fetch(connections.SELECT + " WHERE is_active = 1" + connections.ORDER)
        accounts, unopened = self._connections(active_rows)
        endpoints = [nodes.row_of(record) for record in await source.fetch(nodes.SELECT + " ORDER BY created_at, rowid")]
        custom = custom_models.of_values(values[custom_models.NAMESPACE])
        with_accounts = accounts.keys() | unopened.keys()
        providers, prefixes, left_out = routable(self._catalog, endpoints, with_accounts)
        for id, reason in left_out.items():
            self._tell_once(id, "node %s is left out: %s", id, reason)
        active, inactive = combos.in_force(await source.fetch(combos.SELECT))
        links = chains.of_records(await source.fetch(chains.SELECT))
        offered, shortcuts = offers(self._catalog.models_by_id, custom), aliases.only_texts(values[aliases.NAMESPACE])
        ways = self._outbound(values, active, Names(prefixes, shortcuts, offered))
        return Snapshot(
            version=version,
            default_provider=self._catalog.default_provider,
            key_secret=self._key_secret,
            keys=self._keys(await source.fetch(keys.SELECT)),
            providers=providers,
            prefixes=prefixes,
            wires=remapped(self._catalog, prefixes),
            connections=with_proxies(accounts, ways, providers),
            unopened=unopened,
            models=offered,
            custom_models={provider: tuple(model.id for model in models) for provider, models in custom.items()},
            aliases=shortcuts,
            combos=active,
            inactive_combos=inactive,
            chains=chains.in_force(links, prefixes, providers),
            prices=user_prices(pricing.of_values(values[pricing.NAMESPACE]), prefixes, self._catalog),
            budgets=budgets.in_force(await source.fetch(budgets.SELECT)),
            policies=policies.in_force(values[policies.NAMESPACE]),
            settings=gateway_settings(values[config.NAMESPACE], self._settings, prefixes),
            ip_filter=compiled(values[config.NAMESPACE].get("ipFilter")),
            outbound=ways,
        )

    def _outbound(self, values: Mapping[str, Mapping[str, Any]], active: Mapping[str, Combo], names: Names) -> Outbound:
        """The outbound proxies.  While SOCKS5 is disabled, calls assigned to a SOCKS5 proxy fail instead of going direct."""
        settings = self._settings
        stored = proxies.of_values(values[proxies.NAMESPACE], self._vault)
        socks = settings.enable_socks5_proxy or values[config.NAMESPACE].get("enableSocks5Proxy") is True

        def usable(proxy: Proxy) -> Proxy:
            return proxy if socks or proxy.scheme != "socks5" else proxy._replace(scheme="disabled")

        maps = {level: {id: usable(proxy) for id, proxy in entries.items()} for level, entries in stored.maps.items()}
        return Outbound(
            usable(stored.everywhere) if stored.everywhere is not None else None,
            {names.prefixes.get(id, id): proxy for id, proxy in maps["provider"].items()},
            by_provider(maps["combo"], active, names),
            maps["key"],
            Environment(
                parse_proxy(settings.http_proxy) if settings.http_proxy else None,
                parse_proxy(settings.https_proxy) if settings.https_proxy else None,
                settings.no_proxy,
            ),
        )

    def _connections(self, records: Iterable[Row]) -> tuple[dict[str, tuple[Connection, ...]], dict[str, dict[str, str]]]:
        """``Snapshot.connections`` and ``Snapshot.unopened``."""
        found: dict[str, list[Connection]] = {}
        unopened: dict[str, dict[str, str]] = {}
        for record in records:
            try:
                connection = self._connection(record)
            except OmniError as error:
                unopened.setdefault(record["provider"], {})[record["id"]] = error.message
                text = "connection %s (%s) is left out: %s"
                self._tell_once(record["id"], text, record["id"], record["provider"], error.message)
                continue
            found.setdefault(connection.provider, []).append(connection)
        return {provider: tuple(group) for provider, group in found.items()}, unopened

    def _tell_once(self, id: str, text: str, *values: str) -> None:
        if id not in self._told:
            self._told.add(id)
            _log.error(text, *values)

    def _connection(self, record: Row) -> Connection:
        """A row in the data plane's form.  Raises OmniError when its secret cannot be decrypted."""
        row = connections.row_of(record)
        secret = self._vault.open(record["api_key"] or record["access_token"] or "")
        return Connection(
            id=row.id,
            provider=row.provider,
            name=row.label,
            secret=secret,
            auth_type=row.auth_type,
            priority=row.priority,
            base_url="" if "nodeName" in row.provider_specific_data else row.base_url.rstrip("/"),
            default_model=row.default_model or "",
            updated_at=unix_time(row.updated_at) or 0.0,
            rate_limit_protection=row.rate_limit_protection,
            data=row.provider_specific_data,
            refreshable=row.refreshable,
            renew_at=row.renew_at,
        )

    def _keys(self, records: Iterable[Row]) -> dict[bytes, GatewayKey]:
        found = {}
        for record in records:
            if not record["key"].startswith(keys.DIGEST_PREFIX):
                continue  # clear text of an adopted database, not hashed yet
            row = keys.row_of(record)
            digest = bytes.fromhex(record["key"].removeprefix(keys.DIGEST_PREFIX))
            found[digest] = GatewayKey(
                id=row.id,
                name=row.name,
                digest=digest,
                scopes=frozenset(row.scopes),
                allowed_models=tuple(row.allowed_models),
                no_log=row.no_log or row.id in self._settings.no_log_key_ids,
                expires_at=expiry(row.expires_at),
            )
        return found


_NAMESPACES: Final = tuple(module.NAMESPACE for module in (config, aliases, custom_models, pricing, policies, proxies))


def with_proxies(
    accounts: dict[str, tuple[Connection, ...]], ways: Outbound, providers: Mapping[str, Provider]
) -> dict[str, tuple[Connection, ...]]:
    """The connections, each with the proxy that *ways* selects for it."""
    if ways == Outbound():
        return accounts

    def through(connection: Connection) -> Connection:
        via = via_of(ways, providers.get(connection.provider), connection, connection.data)
        return msgspec.structs.replace(connection, proxy=via) if via is not None else connection

    return {provider: tuple(map(through, group)) for provider, group in accounts.items()}


def via_of(
    ways: Outbound, provider: Provider | None, account: Connection | connections.ConnectionRow, data: Mapping[str, Any]
) -> Via | None:
    """The proxy that *ways* selects for an account with this *data*; None: a direct connection."""
    try:
        base = base_url_of(provider, account.base_url, data) if provider is not None else ""
    except OmniError:  # a value that the base URL needs is missing
        base = ""
    return ways.choose(provider, account.provider, account.id, base)


def expiry(text: str | None) -> float | None:
    """Unix time at which a key expires; None: never.  A malformed time counts as expired."""
    moment = unix_time(text)
    return 0.0 if text and moment is None else moment


def routable(
    catalog: Catalog, endpoints: Collection[nodes.NodeRow], with_accounts: Collection[str]
) -> tuple[dict[str, Provider], dict[str, str], dict[str, str]]:
    """Provider id -> provider; prefix -> provider id; id of each node that cannot be used -> why.

    In ascending precedence of prefixes: the catalogue's providers, reserved ids with accounts of their own, nodes; among
    nodes, one with an account wins.
    """
    providers, prefixes = dict(catalog.providers), dict(catalog.prefixes)
    for prefix, id in catalog.reserved_ids.items():
        if id in with_accounts and (base := catalog.providers.get(catalog.reserved.get(id, ""))):
            wire = catalog.reserved_wires.get(id) or base.wire
            providers[id] = msgspec.structs.replace(base, id=id, alias=prefix, wire=wire)
            prefixes[prefix] = prefixes[id] = id
    mine: dict[str, str] = {}
    left_out: dict[str, str] = {}
    order = {node.id: (node.id not in with_accounts, _NODE_ORDER.get(node.type, len(_NODE_ORDER))) for node in endpoints}
    for node in sorted(endpoints, key=lambda node: order[node.id]):
        try:
            providers[node.id] = node_provider(node.id, node.type, node.name, node.prefix, node.base_url, node.api_type)
        except OmniError as error:  # a row of an adopted database with an unknown type
            left_out[node.id] = error.message
            continue
        mine[node.id] = node.id
        if node.prefix:
            mine.setdefault(node.prefix, node.id)
    return providers, {**prefixes, **mine}, left_out


def remapped(catalog: Catalog, prefixes: Mapping[str, str]) -> dict[str, str]:
    """Reserved prefix -> wire, for those prefixes that currently lead to a vendor's public API."""
    return {name: wire for name, wire in catalog.reserved_wires.items() if prefixes.get(name) == catalog.reserved[name]}


def offers(
    catalogued: Mapping[str, tuple[str, ...]], custom: Mapping[str, Iterable[custom_models.CustomModel]]
) -> dict[str, tuple[str, ...]]:
    """Model id without prefix -> provider ids: the catalogue's first, then those to which the user added the model."""
    models = dict(catalogued)
    for provider, added in custom.items():
        for model in added:
            known = models.get(model.id, ())
            if provider not in known:
                models[model.id] = (*known, provider)
    return models


def user_prices(table: pricing.Table, prefixes: Mapping[str, str], catalog: Catalog) -> dict[tuple[str, str], Price]:
    """(provider id, model id) -> the user's price; fields that the user left open are the catalogue's.

    Prices stored under a provider's id take precedence over those under its alias.
    """
    prices: dict[tuple[str, str], Price] = {}
    for name in sorted(table, key=lambda name: prefixes.get(name, name) == name):
        provider = prefixes.get(name, name)
        for model, fields in table[name].items():
            default = prices.get((provider, model)) or catalog.price(provider, model)
            prices[provider, model] = Price(**{**(pricing.as_fields(default) if default else {}), **fields})
    return prices


def gateway_settings(
    stored: Mapping[str, Any], settings: Settings, prefixes: Mapping[str, str] = MappingProxyType({})
) -> GatewaySettings:
    """The settings that requests depend on; invalid stored values count as absent."""
    values = config.sound(stored)
    listed = (part.strip() for part in values.get("corsOrigins", "").split(","))
    origins = dict.fromkeys((*settings.cors_origins, *filter(None, listed)))
    return GatewaySettings(
        require_api_key=settings.require_api_key,
        require_auth_for_models=values.get("requireAuthForModels", False),
        blocked_providers=frozenset(prefixes.get(name, name) for name in values.get("blockedProviders", ())),
        fallback_strategy=values["fallbackStrategy"],
        sticky_limit=values["stickyRoundRobinLimit"],
        wildcard_aliases=tuple((item["pattern"], item["target"]) for item in values.get("wildcardAliases", ())),
        cors_origins=tuple(origins),
        setup_complete=bool(values.get("setupComplete") or stored.get(config.PASSWORD) or settings.initial_password),
        log_bodies=values.get("enableRequestLogs", settings.log_bodies),
        profiles=profiles(values.get("providerProfiles", {})),
        combo_defaults=sound(values.get("comboDefaults", {})),
        provider_overrides={
            prefixes.get(name, name): sound(given)
            for name, given in values.get("providerOverrides", {}).items()
            if isinstance(given, dict)
        },
        rate_defaults=rate_defaults(values.get("rateLimitDefaults", {})),
        system_prompt=system_prompt(values.get("systemPrompt", {})),
        thinking=thinking_rule(values.get("thinkingBudget", {})),
    )


def profiles(stored: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The complete resilience profiles: stored values (API names, milliseconds) over the defaults."""
    result = {name: dict(zip(default._fields, default, strict=True)) for name, default in PROFILES.items()}
    for name, given in stored.items():
        if name in result and isinstance(given, dict):
            for key, (field, factor) in config.PROFILE_FIELDS.items():
                if isinstance(value := given.get(key), int | float):
                    result[name][field] = value * factor
    return result


def rate_defaults(stored: Mapping[str, Any]) -> RateDefaults:
    """The limits of protected connections: stored values (API names, milliseconds) over the defaults."""
    given: dict[str, Any] = {
        field: value * factor
        for key, (field, factor) in config.RATE_FIELDS.items()
        if isinstance(value := stored.get(key), int | float) and not isinstance(value, bool) and value > 0
    }
    return RateDefaults()._replace(**given)


def system_prompt(stored: Mapping[str, Any]) -> str:
    """The system prompt that the gateway adds; "" when it is disabled."""
    prompt = stored.get("prompt")
    return prompt if stored.get("enabled") is True and isinstance(prompt, str) and prompt.strip() else ""


def thinking_rule(stored: Mapping[str, Any]) -> ThinkingRule:
    """The rule for thinking budgets; the default, which changes nothing, when the stored value is invalid."""
    names = {"mode": "mode", "customBudget": "budget", "effortLevel": "effort"}
    try:
        return msgspec.convert({field: stored[key] for key, field in names.items() if key in stored}, ThinkingRule)
    except msgspec.ValidationError:
        return ThinkingRule()
