from __future__ import annotations

import pytest

from omniroute.gateway.cost import cost, price_of
from omniroute.gateway.snapshot import Snapshot
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


def test_price_lookup_order() -> None:
    provider = Provider("p", "pa", "P", "openai-chat", "", models={"m": Model("m", price=FULL), "v/x": Model("v/x")})
    own = Price(1.0, 1.0)
    assert price_of(Snapshot(), provider, "m") is FULL
    assert price_of(Snapshot(), provider, "vendor/m") is FULL
    assert price_of(Snapshot(prices={("pa", "m"): own}), provider, "m") is own
    assert price_of(Snapshot(prices={("p", "x"): own}), provider, "v/x") is own
    assert price_of(Snapshot(), provider, "unknown") is None
