"""Opens a tunnel through a proxy: runs the handshake (:mod:`.proxy`) on a socket, then TLS with the target inside it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .proxy import Handshake, ProxyRefused

P = TypeVar("P", bound=asyncio.Protocol)


class Tls(NamedTuple):
    """TLS with one peer; ``host`` is the name for SNI and certificate verification."""

    context: ssl.SSLContext
    host: str


class _Driver(asyncio.Protocol):
    """Drives one handshake; ``done`` completes with it."""

    def __init__(self, handshake: Handshake) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.early = False  # bytes arrived after the end of the handshake
        self._handshake = handshake
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._go(None)

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            self.early = True
        else:
            self._go(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ProxyRefused("it closed the connection"))

    def _go(self, heard: bytes | None) -> None:
        try:
            out = self._handshake.send(heard)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration:
            self._end(None)
        except ProxyRefused as refusal:
            self._end(refusal)
        else:
            if out:
                self._transport.write(out)

    def _end(self, problem: ProxyRefused | None) -> None:
        if self.done.done():
            return
        if problem is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(problem)


async def open_tunnel(sock: Any, handshake: Handshake, outer: Tls | None) -> asyncio.Transport:
    """Run *handshake* over *sock*, inside TLS with the proxy when *outer* is given; returns the tunnel's transport.

    On failure the socket is closed.  Raises :class:`~.proxy.ProxyRefused`, ``OSError`` and ``ssl.SSLError``.
    """
    transport, driver = await asyncio.get_running_loop().create_connection(
        lambda: _Driver(handshake),
        sock=sock,
        ssl=outer.context if outer is not None else None,
        server_hostname=outer.host if outer is not None else None,
    )
    try:
        await driver.done
        if driver.early:
            raise ProxyRefused("it sent more than its answer")
    except BaseException:
        transport.abort()
        raise
    return transport


async def enter_tunnel(transport: asyncio.Transport, factory: Callable[[], P], inner: Tls | None) -> P:
    """Attach a protocol made by *factory* to an open tunnel, inside TLS with the target when *inner* is given.

    On failure the tunnel is closed.  Raises ``OSError`` and ``ssl.SSLError``.
    """
    try:
        protocol = factory()
        if inner is None:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return protocol
        secured = await asyncio.get_running_loop().start_tls(transport, protocol, inner.context, server_hostname=inner.host)
        if secured is None:
            raise ConnectionResetError
        protocol.connection_made(secured)
    except BaseException:
        transport.abort()
        raise
    return protocol
