from __future__ import annotations

from typing import Any

import pytest
from fakes_combos import combo, world
from fakes_gateway import SECRET, FakeGateway, ask, fake_gateway, good, job, key, one_provider
from wires import CHAT, WIRES, Wire

from omniroute.errors import OmniError
from omniroute.gateway.health import AccountHealth
from omniroute.gateway.plan import Plan, Target, first_route, health_of, make_plan
from omniroute.gateway.policies import Actions, Conditions, Policy
from omniroute.gateway.snapshot import GatewaySettings
from omniroute.upstream.providers import Price

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


@BOTH
async def test_a_blocked_provider_is_not_asked(wire: Wire) -> None:
    state = one_provider(wire, settings=GatewaySettings(blocked_providers=frozenset({"node-up"})))
    gateway = fake_gateway(state, good(wire))
    got = await ask(gateway, wire)
    assert got.status == 400
    assert "blocked" in wire.error_of(got.text)["message"]
    assert gateway.upstream.sent == []


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ((), 200),
        (("up/m",), 200),
        (("up/*",), 200),
        (("node-up/m",), 200),
        (("other/*",), 403),
        (("up/large",), 403),
        (("u",), 403),
    ],
)
async def test_a_key_opens_the_models_it_allows(allowed: tuple[str, ...], status: int) -> None:
    known, field = key(allowed_models=allowed)
    state = one_provider(CHAT, key_secret=SECRET, keys={known.digest: known})
    gateway = fake_gateway(state, good(CHAT), require_key=True)
    got = await ask(gateway, CHAT, None, field)
    assert got.status == status
    assert gateway.records[0].key_id == "k1"
    assert bool(gateway.upstream.sent) == (status == 200)


@pytest.mark.parametrize(("allowed", "status"), [("nn/*", 403), ("no-such/*", 400)])
async def test_a_model_that_does_not_exist_is_forbidden_first(allowed: str, status: int) -> None:
    known, field = key(allowed_models=(allowed,))
    gateway = fake_gateway(one_provider(CHAT, key_secret=SECRET, keys={known.digest: known}), good(CHAT), require_key=True)
    assert (await ask(gateway, CHAT, CHAT.ask("no-such/x"), field)).status == status


