"""The money of a call, from its reservation to its charge, through the pipeline."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_combos import combo, world
from fakes_exchange import FakeExchange
from fakes_gateway import SSE, FakeGateway, exchange, fake_gateway, job, one_provider
from wires import ANTHROPIC, CHAT, WIRES, Wire

from omniroute.gateway import auth, media, pipeline, spend
from omniroute.gateway.budgets import Budget
from omniroute.gateway.job import Line
from omniroute.gateway.policies import Actions, Conditions, Policy
from omniroute.gateway.snapshot import GatewayKey, Snapshot
from omniroute.media.codec import Units
from omniroute.upstream.providers import Model, Price

SECRET = b"s" * 32
KEY = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-agent"))
BEARER = (b"authorization", b"Bearer sk-agent")
COST = (5 * 3.0 + 16 * 0.3 + 5 * 15.0) / 1e6  # of wires.py's answers


def state(wire: Wire = CHAT, *, budget: Budget | None = None, **more: Any) -> Snapshot:
    budgets = {} if budget is None else {"k1": budget}
    return one_provider(wire, key_secret=SECRET, keys={KEY.digest: KEY}, budgets=budgets, **more)


async def ask(gateway: FakeGateway, wire: Wire = CHAT, *headers: tuple[bytes, bytes], **more: Any) -> FakeExchange:
    made = exchange(wire, {**wire.ask(MODEL), **more}, *(headers or (BEARER,)))
    await pipeline.serve(gateway, made, Line(wire.name))
    return made


def used(gateway: FakeGateway, purse: str = "k1") -> float:
    return gateway.live.budgets.used(purse)[0]


def reserved(gateway: FakeGateway) -> list[float]:
    return [spent.reserved for spent in gateway.live.budgets._purses.values()]


@pytest.mark.parametrize("wire", WIRES, ids=repr)
async def test_what_a_call_cost_is_charged_to_its_key_streamed_or_not(wire: Wire) -> None:
    gateway = fake_gateway(state(wire, budget=Budget(daily=5)), (200, JSON, wire.whole), (200, SSE, b"".join(wire.stream)))
    assert (await ask(gateway, wire)).status == 200
    assert used(gateway) == pytest.approx(COST)
    await ask(gateway, wire, stream=True)
    assert used(gateway) == pytest.approx(2 * COST)
    assert reserved(gateway) == [0.0]
    assert [record.charged for record in gateway.records] == [("k1",), ("k1",)]


@pytest.mark.parametrize("wire", WIRES, ids=repr)
async def test_a_spent_budget_is_429_in_the_clients_wire_until_the_window_ends(wire: Wire) -> None:
    gateway = fake_gateway(state(wire, budget=Budget(daily=0.5)), (200, JSON, wire.whole))
    gateway.live.budgets.charge(["k1"], 0.5)
    got = await ask(gateway, wire)
    assert got.status == 429
    assert wire.error_of(got.text)["message"].startswith("Daily budget exceeded: $0.5")
    left = 86_400 - gateway.hands.time() % 86_400
    assert got.header(b"retry-after") == str(round(left)).encode()
    assert gateway.upstream.sent == []
    gateway.hands.advance(left)
    assert (await ask(gateway, wire)).status == 200


async def test_a_key_without_a_budget_is_not_held_back_but_its_spending_is_known() -> None:
    gateway = fake_gateway(state(), (200, JSON, CHAT.whole))
    assert (await ask(gateway)).status == 200
    assert used(gateway) == pytest.approx(COST)
    await ask(gateway, CHAT, (b"x-other", b"1"))
    assert used(gateway) == pytest.approx(COST), "nobody's call"
    assert gateway.records[1].charged == ()


@pytest.mark.parametrize(("more", "tokens"), [
    ({"max_tokens": 1000}, 1000), ({"max_completion_tokens": 500, "n": 4}, 2000), ({}, spend.USUAL_ANSWER),
    ({"max_tokens": 1_000_000}, 8192),
])  # fmt: skip
def test_the_expected_cost_depends_on_the_limit_of_the_answer(more: dict[str, Any], tokens: int) -> None:
    models = {"m": Model("m", price=Price(input=3.0, output=15.0), max_output=8192)}
    gateway = fake_gateway(one_provider(CHAT, about={"models": models}))
    body = {name: value for name, value in CHAT.ask(MODEL).items() if name != "max_tokens"}
    made = job(CHAT, {**body, **more})
    made.peek = pipeline.look(made, gateway.live.snapshot.settings)
    route = gateway.routes.resolve(gateway.live.snapshot, MODEL, "")
    size = len(made.exchange.request.body)
    found = spend.expected(made, (route,))
    assert found is not None
    assert found.most == pytest.approx((size // 4 * 3.0 + tokens * 15.0) / 1e6)
    guessed = more.get("max_tokens", more.get("max_completion_tokens", 1_000_000)) > spend.USUAL_ANSWER
    assert found.least == pytest.approx(size // 4 * 3.0 / 1e6) if guessed else found.least == found.most


def test_of_several_candidates_the_dearest_counts_and_one_unknown_makes_all_unknown() -> None:
    cheap, dear = Price(input=0, output=1.0), Price(input=0, output=8.0)
    snapshot = world(prices={"a": cheap, "b": dear})
    gateway = fake_gateway(snapshot)
    made = job(CHAT, {**CHAT.ask("x"), "max_tokens": 1000})
    made.peek = pipeline.look(made, snapshot.settings)
    routes = [gateway.routes.resolve(snapshot, f"{name}/m", "") for name in "abc"]
    assert spend.expected(made, routes[:2]) == pytest.approx((0.008, 0.008))
    assert spend.expected(made, routes) is None


async def test_a_call_of_unknown_price_is_let_through_and_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    gateway = fake_gateway(state(budget=Budget(daily=1), about={"models": {}}), (200, JSON, CHAT.whole))
    for _ in range(2):
        got = await ask(gateway)
        assert got.status == 200
        assert b"; budget=unpriced" in (got.header(b"x-omniroute-route") or b"")
    assert (used(gateway), gateway.live.budgets.unpriced("k1")) == (0.0, 2)
    assert len([record for record in caplog.records if "price of node-up/m is unknown" in record.getMessage()]) == 1


async def test_the_client_is_warned_from_the_threshold_on() -> None:
    gateway = fake_gateway(state(budget=Budget(daily=1.0)), (200, JSON, CHAT.whole))
    assert (await ask(gateway, max_tokens=10)).header(b"x-omniroute-budget-warning") is None
    gateway.live.budgets.charge(["k1"], 0.85)
    assert (await ask(gateway, max_tokens=10)).header(b"x-omniroute-budget-warning") == b"daily 85% of $1.00"


@pytest.mark.parametrize("how", ["refused", "raised", "bad"])
async def test_a_reservation_never_outlives_its_call(how: str) -> None:
    reply: Any = RuntimeError("broken") if how == "raised" else (400, JSON, b'{"error":{"message":"no"}}')
    gateway = fake_gateway(state(budget=Budget(daily=5)), reply)
    if how == "bad":
        made = exchange(CHAT, {"model": MODEL}, BEARER)  # no messages
        await pipeline.serve(gateway, made, Line(CHAT.name))
    else:
        await ask(gateway)
    assert used(gateway) == 0.0
    assert sum(reserved(gateway)) == 0.0


async def test_what_a_client_that_left_has_used_is_charged_as_estimated() -> None:
    gateway = fake_gateway(state(budget=Budget(daily=5)), (200, JSON, CHAT.whole))
    waiting = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    gateway.upstream.whole_as = never  # type: ignore[method-assign]
    made = exchange(CHAT, CHAT.ask(MODEL), BEARER)
    task = asyncio.ensure_future(pipeline.serve(gateway, made, Line(CHAT.name)))
    await waiting.wait()
    assert reserved(gateway)[0] > 0
    made.gone = True
    task.cancel()
    await task
    assert reserved(gateway) == [0.0]
    assert used(gateway) == gateway.records[0].cost != 0


async def test_a_hit_and_a_repeated_answer_cost_nothing() -> None:
    gateway = fake_gateway(state(budget=Budget(daily=5)), (200, JSON, CHAT.whole))
    for _ in range(2):
        assert (await ask(gateway, CHAT, BEARER, temperature=0)).status == 200
    again = (b"idempotency-key", b"one")
    for _ in range(2):
        assert (await ask(gateway, CHAT, BEARER, again, user="u", temperature=1)).status == 200
    assert len(gateway.upstream.sent) == 2
    assert used(gateway) == pytest.approx(2 * COST)
    assert reserved(gateway) == [0.0]


@pytest.mark.parametrize("more", [{"max_tokens": None}, {"max_tokens": 64_000}])
async def test_a_budget_with_money_left_lets_a_call_through_that_does_not_say_how_long_its_answer_will_be(
    more: dict[str, Any],
) -> None:
    gateway = fake_gateway(state(budget=Budget(daily=0.001)), (200, JSON, CHAT.whole))
    assert spend.USUAL_ANSWER * 15.0 / 1e6 > 0.001
    got = await ask(gateway, **more)
    assert (got.status, got.header(b"x-omniroute-budget-warning")) == (200, None)
    assert used(gateway) == pytest.approx(COST)
    assert reserved(gateway) == [0.0]
    gateway.live.budgets.charge(["k1"], 0.001)
    assert (await ask(gateway, **more)).status == 429


async def test_what_is_left_is_reserved_whole_so_that_only_one_guessed_call_goes_over_it() -> None:
    gateway = fake_gateway(state(budget=Budget(daily=0.001)), (200, JSON, CHAT.whole))
    waiting, go = asyncio.Event(), asyncio.Event()
    inner = gateway.upstream.whole_as

    async def held(*args: Any, **more: Any) -> Any:
        waiting.set()
        await go.wait()
        return await inner(*args, **more)

    gateway.upstream.whole_as = held  # type: ignore[method-assign]
    first = asyncio.ensure_future(ask(gateway, max_tokens=None))
    await asyncio.wait_for(waiting.wait(), 5)
    assert reserved(gateway) == [0.001]
    assert (await ask(gateway, max_tokens=None)).status == 429
    go.set()
    assert (await first).status == 200
    assert (await ask(gateway, max_tokens=None)).status == 200


async def test_a_request_whose_prompt_alone_costs_more_than_is_left_is_refused() -> None:
    gateway = fake_gateway(state(budget=Budget(daily=0.001)), (200, JSON, CHAT.whole))
    assert (await ask(gateway, max_tokens=None, user="x" * 4000)).status == 429


async def test_a_budget_holds_under_100_calls_at_once_within_the_projected_cost_of_one() -> None:
    limit, tokens = 0.01, 50
    gateway = fake_gateway(state(budget=Budget(daily=limit)), (200, JSON, CHAT.whole))
    body = {**CHAT.ask(MODEL), "max_tokens": tokens}
    size = len(exchange(CHAT, body).request.body)
    projected = (size // 4 * 3.0 + tokens * 15.0) / 1e6
    answer = {"usage": {"prompt_tokens": size // 4, "completion_tokens": tokens, "total_tokens": size // 4 + tokens}}
    whole = json.dumps({**json.loads(CHAT.whole), **answer}).encode()
    arrived = 0
    gate, over = asyncio.Event(), asyncio.Event()
    inner = gateway.upstream.whole_as
    gateway.upstream.replies = [(200, JSON, whole)]

    async def held(*args: Any, **more: Any) -> Any:
        nonlocal arrived
        arrived += 1
        if arrived == int(limit / projected):
            over.set()
        await gate.wait()
        return await inner(*args, **more)

    gateway.upstream.whole_as = held  # type: ignore[method-assign]
    made = [exchange(CHAT, body, BEARER) for _ in range(100)]
    tasks = [asyncio.ensure_future(pipeline.serve(gateway, one, Line(CHAT.name))) for one in made]
    async with asyncio.timeout(5.0):
        await over.wait()  # as many as there is money for are at the provider, and nobody has been charged
    gate.set()
    await asyncio.gather(*tasks)
    good = int(limit / projected)
    assert [one.status for one in made].count(200) == good
    assert [one.status for one in made].count(429) == 100 - good
    assert used(gateway) == pytest.approx(good * projected)
    assert limit - projected < used(gateway) <= limit
    assert reserved(gateway) == [0.0]


# -- policies


def policy(name: str = "p", when: dict[str, str] | None = None, **actions: Any) -> Policy:
    return Policy(name, name, conditions=Conditions(**(when or {})), actions=Actions(**actions))


async def test_a_policys_budget_is_on_all_calls_it_matches_whoever_makes_them() -> None:
    limited = policy("gpt", {"model_pattern": "up/*"}, daily_budget=COST * 1.5)
    gateway = fake_gateway(state(policies=(limited,)), (200, JSON, CHAT.whole))
    assert (await ask(gateway, max_tokens=1)).status == 200
    assert used(gateway, "policy:gpt") == pytest.approx(COST)
    assert gateway.records[0].charged == ("policy:gpt", "k1")
    got = await ask(gateway, CHAT, (b"x-other", b"1"), max_tokens=10)
    assert got.status == 429
    assert CHAT.error_of(got.text)["message"].endswith('(policy "gpt")')


@pytest.mark.parametrize(("wire", "sent"), [(CHAT, 40), (ANTHROPIC, 40)], ids=repr)
async def test_a_policys_limit_on_tokens_is_set_in_what_is_sent(wire: Wire, sent: int) -> None:
    gateway = fake_gateway(state(wire, policies=(policy(max_tokens=40),)), (200, JSON, wire.whole))
    await ask(gateway, wire, max_tokens=4000)
    assert json.loads(gateway.upstream.sent[0])["max_tokens"] == sent
    await ask(gateway, wire, max_tokens=4)
    assert json.loads(gateway.upstream.sent[1])["max_tokens"] == 4


async def test_a_blocked_model_is_403_in_the_clients_wire() -> None:
    gateway = fake_gateway(state(policies=(policy("no m", block_model=("up/m",)),)), (200, JSON, CHAT.whole))
    got = await ask(gateway)
    assert (got.status, CHAT.error_of(got.text)["message"]) == (403, f'Model "{MODEL}" blocked by policy "no m"')
    assert gateway.upstream.sent == []


async def test_a_combo_loses_what_policies_forbid_and_says_so() -> None:
    snapshot = world(combo("x", "a/m", "b/m"), policies=(policy("not a", block_provider=("a",)),))
    gateway = fake_gateway(snapshot, (200, JSON, CHAT.whole))
    made = exchange(CHAT, CHAT.ask("x"))
    await pipeline.serve(gateway, made, Line(CHAT.name))
    assert made.status == 200
    assert b"b/acct-1; attempt=1/1; combo=x; skipped=a/m (policy not a)" in (made.header(b"x-omniroute-route") or b"")


# -- media


def embedder(**more: Any) -> Snapshot:
    models = {"m": Model("m", kind="embedding", price=Price(input=100_000.0))}
    return state(about={"models": models, "extras": frozenset({"embeddings"})}, **more)


async def embed(gateway: FakeGateway) -> FakeExchange:
    made = exchange(CHAT, {"model": MODEL, "input": "hello"}, BEARER, path="/v1/embeddings")
    await media.embed(gateway, made, None)
    return made


async def test_calls_beside_chat_are_under_the_same_budgets_and_policies() -> None:
    answer = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m",
              "usage": {"prompt_tokens": 2, "total_tokens": 2}}  # fmt: skip
    reply = (200, JSON, json.dumps(answer).encode())
    gateway = fake_gateway(embedder(budget=Budget(daily=0.5)), reply)
    gateway.upstream.whole_as = _plain(gateway)  # type: ignore[method-assign]
    assert (await embed(gateway)).status == 429, "nine tokens are expected"
    gateway.live.snapshot = embedder(budget=Budget(daily=15))
    assert (await embed(gateway)).status == 200
    assert used(gateway) == pytest.approx(0.2)
    gateway.live.snapshot = embedder(policies=(policy("no", block_model=("*/m",)),))
    assert (await embed(gateway)).status == 403
    assert reserved(gateway) == [0.0]


def _plain(gateway: FakeGateway) -> Any:
    inner = gateway.upstream.whole_as

    async def whole_as(template: Any, body: bytes, *, limit: int) -> Any:
        return await inner(template, body, extra=[], limit=limit)

    return whole_as


@pytest.mark.parametrize(("operation", "units"), [
    ("images", Units(images=3)), ("rerank", Units(searches=1)), ("transcriptions", Units(seconds=2.0)),
])  # fmt: skip
def test_units_other_than_tokens_are_counted_in_advance(operation: str, units: Units) -> None:
    class Ask:
        units = Units(images=3) if operation == "images" else Units()

    made: Any = job(CHAT, {})
    made.operation, made.ask = operation, Ask()
    assert spend._units(made, 32_000) == units
