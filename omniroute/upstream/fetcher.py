"""What the gateway's own requests, as opposed to its clients', need of the HTTP client."""

from __future__ import annotations

from typing import Protocol

from ..proto.headers import Headers
from ..proto.proxy import Proxy
from ..proto.transport import Origin


class Fetcher(Protocol):
    """The part of ``send.Client`` for short requests of the gateway's own."""

    async def fetch(
        self, origin: Origin, method: str, path: bytes, headers: Headers, body: bytes = b"", *, limit: int
    ) -> tuple[int, Headers, bytes]:
        """Send one request; returns status, fields and the body of at most *limit* bytes.  Follows no redirect.

        Raises :class:`TransportError`.
        """


class Through:
    """A fetcher that sends every request through one proxy."""

    def __init__(self, client: Fetcher, proxy: Proxy) -> None:
        self._client = client
        self._proxy = proxy

    async def fetch(
        self, origin: Origin, method: str, path: bytes, headers: Headers, body: bytes = b"", *, limit: int
    ) -> tuple[int, Headers, bytes]:
        """As the wrapped fetcher's method, through the proxy."""
        return await self._client.fetch(origin._replace(via=self._proxy), method, path, headers, body, limit=limit)
