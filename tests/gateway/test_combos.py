from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from fakes_combos import combo, world

from omniroute.gateway.combos import DEFAULTS, Lineups, Pick, Standing, config_of, make_lineup, order, sound
from omniroute.gateway.snapshot import Combo, ComboEntry, GatewaySettings, Snapshot
from omniroute.upstream.providers import Price

CALLS = 10_000
# chi-square at 0.01 by degrees of freedom
LIMIT = {1: 6.635, 2: 9.210, 3: 11.345, 5: 15.086}


def picks(state: Snapshot, name: str, **standing: Any) -> list[Pick]:
    standing.setdefault("dice", Random(1))
    return order(make_lineup(state, state.combos[name]), Standing(**standing))


def names(found: list[Pick]) -> str:
    return "".join(pick.member.name[0] for pick in found)


def chi_square(counts: Counter[str], expected: dict[str, float]) -> float:
    total = sum(counts.values())
    return sum((counts[key] - share * total) ** 2 / (share * total) for key, share in expected.items())


# -- each strategy is its definition


@pytest.mark.parametrize("strategy", ["priority", "fill-first", "something-newer"])
def test_priority_is_list_order(strategy: str) -> None:
    state = world(combo("x", "b/m", "a/m", "c/m", strategy=strategy))
    found = picks(state, "x")
    assert names(found) == "bac"
    assert [pick.why for pick in found] == ["priority 1 of 3", "priority 2 of 3", "priority 3 of 3"]


def test_ten_thousand_weighted_draws_match_the_weights() -> None:
    state = world(combo("x", ("a/m", 50), ("b/m", 30), ("c/m", 20), strategy="weighted"))
    dice = Random(7)
    counts = Counter(names(picks(state, "x", dice=dice)) for _ in range(CALLS))
    assert set(counts) == {"abc", "bac", "cab"}  # the rest by weight
    assert chi_square(counts, {"abc": 0.5, "bac": 0.3, "cab": 0.2}) < LIMIT[2]


def test_without_any_weight_the_draw_is_uniform_and_the_rest_in_list_order() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m", strategy="weighted"))
    dice = Random(7)
    counts = Counter(names(picks(state, "x", dice=dice)) for _ in range(CALLS))
    assert chi_square(counts, dict.fromkeys(("abc", "bac", "cab"), 1 / 3)) < LIMIT[2]
    assert sum(counts.values()) == CALLS


def test_what_has_no_weight_beside_others_is_never_drawn() -> None:
    state = world(combo("x", ("a/m", 0), ("b/m", 1), strategy="weighted"))
    dice = Random(7)
    assert {names(picks(state, "x", dice=dice)) for _ in range(200)} == {"ba"}


def test_a_nested_combo_is_drawn_as_one_and_expanded_where_it_stands() -> None:
    state = world(combo("x", ("y", 25), ("c/m", 75), strategy="weighted"), combo("y", "a/m", "b/m"))
    dice = Random(7)
    counts = Counter(names(picks(state, "x", dice=dice)) for _ in range(CALLS))
    assert chi_square(counts, {"abc": 0.25, "cab": 0.75}) < LIMIT[1]
    assert set(counts) == {"abc", "cab"}


def test_round_robin_begins_one_further_each_call_and_wraps() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m", strategy="round-robin"))
    assert [names(picks(state, "x", turn=turn)) for turn in range(4)] == ["abc", "bca", "cab", "abc"]
    counts = Counter(names(picks(state, "x", turn=turn))[0] for turn in range(9_999))
    assert counts == {"a": 3333, "b": 3333, "c": 3333}
    assert picks(state, "x", turn=1)[0].why == "round-robin position 2 of 3"


def test_every_random_order_is_as_likely() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m", strategy="random"))
    dice = Random(7)
    counts = Counter(names(picks(state, "x", dice=dice)) for _ in range(CALLS))
    assert chi_square(counts, dict.fromkeys(("abc", "acb", "bac", "bca", "cab", "cba"), 1 / 6)) < LIMIT[5]


def test_least_used_goes_by_the_combos_own_counts() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m", strategy="least-used"))
    assert names(picks(state, "x", used={"a/m": 3, "c/m": 1})) == "bca"
    used: Counter[str] = Counter()
    for _ in range(CALLS - 1):
        used[picks(state, "x", used=used)[0].member.name] += 1
    assert used == {"a/m": 3333, "b/m": 3333, "c/m": 3333}


def test_cost_optimized_goes_by_input_then_output_price_and_the_unknown_comes_last() -> None:
    prices = {"b": Price(input=2.0, output=9.0), "c": Price(input=2.0, output=8.0), "d": Price(input=1.0)}
    state = world(combo("x", "a/m", "b/m", "c/m", "d/m", strategy="cost-optimized"), providers="abcd", prices=prices)
    found = picks(state, "x")
    assert names(found) == "dcba"
    assert found[0].why == "input price 1 $ per million tokens"
    assert found[3].why == "unknown price"


def test_of_two_drawn_the_healthier_comes_first_and_the_rest_in_list_order() -> None:
    state = world(combo("x", "a/m", "b/m", "c/m", strategy="p2c"))
    health = {"a": 10.0, "b": 50.0, "c": 90.0}
    dice = Random(7)
    found = [picks(state, "x", dice=dice, health=lambda route: health[route.provider.id]) for _ in range(CALLS)]
    counts = Counter(map(names, found))
    # a is never the better of two; b beats a in one of the three pairs, c wins the two it is in
    assert chi_square(counts, {"bac": 1 / 3, "cab": 2 / 3}) < LIMIT[1]
    assert set(counts) == {"bac", "cab"}


