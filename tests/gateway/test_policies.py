"""What policies say of a call, by their conditions and actions (management API section 12)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from omniroute.errors import OmniError
from omniroute.gateway.policies import Actions, Conditions, Policy, check_name, matches, names_of, refusal, rule
from omniroute.upstream.providers import Price, Provider


class Option(NamedTuple):
    provider: Provider
    model: str
    price: Price | None


def option(id: str, model: str = "m", price: Price | None = None) -> Option:
    return Option(Provider(id, f"{id}-alias", id.upper(), "openai-chat", "http://127.0.0.1/v1"), model, price)


def policy(name: str = "p", when: dict[str, str] | None = None, **actions: Any) -> Policy:
    return Policy(name, name, conditions=Conditions(**(when or {})), actions=Actions(**actions))


def barred(*policies: Policy, requested: str = "x", key: str = "k1", candidates: Any = None) -> list[str | None]:
    options = candidates or [option("a"), option("b")]
    return [by and by.name for by in rule(policies, key, requested, options).barred]


@pytest.mark.parametrize(("pattern", "name", "good"), [
    ("gpt-4*", "gpt-4o", True), ("gpt-4*", "a/gpt-4o", False), ("*gpt-4*", "a/gpt-4o", True), ("GPT-?", "gpt-5", True),
    ("gpt-?", "gpt-50", False), ("m[1]", "m[1]", True), ("m.", "mx", False), ("*", "", True), ("a**b", "a-b", True),
])  # fmt: skip
def test_a_glob_is_anchored_and_ignores_case(pattern: str, name: str, good: bool) -> None:
    assert matches(pattern, name) is good


def test_many_stars_do_not_take_long() -> None:
    assert not matches("*a" * 6 + "b", "a" * 300)


def test_a_candidate_is_known_by_all_its_names() -> None:
    assert names_of(option("a")) == ("m", "a/m", "a-alias/m")


@pytest.mark.parametrize("when", [
    {}, {"model_pattern": "x"}, {"model_pattern": "a/*"}, {"provider": "a*"}, {"api_key_id": "k?"},
    {"model_pattern": "x", "provider": "a", "api_key_id": "k1"},
])  # fmt: skip
def test_a_policy_concerns_what_all_its_conditions_match(when: dict[str, str]) -> None:
    assert barred(policy("p", when, block_provider=("a",))) == ["p", None]


@pytest.mark.parametrize("when", [
    {"model_pattern": "y"}, {"provider": "b"}, {"api_key_id": "k2"}, {"model_pattern": "x", "api_key_id": "k2"},
])  # fmt: skip
def test_and_nothing_else(when: dict[str, str]) -> None:
    assert barred(policy("p", when, block_provider=("a",))) == [None, None]


def test_a_model_is_blocked_by_the_name_it_is_asked_for_or_by_that_of_a_candidate() -> None:
    assert barred(policy(block_model=("X",))) == ["p", "p"]
    assert barred(policy(block_model=("b-alias/m",))) == [None, "p"]
    assert barred(policy(block_model=("other",))) == [None, None]


def test_a_price_is_too_high_by_the_dearer_of_its_parts_and_an_unknown_one_is_not() -> None:
    options = [option("a", price=Price(input=1, output=10)), option("b", price=Price(input=1, output=9)), option("c")]
    assert barred(policy(max_cost_per_1k=0.0095), candidates=options) == ["p", None, None]


def test_the_first_policy_that_forbids_is_named() -> None:
    first, second = policy("one", block_provider=("a",)), policy("two", block_provider=("*",))
    assert barred(first, second) == ["one", "two"]


def test_candidates_that_cannot_be_used_are_ignored() -> None:
    found = rule([policy(block_model=("*",))], "", "x", [None, option("b")])
    assert [by and by.name for by in found.barred] == [None, "p"]


def test_preferred_providers_come_first_in_the_order_of_the_policies() -> None:
    options = [option(id) for id in "abcd"]
    two = policy("two", prefer_provider=("d", "c"))
    assert rule([two], "", "x", options).order == (3, 2, 0, 1)
    one = policy("one", prefer_provider=("b-alias",))
    assert rule([one, two], "", "x", options).order == (1, 3, 2, 0)
    assert rule([], "", "x", options).order == (0, 1, 2, 3)
    assert rule([policy("c", {"provider": "c"}, prefer_provider=("*",))], "", "x", options).order == (2, 0, 1, 3)


def test_of_two_limits_the_lower_counts_and_those_of_removed_candidates_do_not() -> None:
    found = rule(
        [policy("1", max_tokens=100), policy("2", max_tokens=50),
         policy("3", {"provider": "b"}, max_tokens=1, daily_budget=5),
         policy("4", block_provider=("b",)), policy("5", daily_budget=7)],
        "", "x", [option("a"), option("b")],
    )  # fmt: skip
    assert found.max_tokens == 50
    assert [(purse.id, purse.budget.daily, purse.policy) for purse in found.purses] == [("policy:5", 7, "5")]
    assert rule([], "", "x", [option("a")]).max_tokens is None


def test_a_blocked_name_is_refused_before_it_is_resolved() -> None:
    with pytest.raises(OmniError) as caught:
        check_name([policy("no gpt", block_model=("gpt*",))], "", "gpt-4o")
    assert (caught.value.status, caught.value.message) == (403, 'Model "gpt-4o" blocked by policy "no gpt"')
    check_name([policy(block_model=("gpt*",))], "", "claude")
    check_name([policy("p", {"provider": "a"}, block_model=("gpt*",))], "", "gpt-4o")
    check_name([policy("p", {"api_key_id": "k2"}, block_model=("gpt*",))], "k1", "gpt-4o")
    assert refusal(policy("y"), "x").message == 'Model "x" blocked by policy "y"'
