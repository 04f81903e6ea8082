"""Three providers with three accounts each under faults of every class, and what clients notice of it: nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec
import pytest
from data_plane import JSON, provider
from fakes import FakeClock
from fakes_exchange import FakeExchange
from fakes_gateway import SSE, FakeCall, exchange
from wires import CHAT

from omniroute.gateway import pipeline
from omniroute.gateway.breakers import Breaker
from omniroute.gateway.job import Gateway, Line
from omniroute.gateway.live import Live
from omniroute.gateway.retry import PROFILES
from omniroute.gateway.snapshot import Combo, ComboEntry, Connection, GatewaySettings, Snapshot
from omniroute.gateway.usage import CallRecord
from omniroute.proto.headers import Headers
from omniroute.proto.transport import TransportError
from omniroute.settings import Limits
from omniroute.tasks import spawn
from omniroute.upstream.call import Call
from omniroute.upstream.request import Template
from omniroute.upstream.send import Client

Answer = tuple[int, Headers, bytes] | TransportError
GOOD: Final[Answer] = (200, JSON, CHAT.whole)
BEGAN: ContextVar[float] = ContextVar("began")  # when the client's call started


def says(status: int, text: str = "No", *fields: tuple[bytes, bytes]) -> Answer:
    return status, [*JSON, *fields], CHAT.error("some_error", text)


FAULTS: Final[dict[str, Answer]] = {
    "dead key": says(401, "Invalid API key"),
    "no money": says(402),
    "forbidden": says(403),
    "no such model": says(404),
    "late": says(408),
    "rate limit": says(429, "Rate limit reached", (b"retry-after", b"7")),
    "rate limit without a hint": says(429, "Slow down"),
    "rate limit with a reset": says(429, "Slow down", (b"x-ratelimit-reset-requests", b"4s")),
    "rate limit of the model": says(429, "Rate limit reached for model-1"),
    "quota": says(403, "Quota exceeded"),
    "broken": says(500),
    "bad gateway": (502, [(b"content-type", b"text/html")], b"<html>Bad gateway</html>"),
    "overloaded": says(503, "The model is overloaded"),
    "down": says(503),
    "slow": says(504),
    "overloaded without a hint": says(529, "Overloaded"),
    "odd": says(418),
    "reset": TransportError("reset", "reset by peer"),
    "refused": TransportError("refused", "refused"),
    "timeout": TransportError("timeout", "nothing came"),
    "nonsense": (200, JSON, b"<html>"),
    "error in the answer": (200, JSON, b'{"error":{"message":"Internal error","code":500}}'),
}


class World:
    """A gateway whose accounts answer what ``answer(account id)`` says, ``latency()`` seconds later."""

    def __init__(self, state: Snapshot, answer: Callable[[str], Answer], latency: Callable[[], float]) -> None:
        self.clock = FakeClock()
        self.answer, self.latency = answer, latency
        self.records: list[CallRecord] = []
        self.hits: list[tuple[float, str]] = []
        self.live = Live(cast(Any, self.clock), state, self.records.append)
        self.gateway = Gateway(self.live, cast(Client, self), Limits(), cast(Any, self.clock))
        self.owner = {f"key-of-{c.id}".encode(): c for group in state.connections.values() for c in group}
        self.calls = 0
        self.on_hit: Callable[[Connection], None] = lambda account: None

    async def _ask(self, form: Template) -> tuple[int, Headers, bytes]:
        account = next(owner for key, owner in self.owner.items() if key in form.head)
        self.hits.append((self.clock.now, account.id))
        self.on_hit(account)
        said = self.answer(account.id)
        await self.clock.sleep(self.latency())
        if isinstance(said, TransportError):
            raise TransportError(said.reason, str(said))
        return said

    async def reach(self, origin: object, seconds: float) -> None:
        """Their hosts are there; what they answer is another matter."""

    async def whole_as(self, form: Template, body: bytes, *, extra: Headers, limit: int, ends: Any) -> Call:
        status, headers, raw = await self._ask(form)
        call = FakeCall(self.clock, status, headers, raw)
        call.take = lambda: raw  # type: ignore[attr-defined]
        return cast(Call, call)

    async def open_as(self, form: Template, body: bytes, *, extra: Headers) -> Call:
        status, headers, raw = await self._ask(form)
        if status == 200:
            headers = SSE
            raw = b"".join(CHAT.stream) if raw == CHAT.whole else b"data: " + raw + b"\n\n"
        call = FakeCall(self.clock, status, headers, raw)
        call.attach = lambda on_data, on_end, on_error: on_end(raw)  # type: ignore[method-assign, assignment]
        return cast(Call, call)

    async def call(self, stream: bool = False) -> FakeExchange:
        """One call to the combo; each is a conversation of its own."""
        BEGAN.set(self.clock.now)
        self.calls += 1
        made = exchange(CHAT, CHAT.ask("all", stream=stream), (b"x-session-id", b"%d" % self.calls))
        await pipeline.serve(self.gateway, made, Line("openai-chat"))
        return made

    async def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, with all that happens in it."""
        for _ in range(round(seconds / step)):
            await settle()
            self.clock.advance(step)
        await settle()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def world_of(providers: int, each: int, answer: Callable[[str], Answer], latency: Callable[[], float], **more: Any) -> World:
    names = [f"p{n}" for n in range(1, providers + 1)]
    made = {
        name: tuple(
            Connection(f"{name}.{n}", name, f"{name}.{n}", f"key-of-{name}.{n}", priority=n) for n in range(1, each + 1)
        )
        for name in names
    }
    state = Snapshot(
        providers={name: msgspec.structs.replace(provider(CHAT, prefix=name), id=name) for name in names},
        prefixes={name: name for name in names},
        connections=made,
        combos={"all": Combo("1", "all", tuple(ComboEntry(f"{name}/model-1") for name in names))},
        settings=GatewaySettings(**more),
    )
    return World(state, answer, latency)


