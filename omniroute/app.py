"""The composition root: connects all parts of the gateway and manages the life of the process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec

from .clock import Clock
from .gateway.cache import Cache
from .gateway.edge import Edge, Plane
from .gateway.guard import Guard
from .gateway.health import AccountHealth
from .gateway.job import Gateway
from .gateway.live import Live
from .gateway.metrics import Metrics
from .gateway.routes import DATA_ROUTES, DataPlane
from .gateway.snapshot import Connection, Snapshot
from .gateway.uses import Use
from .manage import memory
from .manage.call import Services
from .manage.gateway_login import check_password, has_password
from .manage.oauth_pending import OAuth
from .manage.plane import ControlPlane
from .manage.routes import MANAGE_ROUTES
from .manage.sync_peer import PeerSync
from .manage.tokens import TokenKeeper
from .proto.listener import Listener
from .proto.proxy import Proxy
from .settings import FIRST_PASSED, WILDCARDS, Settings, SettingsError, environment, is_loopback, url_host
from .store.store import Store
from .tasks import cancel, drain, spawn
from .upstream.catalog import load_catalog
from .upstream.echo import Echo
from .upstream.probe import Prober
from .upstream.providers import Catalog, Provider
from .upstream.send import Client
from .upstream.token_endpoint import TokenEndpoint

T = TypeVar("T")
_log = logging.getLogger("omniroute.app")
_RENEWAL_SECONDS: Final = 5.0  # how long a shutdown waits for token refreshes in progress
DEMO: Final = "demo"
WEAK_PASSWORDS: Final = frozenset({"changeme", "change-me", "123456", "password", "admin"})  # from sample files; lower case
SWITCH_SECONDS: Final = 0.0005  # see settle(); a request takes about a fifth of that


class App:
    """One running gateway.  ``await App.open(settings)``, then ``await listen()``, then ``await close()``."""

    def __init__(self, settings: Settings, clock: Clock, catalog: Catalog, store: Store) -> None:
        self.settings = settings
        self.clock = clock
        self.catalog = catalog
        self.store = store
        self.metrics = Metrics(store.usage.put)
        self.live = Live(clock, store.snapshot, self.metrics.put)
        self.live.cache = Cache(clock, settings.cache, store.semantic_cache)
        self.client = Client(settings.limits, clock, allow_private=settings.allow_private_urls)
        self.gateway = Gateway(self.live, self.client, settings.limits, clock, require_key=settings.require_api_key)
        self.gateway.guard = Guard(settings.guard)
        endpoint = TokenEndpoint(self.client, allow_private=settings.allow_private_urls, proxy_for=self._proxy_for)
        self.oauth = OAuth(clock, endpoint, TokenKeeper(store, self.live, clock, endpoint))
        self.live.tokens.refresher = self.oauth.keeper.refresh
        self.live.on_proxied = store.proxy_logs.put
        self.peer = PeerSync(store, settings, clock, self.client)
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
            gateway=self.gateway,
            metrics=self.metrics,
            oauth=self.oauth,
            local_token=secrets.token_urlsafe(32),
            peer=self.peer,
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
            trusted_proxies=settings.trusted_proxies,
        )
        self.listener: Listener | None = None
        self._echo: Listener | None = None
        self._stopping = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None
        self.again = False

    @classmethod
    async def open(cls, settings: Settings, clock: Clock | None = None, *, owner: bool = True) -> App:
        """Open the store and build the gateway on it; nothing listens yet.

        ``owner=False`` is for a single command, which may run beside a running gateway.  Raises ``OmniError`` when the data
        directory cannot be used.
        """
        if not is_loopback(settings.host):  # otherwise anyone on the network could spend the owner's money
            settings = dataclasses.replace(settings, require_api_key=True)
        clock = clock or Clock()
        catalog = load_catalog()
        store = await Store.open(settings, clock, catalog, owner=owner)
        try:
            app = cls(settings, clock, catalog, store)
            await app._restore_health()
            store.on_publish = app._publish
            app._publish(store.snapshot)
        except BaseException:
            await store.close()
            raise
        return app

    async def listen(self, sockets: Sequence[socket.socket] = ()) -> int:
        """Start serving on *sockets*, or else on the address from the settings; returns the port.

        Raises ``SettingsError`` when the address needs a (better) password first, ``OSError`` when it cannot be bound.
        """
        await self._check_address()
        settings = self.settings
        self._sweeping = spawn(self.oauth.keeper.watch(), "token sweep")
        if await self.store.config.get("cloudEnabled"):
            self.peer.start()
        self.listener = Listener(
            self.edge, settings.limits, self.clock, strict=settings.strict_http, tls=tls_context(settings)
        )
        if sockets:
            await self.listener.adopt(sockets)
        else:
            await self.listener.start(settings.host, settings.port)
        return self.listener.port

    async def start_demo(self) -> None:
        """Start the offline provider and make ``demo/echo`` routable."""
        self._echo = Listener(Echo(self.clock), self.settings.limits, self.clock)
        await self._echo.start("127.0.0.1", 0)
        self._publish(self.store.snapshot)

    async def _check_address(self) -> None:
        settings = self.settings
        if is_loopback(settings.host):
            return
        exposed = f"Listening on {settings.host} makes the gateway reachable from other machines"
        if not await has_password(self.services):
            raise SettingsError(
                f"{exposed}, so a password is needed first: set INITIAL_PASSWORD, or set one on the admin page while "
                "listening on 127.0.0.1"
            )
        initial = settings.initial_password
        if initial.lower() in WEAK_PASSWORDS and await check_password(self.services, initial):
            raise SettingsError(f"{exposed}, and INITIAL_PASSWORD is one that everybody tries first: choose another")

    def _proxy_for(self, provider: str, connection_id: str, url: str) -> Proxy | None:
        """The proxy for a call to an authorization server, if any."""
        snapshot = self.store.snapshot
        via = snapshot.outbound.choose(snapshot.providers.get(provider), provider, connection_id, url)
        return via.proxy if via is not None else None

    def _publish(self, snapshot: Snapshot) -> None:
        """Use a new snapshot from the next request on."""
        if self._echo is not None:
            snapshot = with_demo(snapshot, self.catalog.providers[DEMO], self._echo.port)
        known = {c.id for group in snapshot.connections.values() for c in group}
        before = {c.id for group in self.live.snapshot.connections.values() for c in group}
        # a response that arrives after its account was deleted can create a lane again: forget those too
        for id in (before | self.live.limiter.lanes.keys()) - known:
            self.live.forget(id)
        if self.live.health.shut:
            tried = {(c.id, c.secret) for group in self.live.snapshot.connections.values() for c in group}
            for provider, group in snapshot.connections.items():
                if not tried.issuperset((c.id, c.secret) for c in group):
                    self.live.health.reopen(provider)
        self.live.snapshot = snapshot

    async def _restore_health(self) -> None:
        """Load the stored health of accounts and providers, and store all later changes."""
        live, trouble = self.live, self.store.trouble
        await memory.load(self.store, live)
        live.health.on_change = self._health_changed
        live.health.on_lock = trouble.put_lock
        live.breakers.on_change = trouble.put_breaker
        live.uses.on_change = self._used

    def _used(self, connection_id: str, use: Use) -> None:
        if connection_id != DEMO:
            self.store.connections.mark(connection_id, {"last_used_at": use.at, "consecutive_use_count": use.times})

    def _health_changed(self, connection_id: str, state: AccountHealth) -> None:
        if connection_id != DEMO:
            self.store.connections.mark(connection_id, msgspec.structs.asdict(state))

    def stop(self, *, again: bool = False) -> None:
        """Begin the shutdown, or with *again* a restart; returns at once."""
        self.again = again
        self.live.draining = True
        self._stopping.set()

    def obey_signals(self) -> None:
        """Shut down gracefully at SIGTERM, SIGINT or SIGHUP; a second signal ends the wait for running requests."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP, and its event loops no handlers
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        if self._stopping.is_set():
            if self.listener is not None:
                self.listener.hurry()
            return
        self.stop()
        if self.live.running:
            patience = self.settings.limits.shutdown_timeout
            _log.warning("%d requests get %g s to finish; a second signal stops at once", self.live.running, patience)

    async def wait(self) -> None:
        """Wait until :meth:`stop` is called."""
        await self._stopping.wait()

    def keep_sockets(self) -> list[int]:
        """Duplicate the listening sockets for :func:`restart_process`, so that new clients wait in the kernel's queue."""
        return [os.dup(sock.fileno()) for sock in self.listener.sockets] if self.listener is not None else []

    async def close(self) -> None:
        """Let running requests finish, within the shutdown timeout, then close everything in order of dependency."""
        self.live.draining = True
        if self.listener is not None:
            await self.listener.drain(self.settings.limits.shutdown_timeout)
        if self._echo is not None:
            await self._echo.drain(0.1)
        if self._sweeping is not None:
            await cancel(self._sweeping)
        await self.live.tokens.finish(min(self.settings.limits.shutdown_timeout, _RENEWAL_SECONDS))
        await self.peer.stop()
        if self.services.evals is not None:
            await self.services.evals.runs.close()
        await self.oauth.close()
        await self.client.close()
        self.live.uses.save()
        await self.store.close()
        await drain(1.0)


