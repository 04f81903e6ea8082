from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakes_combos import combo, script, world
from fakes_gateway import fake_gateway, job, one_provider
from wires import CHAT

from omniroute.gateway.fallback import place
from omniroute.gateway.plan import Plan, Target, make_plan
from omniroute.gateway.resolve import Route
from omniroute.translate.events import Failure

DOWN, BAD = Failure(404, "down"), Failure(400, "bad")


@pytest.mark.parametrize(
    ("outcomes", "asked", "status"),
    [
        ({"a": DOWN, "b": None}, ["a", "b"], None),
        ({"a": BAD}, ["a"], 400),
        ({"a": DOWN, "b": DOWN, "c": DOWN}, ["a", "b", "c"], 404),
    ],
)
async def test_routes_are_tried_in_order_until_one_answers_or_the_request_is_to_blame(
    outcomes: dict[str, Failure | None], asked: list[str], status: int | None
) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    route = gateway.routes.resolve(gateway.live.snapshot, "up/m", "")
    seen: list[str] = []

    async def attempt(gateway: object, job: object, route: Route, account: object) -> Failure | None:
        seen.append(route.model)
        return outcomes[route.model]

    routes = [route._replace(model=name) for name in ("a", "b", "c")]
    plan = Plan(tuple(routes), tuple(Target(one.model, "fallback chain", one) for one in routes))
    failure = await place(gateway, job(CHAT, {}), plan, attempt)
    assert (seen, failure.status if failure is not None else None) == (asked, status)


# -- the chain of a model


async def chained(outcomes: dict[str, list[Failure | None]], *, accounts: int = 1) -> tuple[Failure | None, Any, list[str]]:
    """A call for ``a/m`` whose chain goes on to ``b`` and ``c``; why it failed, its job and who was asked."""
    state = world(chains={"m": ("b", "gone", "c")}, accounts=accounts)
    gateway = fake_gateway(state)
    made = job(CHAT, {})
    made.requested = "a/m"
    seen: list[str] = []
    failure = await place(gateway, made, make_plan(gateway, state, made), script(outcomes, seen))
    return failure, made, seen


async def test_when_a_provider_is_exhausted_its_chain_goes_on() -> None:
    failure, made, seen = await chained({"a": [DOWN], "b": [None]}, accounts=2)
    assert failure is None
    assert seen == ["a", "a", "b"]
    assert made.notes == "b/acct-1; attempt=3/5; failed=a/acct-1 (404); failed=a/acct-2 (404)"
    assert made.route.provider.id == "b"


async def test_a_provider_of_the_chain_that_cannot_be_asked_is_passed_over_and_named() -> None:
    failure, made, seen = await chained({"a": [DOWN], "b": [DOWN], "c": [None]})
    assert (failure, seen) == (None, ["a", "b", "c"])
    assert "skipped=gone/m (No credentials for provider%3A gone)" in made.notes


async def test_what_the_request_is_to_blame_for_ends_the_chain() -> None:
    failure, _, seen = await chained({"a": [DOWN], "b": [BAD]})
    assert failure is not None
    assert (failure.status, seen) == (400, ["a", "b"])


async def test_when_the_whole_chain_fails_the_provider_that_was_asked_for_has_the_word() -> None:
    failure, made, seen = await chained({"a": [Failure(429, "mine")], "b": [DOWN], "c": [Failure(500, "other")]})
    assert failure is not None
    assert (failure.status, failure.message, seen) == (429, "mine", ["a", "b", "c"])
    assert (made.route.provider.id, made.account.id) == ("a", "a1")
    assert made.notes.startswith("none; attempt=3/3; failed=a/acct-1 (429)")


async def test_a_provider_without_an_account_leaves_the_word_to_one_that_was_asked() -> None:
    state = world(chains={"m": ("b",)})
    state = msgspec.structs.replace(state, connections={"b": state.connections["b"]})
    gateway = fake_gateway(state)
    made: Any = job(CHAT, {})
    made.requested = "a/m"
    failure = await place(gateway, made, make_plan(gateway, state, made), script({"b": [Failure(503, "b is down")]}, []))
    assert failure is not None
    assert (failure.status, made.route.provider.id) == (503, "b")


async def test_a_combo_is_run_as_one() -> None:
    state = world(combo("x", "a/m", "b/m"))
    gateway = fake_gateway(state)
    made: Any = job(CHAT, {})
    made.requested = "x"
    seen: list[str] = []
    plan = make_plan(gateway, state, made)
    assert await place(gateway, made, plan, script({"a": [DOWN], "b": [None]}, seen)) is None
    assert (seen, made.combo) == (["a", "b"], "x")


async def test_a_plan_of_which_nothing_can_be_asked_is_refused() -> None:
    gateway = fake_gateway(world())
    plan = Plan((), (Target("a/m", "prefix", None, "policy x"),))
    made = job(CHAT, {})
    failure = await place(gateway, made, plan, script({}, []))
    assert failure is not None
    assert (failure.status, made.notes) == (503, "none; attempt=0/0; skipped=a/m (policy x)")
