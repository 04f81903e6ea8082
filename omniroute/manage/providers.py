"""Connections: the accounts at providers.  ``provider_tests.py`` tests them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import unix_time
from ..log import MASK
from ..store.connections import HEALTH, ConnectionRow
from ..store.private_fields import is_secret
from ..upstream.base_url import check_base_url
from ..upstream.credentials import needs_secret
from ..upstream.providers import Provider
from .bodies import Name, Rank, ShortName, Text10k, Text50, Text200, Text500, clean_key, given
from .call import Call, Message, Reply, flag, one_at_a_time
from .connection_health import apply_sent, start_afresh
from .connection_view import ConnectionList, ConnectionView, OneConnection, view
from .refusals import Invalid, existing, refused

_Data = Annotated[dict[str, str | int | float | bool | None], Meta(max_length=50)]
_Short = Text50 | None | UnsetType


class ConnectionBody(Struct, rename="camel", kw_only=True):
    provider: ShortName
    name: Name
    api_key: Text10k | None = None
    priority: Rank | None = None
    global_priority: Rank | None = None
    default_model: Text200 | None = None
    display_name: Text200 | None = None
    test_status: Text50 | None = None
    is_active: bool | None = None
    base_url: Text500 | None = None
    provider_specific_data: _Data | None = None


class ConnectionChange(Struct, rename="camel", kw_only=True):
    name: Name | UnsetType = UNSET
    priority: Rank | UnsetType = UNSET
    global_priority: Rank | UnsetType | None = UNSET
    default_model: Text200 | UnsetType | None = UNSET
    display_name: Text200 | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    api_key: Text10k | UnsetType = UNSET
    base_url: Text500 | UnsetType | None = UNSET
    provider_specific_data: _Data | UnsetType = UNSET
    test_status: Text50 | UnsetType = UNSET
    last_error: Text500 | UnsetType | None = UNSET
    last_error_at: _Short = UNSET
    last_error_type: _Short = UNSET
    last_error_source: _Short = UNSET
    error_code: str | int | UnsetType | None = UNSET
    rate_limited_until: _Short = UNSET
    last_tested: _Short = UNSET
    health_check_interval: Annotated[int, Meta(ge=0, le=1440 * 30)] | UnsetType | None = UNSET


_TIMES: Final = {"last_error_at": "lastErrorAt", "rate_limited_until": "rateLimitedUntil", "last_tested": "lastTested"}


async def list_connections(call: Call) -> Reply:
    """Return the accounts by priority, without secrets; ``?provider=`` and ``?isActive=`` filter."""
    rows = await call.store.connections.list(call.query.get("provider") or None, flag(call.query.get("isActive")))
    return Reply(200, ConnectionList(await _shown(call, rows)))


async def _shown(call: Call, rows: Sequence[ConnectionRow]) -> list[ConnectionView]:
    live, usage = call.live, call.store.usage
    await usage.flush()
    last = await usage.last_used(rows[0].id if len(rows) == 1 else None)
    unopened = call.snapshot.unopened
    return [
        view(
            row, live.health.view(row.id), live.uses.of(row.id), last.get(row.id), unopened.get(row.provider, {}).get(row.id)
        )
        for row in rows
    ]


async def _one(call: Call, row: ConnectionRow) -> OneConnection:
    [shown] = await _shown(call, [row])
    return OneConnection(shown)


@one_at_a_time
async def create(call: Call) -> Reply:
    """Add an account, or change the one with the same provider and name (201 too).

    400 for an unknown provider, a key that is missing or only a masked preview, or an address that must not be called; 404
    for an unknown node.
    """
    body: ConnectionBody = call.body
    provider = await find_provider(call, body.provider)
    _check_place(call, body.base_url, body.provider_specific_data)
    api_key = clean_key(body.api_key or "")
    twins = await call.store.connections.list(provider=provider.id)
    twin = next((row for row in twins if row.name == body.name.strip() and row.auth_type != "oauth"), None)
    if provider.node and twins and twin is None and not call.services.settings.multi_connections_per_node:
        raise refused(400, f"Only one connection is allowed for this {_node_kind(provider.id)} node")
    kept = twin is not None and twin.has_api_key and MASK in api_key
    if MASK in api_key and not kept:
        raise Invalid(("apiKey", "API key is a masked preview"))
    if not api_key and needs_secret(provider):
        raise Invalid(("apiKey", "API key is required"))
    values = given(body) | {"name": body.name.strip(), "api_key": "" if kept else api_key}
    values = {name: value for name, value in values.items() if value is not None and name != "provider"}
    row = await call.store.connections.create(provider.id, **values)
    if twin is not None and (not kept or _place(row) != _place(twin)):
        row = await start_afresh(call, row, moved=_place(row) != _place(twin), test_status=body.test_status)
    await call.audit("provider.create" if twin is None else "provider.update", row.id, _named(row))
    return Reply(201, await _one(call, row))


async def read(call: Call) -> Reply:
    """Return one account, without secrets.  404 for an unknown id."""
    row = await find_connection(call)
    return Reply(200, await _one(call, row))


@one_at_a_time
async def change(call: Call) -> Reply:
    """PUT and PATCH: set the given fields, keep the rest."""
    before = await find_connection(call)
    changes = given(call.body)
    key = clean_key(changes.pop("api_key", ""))
    if key and MASK not in key and before.auth_type == "apikey":
        changes["api_key"] = key
    _check_place(call, changes.get("base_url"), changes.get("provider_specific_data"))
    if "provider_specific_data" in changes:
        changes["provider_specific_data"] = before.provider_specific_data | changes["provider_specific_data"]
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    if isinstance(changes.get("error_code"), int):
        changes["error_code"] = str(changes["error_code"])
    for name, shown in _TIMES.items():
        if changes.get(name) and unix_time(changes[name]) is None:
            raise Invalid((shown, "Invalid ISO 8601 date-time"))
    health = {name: changes[name] for name in changes.keys() & HEALTH}
    row = existing(await call.store.connections.update(before.id, **changes) if changes else before, "Connection")
    if "api_key" in changes or _place(row) != _place(before):
        row = await start_afresh(call, row, moved=_place(row) != _place(before), **health)
    elif health:
        apply_sent(call.live.health, row, health.keys())
    await call.audit("provider.update", row.id, {**_named(row), "changed": sorted(changes)})
    return Reply(200, await _one(call, row))


def _place(row: ConnectionRow) -> dict[str, Any]:
    """Return the data that determines where the account's calls go."""
    return {name: value for name, value in row.provider_specific_data.items() if value}


