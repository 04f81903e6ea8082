"""What a management handler receives and returns: a call, a reply, and the services behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from ..clock import Clock
from ..gateway.job import Gateway
from ..gateway.live import Live
from ..gateway.metrics import Metrics
from ..gateway.snapshot import Snapshot
from ..proto.exchange import Exchange, Request
from ..proto.headers import Headers
from ..proto.proxy import Proxy
from ..settings import Settings
from ..store.store import Store
from ..upstream.probe import Validation
from ..upstream.providers import Catalog, Provider
from .cli_setup import CliSetup
from .eval_runs import Evals
from .login_lockout import LoginLockout
from .oauth_pending import OAuth
from .sessions import Session
from .sync_peer import PeerSync

log = logging.getLogger("omniroute.manage")

Access = Literal["P", "M", "B", "L", "S"]
"""P: public.  M: management.  B: always a gateway key.  L: cookie or key, even if the login is off.
S: the token of another gateway that syncs."""

ErrorForm = Literal["", "text", "typed"]
"""The form of a route's refusals: the default, ``{"error": text}``, or ``{"error": {"message", "type"}}``."""


class Probe(Protocol):
    """The part of ``upstream/probe.py`` that the handlers need."""

    def by(self, proxy: Proxy) -> Probe:
        """The same probe with *proxy* for all its requests."""

    async def validate(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> Validation:
        """Test a key.  A failure is returned, never raised."""

    async def list_models(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """The provider's models.  Raises OmniError."""


@dataclass(slots=True)
class Services:
    """Everything that the handlers work with; created by ``app.py``.

    ``restart`` and ``shutdown`` return at once; the process drains afterwards.  ``started_at`` is Unix seconds.  Hashing a
    password briefly takes 16 MiB and a core, so ``hashing`` limits how many run at once.
    """

    store: Store
    live: Live
    settings: Settings
    clock: Clock
    catalog: Catalog
    probe: Probe
    restart: Callable[[], object]
    shutdown: Callable[[], object]
    started_at: float
    oauth: OAuth
    local_token: str = ""  # authenticates the command line on this machine; see cli/backend.py
    gateway: Gateway | None = None  # the data plane, if there is one: for calls that the gateway makes to itself
    lockout: LoginLockout = field(default_factory=LoginLockout)
    metrics: Metrics = field(default_factory=lambda: Metrics(lambda _: None))
    cli: CliSetup | None = None  # made when first needed
    peer: PeerSync | None = None
    evals: Evals | None = None  # made when first needed
    editing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by ``one_at_a_time``
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    attempts: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a password is tried

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.store.snapshot


class Actor(NamedTuple):
    """The caller, as audit rows name it: ``admin``, ``apikey:<id>``, ``system``, ``peer`` or ``anonymous``."""

    name: str = "anonymous"
    session: Session | None = None

    @property
    def known(self) -> bool:
        """Whether the caller has proved who it is."""
        return self.name != "anonymous"


@dataclass(slots=True)
class Call:
    """One management call, after access check and validation; ``body`` is an instance of the route's request type."""

    exchange: Exchange
    services: Services
    query: dict[str, str]
    actor: Actor = field(default_factory=Actor)
    body: Any = None

    @property
    def request(self) -> Request:
        """The request as it was received."""
        return self.exchange.request

    @property
    def params(self) -> dict[str, str]:
        """The variable parts of the path."""
        return self.exchange.request.params

    @property
    def ip(self) -> str:
        """The client's address; proxy headers are believed only from ``TRUSTED_PROXIES`` (see ``gateway/edge.py``)."""
        return self.exchange.request.peer

    @property
    def request_id(self) -> str:
        """The id in ``X-Request-Id``, for logs and errors."""
        return self.exchange.request.id

    @property
    def store(self) -> Store:
        """The persistent data."""
        return self.services.store

    @property
    def live(self) -> Live:
        """The state of the data plane."""
        return self.services.live

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.services.snapshot

    @property
    def now(self) -> float:
        """The current time in Unix seconds."""
        return self.services.clock.time()

    def provider_id(self, name: str) -> str:
        """Return the id of the provider with this id, alias or prefix; an unknown name as it is."""
        return self.snapshot.prefixes.get(name, name)

    async def audit(self, action: str, target: str | None = None, details: Mapping[str, object] | None = None) -> None:
        """Write an audit row.  *details* must not hold a secret."""
        await self.store.audit.append(action, self.actor.name, target, dict(details) if details else None, self.ip)


class FileBody(NamedTuple):
    """A file as the answer's body, streamed; if ``fleeting``, its folder is removed afterwards."""

    path: Path
    fleeting: bool = False


@dataclass(slots=True)
class Reply:
    """An answer.  ``body`` is encoded as JSON unless it is ``bytes`` or a file; then ``headers`` give its type."""

    status: int = 200
    body: object = b""
    headers: Headers = field(default_factory=list)


class Success(Struct):
    """The reply of an action that has nothing more to say."""

    success: bool = True


class Done(Struct):
    """The reply of an action that succeeded, for programs and for people."""

    success: bool
    message: str


class Message(Struct):
    """The reply of an action that succeeded, for people."""

    message: str


Handler = Callable[[Call], Awaitable[Reply]]


def one_at_a_time(handler: Handler) -> Handler:
    """Serialise a handler that reads, modifies and writes stored data, so that concurrent calls do not lose a change."""

    @wraps(handler)
    async def alone(call: Call) -> Reply:
        async with call.services.editing:
            return await handler(call)

    return alone


class Route(NamedTuple):
    """One row of the management table.

    ``request`` is the Struct that the body must fit (None: the body is ignored), ``reply`` the type for the API document,
    ``failure`` the text of an unexpected 500, ``body_limit`` in bytes (0: the plane's default), ``errors`` the form of other
    refusals.
    """

    method: str
    path: str
    handler: Handler
    access: Access = "M"
    request: type[Any] | None = None
    reply: Any = None
    summary: str = ""
    failure: str = "Internal server error"
    body_limit: int = 0
    stream_body: bool = False
    errors: ErrorForm = ""


def flag(text: str | None) -> bool | None:
    """Read a boolean query value: ``true``/``1`` or ``false``/``0``; None (no filter) for anything else."""
    return {"true": True, "1": True, "false": False, "0": False}.get((text or "").lower())


def whole(text: str | None, default: int, low: int, high: int) -> int:
    """Read an integer query value, clamped between *low* and *high*."""
    try:
        return max(low, min(high, int(text or default)))
    except ValueError:
        return default
