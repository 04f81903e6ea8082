"""Prices: the catalogue's, the user's over them, and what no price may be."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin

from omniroute.gateway.cost import cost, price_of
from omniroute.media.codec import Units
from omniroute.translate.events import Usage

PATH = "/api/pricing"


def _cost(admin: Admin, provider: str, model: str) -> float | None:
    snapshot = admin.store.snapshot
    return cost(Usage(input=1_000_000, output=0), price_of(snapshot, snapshot.providers[provider], model))


def test_built_in_prices_are_there_under_the_aliases(admin: Admin) -> None:
    defaults = admin.send("GET", f"{PATH}/defaults").json
    assert defaults["openai"]["gpt-4o"]["input"] == 2.5
    assert "ds" in defaults
    assert admin.send("GET", PATH).json == defaults


@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
def test_a_price_counts_from_the_next_request_on(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH, {"openai": {"gpt-4o": {"input": 77}}})
    assert (answer.status, answer.json) == (200, {"openai": {"gpt-4o": {"input": 77}}})
    merged = admin.send("GET", PATH).json["openai"]["gpt-4o"]
    assert (merged["input"], merged["output"]) == (77, 10)
    assert _cost(admin, "openai", "gpt-4o") == 77
    assert admin.audit() == ["pricing.update"]


def test_what_is_not_counted_in_tokens_can_be_priced_too(admin: Admin) -> None:
    table = {"openai": {"dall-e-3": {"per_image": 0.04}, "tts-1": {"per_million_characters": 15}}}
    assert admin.send("PATCH", PATH, table).status == 200
    snapshot = admin.store.snapshot
    price = price_of(snapshot, snapshot.providers["openai"], "dall-e-3")
    assert cost(None, price, Units(images=2)) == pytest.approx(0.08)
    assert admin.send("GET", PATH).json["openai"]["whisper-1"]["per_second"] == 0.0001


def test_a_provider_may_be_named_by_alias_id_or_prefix(admin: Admin) -> None:
    node = admin.node("mine")
    table = {"ds": {"deepseek-chat": {"input": 5, "output": 1}}, "mine": {"m": {"input": 1, "output": 2}}}
    admin.send("PATCH", PATH, table)
    assert _cost(admin, "deepseek", "deepseek-chat") == 5
    assert _cost(admin, node, "m") == 1
    admin.send("PATCH", PATH, {"deepseek": {"other": {"input": 6, "output": 1}}})
    assert _cost(admin, "deepseek", "other") == 6


def test_prices_are_merged_field_by_field(admin: Admin) -> None:
    admin.send("PATCH", PATH, {"openai": {"x": {"input": 1}}})
    answer = admin.send("PATCH", PATH, {"openai": {"x": {"output": 2}, "y": {}}})
    assert answer.json == {"openai": {"x": {"input": 1, "output": 2}, "y": {}}}


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("?provider=openai&model=x", {"openai": {"y": {"input": 1}}, "ds": {"x": {"input": 1}}}),
        ("?provider=openai", {"ds": {"x": {"input": 1}}}),
        ("?model=x", {"openai": {"y": {"input": 1}}}),
        ("", {}),
    ],
)
def test_deleting_gives_the_built_in_prices_back(admin: Admin, query: str, left: dict[str, Any]) -> None:
    admin.send("PATCH", PATH, {"openai": {"x": {"input": 1}, "y": {"input": 1}}, "ds": {"x": {"input": 1}}})
    answer = admin.send("DELETE", PATH + query)
    assert answer.status == 200
    assert answer.json["openai"]["gpt-4o"]["input"] == 2.5
    assert admin.run(admin.store.pricing.user()) == left
    assert admin.audit() == ["pricing.update", "pricing.delete"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"p": 5}, "Invalid pricing for provider: p"),
        ({"": {}}, "Invalid pricing for provider: "),
        ({"p": {"m": []}}, "Invalid pricing for model: p/m"),
        ({"p": {"m": {"price": 1}}}, "Invalid pricing field: price for p/m"),
        ({"p": {"m": {"input": -1}}}, "Invalid pricing value for input in p/m: must be non-negative number"),
        ({"p": {"m": {"input": "1"}}}, "Invalid pricing value for input in p/m: must be non-negative number"),
        ({"p": {"m": {"input": True}}}, "Invalid pricing value for input in p/m: must be non-negative number"),
    ],
)
def test_what_is_no_price_is_refused_and_nothing_stored(admin: Admin, body: dict[str, Any], text: str) -> None:
    answer = admin.send("PATCH", PATH, {"openai": {"x": {"input": 1}}, **body})
    assert (answer.status, answer.json) == (400, {"error": text})
    assert admin.run(admin.store.pricing.user()) == {}


@pytest.mark.parametrize("raw", [b"{", b"[]", b"", b'{"p":{"m":{"input":1e999}}}'])
def test_what_is_no_table_is_refused(admin: Admin, raw: bytes) -> None:
    assert admin.send("PATCH", PATH, body=raw).status == 400


def test_what_can_be_priced(admin: Admin) -> None:
    admin.run(admin.store.custom_models.add("deepseek", "new"))
    entry = admin.send("GET", f"{PATH}/models").json["ds"]
    assert {name: entry[name] for name in ("id", "alias", "name", "authType")} == {
        "id": "deepseek", "alias": "ds", "name": "DeepSeek", "authType": "apikey",
    }  # fmt: skip
    assert entry["format"] == "openai-chat"
    assert entry["modelCount"] == len(entry["models"])
    assert {"id": "new", "name": "new", "custom": True} in entry["models"]
