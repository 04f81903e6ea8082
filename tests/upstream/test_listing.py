"""Shapes and pages of model lists; whole listings are in test_probe.py."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import needs_shared, recordings

from omniroute.errors import OmniError
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.endpoints import Endpoint
from omniroute.upstream.listing import first_page, items_of, next_page, static_models
from omniroute.upstream.providers import Model, Provider
from omniroute.upstream.verdict import read_reply

PROVIDERS = load_catalog().providers
PLACE = Endpoint("https", "h.example", 443, b"/v1/models")


@pytest.mark.parametrize(
    ("provider_id", "path"),
    [("openai", b"/v1/models"), ("anthropic", b"/v1/models?limit=1000"), ("gemini", b"/v1/models?pageSize=1000")],
)
def test_the_first_page_is_as_large_as_allowed(provider_id: str, path: bytes) -> None:
    assert first_page(PROVIDERS[provider_id], PLACE).path == path


def test_a_path_that_has_a_query_gets_a_longer_one() -> None:
    place = PLACE._replace(path=b"/v1/models?beta=1")
    assert first_page(PROVIDERS["anthropic"], place).path == b"/v1/models?beta=1&limit=1000"


@pytest.mark.parametrize(
    ("provider_id", "body", "path"),
    [
        ("anthropic", {"has_more": True, "last_id": "m&x"}, b"/v1/models?limit=1000&after_id=m%26x"),
        ("anthropic", {"has_more": False, "last_id": "m"}, None),
        ("anthropic", {"has_more": True, "last_id": None}, None),
        ("gemini", {"nextPageToken": "t"}, b"/v1/models?pageSize=1000&pageToken=t"),
        ("gemini", {"nextPageToken": ""}, None),
        ("gemini", [], None),
        ("openai", {"has_more": True, "last_id": "m"}, None),
    ],
)
def test_the_next_page_is_where_the_wire_says(provider_id: str, body: object, path: bytes | None) -> None:
    place = next_page(PROVIDERS[provider_id], PLACE, read_reply(200, orjson.dumps(body)))
    assert (place.path if place else None) == path


def test_static_models_look_like_an_openai_list() -> None:
    provider = Provider("p", "p", "P", "", "https://p.example", models={"m": Model("m", kind="audio")})
    assert static_models(provider) == [{"id": "m", "object": "model", "owned_by": "p", "name": "m", "type": "audio"}]


@needs_shared
def test_recorded_model_lists_are_read() -> None:
    counts = {}
    for recording in recordings("models"):
        answer = recording["response"]
        reply = read_reply(answer["status"], answer["body"].encode())
        if "deepgram" in recording["provider"]:  # its own shape; served from the catalogue instead
            continue
        try:
            counts[recording["provider"]] = len(items_of(reply))
        except OmniError as error:
            counts[recording["provider"]] = -error.status
    assert counts.pop("bedrock-mantle") > 20
    assert counts == {"deepseek": 2, "google": -400, "openai": -401}


@given(st.integers(200, 599), st.binary(max_size=200))
def test_any_answer_is_a_list_or_an_error(status: int, body: bytes) -> None:
    with suppress(OmniError):
        assert all(isinstance(item["id"], str) for item in items_of(read_reply(status, body)))
