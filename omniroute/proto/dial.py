"""Opens connections: name resolution, address selection, TCP, proxies, TLS.

Addresses are raced as in RFC 8305 ("Happy Eyeballs"); the code is our own because not every event loop implements it.  A
name is resolved once, and the address that was checked (:mod:`.addresses`) is the one connected to, which defeats DNS
rebinding.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, Final, TypeVar

from ..clock import Clock
from ..tasks import spawn
from .addresses import METADATA_NAMES, allowed, numeric
from .proxy import ProxyRefused, handshake
from .transport import Origin, TransportError, forwards
from .tunnel import Tls, enter_tunnel, open_tunnel

P = TypeVar("P", bound=asyncio.Protocol)
Address = tuple[int, tuple[Any, ...]]  # socket family, socket address

STAGGER: Final = 0.25  # seconds before the next address is tried in parallel (RFC 8305 section 5)


@cache
def default_tls() -> ssl.SSLContext:
    """The client context: the system's certificate authorities, ALPN ``http/1.1``.  Cached, as it takes milliseconds."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


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
    return await _start_protocol(sock, factory, secure, origin.host)


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


async def _start_protocol(sock: socket.socket, factory: Callable[[], P], tls: Tls | None, name: str) -> P:
    with _as_transport_error(name, secure=tls is not None):
        _, protocol = await asyncio.get_running_loop().create_connection(
            factory,
            sock=sock,
            ssl=tls.context if tls is not None else None,
            server_hostname=tls.host if tls is not None else None,
        )
    return protocol


@contextmanager
def _as_transport_error(name: str, *, secure: bool) -> Iterator[None]:
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
    if not _permitted_name(origin.host, permits):
        raise TransportError("blocked_address", f"{origin.host} may not be connected to")
    name = f"{via.url} (proxy)"
    sock = await _reach(via.host, via.port, partial(allowed, allow_private=True), name)
    outer = Tls(tls or default_tls(), via.host) if via.scheme == "https" else None
    if forwards(origin):
        return await _start_protocol(sock, factory, outer, name)
    with _as_transport_error(name, secure=outer is not None):
        transport = await open_tunnel(sock, handshake(via, origin.host, origin.port), outer)
    secure = origin.scheme == "https"
    with _as_transport_error(origin.host, secure=secure):
        return await enter_tunnel(transport, factory, Tls(tls or default_tls(), origin.host) if secure else None)


def _permitted_name(host: str, permits: Callable[[str], bool]) -> bool:
    """Whether a proxy may be asked to connect to *host*, which nobody has resolved."""
    address = numeric(host)
    if address is not None:
        return permits(address)
    return host.rstrip(".").lower() not in METADATA_NAMES


async def _single(address: Address) -> socket.socket:
    """As :func:`race` for one address, as most names have, but without a task.  Raises ``OSError``."""
    outcome = await _connect(address)
    if isinstance(outcome, OSError):
        raise outcome
    return outcome
