"""HTTP calls to authorization servers; ``oauth.py`` builds the requests and interprets the responses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from ..errors import OmniError
from ..proto.proxy import Proxy
from ..proto.transport import PORTS, Origin, TransportError
from . import oauth
from .base_url import check_base_url
from .fetcher import Fetcher
from .oauth import DeviceCodes, Grant, OAuthClient, Refused, TokenRequest

TIMEOUT: Final = 15.0  # seconds, for one call as a whole
ANSWER_LIMIT: Final = 256 * 1024  # bytes
_UNSAFE: Final = re.compile(r"[^!-~]|[#\\]")


ProxyFor = Callable[[str, str, str], Proxy | None]
"""(provider id, connection id or "", URL) -> the proxy for that call."""


class TokenEndpoint:
    """Calls to token and device authorization endpoints.  ``timeout`` is in seconds, for a call as a whole.

    All methods raise :class:`~.oauth.Refused`, with ``network_error`` when there was no response.
    """

    def __init__(
        self, client: Fetcher, *, allow_private: bool = True, timeout: float = TIMEOUT, proxy_for: ProxyFor | None = None
    ) -> None:
        self._client = client
        self._proxy_for = proxy_for
        self._allow_private = allow_private
        self._timeout = timeout

    async def exchange(self, client: OAuthClient, code: str, redirect_uri: str, verifier: str) -> Grant:
        """Exchange the authorization code from a redirect for tokens."""
        return await self._grant(client, oauth.code_request(client, code, redirect_uri, verifier))

    async def refresh(self, client: OAuthClient, refresh_token: str, connection_id: str = "") -> Grant:
        """Get a new access token, and a new refresh token from servers that rotate them."""
        return await self._grant(client, oauth.refresh_request(client, refresh_token), connection_id)

    async def poll(self, client: OAuthClient, device_code: str, verifier: str = "") -> Grant:
        """The tokens, once the user has approved the login; until then raises ``Refused`` with ``pending`` true."""
        return await self._grant(client, oauth.poll_request(client, device_code, verifier))

    async def device_codes(self, client: OAuthClient, verifier: str) -> DeviceCodes:
        """Begin a device login."""
        request = oauth.device_request(client, verifier)
        return oauth.read_device_codes(request, *await self._post(client, request))

    async def _grant(self, client: OAuthClient, request: TokenRequest, connection_id: str = "") -> Grant:
        return oauth.read_grant(client, request, *await self._post(client, request, connection_id))

    async def _post(self, client: OAuthClient, request: TokenRequest, connection_id: str = "") -> tuple[int, bytes]:
        origin, path = self._place(request.url)
        if self._proxy_for is not None:
            origin = origin._replace(via=self._proxy_for(client.provider, connection_id, request.url))
        try:
            async with asyncio.timeout(self._timeout):
                status, _, body = await self._client.fetch(
                    origin, "POST", path, request.headers, request.body, limit=ANSWER_LIMIT
                )
        except TimeoutError:
            text = f"{origin.host} did not answer within {self._timeout:g} seconds"
            raise Refused("network_error", text, passing=True) from None
        except TransportError as error:
            raise Refused("network_error", f"Could not reach {origin.host}: {error}", passing=True) from None
        return status, body

    def _place(self, url: str) -> tuple[Origin, bytes]:
        try:
            check_url(url, self._allow_private)
        except OmniError as error:
            raise Refused("invalid_request", error.message) from None
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Origin(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]), path.encode("ascii")


def check_url(url: str, allow_private: bool) -> None:
    """Check the URL of an authorization server.  Raises ``OmniError("invalid_request")``.

    Refuses what ``check_base_url`` refuses, and plain HTTP to another machine (RFC 6749 section 3.2).
    """
    address, _, query = url.partition("?")
    check_base_url(address, allow_private)
    if _UNSAFE.search(query):
        raise OmniError("invalid_request", "Base URL contains characters that are not allowed")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise OmniError("invalid_request", "OAuth addresses must begin with https://")
