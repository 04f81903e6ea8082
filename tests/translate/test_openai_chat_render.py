from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Sampling, Text, Tool, ToolCall, ToolChoice, Turn
from omniroute.translate.format import Rendered, Target
from omniroute.translate.openai_chat_render import encode_request
from omniroute.translate.openai_chat_request import decode_request

F = Tool("f", schema=b'{"type":"object"}')
G = Tool("g", "d", strict=True)


def write(*, quirks: str = "", wire: str = "other", **fields: Any) -> Rendered:
    ask = Ask(turns=[Turn("user", [Text("a")])], wire=wire, **fields)
    return encode_request(ask, Target("target", quirks=frozenset(quirks.split())))


def body(**options: Any) -> dict[str, Any]:
    """What is sent, without model and messages."""
    sent = msgspec.json.decode(write(**options).body)
    assert sent.pop("model") == "target"
    assert sent.pop("messages")
    return sent


def test_nothing_said_nothing_sent() -> None:
    assert body() == {}


def test_the_name_of_the_limit_is_a_quirk() -> None:
    assert body(max_tokens=5) == {"max_tokens": 5}
    assert body(max_tokens=5, quirks="max_completion_tokens") == {"max_completion_tokens": 5}


def test_streams_always_ask_for_usage_but_where_that_is_refused() -> None:
    assert body(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}
    assert body(stream=True, quirks="no_stream_options") == {"stream": True}


def test_the_seed_and_the_user_are_quirks() -> None:
    seed = Sampling(seed=7)
    assert body(sampling=seed, user="u") == {"seed": 7, "user": "u"}
    assert body(sampling=seed, user="u", quirks="no_user random_seed") == {"random_seed": 7}
    assert "user" in write(user="u", quirks="no_user").dropped
    assert body(sampling=seed, user="u", quirks="no_user random_seed", wire="openai-chat") == {"seed": 7, "user": "u"}


def test_tools() -> None:
    assert body(tools=[F, G], tool_choice=ToolChoice("required"), parallel_tools=False, wire="openai-responses") == {
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
            {
                "type": "function",
                "function": {
                    "name": "g",
                    "description": "d",
                    "parameters": {"type": "object", "properties": {}},
                    "strict": True,
                },
            },
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize("closed", [True, False])
def test_other_vendors_strict_functions_are_strict_if_that_is_possible(closed: bool) -> None:
    schema = b'{"type":"object","properties":{},"additionalProperties":false}' if closed else b'{"type":"object"}'
    written = write(tools=[Tool("f", schema=schema, strict=True)], wire="anthropic")
    assert msgspec.json.decode(written.body)["tools"][0]["function"]["strict"] is closed
    assert written.dropped == (() if closed else ("strict_tools",))


def test_a_choice_without_tools_is_left_out() -> None:
    assert body(tool_choice=ToolChoice("auto"), parallel_tools=True) == {}


def test_allowed_tools_natively_or_by_sending_only_those() -> None:
    choice = ToolChoice("allowed", ("g",), required=True)
    native = body(tools=[F, G], tool_choice=choice, quirks="allowed_tools")
    assert native["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
    }
    emulated = body(tools=[F, G], tool_choice=choice)
    assert [tool["function"]["name"] for tool in emulated["tools"]] == ["g"]
    assert emulated["tool_choice"] == "required"


def test_names_outside_the_grammar_are_renamed_everywhere_and_reversibly() -> None:
    turns = [Turn("user", [Text("a")]), Turn("assistant", [ToolCall("1", "crm.look")])]
    tool = Tool("crm.look", schema=b"{}")
    ask = Ask(
        turns=turns, tools=[tool, Tool("x" * 80, schema=b"{}")], tool_choice=ToolChoice("tool", ("crm.look",)), wire="other"
    )
    rendered = encode_request(ask, Target("m"))
    sent = msgspec.json.decode(rendered.body)
    name = sent["tools"][0]["function"]["name"]
    assert rendered.names[name] == "crm.look"
    assert sent["tool_choice"]["function"]["name"] == sent["messages"][1]["tool_calls"][0]["function"]["name"] == name
    assert all(len(sent_name) <= 64 and sent_name.replace("_", "").isalnum() for sent_name in rendered.names)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object", "title": "T"}, {"type": "object", "title": "T", "properties": {}}),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": "string"}, {"type": "string"}),
        (True, True),
        ([], []),
    ],
)
def test_parameters_of_another_client_have_properties(given: object, written: object) -> None:
    tool = Tool("f", schema=None if given is None else msgspec.json.encode(given))
    assert body(tools=[tool], wire="anthropic")["tools"][0]["function"]["parameters"] == written
    if given is not None:
        assert body(tools=[tool], wire="openai-chat")["tools"][0]["function"]["parameters"] == given


