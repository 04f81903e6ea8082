from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
from data_plane import accounts
from fakes import FakeClock

from omniroute.gateway.limiter import FREE, Lane, Limiter, Rules, rules_of
from omniroute.gateway.snapshot import Connection, RateDefaults
from omniroute.tasks import spawn

ONE, TWO = accounts("a", "b")


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Bench:
    """A limiter, and calls at it that are started, ended and looked at."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.limiter = Limiter(cast(Any, self.clock))
        self.tasks: list[asyncio.Task[Lane | None]] = []

    async def call(
        self, rules: Rules = FREE, patience: float = 120.0, account: Connection = ONE
    ) -> asyncio.Task[Lane | None]:
        self.tasks.append(spawn(self.limiter.enter(account, rules, patience), "call"))
        await settle()
        return self.tasks[-1]

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()

    def state(self) -> str:
        """``.`` waits, ``x`` runs, ``-`` was turned away."""
        return "".join("." if not task.done() else "-" if task.result() is None else "x" for task in self.tasks)

    def learn(
        self, limit: str | None, left: str, reset: str = "30s", kind: str = "requests", account: Connection = ONE
    ) -> None:
        fields = [(f"x-ratelimit-remaining-{kind}", left), (f"x-ratelimit-reset-{kind}", reset)]
        if limit is not None:
            fields.append((f"x-ratelimit-limit-{kind}", limit))
        self.limiter.learn(account.id, [(name.encode(), value.encode()) for name, value in fields])


def test_fixed_limits_are_for_protected_connections_and_pacing_for_keys_of_others_machines() -> None:
    (key,) = accounts("a", rate_limit_protection=True)
    (login,) = accounts("a", rate_limit_protection=True, auth_type="oauth")
    limits = RateDefaults(60, 0.5, 3)
    assert rules_of(ONE, limits, "apikey") == FREE
    assert rules_of(key, limits, "apikey") == (60, 0.5, 3)
    assert rules_of(key, limits, "local") == (60, 0.0, 3)
    assert rules_of(login, limits, "oauth") == (0, 0.0, 3)


async def test_at_most_so_many_run_and_the_others_come_in_their_order() -> None:
    bench = Bench()
    for _ in range(5):
        await bench.call(Rules(concurrent=2))
    assert bench.state() == "xx..."
    lane = bench.tasks[0].result()
    assert lane is not None
    bench.limiter.leave(lane)
    await settle()
    assert bench.state() == "xxx.."
    bench.limiter.leave(lane)
    bench.limiter.leave(lane)
    await settle()
    assert bench.state() == "xxxxx"


async def test_calls_keep_their_distance() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.call(Rules(spacing=0.2))
    assert bench.state() == "x.."
    await bench.advance(0.19)
    assert bench.state() == "x.."
    await bench.advance(0.01)
    assert bench.state() == "xx."
    await bench.advance(0.2)
    assert bench.state() == "xxx"


async def test_so_many_a_minute() -> None:
    bench = Bench()
    for _ in range(5):
        await bench.call(Rules(per_minute=2), patience=121.0)
    assert bench.state() == "xx..."
    await bench.advance(59.9)
    assert bench.state() == "xx..."
    await bench.advance(0.1)
    assert bench.state() == "xxxx."
    await bench.advance(60.0)
    assert bench.state() == "xxxxx"


async def test_nobody_waits_longer_than_the_patience_and_who_would_have_to_is_told_at_once() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.call(Rules(concurrent=1), patience=10.0)
    await bench.advance(9.9)
    assert bench.state() == "x."
    await bench.advance(0.2)
    assert bench.state() == "x-"
    assert (len(bench.limiter.lanes["c1"].queue), bench.clock.pending) == (0, 0)
    bench.limiter.refused("c2", 300.0)
    await bench.call(patience=120.0, account=TWO)
    assert bench.state() == "x--"
    assert bench.limiter.wait("c2") == 300.0


async def test_who_leaves_while_waiting_leaves_the_queue() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.call(Rules(concurrent=1))
    bench.tasks[1].cancel()
    await settle()
    lane = bench.limiter.lanes["c1"]
    assert len(lane.queue) == 1
    bench.limiter.leave(lane)
    await settle()
    assert (bench.tasks[2].done(), lane.running) == (True, 1)


async def test_a_slot_given_in_the_moment_in_which_the_client_leaves_is_not_lost() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.call(Rules(concurrent=1))
    lane = bench.limiter.lanes["c1"]
    bench.limiter.leave(lane)  # gives the slot to the second …
    bench.tasks[1].cancel()  # … who leaves before it can take it
    await settle()
    assert bench.tasks[1].cancelled()
    assert (bench.tasks[2].done(), lane.running, len(lane.queue)) == (True, 1, 0)


async def test_with_little_left_only_that_many_start_until_the_reset() -> None:
    bench = Bench()
    bench.learn("100", "2")
    for _ in range(4):
        await bench.call()
    assert bench.state() == "xx.."
    await bench.advance(29.9)
    assert bench.state() == "xx.."
    await bench.advance(0.1)
    assert bench.state() == "xxxx"


async def test_a_reset_that_is_centuries_away_holds_calls_back_for_a_day() -> None:
    bench = Bench()
    bench.learn("100", "0", "2562047h47m16.854775807s")
    assert bench.limiter.wait("c1") == 86_400


async def test_between_a_tenth_and_a_half_calls_are_spread_and_with_more_they_are_free_again() -> None:
    bench = Bench()
    bench.learn("60", "20")
    for _ in range(3):
        await bench.call()
    assert bench.state() == "x.."
    await bench.advance(0.98)
    assert bench.state() == "x.."
    await bench.advance(0.01)
    assert bench.state() == "xx."
    bench.learn("60", "31")
    await settle()
    assert bench.state() == "xxx"


async def test_answers_of_one_window_may_come_in_any_order() -> None:
    bench = Bench()
    bench.learn("100", "1")
    bench.learn("100", "3")  # was sent earlier
    for _ in range(3):
        await bench.call()
    assert bench.state() == "x.."


async def test_used_up_tokens_hold_all_calls_back_and_few_tokens_none() -> None:
    bench = Bench()
    bench.learn("40000", "10", kind="tokens")
    await bench.call()
    bench.learn("40000", "0", "6s", kind="tokens")
    await bench.call()
    assert bench.state() == "x."
    await bench.advance(6.0)
    assert bench.state() == "xx"


async def test_calls_that_are_left_do_not_make_up_for_tokens_that_are_used_up() -> None:
    bench = Bench()
    calls = [(b"x-ratelimit-limit", b"100"), (b"x-ratelimit-remaining", b"99")]
    bench.limiter.learn("c1", [*calls, (b"x-ratelimit-remaining-tokens", b"0"), (b"x-ratelimit-reset-tokens", b"6s")])
    assert bench.limiter.wait("c1") == 6.0


async def test_over_limit_means_five_calls_a_second() -> None:
    bench = Bench()
    bench.limiter.learn("c1", [(b"x-ratelimit-over-limit", b"yes")])
    for _ in range(2):
        await bench.call()
    assert bench.state() == "x."
    await bench.advance(0.2)
    assert bench.state() == "xx"


def test_with_plenty_left_nothing_is_remembered_but_what_was_said() -> None:
    bench = Bench()
    bench.learn("100", "99")
    assert bench.limiter.lanes == {}
    [quota] = bench.limiter.said("c1")
    assert (quota.limit, quota.remaining, quota.reset) == (100, 99, 30.0)
    bench.limiter.learn("c2", [(b"content-type", b"application/json")])
    assert bench.limiter.said("c2") == []


def test_who_is_free_now_goes_before_who_is_first_and_else_who_is_soonest() -> None:
    bench = Bench()
    bench.limiter.refused("c1", 60.0)
    assert bench.limiter.pick((ONE, TWO)) == 1
    bench.limiter.refused("c2", 30.0)
    assert bench.limiter.pick((ONE, TWO)) == 1
    bench.clock.advance(60.0)
    assert bench.limiter.pick((ONE, TWO)) == 0


async def test_when_the_account_cools_all_who_wait_for_it_are_sent_on() -> None:
    bench = Bench()
    bench.limiter.refused("c1", None)
    await bench.call()
    assert bench.limiter.wait("c1") == 60.0
    bench.limiter.dismiss("c1")
    await settle()
    assert bench.state() == "-"


async def test_what_holds_nothing_back_any_more_is_forgotten() -> None:
    bench = Bench()
    bench.learn("100", "2")
    task = await bench.call()
    await bench.advance(31.0)
    lane = task.result()
    assert lane is not None
    bench.limiter.leave(lane)
    assert bench.limiter.lanes == {}
    bench.learn("100", "0")
    bench.limiter.forget("c1")
    assert (bench.limiter.lanes, bench.limiter.said("c1")) == ({}, [])


async def test_what_was_learned_can_be_lifted_by_hand() -> None:
    bench = Bench()
    bench.limiter.refused("c1", 60.0)
    await bench.call()
    bench.limiter.clear()
    await settle()
    assert bench.state() == "x"


@pytest.mark.parametrize("said", [[], [(b"x-ratelimit-limit-requests", b"100"), (b"x-ratelimit-remaining-requests", b"99")]])
def test_learning_from_a_usual_answer_costs_next_to_nothing(said: list[tuple[bytes, bytes]]) -> None:
    limiter = Limiter(cast(Any, FakeClock()))
    fields = [*((b"x-field-%d" % n, b"value") for n in range(14)), *said]
    times = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(2000):
            limiter.learn("c1", fields)
        times.append((time.process_time() - began) / 2000)
    assert min(times) < 20e-6  # 1 and 3 µs; this machine may be busy
