"""Logging in at a provider: authorization code with PKCE (RFC 7636), and the device grant (RFC 8628)."""

from __future__ import annotations

import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ..upstream.oauth import DeviceCodes, Flow, OAuthClient, Refused, authorize_url, challenge_of
from .bodies import Text10k
from .call import Call, Reply
from .oauth_grants import configured, keep
from .oauth_pending import CALLBACK_PATH
from .refusals import Invalid, refused

DEFAULT_REDIRECT: Final = "http://localhost:8080/callback"
_LONGEST_URI: Final = 500


class LoginStart(Struct, rename="camel"):
    """The start of a login; ``authUrl`` is null if it begins with a device code or a pasted token."""

    auth_url: str | None
    state: str
    code_verifier: str
    code_challenge: str
    redirect_uri: str
    flow_type: Flow
    callback_path: str = CALLBACK_PATH


class ExchangeBody(Struct, rename="camel", kw_only=True):
    code: Text10k = ""
    redirect_uri: Text10k = ""
    code_verifier: Text10k = ""
    state: Text10k | None = None


class DeviceLogin(DeviceCodes, kw_only=True):
    """The codes as RFC 8628 names them, and what to pass on to ``poll``."""

    code_verifier: str = msgspec.field(name="codeVerifier")


class PollBody(Struct, rename="camel", kw_only=True):
    """``extraData`` is accepted and ignored: a device login needs no further data."""

    device_code: Text10k = ""
    code_verifier: Text10k | None = None
    extra_data: Any = None


class NotYet(Struct, rename="camel", kw_only=True):
    """A login that has not succeeded; ``pending`` says whether it still may."""

    success: bool = False
    error: str
    error_description: str
    pending: bool


@configured
async def authorize(call: Call, client: OAuthClient) -> Reply:
    """Return where to send the user, and what to pass on to ``exchange``."""
    redirect = call.query.get("redirect_uri") or _home(call, client.provider)
    _check_redirect(redirect)
    state, login = call.services.oauth.logins.begin(client.provider, redirect)
    url = authorize_url(client, redirect, state, login.verifier) if client.authorize_url else None
    start = LoginStart(url, state, login.verifier, challenge_of(login.verifier), redirect, client.flow)
    return Reply(200, start)


@configured
async def exchange(call: Call, client: OAuthClient) -> Reply:
    """Exchange the code from the redirect for tokens, and store the connection."""
    body: ExchangeBody = call.body
    if not body.code or not body.redirect_uri or (client.pkce and not body.code_verifier):
        raise refused(400, "Missing required fields")
    if body.state is not None:
        login = call.services.oauth.logins.take(body.state, client.provider)
        if (
            login is None
            or login.redirect_uri != body.redirect_uri
            or (client.pkce and login.verifier != body.code_verifier)
        ):
            raise refused(400, "Invalid state")
    try:
        grant = await call.services.oauth.endpoint.exchange(client, body.code, body.redirect_uri, body.code_verifier)
    except Refused as error:
        await call.audit("oauth.login.failed", client.provider, {"error": error.error})
        raise refused(500, str(error)) from None
    return await keep(call, client.provider, grant, "exchange")


@configured
async def device_code(call: Call, client: OAuthClient) -> Reply:
    """Start a login on another device (RFC 8628)."""
    if not client.device_url:
        raise refused(400, "Provider does not support device code flow")
    verifier = secrets.token_urlsafe(32)
    try:
        codes = await call.services.oauth.endpoint.device_codes(client, verifier)
    except Refused as error:
        raise refused(500, str(error)) from None
    return Reply(200, DeviceLogin(**msgspec.structs.asdict(codes), code_verifier=verifier))


@configured
async def poll(call: Call, client: OAuthClient) -> Reply:
    """Check whether the user has approved the login on the other device.

    A server error is not a refusal: the client may poll again, less often (``slow_down``, RFC 8628 section 3.5).
    """
    body: PollBody = call.body
    if not body.device_code:
        raise refused(400, "Missing device code")
    try:
        grant = await call.services.oauth.endpoint.poll(client, body.device_code, body.code_verifier or "")
    except Refused as error:
        if error.pending or error.passing:
            code = error.error if error.pending else "slow_down"
            return Reply(200, NotYet(error=code, error_description=error.description, pending=True))
        await call.audit("oauth.login.failed", client.provider, {"error": error.error})
        return Reply(200, NotYet(error=error.error, error_description=error.description, pending=False))
    return await keep(call, client.provider, grant, "device")


async def unknown(call: Call) -> Reply:
    """Refuse any other action."""
    raise refused(400, "Unknown action")


def _home(call: Call, provider: str) -> str:
    """Return the default redirect URI: the gateway's own callback route, if ``BASE_URL`` says how browsers reach it."""
    base = call.services.settings.base_url.rstrip("/")
    return f"{base}/api/oauth/{provider}/callback" if "//" in base else DEFAULT_REDIRECT


def _check_redirect(uri: str) -> None:
    """Check for an absolute URI without a fragment (RFC 6749 section 3.1.2).  Raises :class:`Invalid`."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    good = parts.scheme and (parts.netloc or parts.path) and not parts.fragment and uri.isascii() and uri.isprintable()
    if not good or " " in uri or len(uri) > _LONGEST_URI:
        raise Invalid(("redirect_uri", "Must be an absolute URI without a fragment"))
