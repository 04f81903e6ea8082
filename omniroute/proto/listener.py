"""Listening sockets and their graceful shutdown."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from ..clock import Clock
from ..settings import Limits
from .exchange import Application
from .h1_server import HASTE, H1Server, ServerState

_log = logging.getLogger("omniroute.proto")
_BACKLOG = 1024
_RESERVED = 128  # file descriptors for the database, the log, and connections being accepted or refused
_FEWEST = 8


def affordable(wanted: int) -> int:
    """How many client connections the process can hold, at most *wanted*, given that each may need one upstream.

    Raises the soft limit of open files if necessary (getrlimit(2)).  Without this limit idle clients could take the last
    descriptor, and no provider could be reached any more.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    need = 2 * wanted + _RESERVED
    soft, hard = (need if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft < need and soft < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(need, hard), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            soft = min(need, hard)
    return wanted if soft >= need else max(_FEWEST, (soft - _RESERVED) // 2)


class Listener:
    """Serves *app* on any number of addresses.

    ``strict`` also parses every request with h11 (``h1_strict.py``).  ``tls`` makes every socket HTTPS.
    """

    def __init__(
        self, app: Application, limits: Limits, clock: Clock, *, tls: ssl.SSLContext | None = None, strict: bool = False
    ) -> None:
        limits = dataclasses.replace(limits, connections=affordable(limits.connections))
        self.state = ServerState(app, limits, clock)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._protocol: type[H1Server] = H1Server
        if strict:
            from .h1_strict import H1Strict  # imports h11, which is needed in strict mode only

            self._protocol = H1Strict

    async def start(self, hosts: str | Sequence[str], port: int) -> None:
        """Bind exactly *hosts*; port 0 takes a free one, the same for all hosts.  Raises ``OSError``."""
        for host in [hosts] if isinstance(hosts, str) else hosts:
            await self._serve(host=host, port=port, backlog=_BACKLOG)
            port = port or self.port

    async def adopt(self, sockets: Sequence[socket.socket]) -> None:
        """Serve sockets that are bound already, e.g. inherited from the process that this one replaces."""
        for sock in sockets:
            await self._serve(sock=sock, backlog=_BACKLOG)

    async def _serve(self, **where: object) -> None:
        loop = asyncio.get_running_loop()
        options = {"ssl": self._tls, "ssl_handshake_timeout": self.state.limits.head_timeout} if self._tls else {}
        try:
            server = await loop.create_server(lambda: self._protocol(self.state), **where, **options)  # type: ignore[call-overload]
        except BaseException:
            self._stop_accepting()
            raise
        self._servers.append(server)

    @property
    def sockets(self) -> list[socket.socket]:
        """The listening sockets."""
        return [sock for server in self._servers for sock in server.sockets]

    @property
    def port(self) -> int:
        """The port of the first socket; 0 when there is none."""
        return next((int(sock.getsockname()[1]) for sock in self.sockets), 0)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self.state.connections)

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()

    def hurry(self) -> None:
        """End the wait of a running :meth:`drain` at once."""
        if self.state.empty is not None:
            self.state.empty.set()

    async def drain(self, seconds: float) -> int:
        """Stop accepting, close idle connections and give running exchanges *seconds* to finish.

        Handlers that are still running then are cancelled; they get :data:`HASTE` seconds to send an error before their
        connections are closed.  Returns how many connections were left at that point.
        """
        state = self.state
        self._stop_accepting()
        self._servers.clear()
        state.draining = True
        state.empty = asyncio.Event()
        for connection in list(state.connections):
            connection.drain()
        late = 0
        if state.connections:
            expiry = state.clock.call_later(seconds, state.empty.set)
            await state.empty.wait()
            expiry.cancel()
            late = len(state.connections)
            stopped = [task for connection in list(state.connections) if (task := connection.stop()) is not None]
            if stopped:
                await asyncio.wait(stopped, timeout=HASTE)
            for connection in list(state.connections):
                connection.client_left()
        if late:
            _log.warning("closed %d connections that did not finish within %g s", late, seconds)
        return late
