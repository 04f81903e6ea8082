from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Tool, ToolChoice
from omniroute.translate.openai_chat_request import decode_request


def read(**fields: Any) -> Ask:
    return decode_request(msgspec.json.encode({"model": "m", "messages": []} | fields))


def test_settings_find_their_places() -> None:
    ask = read(
        temperature=1,
        top_p=0.5,
        top_k=3,
        seed=2**60,
        n=2,
        stop="x",
        user="u",
        verbosity="low",
        logit_bias={"1": -1},
        service_tier="flex",
    )
    said = ask.sampling
    assert (said.temperature, said.top_p, said.top_k, said.seed, said.n, said.logit_bias) == (
        1.0,
        0.5,
        3,
        2**60,
        2,
        b'{"1":-1}',
    )
    assert (ask.model, ask.stream, ask.stop, ask.user, ask.verbosity, ask.service_tier) == (
        "m",
        False,
        ["x"],
        "u",
        "low",
        "flex",
    )
    assert (ask.wire, ask.extra) == ("openai-chat", {})


def test_null_is_not_said() -> None:
    ask = read(temperature=None, tools=None, stop=None, stream=None, response_format=None)
    assert ask == Ask(model="m", wire="openai-chat")


@pytest.mark.parametrize(
    ("fields", "limit"), [({"max_tokens": 5}, 5), ({"max_tokens": 5, "max_completion_tokens": 6}, 6), ({}, None)]
)
def test_the_newer_name_of_the_limit_wins(fields: dict[str, int], limit: int | None) -> None:
    assert read(**fields).max_tokens == limit


def test_unknown_members_travel_as_they_came() -> None:
    body = b'{"messages":[],"prediction": {"type":  "content"},"store":true}'
    assert decode_request(body).extra == {"prediction": b'{"type":  "content"}', "store": b"true"}


def test_the_usage_chunk_is_asked_for_in_stream_options() -> None:
    assert read(stream=True, stream_options={"include_usage": True}).include_usage
    assert not read(stream=True, stream_options={}).include_usage


def test_tools_of_each_kind() -> None:
    function = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
    }
    custom = {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}}
    server = {"type": "web_search", "size": 1}
    bare = {"function": {"name": "h"}}
    assert read(tools=[function, custom, server, bare]).tools == [
        Tool("f", "d", b'{"type":"object"}', strict=True),
        Tool("g", kind="custom", grammar=b'{"type":"text"}'),
        Tool("web_search", kind="server", wire="openai-chat", raw=msgspec.json.encode(server)),
        Tool("h"),
    ]
    assert read(functions=[{"name": "f", "parameters": {}}]).tools == [Tool("f", schema=b"{}")]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", ("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("tool", ("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ToolChoice("allowed", ("f",), required=True),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice("allowed", ("f",)),
        ),
        ("sometimes", None),
    ],
)
def test_tool_choices(choice: Any, expected: ToolChoice | None) -> None:
    ask = read(tool_choice=choice)
    assert ask.tool_choice == expected
    assert ("tool_choice" in ask.extra) == (expected is None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(enabled=False, effort="none")),
        ({"reasoning_effort": "high", "thinking": {"type": "enabled"}}, Reasoning(enabled=True, effort="high")),
        ({"reasoning": {"effort": "low"}}, Reasoning(effort="low")),
        ({"reasoning": {"max_tokens": 2000, "enabled": True}}, Reasoning(enabled=True, budget=2000)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning(enabled=True, budget=9)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"enable_thinking": True, "thinking_budget": 7}, Reasoning(enabled=True, budget=7)),
        ({"chat_template_kwargs": {"enable_thinking": False}}, Reasoning(enabled=False)),
        ({"chat_template_kwargs": {"x": 1}}, None),
        ({"reasoning": {}}, None),
        ({"reasoning": {"exclude": True}}, Reasoning(show="omitted")),
        ({"reasoning": {"max_tokens": 0}}, Reasoning(enabled=False, budget=0)),
        ({"thinking_budget": 0}, Reasoning(enabled=False, budget=0)),
    ],
)
def test_reasoning_in_every_dialect(fields: dict[str, Any], expected: Reasoning | None) -> None:
    ask = read(**fields)
    assert ask.reasoning == expected
    assert set(ask.extra) == set(fields) - {"reasoning_effort"}


def test_a_vendors_own_word_for_an_effort_means_nothing_elsewhere() -> None:
    ask = read(reasoning_effort="default")
    assert (ask.reasoning, ask.extra) == (None, {"reasoning_effort": b'"default"'})


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"type": "text"}, ResponseFormat("text")),
        ({"type": "json_object"}, ResponseFormat("json")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
            ResponseFormat("schema", b'{"a":1}', "n", strict=True),
        ),
        ({"type": "grammar", "value": "x"}, None),
    ],
)
def test_response_formats(shape: dict[str, Any], expected: ResponseFormat | None) -> None:
    ask = read(response_format=shape)
    assert ask.response_format == expected
    assert ("response_format" in ask.extra) == (expected is None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"model": 5}, "model"),
        ({"messages": "hello"}, "messages"),
        ({"messages": None}, "messages"),
        ({"stop": [1]}, "stop.0"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream_options": {"include_usage": 5}}, "stream_options.include_usage"),
        ({"metadata": "x"}, "metadata"),
        ({"max_tokens": 1.5}, "max_tokens"),
    ],
)
def test_a_wrong_type_of_a_known_member_names_it(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        read(**fields)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":[],"a":\xff}', b'{"messages":' + b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(OmniError):
        decode_request(body)
