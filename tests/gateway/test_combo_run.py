"""Routing semantics sections 4.2 and 4.3, row by row."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest
from data_plane import JSON, until
from fakes_combos import Attempt, combo, script, world
from fakes_gateway import SSE, FakeGateway, exchange, fake_gateway, job, one_provider
from wires import ANTHROPIC, CHAT, SAID

from omniroute.gateway import combo_run, pipeline
from omniroute.gateway.job import Gateway, Job, Line
from omniroute.gateway.plan import make_plan
from omniroute.gateway.resolve import Route
from omniroute.gateway.snapshot import Connection, GatewaySettings, Snapshot
from omniroute.proto.transport import Origin, TransportError
from omniroute.tasks import cancel, spawn
from omniroute.translate.events import Failure

DOWN, LIMITED, BAD = Failure(503, "down"), Failure(429, "slow down", retry_after=40.0), Failure(400, "bad")
NO_WAIT = {"retryDelayMs": 0}


class Run:
    """One call to the combo ``x``."""

    def __init__(self, state: Snapshot | FakeGateway, attempt: Attempt) -> None:
        self.gateway = state if isinstance(state, FakeGateway) else fake_gateway(state)
        self.job: Any = job(CHAT, {"model": "x"}, began=self.gateway.clock.monotonic())
        self.job.requested = "x"
        self.attempt = attempt

    async def __call__(self) -> Failure | None:
        plan = make_plan(self.gateway, self.gateway.live.snapshot, self.job)
        assert plan.combo is not None
        return await combo_run.place(self.gateway, self.job, plan, plan.combo, self.attempt)

    @property
    def counts(self) -> Any:
        return self.gateway.live.combos.metrics()["x"]


def abc(strategy: str = "priority", accounts: int = 1, **config: Any) -> Snapshot:
    return world(combo("x", "a/m", "b/m", "c/m", strategy=strategy, **config), accounts=accounts)


async def test_the_first_that_answers_ends_it() -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [None]}, seen))
    assert await run() is None
    assert seen == ["a"]
    assert (run.job.combo, run.job.attempts, run.job.route.provider.id) == ("x", 1, "a")
    assert run.job.notes == "a/acct-1; attempt=1/3; combo=x"


async def test_a_failure_leads_to_the_next_model_and_is_told_in_the_route() -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [DOWN], "b": [Failure(404, "no such model")], "c": [None]}, seen))
    assert await run() is None
    assert seen == ["a", "b", "c"]
    assert run.job.notes == "c/acct-1; attempt=3/3; combo=x; failed=a/acct-1 (503); failed=b/acct-1 (404)"
    assert (run.counts["totalRequests"], run.counts["totalSuccesses"], run.counts["totalFallbacks"]) == (1, 1, 2)
    assert {name: row["successes"] for name, row in run.counts["byModel"].items()} == {"a/m": 0, "b/m": 0, "c/m": 1}


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_request_is_to_blame_for_is_returned_as_it_is(status: int) -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [DOWN], "b": [Failure(status, "your fault")]}, seen))
    failure = await run()
    assert failure is not None
    assert (failure.status, failure.message, seen) == (status, "your fault", ["a", "b"])
    assert run.counts["totalFailures"] == 1


async def test_when_all_fail_the_first_status_the_last_words_and_the_earliest_wait_are_told() -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [LIMITED], "b": [DOWN], "c": [Failure(502, "broken", retry_after=15.0)]}, seen))
    failure = await run()
    assert failure is not None
    assert (failure.status, failure.message, failure.retry_after) == (429, "broken", 15.0)
    assert (run.job.route.provider.id, run.job.account.id) == ("c", "c1")
    assert run.job.notes.startswith("none; attempt=3/3; combo=x; failed=a/acct-1 (429)")


async def test_while_all_are_cooling_nothing_is_tried_and_the_wait_is_told() -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [LIMITED], "b": [LIMITED], "c": [LIMITED]}, seen))
    await run()
    again = Run(run.gateway, script({}, seen))
    failure = await again()
    assert failure is not None
    assert (failure.status, failure.message) == (503, "All combo models unavailable")
    assert failure.retry_after == pytest.approx(40.0, abs=1.0)
    assert (seen, again.job.attempts) == (["a", "b", "c"], 0)


async def test_a_combo_without_a_model_that_can_be_asked_says_so() -> None:
    state = world(combo("x", "a/m"), settings=GatewaySettings(blocked_providers=frozenset({"a"})))
    run = Run(state, script({}, []))
    failure = await run()
    assert failure is not None
    assert (failure.status, failure.message) == (503, "All combo models unavailable")
    assert "skipped=a/m (Provider %27a%27 is blocked in the settings)" in run.job.notes
    run = Run(world(combo("x", "a/m"), accounts=0), script({}, []))
    failure = await run()
    assert failure is not None
    assert (failure.status, failure.message) == (503, "All combo models unavailable")
    assert run.job.notes == "none; attempt=0/0; combo=x; skipped=a/m (no account)"


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (("breaker_open", "breaker_open"), "All providers temporarily unavailable (circuit breakers open)"),
        (("breaker_open", ""), "All combo models unavailable"),
    ],
)
async def test_only_when_every_breaker_is_open_that_is_the_reason(
    codes: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = iter((30.0, 12.0))
    said = iter(codes)

    async def closed(gateway: Gateway, job: Job, route: Route, attempt: Any) -> Failure:
        return Failure(503, "closed", code=next(said), retry_after=next(waits))

    monkeypatch.setattr(combo_run, "try_accounts", closed)
    failure = await Run(world(combo("x", "a/m", "b/m")), script({}, []))()
    assert failure is not None
    assert (failure.status, failure.message, failure.retry_after) == (503, message, 12.0)


# -- the same model again


@pytest.fixture
def forgiving(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account ever cools down."""
    monkeypatch.setattr(combo_run, "resting", lambda gateway, route: False)
    monkeypatch.setattr("omniroute.gateway.health.Health.fail", lambda *args, **more: False)
    monkeypatch.setattr("omniroute.gateway.health.Health.close_model", lambda *args: None)


