"""RFC 3339 text and Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omniroute.translate.ollama_time import rfc3339, unix_of


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-08-04T08:52:19.385406455-07:00", 1_691_164_339),
        ("2025-06-09T18:55:26.684517Z", 1_749_495_326),
        ("2024-02-29T23:59:60+02:00", 1_709_244_000),
        ("yesterday", 0),
        ("2025-13-01T00:00:00Z", 0),
        ("0000-01-01T00:00:00Z", 0),
        ("", 0),
    ],
)
def test_a_time_is_read_and_anything_else_is_zero(text: str, unix: int) -> None:
    assert unix_of(text) == unix


def test_every_day_of_four_centuries_is_written_as_the_calendar_has_it() -> None:
    moment = datetime(1970, 1, 1, 11, 22, 33, tzinfo=UTC)
    for _ in range(0, 146_100, 7):
        text = rfc3339(int(moment.timestamp()))
        assert text == moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert unix_of(text) == int(moment.timestamp())
        moment += timedelta(days=7)


@pytest.mark.parametrize(("unix", "text"), [(-5, "1970-01-01T00:00:00Z"), (10**18, "9999-12-31T23:59:59Z")])
def test_times_out_of_range_stay_writable(unix: int, text: str) -> None:
    assert rfc3339(unix) == text
