from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.formats import RELAYS
from omniroute.translate.max_tokens import capped, wanted
from omniroute.translate.peek import Peek, peek


def look(wire: str, body: dict[str, Any]) -> Peek:
    return peek(json.dumps(body).encode(), RELAYS[wire].members)


@pytest.mark.parametrize(("wire", "body", "tokens"), [
    ("openai-chat", {"max_tokens": 7}, 7),
    ("openai-chat", {"max_tokens": 7, "max_completion_tokens": 9}, 9),
    ("openai-responses", {"max_output_tokens": 8}, 8),
    ("anthropic", {"max_tokens": 9}, 9),
    ("gemini", {"generationConfig": {"maxOutputTokens": 10}}, 10),
    ("gemini", {"generation_config": {"max_output_tokens": 11}}, 11),
    ("ollama", {"options": {"num_predict": 12}}, 12),
    ("ollama", {"options": {"num_predict": -1}}, None),
    ("ollama-generate", {"options": {"num_predict": 13}}, 13),
    ("openai-chat", {"max_tokens": None}, None),
    ("openai-chat", {}, None),
    ("gemini", {"generationConfig": {}}, None),
    ("gemini", {}, None),
])  # fmt: skip
def test_every_wires_limit_is_found(wire: str, body: dict[str, Any], tokens: int | None) -> None:
    assert wanted(wire, look(wire, body).members) == (tokens, 1)


def test_a_number_without_end_is_still_one_to_reckon_with() -> None:
    endless = 10**400
    most, copies = wanted("openai-chat", look("openai-chat", {"max_tokens": endless, "n": endless}).members)
    assert most is not None
    assert float(most * copies) > 1e30


def test_several_answers_are_counted() -> None:
    assert wanted("openai-chat", look("openai-chat", {"n": 3}).members) == (None, 3)
    assert wanted("gemini", look("gemini", {"generationConfig": {"candidateCount": 2}}).members) == (None, 2)


@pytest.mark.parametrize(("wire", "body", "after"), [
    ("openai-chat", {"max_tokens": 70}, {"max_tokens": 50}),
    ("openai-chat", {"max_tokens": 7, "max_completion_tokens": 90}, {"max_tokens": 7, "max_completion_tokens": 50}),
    ("openai-chat", {"model": "m"}, {"model": "m", "max_tokens": 50}),
    ("openai-chat", {"max_tokens": 50}, {"max_tokens": 50}),
    ("openai-responses", {"max_output_tokens": 80}, {"max_output_tokens": 50}),
    ("openai-responses", {}, {"max_output_tokens": 50}),
    ("anthropic", {"max_tokens": 90}, {"max_tokens": 50}),
    ("gemini", {"generationConfig": {"maxOutputTokens": 99, "topK": 3}},
     {"generationConfig": {"maxOutputTokens": 50, "topK": 3}}),
    ("gemini", {"generation_config": {"max_output_tokens": 99}}, {"generation_config": {"max_output_tokens": 50}}),
    ("gemini", {"contents": []}, {"contents": [], "generationConfig": {"maxOutputTokens": 50}}),
    ("ollama", {"options": {"num_predict": -1, "seed": 1}}, {"options": {"num_predict": 50, "seed": 1}}),
    ("ollama-generate", {"prompt": "x"}, {"prompt": "x", "options": {"num_predict": 50}}),
])  # fmt: skip
def test_a_limit_is_set_on_the_clients_own_wire(wire: str, body: dict[str, Any], after: dict[str, Any]) -> None:
    got = capped(wire, look(wire, body), 50)
    assert json.loads(got.raw) == after
    assert {name: json.loads(bytes(value)) for name, value in got.members.items()} == after


def test_a_lower_wish_is_left_as_it_came() -> None:
    for wire, body in (("openai-chat", {"max_tokens": 5}), ("gemini", {"generationConfig": {"maxOutputTokens": 5}})):
        found = look(wire, body)
        assert capped(wire, found, 50) is found


def test_models_that_know_only_the_newer_name_get_that() -> None:
    got = capped("openai-chat", look("openai-chat", {}), 50, modern=True)
    assert json.loads(got.raw) == {"max_completion_tokens": 50}


@pytest.mark.parametrize(("most", "thinking"), [
    (9000, {"type": "enabled", "budget_tokens": 8000}),
    (4000, {"type": "enabled", "budget_tokens": 2000}),
    (1500, {"type": "enabled", "budget_tokens": 1024}),
    (1024, {"type": "disabled"}),
])  # fmt: skip
def test_a_thinking_budget_stays_below_the_limit(most: int, thinking: dict[str, Any]) -> None:
    body = {"max_tokens": 10_000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    assert json.loads(capped("anthropic", look("anthropic", body), most).raw) == {"max_tokens": most, "thinking": thinking}