@BOTH
async def test_a_dedicated_route_keeps_to_its_provider(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    assert (await ask(gateway, wire, wire.ask("m"), only="up")).status == 200
    assert (await ask(gateway, wire, wire.ask("up/m"), only="up")).status == 200
    got = await ask(gateway, wire, wire.ask("m"), only="nobody")
    assert got.status == 400
    assert "Unknown provider: nobody" in wire.error_of(got.text)["message"]


# -- combos and chains


def planned(state: Any, name: str, **more: Any) -> tuple[FakeGateway, Any, Plan]:
    gateway = fake_gateway(state)
    made = job(CHAT, {"model": name})
    made.requested = name
    return gateway, made, make_plan(gateway, state, made, **more)


def test_a_combo_is_planned_with_the_reason_for_each_place() -> None:
    state = world(combo("x", "b/m", "gone/m", "a/m"))
    _, made, plan = planned(state, "x")
    assert [(target.name, target.why) for target in plan.candidates] == [
        ("b/m", "priority 1 of 3"), ("gone/m", "priority 2 of 3"), ("a/m", "priority 3 of 3"),
    ]  # fmt: skip
    assert plan.targets[1].barred == "No credentials for provider: gone"
    assert [route.provider.id for route in plan.routes] == ["b", "a"]
    assert plan.combo is state.combos["x"]
    assert (made.combo, made.route) == ("x", plan.routes[0])


def test_a_plain_call_has_one_candidate() -> None:
    _, _, plan = planned(world(), "b/m")
    assert plan.candidates == (Target("b/m", "prefix", plan.routes[0]),)
    assert (plan.combo, plan.targets) == (None, ())


def test_a_plan_that_is_only_explained_takes_no_turn() -> None:
    state = world(combo("x", "a/m", "b/m", strategy="round-robin"))
    gateway, made, plan = planned(state, "x", dry=True)
    for dry, first in ((True, "a"), (False, "a"), (True, "b"), (False, "b"), (False, "a")):
        plan = make_plan(gateway, state, made, dry=dry)
        assert plan.routes[0].provider.id == first


def test_a_chain_follows_the_provider_of_its_model() -> None:
    state = world(chains={"m": ("c", "b", "a", "gone")})
    _, _, plan = planned(state, "b/m")
    assert [(target.name, target.why) for target in plan.targets] == [
        ("b/m", "prefix"), ("c/m", "fallback chain"), ("a/m", "fallback chain"), ("gone/m", "fallback chain"),
    ]  # fmt: skip
    assert [route.provider.id for route in plan.routes] == ["b", "c", "a"]
    assert planned(state, "b/other")[2].targets == ()
    assert planned(state, "m", only="b")[2].targets == (), "a dedicated route keeps to its provider"


def test_a_combo_has_no_chain() -> None:
    state = world(combo("x", "a/m"), chains={"m": ("b",), "x": ("c",)})
    assert [route.provider.id for route in planned(state, "x")[2].routes] == ["a"]


@pytest.mark.parametrize(("allowed", "name", "good"), [
    (("x",), "x", True), (("x",), "nick", True), (("nick",), "nick", False), (("a/*",), "x", False), (("*",), "x", True),
])  # fmt: skip
def test_a_key_must_allow_the_combo_by_its_name(allowed: tuple[str, ...], name: str, good: bool) -> None:
    state = world(combo("x", "a/m"), aliases={"nick": "x"})
    gateway = fake_gateway(state)
    made = job(CHAT, {})
    made.requested, made.key = name, key(allowed_models=allowed)[0]
    if good:
        assert make_plan(gateway, state, made).combo is not None
        assert first_route(gateway, state, made.key, name).provider.id == "a"
        return
    with pytest.raises(OmniError) as caught:
        make_plan(gateway, state, made)
    assert caught.value.status == 403
    with pytest.raises(OmniError):
        first_route(gateway, state, made.key, name)


def test_the_single_route_of_a_combo_is_that_of_its_first_usable_model() -> None:
    state = world(combo("x", "gone/m", "b/m"), combo("y", "gone/m"))
    gateway = fake_gateway(state)
    assert first_route(gateway, state, None, "x").provider.id == "b"
    assert first_route(gateway, state, None, "c/m").provider.id == "c"
    with pytest.raises(OmniError, match="Combo 'y' has no model"):
        first_route(gateway, state, None, "y")


def test_health_is_that_of_the_best_account() -> None:
    state = world(accounts=2)
    gateway = fake_gateway(state)
    route = gateway.routes.resolve(state, "a/m", "")
    assert health_of(state, gateway.live, route) == 100.0
    for connection_id, level in (("a1", 3), ("a2", 1)):
        until = gateway.clock.time() + 60
        gateway.live.health.restore(
            connection_id, AccountHealth(backoff_level=level, last_error="no", rate_limited_until=until)
        )
    assert health_of(state, gateway.live, route) == 100.0 - 10 - 20 - 30
    assert health_of(world(accounts=0), gateway.live, route) == 0.0


# -- policies


def policy(name: str, when: dict[str, str] | None = None, **actions: Any) -> Policy:
    return Policy(name, name, conditions=Conditions(**(when or {})), actions=Actions(**actions))


def test_what_a_policy_forbids_stays_in_the_plan_with_the_reason() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m"), policies=(policy("not b", block_provider=("b",)),))
    plan = planned(state, "x")[2]
    assert [(target.name, target.barred) for target in plan.targets] == [("a/m", ""), ("b/m", "policy not b"), ("c/m", "")]
    assert [route.provider.id for route in plan.routes] == ["a", "c"]


def test_a_preferred_provider_comes_first_in_combos_and_chains() -> None:
    wish = (policy("c first", prefer_provider=("c",)),)
    _, made, plan = planned(world(combo("x", "a/m", "b/m", "c/m"), policies=wish), "x")
    assert [route.provider.id for route in plan.routes] == ["c", "a", "b"]
    assert made.route is plan.routes[0]
    _, _, plan = planned(world(policies=wish, chains={"m": ("b", "c")}), "a/m")
    assert [target.name for target in plan.targets] == ["c/m", "a/m", "b/m"]


@pytest.mark.parametrize("name", ["x", "a/m", "y"])
def test_a_call_without_allowed_targets_is_refused_and_can_still_be_explained(name: str) -> None:
    state = world(combo("x", "a/m", "b/m"), combo("y", "gone/m", "a/m"), policies=(policy("none", block_provider=("*",)),))
    with pytest.raises(OmniError) as caught:
        planned(state, name)
    assert (caught.value.status, caught.value.message) == (403, f'Model "{name}" blocked by policy "none"')
    _, _, plan = planned(state, name, dry=True)
    assert plan.routes == ()
    assert plan.candidates[-1].barred == "policy none"
    gateway = fake_gateway(state)
    with pytest.raises(OmniError, match="blocked by policy"):
        first_route(gateway, state, None, name)


def test_a_blocked_name_is_refused_though_it_leads_nowhere() -> None:
    state = world(policies=(policy("no gpt", block_model=("gpt-*",)),), providers="b")
    with pytest.raises(OmniError) as caught:
        planned(state, "gpt-4o")
    assert caught.value.status == 403


def test_limits_of_policies_are_in_the_plan() -> None:
    state = world(policies=(policy("p", {"api_key_id": "k1"}, max_tokens=7, daily_budget=2.0), policy("q", max_tokens=9)))
    assert planned(state, "a/m")[2].max_tokens == 9
    gateway = fake_gateway(state)
    made = job(CHAT, {})
    made.requested, made.key = "a/m", key()[0]
    plan = make_plan(gateway, state, made)
    assert (plan.max_tokens, [purse.id for purse in plan.purses]) == (7, ["policy:p"])


def test_the_first_model_that_policies_leave_counts_for_a_combo() -> None:
    state = world(combo("x", "a/m", "b/m"), policies=(policy("not a", block_provider=("a",)),))
    assert first_route(fake_gateway(state), state, None, "x").provider.id == "b"


def test_a_price_above_the_limit_takes_a_candidate_out_and_an_unknown_one_does_not() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m"), prices={"a": Price(1, 90.0), "b": Price(1, 5.0)},
                  policies=(policy("cheap", max_cost_per_1k=0.01),))  # fmt: skip
    _, made, plan = planned(state, "x")
    assert [route.provider.id for route in plan.routes] == ["b", "c"]
    assert made.trail == "; price=unknown"
    assert planned(state, "b/m")[1].trail == ""