@pytest.mark.parametrize(
    "strategy", ["priority", "weighted", "round-robin", "random", "least-used", "cost-optimized", "p2c"]
)
def test_an_empty_combo_has_no_order(strategy: str) -> None:
    assert picks(world(combo("x", strategy=strategy)), "x") == []


@pytest.mark.parametrize("strategy", ["weighted", "round-robin", "random", "least-used", "cost-optimized", "p2c"])
def test_every_order_has_each_member_once(strategy: str) -> None:
    state = world(combo("x", "a/m", "y", "b/m", strategy=strategy), combo("y", "c/m", "d/m"), providers="abcd")
    assert sorted(names(picks(state, "x", turn=2))) == ["a", "b", "c", "d"]


# -- nesting


def test_nested_combos_stand_in_place() -> None:
    state = world(combo("x", "a/m", "y", "d/m"), combo("y", "b/m", "z"), combo("z", "c/m"), providers="abcd")
    assert names(picks(state, "x")) == "abcd"


def test_a_cycle_yields_nothing() -> None:
    state = world(combo("x", "a/m", "y"), combo("y", "x", "b/m", "y"))
    assert names(picks(state, "x")) == "ab"
    assert names(picks(state, "y")) == "ab"


@pytest.mark.parametrize(("depth", "found"), [(1, "ab"), (2, "abc"), (3, "abcd"), (4, "abcde"), (None, "abcd")])
def test_what_is_nested_too_deep_yields_nothing(depth: int | None, found: str) -> None:
    config = {} if depth is None else {"maxComboDepth": depth}
    inner = [combo(name, f"{model}/m", after) for name, model, after in (("1", "b", "2"), ("2", "c", "3"), ("3", "d", "4"))]
    state = world(combo("x", "a/m", "1", **config), *inner, combo("4", "e/m"), providers="abcde")
    assert names(picks(state, "x")) == found


def test_combos_within_combos_cannot_grow_without_end() -> None:
    level = [combo(f"l{n}", *[f"l{n + 1}"] * 200, maxComboDepth=10) for n in range(9)]
    state = world(*level, combo("l9", "a/m"))
    assert len(make_lineup(state, state.combos["l0"]).members) <= 1000


def test_an_entry_may_be_an_alias_of_a_combo_or_of_a_model() -> None:
    state = world(combo("x", "quick", "deep"), combo("y", "b/m"), aliases={"quick": "y", "deep": "c/m"})
    assert [pick.member.route.provider.id for pick in picks(state, "x") if pick.member.route] == ["b", "c"]


def test_what_cannot_be_asked_is_there_with_its_reason() -> None:
    settings = GatewaySettings(blocked_providers=frozenset({"b"}))
    state = world(combo("x", "a/m", "b/m", "off"), settings=settings, inactive_combos=frozenset({"off"}))
    members = [pick.member for pick in picks(state, "x")]
    assert [member.barred for member in members] == ["", "Provider 'b' is blocked in the settings", "inactive"]
    assert [member.route is None for member in members] == [False, True, True]


# -- the name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", True), ("team/x", True), ("alias", True), ("chain", True), ("gpt-9", True), ("a/m", True),
        ("b/m", False), ("m", False), ("circle", False), ("", False), ("x" * 600, False),
    ],
)  # fmt: skip
def test_a_combo_wins_over_prefixes_and_aliases_lead_to_it(name: str, found: bool) -> None:
    state = world(
        combo("x", "a/m"), combo("team/x", "a/m"), combo("a/m", "b/m"),
        aliases={"alias": "x", "chain": "alias", "circle": "circle"},
        settings=GatewaySettings(wildcard_aliases=(("gpt-*", "team/x"), ("b/*", "x"))),
    )  # fmt: skip
    lineups = Lineups()
    for _ in range(2):
        assert (lineups.find(state, name) is not None) is found


def test_names_that_are_too_long_for_a_model_are_not_remembered() -> None:
    lineups, state = Lineups(), world(combo("x", "a/m"))
    assert lineups.find(state, "n" * 513) is None
    assert lineups.find(state, "n" * 512) is None
    assert [len(name) for name in lineups._known] == [512]


def test_lineups_are_forgotten_with_their_snapshot() -> None:
    lineups = Lineups()
    assert lineups.find(world(combo("x", "a/m")), "x") is not None
    assert lineups.find(world(), "x") is None


# -- the settings


def test_each_layer_of_settings_goes_over_the_one_before() -> None:
    settings = GatewaySettings(
        combo_defaults={"maxRetries": 2, "timeoutMs": 9000, "concurrencyPerModel": 5},
        provider_overrides={"b": {"timeoutMs": 8000, "maxRetries": 4}},
    )
    made = combo("x", "a/m", maxRetries=7)
    state = world(made, settings=settings)
    plain, other = config_of(state, made, "a"), config_of(state, made, "b")
    assert (plain.retries, plain.timeout, plain.concurrency, plain.retry_delay) == (7, 9.0, 5, 2.0)
    assert (other.retries, other.timeout) == (7, 8.0)
    assert config_of(world(), combo("y")) == (1, 2.0, 120.0, 3, 30.0, True, 3.0, 3, True)


def test_only_sound_settings_count() -> None:
    wild = {"maxRetries": 99, "timeoutMs": "1", "trackMetrics": 1, "retryDelayMs": 0, "other": 1, "queueTimeoutMs": None}
    assert sound(wild) == {"retryDelayMs": 0}
    assert sound(DEFAULTS) == DEFAULTS


def test_a_combo_of_the_snapshot_holds_its_entries() -> None:
    assert combo("x", ("a/m", 3.0)) == Combo("id-x", "x", (ComboEntry("a/m", 3.0),))
