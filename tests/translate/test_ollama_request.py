"""Ollama requests, read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import (
    Ask,
    Media,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.translate.ollama_request import decode_generate, decode_request

HI = [{"role": "user", "content": "hi"}]


def ask(**members: Any) -> Ask:
    return decode_request(msgspec.json.encode({"model": "m", "messages": HI, **members}))


@pytest.mark.parametrize(("given", "stream"), [({}, True), ({"stream": None}, True), ({"stream": True}, True)])
def test_a_stream_is_what_happens_by_default(given: dict[str, Any], stream: bool) -> None:
    assert ask(**given).stream is stream
    assert ask(stream=False).stream is False


def test_messages_become_turns() -> None:
    found = ask(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look", "images": ["iVBOR", "data:image/jpeg;base64,/9j/"]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "1", "tool_name": "f"},
            {"role": "tool", "content": "2", "name": "g", "tool_call_id": "c2"},
            {"role": "system", "content": "Be long."},
        ]
    )
    assert found.system == [Text("Be brief.")]
    assert found.turns == [
        Turn("user", [Text("Look"), Media("image", data="iVBOR"), Media("image", mime="image/jpeg", data="/9j/")]),
        Turn("assistant", [Thinking("hm"), ToolCall("", "f", '{"a":1}')]),
        Turn("tool", [ToolResult("", [Text("1")], name="f"), ToolResult("c2", [Text("2")], name="g")]),
        Turn("system", [Text("Be long.")]),
    ]


def test_options_with_a_neutral_meaning_are_read_and_the_others_kept() -> None:
    found = ask(
        options={
            "temperature": 1,
            "top_k": 5.0,
            "seed": 7,
            "num_predict": 9,
            "stop": "END",
            "num_ctx": 4096,
            "mirostat": None,
        },
        keep_alive=0,
    )
    assert (found.sampling.temperature, found.sampling.top_k, found.sampling.seed) == (1.0, 5, 7)
    assert (found.max_tokens, found.stop) == (9, ["END"])
    assert found.extra == {"options.num_ctx": b"4096", "keep_alive": b"0"}


def test_a_negative_limit_is_none() -> None:
    found = ask(options={"num_predict": -1})
    assert (found.max_tokens, found.extra) == (None, {"options.num_predict": b"-1"})


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [
        (True, Reasoning(enabled=True)),
        (False, Reasoning(enabled=False)),
        ("low", Reasoning(enabled=True, effort="low")),
        ("none", Reasoning(enabled=False, effort="none")),
        ("", None),
        (None, None),
    ],
)
def test_think_is_a_switch_or_an_effort(think: object, reasoning: Reasoning | None) -> None:
    assert ask(think=think).reasoning == reasoning


def test_a_format_is_json_or_a_schema() -> None:
    assert ask(format="json").response_format == ResponseFormat("json")
    assert ask(format={"type": "object"}).response_format == ResponseFormat("schema", b'{"type":"object"}')
    assert ask(format="").response_format is None
    assert ask(format=None).response_format is None


def test_tools_of_another_kind_travel_as_they_are() -> None:
    web = {"type": "web_search"}
    found = ask(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}, web])
    assert found.tools[0] == Tool("f", schema=b"{}")
    assert (found.tools[1].kind, found.tools[1].raw) == ("server", b'{"type":"web_search"}')


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "robot"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}]},
         "messages.0.tool_calls.0.function.arguments"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": []}, "options"),
        ({"think": 3}, "think"),
        ({"format": "xml"}, "format"),
        ({"stream": "no"}, "stream"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
    ],
)  # fmt: skip
def test_a_member_of_a_wrong_type_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        ask(**members)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)


def generate(**members: Any) -> Ask:
    return decode_generate(msgspec.json.encode({"model": "m", **members}))


def test_generate_is_one_user_turn() -> None:
    found = generate(prompt="Why?", system="Be brief.", images=["iVBOR"], think=True, options={"num_ctx": 1}, stream=False)
    assert found.system == [Text("Be brief.")]
    assert found.turns == [Turn("user", [Text("Why?"), Media("image", data="iVBOR")])]
    assert (found.stream, found.wire, found.extra) == (False, "ollama-generate", {"options.num_ctx": b"1"})


def test_members_of_generate_without_a_neutral_meaning_are_kept_when_they_say_something() -> None:
    assert generate(prompt="a", raw=False, template="", context=[], suffix="").extra == {}
    assert generate(prompt="a", raw=True, context=[1]).extra == {"raw": b"true", "context": b"[1]"}


def test_filling_in_is_refused_clearly() -> None:
    with pytest.raises(OmniError, match="suffix") as caught:
        generate(prompt="def f(", suffix="return x")
    assert caught.value.param == "suffix"
