"""Gemini requests, written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Sampling, Text, Tool, ToolChoice, Turn
from omniroute.translate.format import Rendered, Target
from omniroute.translate.gemini_render import encode_request
from omniroute.translate.gemini_request import decode_request

ABLE = frozenset({"json_schema", "reasoning", "tools"})
FLASH, PRO = Target("gemini-2.5-flash", abilities=ABLE), Target("gemini-2.5-pro", abilities=ABLE)
THREE, THREE_PRO = Target("gemini-3-flash-preview", abilities=ABLE), Target("gemini-3-pro-preview", abilities=ABLE)
PLAIN = Target("some-model")
SCHEMA = (
    b'{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}},"additionalProperties":false}'
)
LOOK, WAIT = Tool("look", "Looks.", SCHEMA), Tool("crm/wait", schema=b'{"type":"object","properties":{}}')


def ask(**said: Any) -> Ask:
    return Ask(turns=[Turn("user", [Text("hello")])], wire="other", **said)


def render(asked: Ask, target: Target = FLASH) -> tuple[dict[str, Any], Rendered]:
    done = encode_request(asked, target)
    return json.loads(done.body), done


def test_the_least_request() -> None:
    assert render(ask())[0] == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def test_system_text_comes_from_both_places() -> None:
    asked = ask(system=[Text("a")])
    asked.turns.insert(0, Turn("system", [Text("b")]))
    assert render(asked)[0]["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_schemas_go_as_they_came_where_the_model_takes_them() -> None:
    [tool] = render(ask(tools=[LOOK]))[0]["tools"]
    assert tool["functionDeclarations"][0]["parametersJsonSchema"] == json.loads(SCHEMA)
    body, done = render(ask(tools=[LOOK, WAIT]), PLAIN)
    first, second = body["tools"][0]["functionDeclarations"]
    assert first["parameters"] == {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    assert "parameters" not in second
    assert done.dropped == ("tool_schema",)
    types.Tool.model_validate(body["tools"][0])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", ("look",)), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
        (ToolChoice("allowed", ("look",), required=True), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
        (ToolChoice("allowed", ("look",)), {"mode": "AUTO"}),
    ],
)
def test_each_tool_choice_has_its_mode(choice: ToolChoice, expected: dict[str, Any]) -> None:
    body, _ = render(ask(tools=[LOOK, WAIT], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": expected}
    only = choice.mode == "allowed" and not choice.required
    assert len(body["tools"][0]["functionDeclarations"]) == (1 if only else 2)


@pytest.mark.parametrize(
    ("target", "said", "expected"),
    [
        (FLASH, Reasoning(effort="high"), {"thinkingBudget": 24576, "includeThoughts": True}),
        (FLASH, Reasoning(enabled=True, budget=2000, show="omitted"), {"thinkingBudget": 2000, "includeThoughts": False}),
        (FLASH, Reasoning(enabled=True, adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
        (FLASH, Reasoning(enabled=False), {"thinkingBudget": 0}),
        (PRO, Reasoning(effort="none"), {"thinkingBudget": 128}),
        (THREE, Reasoning(effort="minimal"), {"thinkingLevel": "minimal", "includeThoughts": True}),
        (THREE_PRO, Reasoning(effort="minimal"), {"thinkingLevel": "low", "includeThoughts": True}),
        (THREE, Reasoning(effort="max"), {"thinkingLevel": "high", "includeThoughts": True}),
        (THREE, Reasoning(enabled=True, budget=4000), {"thinkingLevel": "medium", "includeThoughts": True}),
        (THREE, Reasoning(enabled=True), {"includeThoughts": True}),
        (THREE, Reasoning(enabled=False), {"thinkingLevel": "minimal"}),
    ],
)
def test_thinking_is_set_in_the_way_of_each_generation(target: Target, said: Reasoning, expected: dict[str, Any]) -> None:
    config = render(ask(reasoning=said), target)[0]["generationConfig"]["thinkingConfig"]
    assert config == expected
    types.ThinkingConfig.model_validate(config)


def test_structured_output() -> None:
    wish = ResponseFormat("schema", SCHEMA, name="answer")
    config = render(ask(response_format=wish))[0]["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": json.loads(SCHEMA)}
    reduced = render(ask(response_format=wish), PLAIN)[0]["generationConfig"]["responseSchema"]
    assert reduced == {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    assert render(ask(response_format=ResponseFormat("json")))[0]["generationConfig"] == {
        "responseMimeType": "application/json"
    }


def test_older_models_take_no_tools_with_json() -> None:
    wish = ResponseFormat("schema", SCHEMA)
    body, done = render(ask(response_format=wish, tools=[LOOK]))
    assert "generationConfig" not in body
    assert "JSON Schema" in body["systemInstruction"]["parts"][0]["text"]
    assert done.dropped == ("response_format",)
    assert "responseJsonSchema" in render(ask(response_format=wish, tools=[LOOK]), THREE)[0]["generationConfig"]


def test_an_own_request_keeps_what_only_the_wire_knows() -> None:
    given = {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "tools": [{"functionDeclarations": [{"name": "a", "behavior": "BLOCKING"}]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}},
        "generationConfig": {"temperature": 0.5, "speechConfig": {"a": 1}, "thinkingConfig": {"thinkingBudget": -1}},
        "safetySettings": [{"category": "X", "threshold": "Y"}],
        "cachedContent": "cachedContents/1",
    }
    body, done = render(decode_request(json.dumps(given).encode()))
    assert body == given
    assert done.dropped == ()


def test_how_many_logprobs_is_only_said_with_the_wish_for_them() -> None:
    assert "generationConfig" not in render(ask(sampling=Sampling(top_logprobs=3)))[0]
    wished = render(ask(sampling=Sampling(top_logprobs=3, logprobs=True)))[0]
    assert wished["generationConfig"] == {"responseLogprobs": True, "logprobs": 3}


def test_a_long_seed_is_shortened_to_32_bits() -> None:
    asked = ask()
    asked.sampling.seed = 2**63
    assert 0 <= render(asked)[0]["generationConfig"]["seed"] < 2**31
