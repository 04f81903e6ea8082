from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeClock

from omniroute.gateway.breakers import Breaker, Breakers
from omniroute.gateway.retry import PROFILES

KEY = PROFILES["apikey"]


def made() -> tuple[Breakers, FakeClock, list[tuple[float, str, int]]]:
    clock = FakeClock(1000.0)
    told: list[tuple[float, str, int]] = []
    breakers = Breakers(clock, lambda _, breaker: told.append((clock.now, breaker.state, breaker.failures)))  # type: ignore[arg-type]
    return breakers, clock, told


def broken() -> tuple[Breakers, FakeClock, list[tuple[float, str, int]]]:
    breakers, clock, told = made()
    for _ in range(5):
        breakers.fail("p", KEY)
    return breakers, clock, told


@pytest.mark.parametrize(("kind", "failures", "seconds"), [("oauth", 3, 60.0), ("apikey", 5, 30.0), ("local", 2, 15.0)])
def test_so_many_failures_in_a_row_open_it_until_the_reset_time(kind: str, failures: int, seconds: float) -> None:
    breakers, clock, _ = made()
    for _ in range(failures - 1):
        breakers.fail("p", PROFILES[kind])
        assert breakers.enter("p", PROFILES[kind], "call") is None
    breakers.fail("p", PROFILES[kind])
    assert (breakers.view("p").state, breakers.enter("p", PROFILES[kind], "call")) == ("OPEN", seconds)
    clock.advance(seconds - 0.5)
    assert breakers.enter("p", PROFILES[kind], "call") == 0.5
    clock.advance(0.5)
    assert breakers.enter("p", PROFILES[kind], "call") is None
    assert breakers.view("p").state == "HALF_OPEN"


def test_other_providers_are_not_concerned() -> None:
    breakers, _, _ = broken()
    assert breakers.enter("other", KEY, "call") is None
    assert breakers.view("other") == Breaker()


def test_any_success_resets_the_count() -> None:
    breakers, _, told = made()
    for _ in range(4):
        breakers.fail("p", KEY)
    breakers.succeed("p")
    assert breakers.calm
    for _ in range(4):
        breakers.fail("p", KEY)
    assert breakers.view("p").state == "CLOSED"
    assert told[4] == (1000.0, "CLOSED", 0)


def test_one_call_probes_and_the_others_wait_for_what_it_finds() -> None:
    breakers, clock, _ = broken()
    clock.advance(30.0)
    assert breakers.enter("p", KEY, "probe") is None
    assert [breakers.enter("p", KEY, n) for n in range(3)] == [1.0, 1.0, 1.0]
    breakers.succeed("p")
    breakers.leave("p", "probe", heard=True)
    assert breakers.calm


def test_when_the_probes_answer_begins_others_may_come_but_no_count_is_forgotten() -> None:
    breakers, clock, _ = broken()
    clock.advance(30.0)
    breakers.enter("p", KEY, "probe")
    breakers.begun("p")
    assert breakers.calm
    breakers.fail("p", KEY)
    breakers.begun("p")
    assert breakers.view("p").failures == 1
    breakers.begun("other")
    assert breakers.view("other") == Breaker()


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    breakers, clock, _ = broken()
    clock.advance(30.0)
    breakers.enter("p", KEY, "probe")
    clock.advance(7.0)
    breakers.fail("p", KEY)
    assert breakers.view("p").state == "HALF_OPEN"  # another account may still answer it
    breakers.leave("p", "probe", heard=True)
    assert breakers.enter("p", KEY, "next") == 30.0


def test_a_probe_whose_client_leaves_gives_its_place_to_the_next_call() -> None:
    breakers, clock, _ = broken()
    clock.advance(30.0)
    breakers.enter("p", KEY, "probe")
    breakers.leave("p", "stranger", heard=False)
    assert breakers.view("p").state == "HALF_OPEN"
    breakers.leave("p", "probe", heard=False)
    assert breakers.enter("p", KEY, "next") is None
    assert breakers.view("p").probe == "next"


def test_a_probe_that_is_answered_with_a_refusal_shows_that_the_provider_lives() -> None:
    breakers, clock, _ = broken()
    clock.advance(30.0)
    breakers.enter("p", KEY, "probe")
    breakers.leave("p", "probe", heard=True)
    assert breakers.calm


def test_what_was_sent_before_it_opened_does_not_prolong_it_but_may_close_it() -> None:
    breakers, clock, _ = broken()
    clock.advance(20.0)
    breakers.fail("p", KEY)
    assert breakers.wait("p") == 10.0
    breakers.succeed("p")
    assert breakers.wait("p") == 0.0


def test_new_values_of_the_profile_are_in_force_at_once() -> None:
    breakers, _, _ = broken()
    assert breakers.enter("p", KEY._replace(breaker_reset=5.0), "call") == 5.0


def test_each_change_is_told_so_that_it_can_be_stored() -> None:
    breakers, clock, told = broken()
    assert told == [(1000.0, "CLOSED", n) for n in range(1, 5)] + [(1000.0, "OPEN", 5)]
    clock.advance(30.0)
    breakers.enter("p", KEY, "probe")
    breakers.succeed("p")
    assert told[5:] == [(1030.0, "HALF_OPEN", 5), (1030.0, "CLOSED", 0)]


@pytest.mark.parametrize("state", ["OPEN", "HALF_OPEN"])
def test_what_was_stored_is_put_back_and_a_probe_is_made_anew(state: Any) -> None:
    breakers, clock, _ = made()
    breakers.restore("p", Breaker(state, 5, clock.now - 10.0))
    assert breakers.enter("p", KEY, "call") == 20.0
    breakers.restore("well", Breaker())
    assert set(breakers.known()) == {"p"}


def test_reset_closes_all_and_names_them() -> None:
    breakers, _, told = broken()
    breakers.fail("q", KEY)
    assert breakers.reset() == ["p", "q"]
    assert breakers.calm
    assert told[-1] == (1000.0, "CLOSED", 0)


def test_emptying_it_is_told_to_nobody_and_a_probe_under_way_ends_in_peace() -> None:
    breakers, clock, told = broken()
    clock.advance(30.0)
    breakers.enter("p", KEY, "call")
    told.clear()
    breakers.empty()
    breakers.leave("p", "call", heard=True)
    assert (breakers.calm, told) == (True, [])


def test_a_clock_that_is_set_back_lets_the_time_begin_anew_once() -> None:
    breakers, clock, _ = broken()
    clock.now -= 900
    assert breakers.enter("p", KEY, "call") == 30.0
    clock.advance(20)
    assert breakers.enter("p", KEY, "call") == 10.0
    clock.advance(10)
    assert breakers.enter("p", KEY, "call") is None
