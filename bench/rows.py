"""The measurements: one function for each row of ``gates.toml``.

A comparison runs several rounds, in each of which relay and gateway take turns, and reports the median of the rounds'
ratios.  A short disturbance of the machine then affects both, or is dropped by the median.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import TracebackType

from . import bodies, books, load, procs
from .answers import MARK
from .micro import paths

CHAT = "/v1/chat/completions"
MIB = 1024 * 1024
LEAST_P99 = 100.0  # µs; a control that adds less does so by chance, and would make the ratio meaningless


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work is done for a row."""

    rounds: int
    requests: int  # per CPU round; fewer if each is larger
    seconds: float  # per open-loop or live round
    soak: int  # requests between two readings of memory


FULL = Effort(rounds=7, requests=15_000, seconds=4.0, soak=100_000)
GATE = Effort(rounds=5, requests=5_000, seconds=2.0, soak=10_000)
SMOKE = Effort(rounds=1, requests=200, seconds=0.5, soak=200)


@dataclass(frozen=True, slots=True)
class Reading:
    """The number that the limit applies to, and as text the two numbers that it comes from."""

    value: float
    gateway: str
    control: str = ""


class Stage:
    """The processes of a run: mock, relay and gateway; a context manager."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._filled = False
        self.before = b""
        self._opened = ExitStack()
        with self._opened:
            self._data = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="omniroute-bench-")))
            self.upstream = self._opened.enter_context(procs.upstream())
            self.relay = self._opened.enter_context(procs.relay(self.upstream.port))
            self.gateway = procs.Gateway(self._data)
            self._opened.callback(lambda: self.gateway.stop())
            self.key = self.gateway.wait().configure(self.upstream.port)
            self._opened = self._opened.pop_all()

    def restart(self) -> float:
        """Start a new gateway on the same data; return the seconds from its start to its first answer."""
        self.gateway.stop()
        self.gateway = procs.Gateway(self._data).wait()
        procs.call(self.gateway.port, "POST", CHAT, {"model": "mock/gpt-mock", "messages": [_HELLO]}, self.key)
        return time.monotonic() - self.gateway.started

    def fill_books(self) -> None:
        """Insert a million calls into the gateway's database, once; the database before that is kept in ``before``."""
        if not self._filled:
            self.before = books.export(self.gateway.port)
            self.gateway.stop()
            books.fill(self._data)
            self._filled = True
            self.restart()

    def shot(self, to: procs.Process, model: str, *, agent: bool = False, stream: bool = False, times: int = 0) -> load.Shot:
        """Return a chat request; relay and mock get the model's name without its prefix."""
        name = model if to is self.gateway else model.partition("/")[2]
        body = bodies.chat(name, agent=agent, stream=stream)
        expect = b"tok-" if stream else MARK
        return load.shot(to.port, CHAT, body, expect, times=times or 1, key=self.key if to is self.gateway else "")

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()


_HELLO = {"role": "user", "content": "Hello"}


async def _cpu(to: procs.Process, shot: load.Shot, count: int) -> float:
    """Return the CPU time of *to* per request in microseconds; 32 connections in a closed loop."""
    before = to.cpu()
    result = (await load.closed(shot, 32, count)).check()
    return (to.cpu() - before) / result.count / 1000


async def _compare(
    stage: Stage, work: Callable[[procs.Process], Awaitable[float]], unit: str, system: procs.Process | None = None
) -> Reading:
    """Compare *system* (default: the gateway) with the relay."""
    system = system or stage.gateway
    await work(stage.relay)  # warm-up
    await work(system)
    pairs = [(await work(stage.relay), await work(system)) for _ in range(stage.effort.rounds)]
    ratio = median(ours / theirs for theirs, ours in pairs)
    return Reading(ratio, f"{median(p[1] for p in pairs):.1f} {unit}", f"{median(p[0] for p in pairs):.1f} {unit}")


def _cpu_row(model: str, share: float, *, agent: bool = False, stream: bool = False, times: int = 1) -> Row:
    async def row(stage: Stage) -> Reading:
        count = max(64, round(stage.effort.requests * share))

        async def work(to: procs.Process) -> float:
            return await _cpu(to, stage.shot(to, model, agent=agent, stream=stream, times=times), count)

        return await _compare(stage, work, "µs")

    return row


