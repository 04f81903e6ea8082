from __future__ import annotations

import asyncio

import pytest

from omniroute.clock import Clock, iso, parse_iso, unix_time


def test_iso_has_milliseconds_and_is_utc() -> None:
    assert iso(1_772_114_591.12) == "2026-02-26T14:03:11.120Z"
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "text",
    ["2026-02-26T14:03:11.120Z", "2026-02-26T15:03:11.120+01:00", "2026-02-26T14:03:11.120"],
    ids=["Z", "offset", "bare"],
)
def test_iso_times_are_read_whatever_zone_they_name(text: str) -> None:
    assert parse_iso(text) == pytest.approx(1_772_114_591.12)


def test_what_is_no_time_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="tomorrow"):
        parse_iso("tomorrow")


def test_a_time_that_cannot_be_read_or_shown_is_none() -> None:
    assert unix_time("1970-01-01T00:00:01.500Z") == 1.5
    assert [unix_time(text) for text in (None, "", "soon", "9999-12-31T23:59:59-01:00")] == [None] * 4


async def test_timers_run_unless_cancelled_and_sleep_yields() -> None:
    clock = Clock()
    ran: list[str] = []
    clock.call_later(0, ran.append, "kept")
    clock.call_later(0, ran.append, "cancelled").cancel()
    await clock.sleep(0)
    await asyncio.sleep(0)
    assert ran == ["kept"]


def test_the_monotonic_and_the_wall_clock_go_forward() -> None:
    clock = Clock()
    assert clock.monotonic() <= clock.monotonic()
    assert iso(clock.time()) > "2025"
