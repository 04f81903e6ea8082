"""Opens connections: name resolution, address selection, TCP, proxies, TLS.

Addresses are raced as in RFC 8305 ("Happy Eyeballs"); the code is our own because not every event loop implements it.  A
name is resolved once, and the address that was checked is the one connected to, which defeats DNS rebinding.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import chain, zip_longest
from typing import Any, Final, TypeVar

from ..clock import Clock
from ..tasks import spawn
from .h1_client import Origin, TransportError, forwards
from .proxy import ProxyRefused, talk_of
from .tunnel import Tls, enter, knock

P = TypeVar("P", bound=asyncio.Protocol)
Address = tuple[int, tuple[Any, ...]]  # socket family, socket address

STAGGER: Final = 0.25  # seconds before the next address is tried in parallel (RFC 8305 section 5)
_NEVER: Final = tuple(map(ip_network, (
    "169.254.0.0/16", "fe80::/10",  # link-local, where most clouds have their metadata service
    "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",  # metadata services elsewhere
    "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128",
)))  # fmt: skip
# In these networks the last four bytes are an IPv4 address (RFC 6052, RFC 8215, RFC 4291 section 2.5.5.1, RFC 2765).
_CARRIERS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)


@cache
def default_tls() -> ssl.SSLContext:
    """The client context: the system's certificate authorities, ALPN ``http/1.1``.  Cached, as it takes milliseconds."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address embedded in an IPv6 one (mapped, 6to4, or in :data:`_CARRIERS`), else the address itself."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return address
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def allowed(host: str, allow_private: bool) -> bool:
    """Whether connecting to the numeric address *host* is permitted.

    Loopback always is.  Multicast, link-local and cloud metadata addresses never are.  Other addresses that are not globally
    reachable (RFC 6890) need *allow_private*.
    """
    address = _inner(ip_address(host.partition("%")[0]))
    if address.is_loopback:
        return True
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return not address.is_multicast and (allow_private or address.is_global)


def public(host: str) -> bool:
    """Whether the numeric address *host* is globally reachable.  Stricter than :func:`allowed`: loopback is not."""
    address = _inner(ip_address(host.partition("%")[0]))
    return address.is_global and not address.is_multicast and allowed(host, False)


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of *host* in the order to try them, families alternating (RFC 8305 section 4).

    Raises :class:`TransportError` ``dns``.
    """
    try:
        version = ip_address(host).version
    except ValueError:
        pass
    else:
        return [(socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))]
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransportError("dns", f"no address found for {host}") from None
    found: list[Address] = list(dict.fromkeys((row[0], row[4]) for row in rows))
    first = [address for address in found if address[0] == found[0][0]]
    other = [address for address in found if address[0] != found[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, other)) if address is not None]


async def _connect(address: Address) -> socket.socket | OSError:
    """One attempt.  A failure is returned, not raised, so that a lost race is not logged as a failed task."""
    family, target = address
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # an answer may be silent for minutes
        await asyncio.get_running_loop().sock_connect(sock, target)
        winner, sock = sock, None
        return winner
    except OSError as error:
        return error
    finally:
        if sock is not None:
            sock.close()


async def race(addresses: list[Address], stagger: float = STAGGER) -> socket.socket:
    """The first socket to connect.  The next address is tried when one fails or after *stagger* seconds.

    Raises the last ``OSError`` when every address fails.
    """
    waiting = list(reversed(addresses))
    attempts: set[asyncio.Task[socket.socket | OSError]] = set()
    failure = OSError("no address")
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(spawn(_connect(waiting.pop()), "dial"))
            done, _ = await asyncio.wait(attempts, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                attempts.discard(attempt)
                outcome = attempt.result()
                if isinstance(outcome, socket.socket):
                    return outcome
                failure = outcome
        raise failure
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_discard)
            attempt.cancel()


def _discard(attempt: asyncio.Task[socket.socket | OSError]) -> None:
    if not attempt.cancelled() and isinstance(outcome := attempt.result(), socket.socket):
        outcome.close()


async def dial(
    origin: Origin,
    factory: Callable[[], P],
    clock: Clock,
    *,
    timeout: float,
    allow_private: bool = True,
    permits: Callable[[str], bool] | None = None,
    tls: ssl.SSLContext | None = None,
) -> P:
    """Connect to *origin* and return the protocol made by *factory*; https uses TLS for the origin's host name.

    *timeout* (seconds) covers name resolution, TCP, proxy and TLS together.  *permits* replaces :func:`allowed`.
    Raises :class:`TransportError` ``dns``, ``blocked_address``, ``refused``, ``tls``, ``proxy`` or ``connect_timeout``.
    """
    scope = asyncio.timeout(None)
    try:
        async with scope:
            timer = clock.call_later(timeout, lambda: scope.reschedule(0.0))
            try:
                judge = permits or partial(allowed, allow_private=allow_private)
                return await (_open if origin.via is None else _open_through)(origin, factory, judge, tls)
            finally:
                timer.cancel()
    except TimeoutError:
        peer = origin.host if origin.via is None else f"{origin.via.url} (proxy)"
        raise TransportError("connect_timeout", f"{peer} did not accept a connection in time") from None


async def _open(origin: Origin, factory: Callable[[], P], permits: Callable[[str], bool], tls: ssl.SSLContext | None) -> P:
    sock = await _reach(origin.host, origin.port, permits, origin.host)
    secure = Tls(tls or default_tls(), origin.host) if origin.scheme == "https" else None
    return await _speak(sock, factory, secure, origin.host)


async def _reach(host: str, port: int, permits: Callable[[str], bool], name: str) -> socket.socket:
    """A TCP connection to *host*; error messages call it *name*."""
    found = await resolve(host, port)
    addresses = [address for address in found if permits(address[1][0])]
    if not addresses:
        raise TransportError("blocked_address", f"{name} has no address that may be connected to")
    try:
        return await (_single(addresses[0]) if len(addresses) == 1 else race(addresses))
    except OSError:
        raise TransportError("refused", f"{name} refused the connection") from None


async def _speak(sock: socket.socket, factory: Callable[[], P], tls: Tls | None, name: str) -> P:
    with _named(name, secure=tls is not None):
        _, protocol = await asyncio.get_running_loop().create_connection(
            factory,
            sock=sock,
            ssl=tls.context if tls is not None else None,
            server_hostname=tls.host if tls is not None else None,
        )
    return protocol


@contextmanager
def _named(name: str, *, secure: bool) -> Iterator[None]:
    """Turn connection errors into :class:`TransportError`; *name* is the peer's name in their messages."""
    try:
        yield
    except ssl.SSLError as error:
        raise TransportError("tls", f"TLS with {name} failed: {error.reason or type(error).__name__}") from None
    except OSError:
        if secure:
            raise TransportError("tls", f"TLS with {name} failed: the connection was closed") from None
        raise TransportError("refused", f"{name} refused the connection") from None
    except ProxyRefused as refusal:
        raise TransportError("proxy", f"proxy refused: {refusal}") from None


