from __future__ import annotations

from omniroute.gateway.meter import Meter


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    meter = Meter(50, 100)
    at_once = sum(meter.allows(1000.0) for _ in range(1000))
    assert 100 <= at_once <= 101
    assert sum(meter.allows(1000.0 + number / 1000) for number in range(1000)) in range(49, 52)


def test_after_a_pause_a_full_burst_is_allowed_again() -> None:
    meter = Meter(50, 100)
    for _ in range(500):
        meter.allows(1000.0)
    assert sum(meter.allows(1010.0) for _ in range(500)) >= 100