@pytest.mark.usefixtures("forgiving")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_the_same_model_is_asked_again_after_the_delay(status: int) -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [Failure(status, "once"), None]}, seen))
    task = spawn(run(), "call")
    await until(lambda: seen == ["a"])
    run.gateway.hands.advance(1.9)
    await asyncio.sleep(0)
    assert seen == ["a"]
    run.gateway.hands.advance(0.2)
    assert await task is None
    assert seen == ["a", "a"]
    assert run.counts["byModel"]["a/m"]["requests"] == 1


@pytest.mark.usefixtures("forgiving")
@pytest.mark.parametrize(("retries", "asked"), [(0, "abc"), (1, "aabbcc"), (3, "aaaabbbbcccc")])
async def test_a_model_is_asked_again_as_often_as_the_combo_says(retries: int, asked: str) -> None:
    seen: list[str] = []
    run = Run(abc(maxRetries=retries), script({"a": [DOWN], "b": [DOWN], "c": [DOWN]}, seen))
    task = spawn(run(), "call")
    while not task.done():
        await asyncio.sleep(0)
        run.gateway.hands.advance(2.0)
    assert "".join(seen) == asked


@pytest.mark.usefixtures("forgiving")
async def test_other_failures_are_not_worth_another_try() -> None:
    seen: list[str] = []
    assert await Run(abc(), script({"a": [Failure(401, "key")], "b": [None]}, seen))() is None
    assert seen == ["a", "b"]


async def test_a_model_whose_accounts_all_cool_is_not_asked_again() -> None:
    seen: list[str] = []
    assert await Run(abc(), script({"a": [DOWN], "b": [None]}, seen))() is None
    assert seen == ["a", "b"]