class Weather:
    """Which fault each account has at which time.  ``p3.2`` is always well; ``p1`` is down as a whole for a while."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.world: World | None = None
        self.until: dict[str, float] = {}
        self.fault: dict[str, str] = {}
        self.seen: Counter[str] = Counter()

    def __call__(self, account: str) -> Answer:
        assert self.world is not None
        now = self.world.clock.now - START
        if account == "p3.2":
            return GOOD
        if account.startswith("p1") and 15.0 <= now < 45.0:
            return FAULTS["broken"]
        if now >= self.until.get(account, 0.0):
            self.until[account] = now + self.chance.uniform(0.5, 6.0)
            self.fault[account] = self.chance.choice(["", *FAULTS])
        fault = self.fault[account]
        self.seen[fault] += 1
        return FAULTS[fault] if fault else GOOD


START: Final = FakeClock().now


@pytest.mark.parametrize("strategy", ["fill-first", "round-robin", "p2c"])
async def test_while_one_account_is_well_no_client_notices_a_fault(strategy: str) -> None:
    chance = random.Random(f"storm {strategy}")
    weather = Weather(chance)
    world = weather.world = world_of(3, 3, weather, lambda: chance.uniform(0.02, 0.4), fallback_strategy=strategy)
    world.live.dice.seed(1)
    changes: list[tuple[float, str, str]] = []
    refused: list[str] = []

    def note(name: str, breaker: Breaker) -> None:
        changes.append((world.clock.now, name, breaker.state))

    def check(account: Connection) -> None:
        if world.live.health.blocked_until(account.id, "model-1") is not None:
            refused.append(f"{account.id} was asked while it cooled")
        breaker = world.live.breakers.view(account.provider)
        if breaker.state == "OPEN" and BEGAN.get() > (breaker.last_failure or 0.0) + 1.0:
            refused.append(f"{account.provider} was asked while its breaker was open")

    world.live.breakers.on_change = note
    world.on_hit = check

    async def client(stream: bool) -> list[int]:
        statuses = []
        while world.clock.now < START + 60.0:
            await world.clock.sleep(chance.uniform(0.5, 3.5))
            statuses.append((await world.call(stream)).status)
        return statuses

    clients = [spawn(client(n % 2 == 0), f"client {n}") for n in range(50)]
    await world.run(70.0)
    statuses = Counter(status for task in clients for status in task.result())
    assert set(statuses) == {200}
    assert statuses[200] > 1000
    assert refused == []
    assert sum(world.live.in_flight.values()) == 0
    assert len(world.records) == statuses[200]
    for record in world.records:
        assert (record.status, record.attempts > 0) == (200, True)
        assert record.route.startswith(f"{record.account.partition('.')[0]}/{record.account}; attempt={record.attempts}/")
        assert record.route.count("; failed=") == record.attempts - 1
    check_breakers(changes)


def check_breakers(changes: list[tuple[float, str, str]]) -> None:
    """A provider is probed after its time and not before; the one with a good account is never closed to anyone."""
    reset = PROFILES["apikey"].breaker_reset
    opened: dict[str, float] = {}
    probes = []
    for at, name, state in changes:
        if state == "OPEN":
            opened[name] = at
        elif state == "HALF_OPEN":
            probes.append(at - opened[name])
    assert "p1" in opened
    assert "p3" not in opened
    assert probes
    assert all(reset - 0.01 <= waited <= reset + 4.0 for waited in probes)  # as soon as a call comes by


async def test_a_rate_limit_affects_calls_in_flight_and_none_after_them() -> None:
    """200 calls arrive as one account gets its 429."""
    limited = False

    def answer(account: str) -> Answer:
        return FAULTS["rate limit"] if account == "p1.1" and limited else GOOD

    world = world_of(1, 2, answer, lambda: 0.2)
    early = [spawn(world.call(), "early") for _ in range(10)]
    limited = True
    await settle()
    in_flight = len(world.hits)
    assert in_flight == 10
    late = [spawn(arrive(world, n * 0.001), "late") for n in range(200)]
    await world.run(1.0, 0.01)
    assert {task.result().status for task in (*early, *late)} == {200}
    met = [at for at, account in world.hits if account == "p1.1"]
    answered = min(at for at, account in world.hits if account == "p1.2")
    assert answered == pytest.approx(START + 0.2)
    assert max(met) < answered
    view = world.live.health.view("p1.1")
    assert (view.backoff_level, view.rate_limited_until) == (1, pytest.approx(START + 0.2 + 7.0))


async def test_when_all_arrive_at_once_after_the_refusal_none_of_them_reaches_the_account() -> None:
    world = world_of(1, 2, lambda account: FAULTS["rate limit"] if account == "p1.1" else GOOD, lambda: 0.1)
    first = spawn(world.call(), "first")
    await world.run(0.1, 0.1)
    herd = [spawn(world.call(), "herd") for _ in range(200)]
    await world.run(0.5, 0.1)
    assert {task.result().status for task in (first, *herd)} == {200}
    assert Counter(account for _, account in world.hits) == {"p1.1": 1, "p1.2": 201}
    assert world.live.health.view("p1.1").backoff_level == 1


async def arrive(world: World, after: float) -> FakeExchange:
    await world.clock.sleep(after)
    return await world.call()