def _proto_row(agent: bool) -> Row:
    async def row(stage: Stage) -> Reading:
        count = max(64, round(stage.effort.requests * (0.3 if agent else 1)))

        async def work(to: procs.Process) -> float:
            return await _cpu(to, stage.shot(to, "mock/gpt-mock", agent=agent), count)

        with procs.proto_relay(stage.upstream.port) as system:
            return await _compare(stage, work, "µs", system)

    return row


async def _per_event(to: procs.Process, shot: load.Shot, window: float) -> float:
    """Return the CPU time of *to* per event of 100 live streams, in microseconds."""
    live = await load.live(shot, 100, window, to.cpu)
    return live.cpu / live.events / 1000


def _live_row(model: str) -> Row:
    async def row(stage: Stage) -> Reading:
        window = stage.effort.seconds
        events = round((window + 1.5) * 200)

        async def work(to: procs.Process) -> float:
            return await _per_event(to, stage.shot(to, f"{model}-{events}x5ms", stream=True, times=events), window)

        return await _compare(stage, work, "µs")

    return row


@dataclass(frozen=True, slots=True)
class Client:
    """A client wire in front of the chat upstream; ``says``: how often it repeats a text within one stream."""

    name: str
    path: str
    body: Callable[[str], bytes]
    says: int = 1

    def shot(self, stage: Stage, model: str, times: int) -> load.Shot:
        path, body = self.path.format(model=model), self.body(model)
        return load.shot(stage.gateway.port, path, body, b"tok-", times=times * self.says, key=stage.key)


CLIENTS = (
    Client("anthropic", "/v1/messages", partial(bodies.messages, stream=True)),
    Client("openai-responses", "/v1/responses", bodies.responses, says=5),  # also where part, item and response end
    Client("gemini", "/v1beta/models/{model}:streamGenerateContent?alt=sse", bodies.gemini),
    Client("ollama", "/api/chat", bodies.ollama),
)


async def _dearest(measure: Callable[[Client], Awaitable[Reading]]) -> Reading:
    """Return the reading of the client with the worst ratio."""
    readings = {client.name: await measure(client) for client in CLIENTS}
    name = max(readings, key=lambda name: readings[name].value)
    found = readings[name]
    return Reading(found.value, f"{found.gateway} ({name})", found.control)


async def _stream_clients(stage: Stage) -> Reading:
    """Measure a burst of events for clients of each other wire."""
    count = max(64, round(stage.effort.requests * 0.3))
    plain = stage.shot(stage.relay, "mock/events-50", stream=True, times=50)

    async def measure(client: Client) -> Reading:
        shot = client.shot(stage, "mock/events-50", 50)
        return await _compare(stage, lambda to: _cpu(to, plain if to is stage.relay else shot, count), "µs")

    return await _dearest(measure)


async def _live_clients(stage: Stage) -> Reading:
    """Measure live streams for clients of each other wire; one round each, since the window is long enough to warm up."""
    window = stage.effort.seconds
    events = round((window + 1.5) * 200)
    model = f"mock/paced-{events}x5ms"
    plain = stage.shot(stage.relay, model, stream=True, times=events)

    async def measure(client: Client) -> Reading:
        theirs = await _per_event(stage.relay, plain, window)
        ours = await _per_event(stage.gateway, client.shot(stage, model, events), window)
        return Reading(ours / theirs, f"{ours:.1f} µs", f"{theirs:.1f} µs")

    return await _dearest(measure)


async def _p99(stage: Stage) -> Reading:
    """Measure the added p99: each system's minus that of the mock alone, with the same sending times."""
    systems = (stage.upstream, stage.relay, stage.gateway)
    seen: dict[procs.Process, list[float]] = {system: [] for system in systems}
    for turn in range(stage.effort.rounds):
        for system in systems:
            result = await load.opened(stage.shot(system, "mock/gpt-mock"), 32, 2000, stage.effort.seconds, seed=turn)
            seen[system].append(result.check().percentile(0.99))
    alone, relay, gateway = (median(seen[system]) for system in systems)
    added, control = gateway - alone, max(relay - alone, LEAST_P99)
    return Reading(added / control, f"{added:.0f} µs", f"{control:.0f} µs")