@pytest.mark.usefixtures("forgiving")
async def test_a_client_that_leaves_ends_the_wait() -> None:
    seen: list[str] = []
    run = Run(abc(), script({"a": [DOWN]}, seen))
    task = spawn(run(), "call")
    await until(lambda: seen == ["a"])
    await cancel(task)
    assert task.cancelled()
    assert (seen, run.gateway.hands.pending) == (["a"], 0)


# -- the time to the first byte


class Slow:
    """Attempts that hang, but at ``quick`` providers."""

    def __init__(self, quick: str = "") -> None:
        self.quick = quick
        self.seen: list[str] = []
        self.stopped: list[str] = []
        self.begin = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        self.seen.append(route.provider.id)
        if route.provider.id in self.quick:
            return None
        try:
            await self.begin.wait()
            job.exchange.start(200, [])
            await self.end.wait()
        except asyncio.CancelledError:
            self.stopped.append(route.provider.id)
            raise
        return None


async def test_a_model_that_sends_nothing_in_time_is_left_for_the_next() -> None:
    slow = Slow("b")
    run = Run(abc(timeoutMs=5000), slow)
    task = spawn(run(), "call")
    await until(lambda: slow.seen == ["a"])
    run.gateway.hands.advance(4.9)
    await asyncio.sleep(0)
    assert slow.stopped == []
    run.gateway.hands.advance(0.2)
    assert await task is None
    assert (slow.seen, slow.stopped) == (["a", "b"], ["a"])
    assert run.job.notes == "b/acct-1; attempt=2/3; combo=x; failed=a/acct-1 (nothing in 5s)"
    assert run.gateway.hands.pending == 0
    assert not run.gateway.live.in_flight
    assert run.gateway.live.breakers.view("a").failures == 1
    assert run.gateway.live.health.calm, "patience of one combo is no matter for the account"


async def test_when_none_sends_anything_the_client_gets_a_time_out() -> None:
    slow = Slow()
    run = Run(abc(timeoutMs=5000), slow)
    task = spawn(run(), "call")
    for turn in range(1, 4):
        await until(lambda turn=turn: len(slow.seen) == turn)  # type: ignore[misc]
        run.gateway.hands.advance(5.1)
    failure = await task
    assert failure.status == 504
    assert slow.seen == slow.stopped == ["a", "b", "c"]


async def test_a_probe_that_hangs_opens_the_breaker_for_the_whole_time_again() -> None:
    gateway = fake_gateway(abc(timeoutMs=5000, healthCheckEnabled=False))
    for pause in (0.0, 0.0, 0.0, 0.0, 0.0, 30.0):  # five failures open it, the sixth call is the probe
        gateway.hands.advance(pause)
        slow = Slow("b")
        task = spawn(Run(gateway, slow)(), "call")
        await until(lambda slow=slow: slow.seen == ["a"])  # type: ignore[misc]
        gateway.hands.advance(5.1)
        assert await task is None
    assert gateway.live.breakers.view("a").state == "OPEN"
    assert gateway.live.breakers.wait("a") == pytest.approx(30.0, abs=0.2)


async def test_time_spent_waiting_for_a_slot_is_no_failure_of_the_provider() -> None:
    slow = Slow("b")
    run = Run(abc(timeoutMs=5000), slow)
    none_left = [(b"limit", b"10"), (b"remaining", b"0"), (b"reset", b"60s")]
    run.gateway.live.limiter.learn("a1", [(b"x-ratelimit-%b-requests" % name, value) for name, value in none_left])
    task = spawn(run(), "call")
    await until(lambda: bool(run.gateway.live.limiter.lanes["a1"].queue))
    run.gateway.hands.advance(5.1)
    assert await task is None
    assert slow.seen == ["b"]
    assert run.job.notes == "b/acct-1; attempt=1/2; combo=x; skipped=a/m (no free account in 5s)"
    assert run.gateway.live.breakers.calm


