from __future__ import annotations

import pytest

from omniroute.gateway.ratelimit_headers import Quota, over_limit, plenty, quotas, relevant, reset_after, reset_hint

NOW = 1_750_000_000.0


def fields(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("60", 60.0),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("1750000042", 42.0),
        ("1750000042000", 42.0),
        ("2025-06-15T15:07:20Z", 40.0),
        ("2025-06-15T15:06:00Z", 0.0),
        ("2025-06-15T17:07:20+02:00", 40.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("2025-06-99T00:00:00Z", None),
    ],
)
def test_every_way_to_say_when(text: str, seconds: float | None) -> None:
    assert reset_after(text, NOW) == pytest.approx(seconds) if seconds is not None else reset_after(text, NOW) is None


def test_openais_and_anthropics_fields() -> None:
    openai = fields(
        x_ratelimit_limit_requests="100", x_ratelimit_remaining_requests="99", x_ratelimit_reset_requests="600ms",
        x_ratelimit_limit_tokens="40000", x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="6m0s",
    )  # fmt: skip
    assert quotas(openai, NOW) == [Quota("requests", 100, 99, 0.6), Quota("tokens", 40000, 0, 360.0)]
    anthropic = fields(
        anthropic_ratelimit_requests_limit="50", anthropic_ratelimit_requests_remaining="1",
        anthropic_ratelimit_requests_reset="2025-06-15T15:07:20Z", anthropic_ratelimit_output_tokens_remaining="x",
    )  # fmt: skip
    assert quotas(anthropic, NOW) == [Quota("requests", 50, 1, 40.0), Quota("output-tokens", None, None, None)]


def test_only_what_speaks_of_limits_is_looked_at() -> None:
    assert relevant(fields(content_type="application/json", x_request_id="1", anthropic_organization_id="o")) == []
    assert relevant(fields(server="x", x_ratelimit_remaining="1")) == fields(x_ratelimit_remaining="1")


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        ({"x_ratelimit_limit_requests": "100", "x_ratelimit_remaining_requests": "51"}, True),
        ({"x_ratelimit_limit_requests": "100", "x_ratelimit_remaining_requests": "50"}, False),
        ({"x_ratelimit_remaining_requests": "50"}, False),
        ({"x_ratelimit_limit_requests": "?", "x_ratelimit_remaining_requests": "50"}, False),
        ({"x_ratelimit_over_limit": "yes"}, False),
        ({"x_ratelimit_reset_requests": "1s"}, True),
    ],
)
def test_more_than_half_of_all_is_plenty(found: dict[str, str], enough: bool) -> None:
    assert plenty(fields(**found)) is enough


def test_calls_that_come_too_fast() -> None:
    assert over_limit(fields(x_ratelimit_over_limit="yes"))
    assert not over_limit(fields(x_ratelimit_over_limit="no"))


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        ({}, None),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "9s", "x_ratelimit_reset_tokens": "2s"}, 9.0),
        ({"x_ratelimit_reset_requests": "9s", "x_ratelimit_reset_tokens": "2s"}, 2.0),
        ({"anthropic_ratelimit_tokens_remaining": "0", "anthropic_ratelimit_tokens_reset": "2025-06-15T15:07:20Z"}, 40.0),
        ({"x_ratelimit_reset": "1750000042000"}, 42.0),
        ({"x_ratelimit_remaining_requests": "0"}, None),
    ],
)
def test_how_long_a_refused_call_should_wait(found: dict[str, str], seconds: float | None) -> None:
    assert reset_hint(fields(**found), NOW) == seconds
