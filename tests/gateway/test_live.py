from __future__ import annotations

from typing import Any, cast

from fakes import FakeClock

from omniroute.gateway.live import Live, Timing
from omniroute.gateway.snapshot import Snapshot


def test_calls_in_flight_are_counted_and_the_table_stays_small() -> None:
    live = Live(cast(Any, FakeClock()), Snapshot(), lambda _: None)
    one, other = ("p", "m", "c1"), ("p", "m", "c2")
    live.begin(one)
    live.begin(one)
    live.begin(other)
    assert live.in_flight == {one: 2, other: 1}
    live.finish(one)
    live.finish(other)
    assert live.in_flight == {one: 1}
    live.finish(one)
    assert live.in_flight == {}


def test_the_log_of_recent_calls_does_not_grow() -> None:
    live = Live(cast(Any, FakeClock()), Snapshot(), lambda _: None)
    for number in range(5000):
        live.recent.append(Timing(float(number), "p", 200, 1.0, 0.0))
    assert len(live.recent) == 1000