def _first_byte_row(agent: bool) -> Row:
    async def row(stage: Stage) -> Reading:
        seen: dict[procs.Process, list[float]] = {stage.upstream: [], stage.relay: [], stage.gateway: []}
        for _ in range(stage.effort.rounds):
            for system, values in seen.items():
                shot = stage.shot(system, "mock/gpt-mock", agent=agent, stream=True, times=50)
                result = (await load.closed(shot, 1, max(20, stage.effort.requests // 25))).check()
                values.append(result.percentile(0.5, result.first_bytes) / 1000)
        alone, relay, gateway = (median(values) for values in seen.values())
        return Reading(gateway - alone, f"{gateway - alone:.2f} ms", f"{relay - alone:.2f} ms")

    return row


async def _start(stage: Stage) -> Reading:
    took = median([stage.restart() for _ in range(max(3, stage.effort.rounds))])
    return Reading(took, f"{took:.2f} s")


async def _idle(stage: Stage) -> Reading:
    stage.restart()
    await asyncio.sleep(1.5)
    rss = stage.gateway.rss() / MIB
    return Reading(rss, f"{rss:.1f} MiB")


async def _soak(stage: Stage) -> Reading:
    stage.restart()
    await asyncio.sleep(1.5)
    before = stage.gateway.rss()
    (await load.closed(stage.shot(stage.gateway, "mock/gpt-mock"), 32, stage.effort.soak)).check()
    await asyncio.sleep(1.5)
    grown = (stage.gateway.rss() - before) / MIB
    return Reading(grown, f"+{grown:.1f} MiB")


async def _streams(stage: Stage) -> Reading:
    stage.restart()
    await asyncio.sleep(1.5)
    before = stage.gateway.rss()
    count = 1000 if stage.effort.rounds > 1 else 100
    during = await load.hold(stage.shot(stage.gateway, "mock/hold", stream=True), count, stage.gateway.rss)
    grown = (during - before) / MIB
    return Reading(grown, f"+{grown:.1f} MiB")


async def _books(stage: Stage) -> Reading:
    stage.fill_books()
    took = books.slowest_view(stage.gateway.port, max(3, stage.effort.rounds))
    return Reading(took, f"{took:.0f} ms")


async def _manage_p99(stage: Stage) -> Reading:
    stage.fill_books()
    shot = stage.shot(stage.gateway, "mock/gpt-mock")
    added = await books.added_p99(stage.gateway.port, shot, stage.effort.rounds, stage.effort.seconds, stage.before)
    return Reading(added, f"{added:.1f} ms")


async def _micro(stage: Stage) -> Reading:
    """Measure reading, decoding and encoding one text event, for the most expensive pair of wires."""
    costs = {path.name: path.microseconds() for path in paths.TRANSLATED}
    worst = max(costs, key=lambda name: costs[name])
    return Reading(costs[worst], f"{costs[worst]:.1f} µs ({worst})")


Row = Callable[[Stage], Awaitable[Reading]]
ROWS: dict[str, Row] = {
    "whole-cpu": _cpu_row("mock/gpt-mock", 1),
    "whole-p99": _p99,
    "agent-body-cpu": _cpu_row("mock/gpt-mock", 0.3, agent=True),
    "proto-cpu": _proto_row(agent=False),
    "proto-agent-body-cpu": _proto_row(agent=True),
    "stream-cpu": _cpu_row("mock/events-50", 0.4, stream=True, times=50),
    "stream-translated-cpu": _cpu_row("mocka/events-50", 0.3, stream=True, times=50),
    "stream-clients-cpu": _stream_clients,
    "event-translated-micro": _micro,
    "live-cpu": _live_row("mock/paced"),
    "live-translated-cpu": _live_row("mocka/paced"),
    "live-clients-cpu": _live_clients,
    "first-byte": _first_byte_row(False),
    "first-byte-agent-body": _first_byte_row(True),
    "start": _start,
    "memory-idle": _idle,
    "memory-after-requests": _soak,
    "memory-open-streams": _streams,
    "books": _books,  # these two come last: they leave a million calls in the database
    "manage-p99": _manage_p99,
}
