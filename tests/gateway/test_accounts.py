from __future__ import annotations

from collections import Counter
from typing import Any, cast

import msgspec
import pytest
from data_plane import accounts, provider, snapshot
from fakes import FakeClock
from wires import CHAT

from omniroute.gateway.accounts import choose, skipped_text
from omniroute.gateway.live import Live
from omniroute.gateway.resolve import Route, resolve
from omniroute.gateway.retry import judge
from omniroute.gateway.snapshot import GatewaySettings, Snapshot


def made(*secrets: str) -> tuple[Snapshot, Live, Route, FakeClock]:
    clock = FakeClock()
    state = snapshot(provider(CHAT), accounts(*secrets))
    return state, Live(cast(Any, clock), state, lambda _: None), resolve(state, "up/m"), clock


def fail(live: Live, account: str, status: int) -> None:
    rule = judge(status, "").rule
    assert rule is not None
    live.health.fail(account, "node-up", "m", rule, status=status, message="No")


def test_the_snapshots_order_is_the_order() -> None:
    state, live, route, _ = made("a", "b", "c")
    choice = choose(state, live, route)
    assert [account.id for account in choice.free] == ["c1", "c2", "c3"]
    assert choice.blocked == ()


def test_those_that_cool_are_left_out_until_their_time() -> None:
    state, live, route, clock = made("a", "b")
    fail(live, "c1", 401)
    choice = choose(state, live, route)
    assert [account.id for account in choice.free] == ["c2"]
    assert [(account.id, until) for account, until, *_ in choice.blocked] == [("c1", clock.time() + 120.0)]
    clock.advance(121.0)
    assert len(choose(state, live, route).free) == 2


def test_a_model_that_is_locked_blocks_that_model_only() -> None:
    state, live, route, _ = made("a")
    fail(live, "c1", 404)
    assert choose(state, live, route).free == ()
    assert len(choose(state, live, route._replace(model="other")).free) == 1


def test_a_provider_without_accounts_has_none() -> None:
    state, live, route, _ = made()
    assert choose(state, live, route) == ((), ())


def test_who_is_passed_over_says_why_and_until_when() -> None:
    state, live, route, clock = made("a", "b")
    fail(live, "c1", 401)
    fail(live, "c2", 404)
    one, two = choose(state, live, route).blocked
    assert (one.kind, one.reason) == ("cooling", "401 auth_error")
    assert (two.kind, two.reason, two.until) == ("model locked", "404 unknown", clock.time() + 60.0)
    text = skipped_text((one, two), clock.time())
    assert text == "; skipped=acct-1 (cooling 2m), acct-2 (model locked 1m)"
    assert skipped_text((), 0.0) == ""


def by(strategy: str, *secrets: str, **more: Any) -> tuple[Snapshot, Live, Route, FakeClock]:
    state, live, route, clock = made(*secrets)
    settings = GatewaySettings(fallback_strategy=strategy, **more)
    state = live.snapshot = msgspec.structs.replace(state, settings=settings)
    live.dice.seed(7)
    return state, live, route, clock


def picks(state: Snapshot, live: Live, route: Route, calls: int) -> list[str]:
    """Whom so many calls, one after the other, go to."""
    picked = []
    for _ in range(calls):
        first = choose(state, live, route).free[0].id
        live.uses.note(route.provider.id, first)
        picked.append(first)
    return picked


@pytest.mark.parametrize("strategy", ["fill-first", "cost-optimized"])
def test_by_priority_all_calls_go_to_the_first(strategy: str) -> None:
    state, live, route, _ = by(strategy, "a", "b", "c")
    assert Counter(picks(state, live, route, 10_000)) == {"c1": 10_000}


@pytest.mark.parametrize("sticky", [1, 3, 7])
def test_round_robin_stays_for_as_many_calls_as_it_should_and_goes_on_in_order(sticky: int) -> None:
    state, live, route, _ = by("round-robin", "a", "b", "c", sticky_limit=sticky)
    expected = [f"c{call // sticky % 3 + 1}" for call in range(10_000)]
    assert picks(state, live, route, 10_000) == expected


def test_round_robin_leaves_out_who_cools_and_takes_up_whose_use_is_the_longest_ago() -> None:
    state, live, route, clock = by("round-robin", "a", "b", "c", sticky_limit=1)
    fail(live, "c2", 401)
    assert picks(state, live, route, 4) == ["c1", "c3", "c1", "c3"]
    clock.advance(121.0)
    assert picks(state, live, route, 4) == ["c2", "c1", "c3", "c2"]


def test_least_used_takes_never_used_first_and_then_the_longest_unused() -> None:
    state, live, route, clock = by("least-used", "a", "b", "c")
    live.uses.restore("node-up", "c1", clock.time() - 5.0, 1)
    assert picks(state, live, route, 6) == ["c2", "c3", "c1", "c2", "c3", "c1"]


def test_random_is_uniform() -> None:
    state, live, route, _ = by("random", "a", "b", "c", "d")
    counts = Counter(picks(state, live, route, 10_000))
    assert sum((counts[f"c{n}"] - 2500) ** 2 / 2500 for n in range(1, 5)) < 11.34  # chi-square, 3 degrees of freedom, 0.01


def test_of_two_drawn_the_one_with_fewer_calls_in_flight_is_taken() -> None:
    state, live, route, _ = by("p2c", "a", "b", "c")
    counts = Counter(picks(state, live, route, 9_000))
    assert sum((counts[f"c{n}"] - 3000) ** 2 / 3000 for n in range(1, 4)) < 9.21  # 2 degrees of freedom, 0.01
    live.begin(("node-up", "other-model", "c1"))
    counts = Counter(picks(state, live, route, 9_000))
    assert counts["c1"] == 0
    live.begin(("node-up", "m", "c2"))
    live.begin(("node-up", "m", "c2"))
    counts = Counter(picks(state, live, route, 9_000))
    assert counts["c2"] == 0
    assert sum((counts[name] - share) ** 2 / share for name, share in (("c1", 3000), ("c3", 6000))) < 6.63


def test_of_two_accounts_the_first_is_taken_while_both_are_as_busy() -> None:
    state, live, route, _ = by("p2c", "a", "b")
    assert Counter(picks(state, live, route, 100)) == {"c1": 100}
    live.begin(("node-up", "m", "c1"))
    assert Counter(picks(state, live, route, 100)) == {"c2": 100}


@pytest.mark.parametrize("strategy", ["fill-first", "round-robin", "random", "p2c", "least-used", "cost-optimized"])
def test_each_order_has_every_free_account_once_and_the_preferred_one_first(strategy: str) -> None:
    state, live, route, _ = by(strategy, "a", "b", "c", "d")
    fail(live, "c4", 401)
    for _ in range(20):
        order = [account.id for account in choose(state, live, route, "c3").free]
        assert (order[0], sorted(order)) == ("c3", ["c1", "c2", "c3"])
        assert choose(state, live, route, "c4").free[0].id != "c4"