async def test_time_spent_translating_the_request_is_no_failure_of_the_provider() -> None:
    async def translating(gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        if route.provider.id == "b":
            return None
        seen.append(route.provider.id)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            job.attempts -= 1
            raise

    seen: list[str] = []
    run = Run(abc(timeoutMs=5000), translating)
    task = spawn(run(), "call")
    await until(lambda: seen == ["a"])
    run.gateway.hands.advance(5.1)
    assert await task is None
    assert run.job.notes == "b/acct-1; attempt=1/2; combo=x; skipped=a/m (not translated in 5s)"
    assert run.gateway.live.breakers.calm


async def test_once_the_first_byte_is_out_the_answer_has_all_the_time_it_needs() -> None:
    slow = Slow()
    run = Run(abc(timeoutMs=5000), slow)
    task = spawn(run(), "call")
    await until(lambda: slow.seen == ["a"])
    slow.begin.set()
    await until(lambda: run.job.exchange.started)
    run.gateway.hands.advance(600.0)
    slow.end.set()
    assert await task is None
    assert slow.stopped == []


async def test_a_client_that_leaves_is_no_time_out() -> None:
    slow = Slow()
    run = Run(abc(timeoutMs=5000), slow)
    task = spawn(run(), "call")
    await until(lambda: slow.seen == ["a"])
    run.job.exchange.gone = True
    task.cancel()
    run.gateway.hands.advance(5.1)
    await asyncio.wait([task])
    assert task.cancelled()
    assert (slow.seen, run.gateway.hands.pending) == (["a"], 0)


async def test_a_client_that_leaves_in_the_same_moment_as_the_time_is_up_is_gone() -> None:
    slow = Slow()
    run = Run(abc(timeoutMs=5000), slow)
    task = spawn(run(), "call")
    await until(lambda: slow.seen == ["a"])
    run.gateway.hands.advance(5.1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert slow.seen == ["a"]


# -- round-robin lets few in at a time


async def test_round_robin_begins_elsewhere_each_call() -> None:
    seen: list[str] = []
    gateway = fake_gateway(abc("round-robin"))
    for _ in range(7):
        assert await Run(gateway, script({"a": [None], "b": [None], "c": [None]}, seen))() is None
    assert "".join(seen) == "abcabca"


async def test_only_so_many_calls_of_a_model_run_at_a_time_and_the_next_waits_its_turn() -> None:
    slow = Slow()
    gateway = fake_gateway(world(combo("x", "a/m", strategy="round-robin", concurrencyPerModel=2)))
    tasks = [spawn(Run(gateway, slow)(), "call") for _ in range(3)]
    await until(lambda: len(slow.seen) == 2)
    await asyncio.sleep(0)
    assert slow.seen == ["a", "a"]
    slow.begin.set()
    slow.end.set()
    assert [await task for task in tasks] == [None, None, None]
    assert slow.seen == ["a", "a", "a"]


async def test_who_waits_too_long_for_a_model_goes_to_the_next() -> None:
    slow = Slow("b")
    state = world(combo("x", "a/m", "b/m", strategy="round-robin", concurrencyPerModel=1, queueTimeoutMs=3000))
    gateway = fake_gateway(state)
    first = spawn(Run(gateway, slow)(), "call")
    await until(lambda: slow.seen == ["a"])
    gateway.live.combos.turn("x")
    run = Run(gateway, slow)
    second = spawn(run(), "call")
    await asyncio.sleep(0)
    gateway.hands.advance(3.1)
    assert await second is None
    assert run.job.notes == "b/acct-1; attempt=1/1; combo=x; skipped=a/m (busy)"
    await cancel(first)


async def test_a_model_that_falls_ill_sends_its_queue_on_at_once() -> None:
    begin = asyncio.Event()
    seen: list[str] = []

    async def attempt(gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        seen.append(route.provider.id)
        if route.provider.id == "b":
            return None
        await begin.wait()
        return Failure(429, "slow down", retry_after=60.0)

    gateway = fake_gateway(world(combo("x", "a/m", "b/m", strategy="round-robin", concurrencyPerModel=1)))
    first = spawn(Run(gateway, attempt)(), "call")
    await until(lambda: seen == ["a"])
    gateway.live.combos.turn("x")
    second = spawn(Run(gateway, attempt)(), "call")
    await asyncio.sleep(0)
    begin.set()
    assert await first is None
    assert await second is None
    assert sorted(seen) == ["a", "b", "b"]


# -- what is counted


async def test_without_metrics_nothing_is_counted() -> None:
    run = Run(abc(trackMetrics=False), script({"a": [DOWN], "b": [None]}, []))
    assert await run() is None
    assert run.gateway.live.combos.metrics() == {}


async def test_least_used_learns_from_its_own_calls() -> None:
    seen: list[str] = []
    gateway = fake_gateway(abc("least-used"))
    for _ in range(6):
        await Run(gateway, script({"a": [None], "b": [None], "c": [None]}, seen))()
    assert "".join(seen) == "abcabc"


async def test_a_model_that_was_only_passed_over_is_not_counted() -> None:
    gateway = fake_gateway(abc())
    await Run(gateway, script({"a": [LIMITED], "b": [None]}, []))()
    await Run(gateway, script({"b": [None]}, []))()
    found = gateway.live.combos.metrics()["x"]["byModel"]
    assert (found["a/m"]["requests"], found["b/m"]["requests"]) == (1, 2)


async def test_the_accounts_of_a_model_are_all_tried_before_the_next_model() -> None:
    seen: list[str] = []
    run = Run(abc(accounts=3), script({"a": [DOWN, DOWN, DOWN], "b": [None]}, seen))
    assert await run() is None
    assert "".join(seen) == "aaab"
    assert "attempt=4/7" in run.job.notes


# -- the health check


async def failed_before(reached: list[float], error: TransportError | None = None, **config: Any) -> tuple[Run, list[str]]:
    """A combo whose first provider has failed and is free again; what its check finds."""
    seen: list[str] = []
    gateway = fake_gateway(abc(**config))
    assert await Run(gateway, script({"a": [DOWN], "b": [None]}, seen))() is None
    gateway.hands.advance(90.0)

    async def reach(origin: Origin, seconds: float) -> None:
        reached.append(seconds)
        if error is not None:
            raise error

    gateway.client.reach = reach  # type: ignore[method-assign]
    return Run(gateway, script({"a": [None], "b": [None]}, seen)), seen


async def test_a_provider_that_failed_must_take_a_connection_before_it_gets_the_request() -> None:
    reached: list[float] = []
    run, seen = await failed_before(reached, TransportError("connect_timeout", "late"), healthCheckTimeoutMs=700)
    assert await run() is None
    assert (seen, reached) == (["a", "b", "b"], [0.7])
    assert "skipped=a/m (unreachable)" in run.job.notes


async def test_accounts_at_several_places_are_asked_although_one_place_cannot_be_reached() -> None:
    reached: list[float] = []
    run, seen = await failed_before(reached, TransportError("refused", "no"), accounts=2)
    here, there = run.gateway.live.snapshot.connections["a"]
    moved = msgspec.structs.replace(there, base_url="http://127.0.0.2/a")
    connections = {**run.gateway.live.snapshot.connections, "a": (here, moved)}
    run.gateway.live.snapshot = msgspec.structs.replace(run.gateway.live.snapshot, connections=connections)
    assert await run() is None
    assert (seen, reached) == (["a", "a", "b", "a"], [])


async def test_a_provider_that_can_be_reached_again_is_asked_and_then_trusted() -> None:
    reached: list[float] = []
    run, seen = await failed_before(reached)
    assert await run() is None
    assert await Run(run.gateway, run.attempt)() is None
    assert (seen, reached) == (["a", "b", "a", "a"], [3.0])


async def test_without_the_health_check_a_provider_is_simply_asked() -> None:
    reached: list[float] = []
    run, seen = await failed_before(reached, TransportError("refused", "no"), healthCheckEnabled=False)
    assert await run() is None
    assert (seen, reached) == (["a", "b", "a"], [])


# -- all of it at once


class Storm:
    """Accounts that fail at random in every way, but for one; whom it hits while cooling is noted."""

    FAULTS = (401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529)

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.wrong: list[str] = []
        self.asked = 0

    async def __call__(self, gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        self.asked += 1
        if gateway.live.health.blocked_until(account.id, route.model) is not None:
            self.wrong.append(account.id)
        await gateway.clock.sleep(self.dice.uniform(0.05, 1.5))
        if account.id == "c3" or self.dice.random() < 0.3:
            return None
        status = self.dice.choice(self.FAULTS)
        if self.dice.random() < 0.2:
            raise TransportError("reset", "the connection broke")
        return Failure(status, f"fault {status}", retry_after=self.dice.choice((None, None, 2.0, 9.0)))


@pytest.mark.parametrize("strategy", ["priority", "weighted", "random", "p2c"])
async def test_while_one_healthy_account_is_left_no_client_sees_a_failure(strategy: str) -> None:
    state = world(combo("x", ("a/m", 3), ("b/m", 2), ("c/m", 1), strategy=strategy), accounts=3)
    gateway, storm = fake_gateway(state), Storm(5)
    gateway.live.dice = Random(5)
    end = gateway.clock.time() + 60.0
    failed: list[Failure] = []
    notes: list[str] = []

    async def client() -> None:
        while gateway.clock.time() < end:
            run = Run(gateway, storm)
            failure = await run()
            notes.append(run.job.notes)
            if failure is not None:
                failed.append(failure)

    clients = [spawn(client(), "client") for _ in range(50)]
    while not all(task.done() for task in clients):
        for _ in range(6):
            await asyncio.sleep(0)
        gateway.hands.advance(0.2)
    assert failed == []
    assert storm.wrong == []
    assert storm.asked > len(notes)
    assert all("; combo=x" in note and "/acct-" in note for note in notes)
    assert not gateway.live.in_flight
    assert gateway.live.combos.metrics()["x"]["totalSuccesses"] == len(notes) > 1000


# -- through the whole pipeline


async def through(stream: bool, *replies: Any) -> tuple[FakeGateway, Any]:
    """A client's call to a combo of two models of one provider."""
    state = one_provider(ANTHROPIC, combos={"x": combo("x", "up/m", "up/n")})
    gateway = fake_gateway(state, *replies)
    made = exchange(CHAT, CHAT.ask("x", stream=stream))
    await pipeline.serve(gateway, made, Line(CHAT.name))
    return gateway, made


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_hidden_by_the_next_model_and_the_log_says_which_combo(stream: bool) -> None:
    good = (200, SSE, b"".join(ANTHROPIC.stream)) if stream else (200, JSON, ANTHROPIC.whole)
    gateway, made = await through(stream, (404, JSON, ANTHROPIC.error("not_found_error", "no such model")), good)
    assert (made.status, CHAT.text(made.text, stream)) == (200, SAID)
    assert made.header(b"x-omniroute-route") == b"up/acct-1; attempt=2/2; combo=x; failed=up/acct-1 (404)"
    (record,) = gateway.records
    assert (record.combo, record.model, record.requested_model, record.attempts) == ("x", "n", "x", 2)


async def test_a_stream_that_fails_before_it_says_anything_is_hidden_too() -> None:
    broken = (200, SSE, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"No"}}\n\n')
    _, made = await through(True, broken, (200, SSE, b"".join(ANTHROPIC.stream)))
    assert (made.status, CHAT.text(made.text, True)) == (200, SAID)


async def test_when_every_model_fails_the_client_is_told_in_its_own_wire() -> None:
    gateway, made = await through(False, (404, JSON, ANTHROPIC.error("not_found_error", "no such model")))
    assert made.status == 404
    assert "no such model" in CHAT.error_of(made.text)["message"]
    assert made.header(b"x-omniroute-route").startswith(b"none; attempt=2/2; combo=x; failed=up/acct-1 (404)")
    assert (gateway.records[0].combo, gateway.records[0].account) == ("x", "acct-1")
