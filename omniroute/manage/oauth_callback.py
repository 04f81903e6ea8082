"""The redirect that ends a login: the gateway's own callback route, and a temporary server on the loopback."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, UnsetType

from ..upstream.oauth import OAuthClient, Refused, authorize_url
from .call import Call, Reply
from .oauth_grants import configured, keep, known_provider
from .oauth_page import page, page_headers, query_of
from .oauth_pending import Window
from .refusals import refused

_MOST_TEXT: Final = 200


class CallbackServer(Struct, rename="camel"):
    auth_url: str
    code_verifier: str
    redirect_uri: str
    server_port: int


class Waiting(Struct):
    success: bool = False
    pending: bool = True


class NotHere(Struct, rename="camel", kw_only=True):
    """The login did not succeed.  ``error``: ``no_server``, ``no_code``, or the provider's error."""

    success: bool = False
    error: str
    error_description: str | UnsetType = UNSET


@configured
async def start_server(call: Call, client: OAuthClient) -> Reply:
    """Open a loopback port for one login; it closes after 5 minutes."""
    if not client.authorize_url:
        raise refused(400, "Provider does not support the authorization code flow")
    window = Window(call.services.clock)
    try:
        await window.open()
    except OSError as error:
        window.close()
        raise refused(500, f"No callback server can be started: {error.strerror}") from None
    call.services.oauth.put_window(client.provider, window)
    await call.audit("oauth.callback_server.start", client.provider, {"port": window.port})
    url = authorize_url(client, window.redirect_uri, window.state, window.verifier)
    return Reply(200, CallbackServer(url, window.verifier, window.redirect_uri, window.port))


@configured
async def poll_server(call: Call, client: OAuthClient) -> Reply:
    """Check whether the redirect has arrived; if so, complete the login."""
    window = call.services.oauth.windows.get(client.provider)
    if window is None:
        return Reply(200, NotHere(error="no_server"))
    if window.answer is None:
        return Reply(200, Waiting())
    answer, redirect_uri = window.answer, window.redirect_uri
    window.close()
    if answer.error:
        await call.audit("oauth.login.failed", client.provider, {"error": answer.error[:_MOST_TEXT]})
        return Reply(200, NotHere(error=answer.error[:_MOST_TEXT]))
    try:
        grant = await call.services.oauth.endpoint.exchange(client, answer.code, redirect_uri, window.verifier)
    except Refused as error:
        await call.audit("oauth.login.failed", client.provider, {"error": error.error})
        return Reply(200, NotHere(error=error.error, error_description=error.description))
    return await keep(call, client.provider, grant, "callback server")


async def callback(call: Call) -> Reply:
    """Handle the vendor's redirect.  The route is public, so only the state shows that it belongs to a login."""
    provider = await known_provider(call)
    if call.request.method != "GET":  # a HEAD request of a link checker must not use up the login
        return _page(405, "Not possible", "Only a browser that returns from a login is expected here.")
    query = query_of(call.request.query)
    login = call.services.oauth.logins.take(query.get("state", ""), provider)
    if login is None:
        return _page(400, "Login failed", "This login is unknown, has expired or was already used. Start again.")
    if query.get("error") or not query.get("code"):
        error = (query.get("error") or "no_code")[:_MOST_TEXT]
        await call.audit("oauth.login.failed", provider, {"error": error})
        return _page(400, "Login failed", f"The provider answered: {error}")
    client = await call.store.oauth_clients.get(provider)
    try:
        grant = await call.services.oauth.endpoint.exchange(client, query["code"], login.redirect_uri, login.verifier)
    except Refused as error:
        await call.audit("oauth.login.failed", provider, {"error": error.error})
        return _page(502, "Login failed", str(error))
    await keep(call, provider, grant, "callback")
    return _page(200, "Logged in", "You can close this window and go back to OmniRoute.")


def _page(status: int, title: str, text: str) -> Reply:
    return Reply(status, page(title, text), page_headers())
