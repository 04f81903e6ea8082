"""What the OAuth routes share: the provider, its client, and how a grant becomes a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from msgspec import Struct

from ..errors import OmniError
from ..store.connections import ConnectionRow
from ..upstream.oauth import URLS, Grant, OAuthClient
from ..upstream.token_endpoint import check_url
from .call import Call, Handler, Reply
from .connection_health import start_afresh
from .providers import find_provider
from .refusals import refused
from .tokens import token_columns

Step = Callable[[Call, OAuthClient], Awaitable[Reply]]


class Account(Struct, rename="camel"):
    """A connection as shown at the end of a login."""

    id: str
    provider: str
    email: str | None = None
    display_name: str | None = None


class LoginDone(Struct):
    connection: Account
    success: bool = True


class NotConfigured(Struct):
    """400: what the operator must configure first."""

    error: str
    missing: list[str]


async def known_provider(call: Call) -> str:
    """Return the id of the provider in the path.  Raises 404."""
    name = call.params["provider"]
    try:
        return (await find_provider(call, name)).id
    except OmniError:
        raise refused(404, f"Unknown provider: {name[:100]}") from None


def configured(step: Step) -> Handler:
    """Make *step* a handler: 404 for an unknown provider, 400 for one without an OAuth client."""

    @wraps(step)
    async def handler(call: Call) -> Reply:
        provider = await known_provider(call)
        client = await call.store.oauth_clients.get(provider)
        if client.missing:
            return Reply(400, NotConfigured(f"OAuth client not configured for {provider}", client.missing))
        check_addresses(call, client)
        return await step(call, client)

    return handler


def check_addresses(call: Call, client: OAuthClient) -> None:
    """Raise 400 if an address of the client (which may come from a file) must not be called or opened."""
    for name in URLS:
        if url := getattr(client, name):
            try:
                check_url(url, call.services.settings.allow_private_urls)
            except OmniError as error:
                text = f"OAuth client of {client.provider}, {name.replace('_', ' ')}: {error.message}"
                raise refused(400, text) from None


async def keep(call: Call, provider: str, grant: Grant, via: str) -> Reply:
    """Store the result of a login; return the connection that it created or updated.

    The same provider and e-mail (or account name, for a permanent key) mean the same connection.
    """
    async with call.services.editing:  # two at once could choose the same name
        await find_provider(call, provider)  # a node may have been deleted during the login
        row = await (_keep_key if grant.api_key else _keep_tokens)(call, provider, grant)
        row = await start_afresh(call, row)
    await call.audit("oauth.login", row.id, {"provider": provider, "name": row.name, "via": via})
    return Reply(200, LoginDone(Account(row.id, row.provider, row.email, row.display_name)))


async def _keep_key(call: Call, provider: str, grant: Grant) -> ConnectionRow:
    name = grant.name or _label(call, provider)
    return await call.store.connections.create(provider, name=name, api_key=grant.api_key, is_active=True)


async def _keep_tokens(call: Call, provider: str, grant: Grant) -> ConnectionRow:
    columns = token_columns(grant, call.now)
    taken = {row.name for row in await call.store.connections.list(provider)}
    name = grant.email or _unused(grant.name or _label(call, provider), taken)
    columns |= {"auth_type": "oauth", "email": grant.email, "display_name": grant.name, "is_active": True}
    row = await call.store.connections.create(provider, name=name, **columns)
    # create() keeps what it is not given on an existing row, so an expiry that is gone must be cleared here
    ends = {name: columns[name] for name in ("expires_in", "expires_at", "token_expires_at")}
    return await call.store.connections.update(row.id, **ends, last_health_check_at=call.now) or row


def _label(call: Call, provider: str) -> str:
    known = call.snapshot.providers.get(provider)
    return f"{known.name if known is not None else provider} login"


def _unused(name: str, taken: set[str]) -> str:
    numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in numbered if other not in taken)
