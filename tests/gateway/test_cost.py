from __future__ import annotations

from typing import Any

import pytest
from shared import needs_shared, recordings

from omniroute.gateway.cost import cost, price_of
from omniroute.gateway.snapshot import Snapshot
from omniroute.media.codec import Units
from omniroute.proto.sse import SSEReader
from omniroute.translate.collect import collect
from omniroute.translate.events import Usage
from omniroute.translate.formats import FORMATS
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


def test_a_vendors_house_in_china_charges_as_the_other_unless_it_is_priced_itself() -> None:
    home = Provider("v", "va", "V", "openai-chat", "", models={"m": Model("m", price=FULL)})
    china = Provider("v-cn", "vc", "V", "openai-chat", "", models={"m": Model("m")})
    both = {"v": home, "v-cn": china}
    own, theirs = Price(1.0, 1.0), Price(3.0, 3.0)
    assert price_of(Snapshot(), china, "m") is None
    assert price_of(Snapshot(providers=both), china, "m") is FULL
    assert price_of(Snapshot(providers=both, prices={("v", "m"): theirs}), china, "m") is theirs
    assert price_of(Snapshot(providers=both, prices={("v", "m"): theirs, ("v-cn", "m"): own}), china, "vendor/m") is own


# What each recording says of itself, by hand: tokens at FULL's rates, per million.
BY_HAND = {
    "openai-hierarchical-process-5-f44ff810": ("openai-chat", 683 * 2.0 + 1408 * 0.5 + 634 * 8.0),  # cached inside
    "openai-streaming-detailed-usage-0-14ba3fe8": ("openai-chat", 12 * 2.0 + 100 * 10.0),  # nothing but thinking
    "openai-testopenainativetoolcalling-test-openai-para-0-aa44940e": ("openai-chat", 343 * 2.0 + 87 * 8.0 + 768 * 10.0),
    "deepseek-streaming-parallel-calls-keep-the-complete-o-0-d34ab233": ("openai-chat", 50 * 2.0 + 384 * 0.5 + 56 * 8.0),
    "openai-openai-responses-model-web-search-tool-strea-0-1b359872":
        ("openai-responses", 1143 * 2.0 + 8320 * 0.5 + 70 * 8.0 + 512 * 10.0),
    "openai-openai-responses-thinking-with-code-executio-0-9539fd46":
        ("openai-responses", 213 * 2.0 + 1280 * 0.5 + 61 * 8.0 + 64 * 10.0),
    # cached and newly cached beside the prompt, thinking within the answer
    "anthropic-anthropic-code-execution-files-cache-prefix-2-0f977596":
        ("anthropic", 4 * 2.0 + 14210 * 0.5 + 426 * 2.5 + 275 * 8.0 + 15 * 10.0),
    # cached within the prompt; thinking beside the answer
    "google-streaming-probe-2-d458c716": ("gemini", 873 * 2.0 + 3760 * 0.5 + 3 * 8.0),
    "google-streaming-reasoning-0-5d590e99": ("gemini", 11 * 2.0 + 703 * 8.0 + 713 * 10.0),
}  # fmt: skip


def usage_of(recording: dict[str, Any], wire: str) -> Usage | None:
    form, body = FORMATS[wire], recording["response"]["body"].encode()
    if not recording["stream"]:
        return collect(form.decode_answer(body)).usage
    reader, decoder = SSEReader(), form.stream_decoder()
    events = [event for name, data in (*reader.feed(body), *reader.finish()) for event in decoder.feed(name, data)]
    return collect([*events, *decoder.eof()]).usage


@needs_shared
def test_recorded_answers_cost_what_a_hand_calculation_says() -> None:
    folders = ("openai-chat", "openai-responses", "anthropic-messages", "gemini-stream")
    found = {recording["id"]: recording for recording in recordings(*folders) if recording["id"] in BY_HAND}
    assert found.keys() == BY_HAND.keys()
    for id, (wire, dollars) in BY_HAND.items():
        assert cost(usage_of(found[id], wire), FULL) == pytest.approx(dollars / 1e6), id
