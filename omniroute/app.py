"""The composition root: the one module that knows all others, and the life of the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from .clock import Clock
from .gateway.edge import Edge, Plane
from .gateway.health import AccountHealth
from .gateway.job import Gateway
from .gateway.live import Live
from .gateway.routes import DATA_ROUTES, DataPlane
from .gateway.snapshot import Connection, Snapshot
from .manage.account import has_password
from .manage.call import Services
from .manage.plane import ControlPlane
from .manage.providers import health_of
from .manage.routes import MANAGE_ROUTES
from .proto.listener import Listener
from .settings import Settings, SettingsError
from .store.store import Store
from .tasks import drain
from .upstream.echo import Echo
from .upstream.probe import Prober
from .upstream.providers import Catalog, Provider, load_catalog
from .upstream.send import Client

T = TypeVar("T")
_log = logging.getLogger("omniroute.app")
DEMO = "demo"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class App:
    """One running gateway.  ``await App.open(settings)``, then ``await listen()``, then ``await close()``."""

    def __init__(self, settings: Settings, clock: Clock, catalog: Catalog, store: Store) -> None:
        self.settings = settings
        self.clock = clock
        self.catalog = catalog
        self.store = store
        self.live = Live(clock, store.snapshot, store.usage.put)
        self.client = Client(settings.limits, clock, allow_private=settings.allow_private_urls)
        self.gateway = Gateway(self.live, self.client, settings.limits, clock, require_key=settings.require_api_key)
        self.services = Services(
            store=store,
            live=self.live,
            settings=settings,
            clock=clock,
            catalog=catalog,
            probe=Prober(self.client, clock),
            restart=lambda: self.stop(again=True),
            shutdown=lambda: self.stop(again=False),
            started_at=clock.time(),
            local_token=secrets.token_urlsafe(32),
        )
        self.edge = Edge(
            [
                Plane(DATA_ROUTES, DataPlane(self.gateway).handle, settings.limits.gateway_body, True),
                Plane(MANAGE_ROUTES, ControlPlane(self.services).handle, settings.limits.manage_body, False),
            ],
            self.live,
            hosts=known_hosts(settings),
            origins=settings.cors_origins,
            in_flight=settings.limits.in_flight,
        )
        self.listener: Listener | None = None
        self._echo: Listener | None = None
        self._stopping = asyncio.Event()
        self.again = False

    @classmethod
    async def open(cls, settings: Settings, clock: Clock | None = None) -> App:
        """Open the store and build everything on it; nothing listens yet."""
        clock = clock or Clock()
        catalog = load_catalog()
        store = await Store.open(settings, clock, catalog)
        app = cls(settings, clock, catalog, store)
        for row in await store.connections.list():
            app.live.health.restore(row.id, health_of(row))
        app.live.health.on_change = app._health_changed
        store.on_publish = app._publish
        app._publish(store.snapshot)
        return app

    async def listen(self, sockets: Sequence[socket.socket] = ()) -> int:
        """Start serving; returns the port.  Raises ``SettingsError`` when the address is unsafe, ``OSError`` when taken."""
        await self._check_address()
        settings = self.settings
        self.listener = Listener(
            self.edge, settings.limits, self.clock, strict=settings.strict_http, tls=tls_context(settings)
        )
        if sockets:
            await self.listener.adopt(sockets)
        else:
            await self.listener.start(settings.host, settings.port)
        return self.listener.port

    async def start_demo(self) -> None:
        """Bring up the offline provider and make ``demo/echo`` routable."""
        self._echo = Listener(Echo(self.clock), self.settings.limits, self.clock)
        await self._echo.start("127.0.0.1", 0)
        self._publish(self.store.snapshot)

    async def _check_address(self) -> None:
        if self.settings.host in LOOPBACK:
            return
        if not await has_password(self.services):
            raise SettingsError(
                f"HOST={self.settings.host} is reachable from other machines, so a password is needed first: "
                "set INITIAL_PASSWORD, or set one on the admin page while bound to 127.0.0.1"
            )

    def _publish(self, snapshot: Snapshot) -> None:
        """Put a new snapshot in force for the next request."""
        if self._echo is not None:
            snapshot = with_demo(snapshot, self.catalog.providers[DEMO], self._echo.port)
        known = {c.id for group in snapshot.connections.values() for c in group}
        for group in self.live.snapshot.connections.values():
            for connection in group:
                if connection.id not in known:
                    self.live.health.forget(connection.id)
        self.live.snapshot = snapshot

    def _health_changed(self, connection_id: str, state: AccountHealth) -> None:
        if connection_id != DEMO:
            self.store.connections.mark(connection_id, msgspec.structs.asdict(state))

    def stop(self, *, again: bool = False) -> None:
        """Begin to end (or, *again*, to start anew); returns at once."""
        self.again = again
        self.live.draining = True
        self._stopping.set()

    async def wait(self) -> None:
        """Until :meth:`stop`, SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self.stop)
        await self._stopping.wait()

    async def close(self) -> None:
        """Finish what runs, within the shutdown time, then close everything in the order it depends on each other."""
        self.live.draining = True
        if self.listener is not None:
            await self.listener.drain(self.settings.limits.shutdown_timeout)
        if self._echo is not None:
            await self._echo.drain(0.1)
        await self.client.close()
        await self.store.close()
        await drain(1.0)


def with_demo(snapshot: Snapshot, provider: Provider, port: int) -> Snapshot:
    """The snapshot with the offline provider at its port of today."""
    here = msgspec.structs.replace(provider, base_url=f"http://127.0.0.1:{port}/v1")
    connection = Connection(id=DEMO, provider=DEMO, name="offline")
    return msgspec.structs.replace(
        snapshot,
        providers={**snapshot.providers, DEMO: here},
        prefixes={**snapshot.prefixes, DEMO: DEMO},
        connections={**snapshot.connections, DEMO: (connection,)},
    )


def known_hosts(settings: Settings) -> list[str]:
    """Names under which the gateway may be called: loopback ones always, the bound address and the base URL's host."""
    names = [settings.host]
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104 - only compared; binding to it demands a password
        names += ["*"]
    if settings.base_url:
        names.append(settings.base_url.split("://")[-1].split("/")[0].split(":")[0])
    return names


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Server TLS when a certificate is configured."""
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except OSError as error:
        raise SettingsError(f"TLS certificate or key cannot be read: {error}") from None
    return context


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on uvloop where there is one, on asyncio's own loop elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def restart_process() -> None:
    """Replace this process by a fresh one with the same arguments."""
    os.execv(sys.executable, [sys.executable, "-m", "omniroute", *sys.argv[1:]])  # noqa: S606
