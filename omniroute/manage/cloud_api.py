"""Routes for programs with a gateway key: accounts without secrets, token updates, aliases."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..clock import iso
from ..log import MASK
from ..store.connections import ConnectionRow
from . import aliases
from .bodies import Text200, clean_key
from .call import Call, Done, Reply
from .refusals import Invalid, existing, refused
from .tokens import recover

_Token = Annotated[str, Meta(max_length=20_000)]


class CloudConnection(Struct, rename="camel"):
    provider: str
    auth_type: str
    has_api_key: bool
    has_access_token: bool
    has_refresh_token: bool
    masked_api_key: str | None
    project_id: str | None
    expires_at: str | None
    priority: int
    global_priority: int | None
    default_model: str | None
    is_active: bool


class CloudAuth(Struct, rename="camel"):
    connections: list[CloudConnection]
    model_aliases: dict[str, str]


class Tokens(Struct, rename="camel"):
    access_token: _Token | None = None
    refresh_token: _Token | None = None
    expires_in: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None


class TokensBody(Struct):
    provider: Text200 = ""
    credentials: Tokens | None = None


class ResolveBody(Struct):
    alias: Text200 = ""


class Resolved(Struct):
    alias: str
    provider: str
    model: str


class CloudAliasSet(Struct):
    success: bool
    model: str
    alias: str
    message: str


async def auth(call: Call) -> Reply:
    """Return the active accounts, with masked keys, and the model aliases, for a client with a gateway key."""
    rows = await call.store.connections.list()
    return Reply(200, CloudAuth([_view(row) for row in rows if row.is_active], await call.store.aliases.list()))


def _view(row: ConnectionRow) -> CloudConnection:
    return CloudConnection(
        provider=row.provider,
        auth_type=row.auth_type,
        has_api_key=row.has_api_key,
        has_access_token=row.has_access_token,
        has_refresh_token=row.has_refresh_token,
        masked_api_key=MASK if row.has_api_key else None,
        project_id=row.project_id,
        expires_at=row.expires_at,
        priority=row.priority,
        global_priority=row.global_priority,
        default_model=row.default_model,
        is_active=row.is_active,
    )


async def update_credentials(call: Call) -> Reply:
    """Store tokens, refreshed by another program, for the first active account of a provider."""
    provider, tokens = call.body.provider.strip(), call.body.credentials
    if not provider or tokens is None:
        raise refused(400, "Provider and credentials required")
    changes: dict[str, Any] = {
        name: clean_key(text)
        for name, text in (("access_token", tokens.access_token), ("refresh_token", tokens.refresh_token))
        if text and text.strip()
    }
    if not changes and tokens.expires_in is None:
        raise Invalid(("credentials", "No credentials given"))
    if tokens.expires_in is not None:
        changes["expires_in"] = tokens.expires_in
        changes["expires_at"] = iso(call.now + tokens.expires_in)
    rows = await call.store.connections.list(call.provider_id(provider), is_active=True)
    if not rows:
        raise refused(404, f"No active connection found for provider: {provider}")
    await call.store.connections.update(rows[0].id, **changes)
    if "access_token" in changes:
        call.live.tokens.forget(rows[0].id)
        recover(call.live.health, rows[0].id)
    await call.audit("provider.credentials", rows[0].id, {"changed": sorted(changes)})
    return Reply(200, Done(True, f"Credentials updated for provider: {provider}"))


async def resolve(call: Call) -> Reply:
    """Return the provider and model of an alias.  400 without one, 404 for one that does not exist."""
    alias = call.body.alias.strip()
    if not alias:
        raise refused(400, "Missing alias")
    target = existing(call.snapshot.aliases.get(alias), "Alias")
    provider, slash, model = target.partition("/")
    if not slash:
        offering = call.snapshot.models.get(target, ())
        provider, model = offering[0] if offering else call.snapshot.default_provider, target
    return Reply(200, Resolved(alias, provider, model))


async def list_aliases(call: Call) -> Reply:
    """Return the model aliases, for a client with a gateway key."""
    return await aliases.list_aliases(call)


async def set_alias(call: Call) -> Reply:
    """Create an alias, unless it belongs to another model."""
    await aliases.claim(call)
    model, alias = call.body.model.strip(), call.body.alias.strip()
    return Reply(200, CloudAliasSet(True, model, alias, f"Alias set: {alias} → {model}"))
