"""OAuth accounts: refreshing and importing tokens, their health; and the operator's own OAuth clients."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ..clock import parse_iso
from ..errors import OmniError
from ..gateway.tokens import REAUTH
from ..upstream.oauth import URLS, ClientFields, Grant, OAuthClient
from ..upstream.token_endpoint import check_url
from .bodies import Text10k, clean_key, given
from .call import Call, Reply
from .oauth_grants import configured, keep, known_provider
from .refusals import Invalid, refused
from .tokens import report

_MILLIS: Final = 10**11  # larger Unix times are milliseconds


class RefreshBody(Struct, rename="camel"):
    connection_id: Text10k = ""


class Refreshed(Struct, rename="camel"):
    success: bool
    expires_at: str | None


class Status(Struct):
    configured: bool
    connections: int
    missing: list[str]


class ImportBody(Struct, rename="camel", kw_only=True):
    """``expiresAt``: ISO 8601, or Unix seconds or milliseconds."""

    access_token: Annotated[str, Meta(min_length=1, max_length=10_000)]
    refresh_token: Text10k | None = None
    expires_at: str | int | float | None = None


class ClientView(Struct, rename="camel", kw_only=True):
    """An OAuth client as the API shows it, without its secret."""

    provider: str
    configured: bool
    missing: list[str]
    client_id: str
    has_client_secret: bool
    authorize_url: str
    token_url: str
    device_authorization_url: str
    refresh_url: str
    scopes: list[str]
    pkce: bool
    device_pkce: bool
    token_auth: str
    extra_auth_params: dict[str, str]


class OneClient(Struct):
    client: ClientView


@configured
async def refresh(call: Call, client: OAuthClient) -> Reply:
    """Refresh one account's tokens now."""
    body: RefreshBody = call.body
    row = await call.store.connections.get(body.connection_id)
    if row is None or row.provider != client.provider:
        raise refused(404, "Connection not found")
    if not row.refreshable:
        raise refused(400, "Connection has no refresh token")
    await call.audit("oauth.refresh", row.id, {"provider": row.provider, "name": row.name})
    try:
        await call.live.tokens.refresh(row.id)
    except OmniError as error:
        raise refused(400 if error.code == REAUTH else 502, error.message) from None
    after = await call.store.connections.get(row.id)
    return Reply(200, Refreshed(True, after.expires_at if after is not None else None))


async def status(call: Call) -> Reply:
    """Show whether logins at this provider are possible, and what is missing."""
    provider = await known_provider(call)
    client = await call.store.oauth_clients.get(provider)
    rows = [row for row in await call.store.connections.list(provider) if row.auth_type == "oauth"]
    return Reply(200, Status(not client.missing, len(rows), client.missing))


async def import_token(call: Call) -> Reply:
    """Store a token that the user pasted.  This needs no OAuth client, but refreshing the token does."""
    provider = await known_provider(call)
    body: ImportBody = call.body
    access, refresh_token = (clean_token(name, text or "") for name, text in _pasted(body))
    if not access:
        raise Invalid(("accessToken", "Access token is required"))
    ends = _moment(body.expires_at)
    if ends is not None and ends <= call.now and not refresh_token:
        raise Invalid(("expiresAt", "The token has expired"))
    grant = Grant(access_token=access, refresh_token=refresh_token, expires_at=ends)
    return await keep(call, provider, grant, "import")


def _pasted(body: ImportBody) -> tuple[tuple[str, str | None], ...]:
    return ("accessToken", body.access_token), ("refreshToken", body.refresh_token)


def clean_token(name: str, text: str) -> str:
    """Return *text* stripped and fit for a header.  Raises :class:`Invalid`."""
    try:
        return clean_key(text)
    except Invalid:
        raise Invalid((name, "Token contains invalid characters")) from None


def _moment(given_at: str | int | float | None) -> float | None:
    """Convert to Unix seconds.  Raises :class:`Invalid`."""
    if given_at is None or given_at == "":
        return None
    try:
        seconds = parse_iso(given_at) if isinstance(given_at, str) else float(given_at)
    except (ValueError, OverflowError):
        seconds = -1.0
    if seconds > _MILLIS and not isinstance(given_at, str):
        seconds /= 1000
    if not 0 < seconds < _MILLIS:
        raise Invalid(("expiresAt", "Invalid ISO 8601 date-time"))
    return seconds


async def token_health(call: Call) -> Reply:
    """Return how many accounts' tokens are fine, expiring or refused, and when they were last checked."""
    rows = await call.store.connections.list()
    checked = call.services.oauth.keeper.last_check_at
    return Reply(200, report(rows, call.live.health, call.now, checked))


# -- the operator's clients


async def read_client(call: Call) -> Reply:
    """Return the provider's OAuth client without its secret.  404 for an unknown provider."""
    return Reply(200, await _shown(call, await known_provider(call)))


async def write_client(call: Call) -> Reply:
    """PUT and PATCH: set the given fields, keep the rest."""
    provider = await known_provider(call)
    body: ClientFields = call.body
    changes = given(body)
    names = {field.name: field.encode_name for field in msgspec.structs.fields(body)}
    for name in URLS:
        if changes.get(name):
            _check_address(call, names[name], changes[name])
    if changes:
        await call.store.oauth_clients.change(provider, body)
        await call.audit("oauth.client.update", provider, {"changed": sorted(names[name] for name in changes)})
    return Reply(200, await _shown(call, provider))


async def delete_client(call: Call) -> Reply:
    """Delete what was set here; values from the file, the environment and the built-in ones stay."""
    provider = await known_provider(call)
    if await call.store.oauth_clients.remove(provider):
        await call.audit("oauth.client.delete", provider)
    return Reply(200, await _shown(call, provider))


def _check_address(call: Call, name: str, url: str) -> None:
    try:
        check_url(url, call.services.settings.allow_private_urls)
    except OmniError as error:
        raise Invalid((name, error.message.replace("Base URL", "The address"))) from None


async def _shown(call: Call, provider: str) -> Any:
    client = await call.store.oauth_clients.get(provider)
    view = ClientView(
        provider=provider,
        configured=not client.missing,
        missing=client.missing,
        client_id=client.client_id,
        has_client_secret=bool(client.client_secret),
        authorize_url=client.authorize_url,
        token_url=client.token_url,
        device_authorization_url=client.device_url,
        refresh_url=client.refresh_url,
        scopes=list(client.scopes),
        pkce=client.pkce,
        device_pkce=client.device_pkce,
        token_auth=client.token_auth or ("post" if client.client_secret else "none"),
        extra_auth_params=client.extra,
    )
    return OneClient(view)
