from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.gateway.cache_key import cacheable, signature, unmarked
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek

MESSAGES = [{"role": "user", "content": "Greet me"}]
BASE: dict[str, Any] = {"model": "m", "messages": MESSAGES, "temperature": 0}


def can(wire: str, body: dict[str, Any], *, implicit: bool = False) -> bool:
    return cacheable(wire, peek(json.dumps(body).encode(), RELAYS[wire].members), implicit=implicit)


def sign(body: dict[str, Any] | bytes, *parts: Any, fields: Any = ()) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = signature(peek(raw, RELAYS["openai-chat"].members), parts, [*fields])
    assert made is not None
    return made


@pytest.mark.parametrize("zero", ["0", "0.0", "-0", "0e5"])
def test_temperature_zero_is_cacheable_however_it_is_written(zero: str) -> None:
    raw = b'{"model":"m","messages":[],"temperature":%b}' % zero.encode()
    assert cacheable("openai-chat", peek(raw, RELAYS["openai-chat"].members), implicit=False)


@pytest.mark.parametrize("temperature", [0.1, 1, 1e-9])
def test_any_other_temperature_is_not(temperature: float) -> None:
    assert not can("openai-chat", BASE | {"temperature": temperature}, implicit=True)


@pytest.mark.parametrize("body", [{"messages": MESSAGES}, {"messages": MESSAGES, "temperature": None}])
def test_a_missing_temperature_is_zero_only_on_request(body: dict[str, Any]) -> None:
    assert not can("openai-chat", body)
    assert can("openai-chat", body, implicit=True)


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("openai-responses", {"input": "x", "temperature": 0}),
        ("anthropic", {"messages": MESSAGES, "temperature": 0}),
        ("gemini", {"contents": [], "generationConfig": {"temperature": 0}}),
        ("gemini", {"contents": [], "generation_config": {"temperature": 0}}),
        ("ollama", {"messages": MESSAGES, "options": {"temperature": 0}}),
        ("ollama-generate", {"prompt": "x", "options": {"temperature": 0}}),
    ],
)
def test_each_wire_has_its_temperature_in_its_own_place(wire: str, body: dict[str, Any]) -> None:
    assert can(wire, body)


@pytest.mark.parametrize("wire", ["gemini", "ollama"])
def test_a_temperature_in_another_wires_place_does_not_count(wire: str) -> None:
    assert not can(wire, {"contents": [], "messages": [], "temperature": 0})


@pytest.mark.parametrize("more", [{"conversation": "conv_1"}, {"n": 2}])
def test_calls_with_effects_or_several_choices_are_made_each_time(more: dict[str, Any]) -> None:
    assert not can("openai-responses", {"input": "x", "temperature": 0} | more)


@pytest.mark.parametrize(("copies", "cached"), [(1, True), (2, False)])
def test_gemini_asks_for_several_choices_by_another_name(copies: int, cached: bool) -> None:
    options = {"temperature": 0, "candidateCount": copies}
    assert can("gemini", {"contents": [], "generationConfig": options}) is cached


def test_the_order_and_the_spelling_of_members_do_not_count() -> None:
    raw = b'{ "temperature": 0, "messages":[{"content":"\\u0047reet me", "role":"user"}], "model":"m" }'
    assert sign(raw) == sign(BASE)
    assert sign(BASE | {"temperature": -0.0, "top_p": 1.0}) == sign(BASE | {"top_p": 1})


@pytest.mark.parametrize(
    "more",
    [
        {"user": "u1"},
        {"metadata": {"trace": "1"}},
        {"stream": False},
        {"stream_options": {"include_usage": True}},
        {"store": True},
    ],
)
def test_what_cannot_change_the_answer_does_not_count(more: dict[str, Any]) -> None:
    assert sign(BASE | more) == sign(BASE)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"max_tokens": 10},
        {"response_format": {"type": "json_object"}},
        {"system": "Be brief"},
        {"top_p": 0.5},
        {"seed": 1},
        {"model": "other"},
        {"messages": [*MESSAGES, {"role": "assistant", "content": "Hi"}]},
        {"unheard_of": 1},
    ],
)
def test_everything_else_counts(more: dict[str, Any]) -> None:
    assert sign(BASE | more) != sign(BASE)


def test_who_asks_whom_counts() -> None:
    assert len({sign(BASE, "k1", "p1"), sign(BASE, "k2", "p1"), sign(BASE, "k1", "p2"), sign(BASE, "k1p1")}) == 4


def test_header_fields_count_in_any_order() -> None:
    one, two = (b"anthropic-beta", b"a"), (b"anthropic-version", b"b")
    assert sign(BASE, fields=[one, two]) == sign(BASE, fields=[two, one])
    assert sign(BASE, fields=[one]) != sign(BASE)


def marked(*, on: int) -> dict[str, Any]:
    blocks = [{"type": "text", "text": str(n)} for n in range(3)]
    blocks[on]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}  # type: ignore[assignment]
    return {"temperature": 0, "system": blocks, "messages": [{"role": "user", "content": blocks}]}


def test_a_mark_of_the_prompt_cache_may_wander() -> None:
    assert sign(marked(on=0)) == sign(marked(on=2))


def test_what_is_only_called_like_a_mark_stays() -> None:
    schema = {"name": "t", "input_schema": {"properties": {"cache_control": {"type": "ephemeral"}}}}
    use = {"type": "tool_use", "input": {"cache_control": {"type": "ephemeral"}}}
    for value in (schema, use, {"cache_control": {"type": "string"}}):
        assert unmarked(value) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_two_requests_are_equal_exactly_when_their_json_is(one: Any, two: Any) -> None:
    equal = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (sign(BASE | {"extra": one}) == sign(BASE | {"extra": two})) == equal


def test_a_body_that_has_no_one_form_is_not_cached() -> None:
    raw = b'{"model":"m","messages":[],"temperature":0,"extra":' + b"[" * 5000 + b"]" * 5000 + b"}"
    try:
        found = peek(raw, RELAYS["openai-chat"].members)
    except Exception:  # noqa: BLE001 - refused even before
        return
    assert signature(found, (), []) is None
