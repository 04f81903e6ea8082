"""Fetching images from vendors' URLs: the only place where the gateway requests an address named in a response.

Against request forgery (SSRF): the address must be public, which is checked after name resolution, or the provider's own
origin; no credentials are sent; redirects to another host are refused; the response must be an image, within limits of size
and time.

The account's outbound proxy is used here too.  A proxy resolves names itself, so names that exist only inside a network are
refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from ..errors import OmniError
from ..proto.addresses import public
from ..proto.headers import Headers, get
from ..proto.transport import PORTS, Origin, TransportError
from ..upstream.send import Client, Times
from .job import Gateway
from .outbound import Via

PICTURE_BYTES: Final = 32 * 1024 * 1024
SECONDS: Final = 60.0  # time limit per image
_REDIRECTS: Final = 3
_TIMES: Final = Times(connect=10.0, first_byte=30.0, idle=15.0)
_FIELDS: Final[Headers] = [(b"accept", b"image/*"), (b"user-agent", b"omniroute")]
_INSIDE: Final = (".local", ".localhost", ".internal", ".intranet", ".private", ".corp", ".home", ".lan", ".home.arpa")

Way = Callable[[str], Via | None]
"""URL -> the outbound proxy for fetching it."""


async def fetch_all(gateway: Gateway, urls: tuple[str, ...], home: Origin, way: Way) -> dict[str, bytes]:
    """The images by URL; *home* is the provider's own origin, *way* chooses the proxy for any other.

    Raises ``OmniError`` 502 or 504: the images were generated and billed, so no other account is tried.
    """
    stranger = Client(gateway.limits, gateway.clock, permits=public)
    scope = asyncio.timeout(None)
    timer = gateway.clock.call_later(SECONDS * len(urls), lambda: scope.reschedule(0.0))
    try:
        async with scope:
            return {url: await _fetch(gateway.client, stranger, url, home, way) for url in urls}
    except TimeoutError:
        raise OmniError("upstream_timeout", "The image could not be fetched from the provider in time") from None
    except TransportError as error:
        raise _failure(str(error)) from None
    finally:
        timer.cancel()
        await stranger.close()


async def _fetch(trusted: Client, stranger: Client, url: str, home: Origin, way: Way) -> bytes:
    first = ""
    for _ in range(_REDIRECTS + 1):
        origin, path = locate(url)
        if first and origin.host != first:
            raise _failure("its URL redirects to another host")
        first = origin.host
        at_home = origin == home._replace(via=None)
        client, origin = (trusted, home) if at_home else (stranger, _by_proxy(origin, way(url)))
        status, fields, body = await client.fetch(origin, "GET", path, _FIELDS, limit=PICTURE_BYTES, times=_TIMES)
        target = get(fields, b"location")
        if status in (301, 302, 303, 307, 308) and target is not None:
            url = _joined(url, target.decode("latin-1"))
            continue
        return _checked(status, fields, body)
    raise _failure("there are too many redirects")


def _joined(url: str, target: str) -> str:
    """The target of a redirect from *url*.  Raises ``OmniError``."""
    try:
        return urljoin(url, target)
    except ValueError:
        raise _failure("its URL is not an http or https URL") from None


def _by_proxy(origin: Origin, via: Via | None) -> Origin:
    if via is None:
        return origin
    host = origin.host.rstrip(".").lower()
    if host.endswith(_INSIDE) or ("." not in host and ":" not in host):
        raise _failure(f"{host} may not be connected to")
    return origin._replace(via=via.proxy)


def _checked(status: int, fields: Headers, body: bytes) -> bytes:
    if status != 200:
        raise _failure(f"its host answered {status}")
    kind = (get(fields, b"content-type") or b"").lower()
    if not body or (kind and not kind.startswith((b"image/", b"application/octet-stream", b"binary/octet-stream"))):
        raise _failure("the response is not an image")
    return body


def locate(url: str) -> tuple[Origin, bytes]:
    """The origin and request target of *url*.  Raises ``OmniError`` unless it is an http or https URL without user info."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise _failure("its URL is not an http or https URL") from None
    if not parts.hostname or "@" in parts.netloc:
        raise _failure("its URL has no host, or has user info")
    path = quote(parts.path or "/", safe="/:@!$&'()*+,;=~%")
    query = "?" + quote(parts.query, safe="/:@!$&'()*+,;=~%?") if parts.query else ""
    return Origin(parts.scheme, parts.hostname, port), (path + query).encode("ascii")


def _failure(why: str) -> OmniError:
    return OmniError("upstream_answer", f"The image was generated but could not be fetched from the provider: {why}")