async def delete(call: Call) -> Reply:
    """Delete an account and what is known of it; calls in progress continue.  404 for an unknown id."""
    row = await find_connection(call)
    if not await call.store.connections.delete(row.id):
        raise refused(404, "Connection not found")
    call.live.forget(row.id)
    await call.audit("provider.delete", row.id, _named(row))
    return Reply(200, Message("Connection deleted successfully"))


async def find_connection(call: Call) -> ConnectionRow:
    """Return the connection named in the path.  Raises 404."""
    return existing(await call.store.connections.get(call.params["id"]), "Connection")


async def find_provider(call: Call, provider_id: str, refusal: str = "Invalid provider") -> Provider:
    """Return a built-in provider, a reserved id that stands for one, or a node.

    Raises 404 for an unknown node, 400 *refusal* for anything else.
    """
    provider = call.snapshot.providers.get(provider_id)
    if provider is not None:
        return provider
    catalog = call.services.catalog
    base = catalog.providers.get(catalog.reserved.get(provider_id, ""))
    if base is not None and provider_id in catalog.reserved_ids.values():
        return msgspec.structs.replace(base, id=provider_id)
    if kind := _node_kind(provider_id):
        raise refused(404, f"{kind} node not found")
    raise refused(400, refusal)


def _check_place(call: Call, base_url: str | None, data: dict[str, Any] | None) -> None:
    """Refuse base URLs that must not be called, and secrets in fields that are not encrypted."""
    for url in (base_url, (data or {}).get("baseUrl")):
        if url:
            check_base_url(str(url), call.services.settings.allow_private_urls)
    for name in data or ():
        if is_secret(name):
            raise Invalid((f"providerSpecificData.{name}", "Secrets belong in apiKey"))


_NODE_KINDS: Final = {
    "openai-compatible-": "OpenAI Compatible",
    "anthropic-compatible-": "Anthropic Compatible",
    "gemini-compatible-": "Gemini Compatible",
    "ollama-compatible-": "Ollama Compatible",
}


def _node_kind(provider_id: str) -> str:
    return next((kind for head, kind in _NODE_KINDS.items() if provider_id.startswith(head)), "")


def _named(row: ConnectionRow) -> dict[str, object]:
    return {"provider": row.provider, "name": row.name}
