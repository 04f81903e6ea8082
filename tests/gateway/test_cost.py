from __future__ import annotations

import pytest

from omniroute.gateway.cost import cost, price_of
from omniroute.gateway.snapshot import Snapshot
from omniroute.media.codec import Units
from omniroute.translate.events import Usage
from omniroute.upstream.providers import Model, Price, Provider

FULL = Price(input=2.0, output=8.0, cached=0.5, reasoning=10.0, cache_creation=2.5)


@pytest.mark.parametrize(
    ("usage", "price", "dollars"),
    [
        (Usage(input=1000, output=100), FULL, (1000 * 2 + 100 * 8) / 1e6),
        (Usage(input=1000, output=0, cache_read=400, cache_write=100), FULL, (500 * 2 + 400 * 0.5 + 100 * 2.5) / 1e6),
        (Usage(input=0, output=100, reasoning=40), FULL, (60 * 8 + 40 * 10) / 1e6),
        (Usage(input=0, output=100, reasoning=40), Price(2.0, 8.0), 100 * 8 / 1e6),
        (Usage(input=10, output=1, cache_read=4), Price(2.0, 8.0), (10 * 2 + 8) / 1e6),
    ],
)
def test_cost_prices_each_token_once_at_its_own_rate(usage: Usage, price: Price, dollars: float) -> None:
    assert cost(usage, price) == pytest.approx(dollars)


def test_unknown_price_or_usage_is_unknown_and_not_free() -> None:
    assert cost(Usage(input=1), None) is None
    assert cost(Usage(input=1), Price(input=1.0)) is None
    assert cost(None, FULL) is None


def test_output_that_is_known_to_be_none_needs_no_price() -> None:
    assert cost(Usage(input=1_000_000, output=0), Price(input=0.1)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("usage", "price", "units", "dollars"),
    [
        (None, Price(per_image=0.04), Units(images=2), 0.08),
        (Usage(input=1_000_000, output=1120), Price(0.3, 2.5, per_image=0.039), Units(images=1), 0.339),
        (None, Price(per_second=0.0001), Units(seconds=12.5), 0.00125),
        (Usage(input=100, output=50), Price(2.5, 10.0, per_second=0.0001), Units(seconds=10.0), 0.001),
        (None, Price(per_million_characters=15.0), Units(characters=1000), 0.015),
        (None, Price(per_search=0.002), Units(searches=3), 0.006),
        (Usage(input=1_000_000, output=0), Price(2.0, 8.0), Units(images=1), 2.0),
        (None, Price(2.0, 8.0), Units(images=1), None),
        (None, None, Units(images=1), None),
        (Usage(input=1_000_000, output=0), FULL, Units(), 2.0),
    ],
)
def test_what_is_not_tokens_is_priced_by_the_piece(
    usage: Usage | None, price: Price | None, units: Units, dollars: float | None
) -> None:
    found = cost(usage, price, units)
    assert found == (pytest.approx(dollars) if dollars is not None else None)


def test_price_lookup_order() -> None:
    provider = Provider("p", "pa", "P", "openai-chat", "", models={"m": Model("m", price=FULL), "v/x": Model("v/x")})
    own = Price(1.0, 1.0)
    assert price_of(Snapshot(), provider, "m") is FULL
    assert price_of(Snapshot(), provider, "vendor/m") is FULL
    assert price_of(Snapshot(prices={("pa", "m"): own}), provider, "m") is own
    assert price_of(Snapshot(prices={("p", "x"): own}), provider, "v/x") is own
    assert price_of(Snapshot(), provider, "unknown") is None