def with_demo(snapshot: Snapshot, provider: Provider, port: int) -> Snapshot:
    """*snapshot* with the offline provider at its current port."""
    here = msgspec.structs.replace(provider, base_url=f"http://127.0.0.1:{port}/v1")
    connection = Connection(id=DEMO, provider=DEMO, name="offline")
    return msgspec.structs.replace(
        snapshot,
        providers={**snapshot.providers, DEMO: here},
        prefixes={**snapshot.prefixes, DEMO: DEMO},
        connections={**snapshot.connections, DEMO: (connection,)},
    )


def known_hosts(settings: Settings) -> list[str]:
    """The hosts, in addition to the loopback ones, that requests may name in ``Host``; see ``Edge``."""
    names = [url_host(settings.host)]
    if settings.host in WILDCARDS:
        names.append("*")
    if settings.base_url:
        name = urlsplit(settings.base_url if "//" in settings.base_url else f"//{settings.base_url}").hostname or ""
        names.append(url_host(name))
    return names


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The server's TLS context, None without a certificate.  Raises ``SettingsError`` when a file cannot be used."""
    if not settings.tls_cert:
        if settings.tls_key:
            raise SettingsError("TLS_KEY without TLS_CERT: give both, or neither for plain HTTP")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except OSError as error:
        names = " and ".join(filter(None, (settings.tls_cert, settings.tls_key)))
        raise SettingsError(f"TLS certificate or key cannot be read ({names}): {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on uvloop if it is installed, else on asyncio's own event loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def settle() -> None:
    """Tune the interpreter for serving; call once after the start.

    Garbage collection: requests create no reference cycles (a test checks that), so a collection finds nothing and only
    stops all streams, a full one for 15 ms.  The objects of the start are therefore frozen, and the threshold is raised.  In
    4,000 streams, 32 at a time, Python's default threshold starts 7 collections, 5,000 starts none.  A collection of 5,000
    objects takes 1 to 2 ms; one of 20,000 would take 9 ms, which is too long.

    Switch interval: a database thread needs the GIL several times per statement, and while the event loop is busy it waits
    one interval each time.  With Python's default of 5 ms the writer of usage rows would fall behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)


def passed_sockets(settings: Settings) -> tuple[list[socket.socket], Settings]:
    """The inherited listening sockets, and *settings* with their address.  Raises ``SettingsError``."""
    if not settings.sockets:
        return [], settings
    try:
        sockets = [socket.socket(fileno=number) for number in settings.sockets]
    except OSError as error:
        raise SettingsError(f"LISTEN_FDS: an inherited socket cannot be used: {error.strerror}") from None
    if any(sock.family not in (socket.AF_INET, socket.AF_INET6) for sock in sockets):
        for sock in sockets:
            sock.close()
        raise SettingsError("LISTEN_FDS: only TCP sockets can be served")
    addresses = [sock.getsockname()[:2] for sock in sockets]
    host, port = next((address for address in addresses if not is_loopback(address[0])), addresses[0])
    return sockets, dataclasses.replace(settings, host=host, port=port)


def restart_process(listening: Sequence[int] = ()) -> NoReturn:
    """Replace this process by a new one with the same arguments that inherits the *listening* sockets (sd_listen_fds(3))."""
    passed: dict[str, str] = {}
    if sys.platform != "win32":
        import fcntl

        above = FIRST_PASSED + len(listening)
        for number, spare in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in listening]):
            os.dup2(spare, FIRST_PASSED + number)
        passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(listening))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment(**passed))
