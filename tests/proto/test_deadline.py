from __future__ import annotations

from math import inf

import pytest
from fakes import FakeClock

from omniroute.proto.deadline import Deadline


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def expired() -> list[float]:
    return []


@pytest.fixture
def deadline(clock: FakeClock, expired: list[float]) -> Deadline:
    start = clock.now
    return Deadline(clock, lambda: expired.append(clock.now - start))  # type: ignore[arg-type]


def test_it_expires_once(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    deadline.set(10)
    clock.advance(9)
    assert (expired, clock.pending) == ([], 1)
    clock.advance(100)
    assert (expired, clock.pending) == ([10], 0)


def test_moving_it_later_costs_no_timer(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    for _ in range(5):
        deadline.set(10)
        assert clock.pending == 1
        clock.advance(1)
    clock.advance(8)
    assert expired == []
    clock.advance(1)
    assert expired == [14]


def test_moving_it_earlier_is_heeded(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    deadline.set(75)
    deadline.set(10)
    assert clock.pending == 1
    clock.advance(80)
    assert expired == [10]


def test_a_time_of_the_clock_does_as_well(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    start = clock.now
    deadline.at(start + 75)
    deadline.at(start + 10)
    deadline.at(inf)
    clock.advance(80)
    assert (expired, clock.pending) == ([], 0)
    deadline.at(start + 90)
    clock.advance(80)
    assert expired == [90]


def test_cleared_and_set_again(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    deadline.set(10)
    deadline.clear()
    clock.advance(20)
    assert (expired, clock.pending) == ([], 0)
    deadline.set(10)
    clock.advance(10)
    assert expired == [30]


def test_stopped_it_lets_go_of_its_timer(clock: FakeClock, deadline: Deadline, expired: list[float]) -> None:
    deadline.stop()
    deadline.set(10)
    deadline.stop()
    assert clock.pending == 0
    clock.advance(20)
    assert expired == []


def test_the_callback_may_set_it_again(clock: FakeClock, expired: list[float]) -> None:
    def again() -> None:
        expired.append(clock.now)
        deadline.set(5)

    deadline = Deadline(clock, again)  # type: ignore[arg-type]
    deadline.set(5)
    clock.advance(21)
    assert len(expired) == 4