def test_custom_and_server_tools() -> None:
    custom = Tool("p", kind="custom", grammar=b'{"type":"text"}')
    server = Tool("search", kind="server", wire="openai-chat", raw=b'{"type":"search"}')
    assert body(tools=[custom, server], wire="openai-chat")["tools"] == [
        {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
        {"type": "search"},
    ]
    (tool,) = body(tools=[custom])["tools"]
    assert tool["function"]["parameters"]["required"] == ["input"]


@pytest.mark.parametrize(
    ("said", "effort"),
    [
        (Reasoning(effort="low"), "low"),
        (Reasoning(effort="max"), "xhigh"),
        (Reasoning(enabled=True, budget=1024), "low"),
        (Reasoning(enabled=True, budget=10240), "medium"),
        (Reasoning(enabled=True, budget=31999), "high"),
        (Reasoning(enabled=True), "medium"),
        (Reasoning(enabled=True, adaptive=True), None),
        (Reasoning(enabled=False), None),
        (Reasoning(enabled=False, budget=5000), None),
        (Reasoning(adaptive=True, effort="medium"), "medium"),
    ],
)
def test_reasoning_is_an_effort(said: Reasoning, effort: str | None) -> None:
    assert body(reasoning=said).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("said", "dull", "stubborn"),
    [
        (Reasoning(enabled=True), True, False),
        (Reasoning(effort="high"), True, True),
        (Reasoning(enabled=True, budget=5000), True, True),
        (Reasoning(enabled=True, adaptive=True, effort="high"), True, True),
        (Reasoning(enabled=True, adaptive=True), False, False),
        (Reasoning(enabled=False), False, True),
        (Reasoning(effort="none"), False, True),
    ],
)
def test_no_effort_is_named_to_models_that_do_not_think_or_take_none(said: Reasoning, dull: bool, stubborn: bool) -> None:
    """Both would refuse the request.  *dull*, *stubborn*: whether the wish is lost."""
    ask = Ask(turns=[Turn("user", [Text("hi")])], reasoning=said, wire="other")
    for target, lost in (
        (Target("m", abilities=frozenset({"tools"})), dull),
        (Target("m", quirks=frozenset({"no_effort"}), abilities=frozenset({"reasoning"})), stubborn),
    ):
        done = encode_request(ask, target)
        assert b"reasoning_effort" not in done.body
        assert done.dropped == (("reasoning",) if lost else ())
    own = Ask(turns=ask.turns, reasoning=Reasoning(effort="high"), wire="openai-chat")
    assert b'"reasoning_effort":"high"' in encode_request(own, Target("m", abilities=frozenset({"tools"}))).body


def test_a_dialect_of_this_wire_is_kept_instead() -> None:
    extra = {"thinking": b'{"type":"enabled"}'}
    assert body(reasoning=Reasoning(enabled=True, budget=9), extra=extra, wire="openai-chat") == {
        "thinking": {"type": "enabled"}
    }
    assert write(extra=extra).dropped == ("extra.thinking",)


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "default"},
        {"reasoning": {"effort": "low"}},
        {"reasoning_effort": "max"},
        {"reasoning_effort": "none"},
    ],
)
def test_what_was_said_of_thinking_is_said_again_on_this_wire(fields: dict[str, Any]) -> None:
    asked = {"model": "target", "messages": [{"role": "user", "content": "a"}], **fields}
    done = encode_request(decode_request(msgspec.json.encode(asked)), Target("target"))
    assert msgspec.json.decode(done.body) == asked
    assert done.dropped == ()


def test_sampling_that_the_model_refuses_is_left_out() -> None:
    said = Sampling(temperature=0.5, top_p=0.9, top_k=3, seed=1, logit_bias=b'{"1":1}')
    assert body(sampling=said) == {"temperature": 0.5, "top_p": 0.9, "seed": 1, "logit_bias": {"1": 1}}
    assert body(sampling=said, quirks="top_k")["top_k"] == 3
    refused = write(sampling=said, quirks="no_sampling")
    assert {"temperature", "top_p", "top_k"} == set(refused.dropped)


def test_sampling_that_the_model_refuses_while_it_reasons() -> None:
    said, quirks = Sampling(temperature=0.5, top_p=0.9), "sampling_unless_reasoning"
    assert body(sampling=said, quirks=quirks, reasoning=Reasoning(enabled=False)) == {"temperature": 0.5, "top_p": 0.9}
    refused = write(sampling=said, quirks=quirks, reasoning=Reasoning(budget=2000))
    assert refused.dropped == ("reasoning_budget", "temperature", "top_p")
    assert {"temperature", "top_p"}.isdisjoint(msgspec.json.decode(refused.body))
    assert body(wire="openai-chat", sampling=said, quirks=quirks, reasoning=Reasoning(effort="low"))["top_p"] == 0.9


def test_how_many_logprobs_is_only_said_with_the_wish_for_them() -> None:
    assert "top_logprobs" not in body(sampling=Sampling(top_logprobs=3))
    assert body(sampling=Sampling(top_logprobs=3, logprobs=True))["top_logprobs"] == 3
    assert body(wire="openai-chat", sampling=Sampling(top_logprobs=3))["top_logprobs"] == 3


def test_four_stop_sequences_at_most() -> None:
    assert body(stop=list("abcde"))["stop"] == list("abcd")
    assert body(stop=list("abcde"), wire="openai-chat")["stop"] == list("abcde")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ResponseFormat("json"), {"type": "json_object"}),
        (ResponseFormat("text"), {"type": "text"}),
        (
            ResponseFormat("schema", b'{"a": 1}', "n", "d", strict=True),
            {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"a": 1}, "strict": True}},
        ),
        (ResponseFormat("schema", b"{}"), {"type": "json_schema", "json_schema": {"name": "response", "schema": {}}}),
    ],
)
def test_response_formats(shape: ResponseFormat, expected: dict[str, Any]) -> None:
    assert body(response_format=shape) == {"response_format": expected}


def test_members_that_belong_to_a_vendor() -> None:
    assert body(user="u", service_tier="auto", verbosity="low", modalities=["text"]) == {
        "user": "u",
        "service_tier": "auto",
        "verbosity": "low",
        "modalities": ["text"],
    }
    assert len(body(user="u" * 100)["user"]) == 64
    assert set(write(metadata=b"{}", service_tier="standard_only", wire="anthropic").dropped) == {"metadata", "service_tier"}
    assert body(metadata=b'{"a":"b"}', wire="openai-chat") == {"metadata": {"a": "b"}}
