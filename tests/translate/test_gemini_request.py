"""Gemini requests, read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, ToolChoice
from omniroute.translate.format import Target
from omniroute.translate.gemini_render import encode_request
from omniroute.translate.gemini_request import decode_request

CONTENTS = [{"role": "user", "parts": [{"text": "hello"}]}]


def read(**more: Any) -> Ask:
    return decode_request(json.dumps({"contents": CONTENTS, **more}).encode())


def config(**more: Any) -> Ask:
    return read(generationConfig=more)


def test_model_and_mode_are_left_to_the_path() -> None:
    ask = read()
    assert (ask.model, ask.stream, ask.wire) == ("", False, "gemini")
    assert read(model="models/gemini-x").model == "gemini-x"


def test_settings() -> None:
    ask = config(
        temperature=0.5, topP=0.9, topK=40.0, maxOutputTokens=64, stopSequences=["END"], candidateCount=2, seed=7,
        presencePenalty=0.1, frequencyPenalty=0.2, responseLogprobs=True, logprobs=3, responseModalities=["TEXT", "IMAGE"],
    )  # fmt: skip
    said = ask.sampling
    assert (said.temperature, said.top_p, said.top_k, said.seed, said.n) == (0.5, 0.9, 40, 7, 2)
    assert (said.presence_penalty, said.frequency_penalty, said.logprobs, said.top_logprobs) == (0.1, 0.2, True, 3)
    assert (ask.max_tokens, ask.stop, ask.modalities) == (64, ["END"], ["text", "image"])
    assert read(generationConfig={"responseModalities": [1, 3]}).modalities == ["text", "audio"]
    assert ask.extra == {}


def test_what_only_this_wire_knows_travels() -> None:
    ask = read(
        safetySettings=[], cachedContent="cachedContents/1", labels={"a": "b"}, generationConfig={"speechConfig": {"x": 1}}
    )
    assert sorted(ask.extra) == ["cachedContent", "generationConfig", "labels", "safetySettings"]
    assert json.loads(ask.extra["generationConfig"]) == {"speechConfig": {"x": 1}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"thinkingBudget": 512, "includeThoughts": True}, Reasoning(enabled=True, budget=512, show="auto")),
        ({"thinkingBudget": 0}, Reasoning(enabled=False, budget=0)),
        ({"thinkingBudget": -1}, Reasoning(enabled=True, adaptive=True)),
        ({"thinking_level": "HIGH", "include_thoughts": False}, Reasoning(enabled=True, effort="high", show="omitted")),
        ({"includeThoughts": True}, Reasoning(enabled=True, show="auto")),
        ({"includeThoughts": False}, None),
    ],
)
def test_thinking(given: dict[str, Any], expected: Reasoning | None) -> None:
    ask = config(thinkingConfig=given)
    assert ask.reasoning == expected
    assert ("generationConfig" in ask.extra) is (expected is None)


def test_structured_output() -> None:
    subset = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
    ask = config(responseMimeType="application/json", responseSchema=subset)
    assert ask.response_format is not None
    assert ask.response_format.schema is not None
    assert json.loads(ask.response_format.schema) == {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    schema = {"type": "object", "additionalProperties": False}
    standard = config(responseMimeType="application/json", responseJsonSchema=schema).response_format
    assert standard == ResponseFormat("schema", json.dumps(schema).encode())
    assert config(responseMimeType="application/json").response_format == ResponseFormat("json")
    assert config(responseMimeType="text/plain").response_format is None


def test_tools() -> None:
    declared = [
        {"name": "a", "description": "A.", "parameters": {"type": "OBJECT", "properties": {"x": {"type": "INTEGER"}}}},
        {"name": "b", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"},
    ]
    ask = read(tools=[{"functionDeclarations": declared, "googleSearch": {}}, {"code_execution": {}}])
    first, second, search, code = ask.tools
    assert (first.name, first.description, first.kind) == ("a", "A.", "function")
    assert json.loads(first.schema or b"") == {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert (second.schema, second.raw) == (b'{"type": "object"}', b'{"behavior":"BLOCKING"}')
    assert (search.kind, search.raw) == ("server", b'{"googleSearch":{}}')
    assert code.raw == b'{"codeExecution":{}}'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "any"}, ToolChoice("required")),
        ({"mode": 1}, ToolChoice("auto")),
        ({"mode": 2}, ToolChoice("required")),
        ({"mode": 3}, ToolChoice("none")),
        ({"mode": 0}, None),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY", "allowedFunctionNames": ["a"]}, ToolChoice("tool", ("a",))),
        ({"mode": "ANY", "allowed_function_names": ["a", "b"]}, ToolChoice("allowed", ("a", "b"), required=True)),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("allowed", ("a",))),
        ({}, None),
    ],
)
def test_each_tool_choice_is_read(given: dict[str, Any], expected: ToolChoice | None) -> None:
    ask = read(toolConfig={"functionCallingConfig": given})
    assert ask.tool_choice == expected
    assert ("toolConfig" in ask.extra) is (given.get("mode") == "VALIDATED")


@pytest.mark.parametrize("depth", [50, 400, 5000])
def test_a_deep_schema_is_read_or_refused(depth: int) -> None:
    schema = b'{"type":"OBJECT","properties":{"a":' * depth + b"{}" + b"}}" * depth
    tool = b'{"functionDeclarations":[{"name":"a","parameters":' + schema + b"}]}"
    body = b'{"contents":[{"parts":[{"text":"a"}]}],"tools":[' + tool + b"]}"
    with contextlib.suppress(OmniError):
        encode_request(decode_request(body), Target("m"))


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"contents": None}, "contents"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": "x"}}},
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools.0.functionDeclarations.0.name"),
        (
            {"tools": [{"functionDeclarations": [{"name": "a", "parameters": 3}]}]},
            "tools.0.functionDeclarations.0.parameters",
        ),
        ({"toolConfig": {"functionCallingConfig": {"mode": [3]}}}, "toolConfig.functionCallingConfig.mode"),
    ],
)
def test_mistakes_name_their_field(more: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        read(**more)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)