async def _open_through(
    origin: Origin, factory: Callable[[], P], permits: Callable[[str], bool], tls: ssl.SSLContext | None
) -> P:
    """Connect through the origin's proxy: an HTTP proxy forwards plain http requests, everything else gets a tunnel.

    The proxy's own address may be private, because the operator chose it.  The target is checked only as written, because
    the proxy resolves its name.
    """
    via = origin.via
    assert via is not None
    if via.scheme == "disabled":
        raise TransportError("proxy", "SOCKS5 proxy is disabled (set ENABLE_SOCKS5_PROXY=true to enable)")
    if not _presentable(origin.host, permits):
        raise TransportError("blocked_address", f"{origin.host} may not be connected to")
    name = f"{via.url} (proxy)"
    sock = await _reach(via.host, via.port, partial(allowed, allow_private=True), name)
    outer = Tls(tls or default_tls(), via.host) if via.scheme == "https" else None
    if forwards(origin):
        return await _speak(sock, factory, outer, name)
    with _named(name, secure=outer is not None):
        transport = await knock(sock, talk_of(via, origin.host, origin.port), outer)
    secure = origin.scheme == "https"
    with _named(origin.host, secure=secure):
        return await enter(transport, factory, Tls(tls or default_tls(), origin.host) if secure else None)


def _presentable(host: str, permits: Callable[[str], bool]) -> bool:
    """Whether a proxy may be asked to connect to *host*.

    A numeric address must be permitted, also in the older IPv4 notations that inet_aton(3) accepts.
    """
    bare = host.rstrip(".").lower()
    if bare in METADATA_NAMES:
        return False
    try:
        return permits(str(ip_address(bare.partition("%")[0])))
    except ValueError:
        pass
    try:
        return permits(socket.inet_ntoa(socket.inet_aton(bare)))  # 2852039166, 0xa9fea9fe, 127.1
    except OSError:
        return True


async def _single(address: Address) -> socket.socket:
    outcome = await _connect(address)
    if isinstance(outcome, OSError):
        raise outcome
    return outcome
