"""The data plane in this process, on a real socket, without store or control plane."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from scripted_upstream import ScriptedUpstream, Step
from wires import Wire

from omniroute.clock import Clock
from omniroute.gateway.edge import Edge, Plane
from omniroute.gateway.job import Gateway
from omniroute.gateway.live import Live
from omniroute.gateway.routes import DATA_ROUTES, DataPlane
from omniroute.gateway.snapshot import Connection, GatewaySettings, Snapshot
from omniroute.gateway.usage import CallRecord
from omniroute.proto.headers import Headers
from omniroute.proto.listener import Listener
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.call import Call
from omniroute.upstream.providers import Model, Price, Provider
from omniroute.upstream.send import Client

# deadlines short enough for tests
HASTY = Limits(
    connect_timeout=0.5, first_byte_timeout=0.25, stream_idle_timeout=0.25, keepalive_interval=0.0, shutdown_timeout=0.5
)
MODEL = "up/m"
JSON = [(b"content-type", b"application/json")]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until *holds* is true, by polling."""
    async with asyncio.timeout(5.0):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


def provider(wire: Wire, url: str = "http://127.0.0.1:9/v1", **more: Any) -> Provider:
    """Return a node that speaks *wire*, with one priced model ``m``."""
    models = {"m": Model("m", price=Price(input=3.0, output=15.0, cached=0.3))}
    about = {
        "alias": "up",
        "wire": wire.name,
        "auth": wire.auth,
        "base_url": url,
        "node": True,
        "prefix": "up",
        "models": models,
    }
    return Provider(id="node-up", name="Up", **{**about, **more})


def accounts(*secrets: str, **more: Any) -> tuple[Connection, ...]:
    """Return connections ``acct-1`` …, in the order in which they should be tried."""
    return tuple(
        Connection(id=f"c{n}", provider="node-up", name=f"acct-{n}", secret=secret, priority=n, **more)
        for n, secret in enumerate(secrets, 1)
    )


def snapshot(upstream: Provider, connections: Sequence[Connection], **more: Any) -> Snapshot:
    """Return a snapshot with one provider, addressed as ``up/``."""
    return Snapshot(
        providers={upstream.id: upstream},
        prefixes={"up": upstream.id},
        connections={upstream.id: tuple(connections)} if connections else {},
        settings=more.pop("settings", GatewaySettings()),
        **more,
    )


@dataclass
class Running:
    """A data plane that listens on ``port``; ``records`` are the finished calls, ``http`` calls it."""

    gateway: Gateway
    http: Client
    port: int = 0
    records: list[CallRecord] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.port)

    @property
    def live(self) -> Live:
        return self.gateway.live

    async def post(self, wire: Wire, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Make a call that is not streamed; *body* defaults to a small request for ``up/m``."""
        fields: Headers = [*JSON, *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())]
        raw = body if isinstance(body, bytes) else json.dumps(wire.ask(MODEL) if body is None else body).encode()
        status, got, out = await self.http.fetch(self.origin, "POST", wire.path.encode(), fields, raw, limit=1 << 26)
        return status, {name.decode(): value.decode() for name, value in got}, out

    async def open(self, wire: Wire, body: Any) -> Call:
        """Begin a call whose answer is read as it arrives."""
        return await self.http.open(self.origin, "POST", wire.path.encode(), JSON, json.dumps(body).encode())

    async def idle(self) -> None:
        """Wait until no call is in flight."""
        await until(lambda: not self.live.in_flight)


@asynccontextmanager
async def data_plane(state: Snapshot, *, limits: Limits = HASTY, require_key: bool = False) -> AsyncIterator[Running]:
    """Run a data plane that serves *state*."""
    clock = Clock()
    client = Client(limits, clock)
    records: list[CallRecord] = []
    gateway = Gateway(Live(clock, state, records.append), client, limits, clock, require_key=require_key)
    plane = Plane(DATA_ROUTES, DataPlane(gateway).handle, limits.gateway_body, True)
    listener = Listener(Edge([plane], gateway.live), limits, clock)
    await listener.start("127.0.0.1", 0)
    running = Running(gateway, Client(Limits(), clock), listener.port, records)
    try:
        yield running
    finally:
        await running.http.close()
        await listener.drain(1.0)
        await client.close()


@asynccontextmanager
async def routed(
    wire: Wire, *script: Step, secrets: Sequence[str] = ("key-1",), limits: Limits = HASTY, **about: Any
) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """Run a data plane in front of a scripted upstream that speaks *wire*."""
    async with (
        ScriptedUpstream(*script) as upstream,
        data_plane(snapshot(provider(wire, f"{upstream.url}/v1", **about), accounts(*secrets)), limits=limits) as plane,
    ):
        yield plane, upstream
