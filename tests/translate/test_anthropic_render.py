"""Settings of a request, and what the API's own rules make of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.anthropic_render import encode_request
from omniroute.translate.anthropic_request import decode_request
from omniroute.translate.conversation import (
    Ask,
    Block,
    CacheHint,
    Opaque,
    Reasoning,
    ResponseFormat,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from omniroute.translate.format import Target

PLAIN = Target("the-model")
ADAPTIVE = Target("the-model", 64_000, quirks=frozenset({"adaptive_thinking"}))
STRUCTURED = Target("the-model", abilities=frozenset({"json_schema"}))
CLOSED = b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}'
OPEN = b'{"type":"object","properties":{"a":{"type":"string"}}}'
LOOK = Tool("look", "Looks.", OPEN)


def asking(**members: Any) -> Ask:
    return Ask(**{"turns": [Turn("user", [Text("hello")])], "wire": "openai-chat", **members})


def body(target: Target = PLAIN, **members: Any) -> Any:
    return json.loads(encode_request(asking(**members), target).body)


def dropped(target: Target = PLAIN, **members: Any) -> tuple[str, ...]:
    return encode_request(asking(**members), target).dropped


def test_the_smallest_request() -> None:
    rendered = encode_request(asking(), PLAIN)
    assert json.loads(rendered.body) == {
        "model": "the-model",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }
    assert (rendered.dropped, rendered.names) == ((), {})


def test_a_request_with_everything_survives_its_own_wire() -> None:
    sent = {
        "model": "the-model",
        "stream": True,
        "max_tokens": 5000,
        "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [
            {"name": "look", "input_schema": {"type": "object"}, "input_examples": [{}], "defer_loading": True},
            {"type": "web_search_20260318", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "stop_sequences": ["END"],
        "service_tier": "auto",
        "metadata": {"user_id": "u1", "more": 1},
        "output_config": {"task_budget": 5, "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "container": "c1",
    }
    rendered = encode_request(decode_request(json.dumps(sent).encode()), PLAIN)
    assert json.loads(rendered.body) == sent
    assert rendered.dropped == ()


# -- limits


@pytest.mark.parametrize(
    ("asked", "most", "expected"),
    [(None, 0, 4096), (None, 8192, 8192), (100, 8192, 100), (9000, 8192, 8192), (9000, 0, 9000), (0, 0, 0)],
)
def test_max_tokens_is_always_sent(asked: int | None, most: int, expected: int) -> None:
    assert body(Target("m", most), max_tokens=asked)["max_tokens"] == expected


# -- thinking


@pytest.mark.parametrize(
    ("wish", "asked", "most", "budget", "max_tokens"),
    [
        (Reasoning(effort="low"), None, 64_000, 1024, 64_000),
        (Reasoning(effort="medium"), None, 64_000, 10_240, 64_000),
        (Reasoning(effort="high"), None, 64_000, 51_200, 64_000),
        (Reasoning(effort="high"), None, 0, 25_600, 32_000),
        (Reasoning(effort="high"), 10_000, 64_000, 8_000, 10_000),
        (Reasoning(effort="medium"), 500, 64_000, 1024, 1524),
        (Reasoning(enabled=True), 20_000, 0, 10_240, 20_000),
        (Reasoning(budget=2000), 5000, 0, 2000, 5000),
        (Reasoning(budget=31_999), 32_000, 32_000, 31_999, 32_000),
        (Reasoning(budget=2000), 1000, 0, 2000, 3000),
        (Reasoning(budget=2000), None, 0, 2000, 6096),
        (Reasoning(budget=100_000), 1000, 64_000, 51_200, 64_000),
        (Reasoning(budget=12), 5000, 0, 1024, 5000),
    ],
)
def test_budgets_stay_below_max_tokens(wish: Reasoning, asked: int | None, most: int, budget: int, max_tokens: int) -> None:
    found = body(Target("m", most), reasoning=wish, max_tokens=asked)
    assert (found["thinking"], found["max_tokens"]) == ({"type": "enabled", "budget_tokens": budget}, max_tokens)


@pytest.mark.parametrize(
    ("wish", "thinking", "effort"),
    [
        (Reasoning(effort="high"), {"type": "adaptive"}, "high"),
        (Reasoning(effort="minimal"), {"type": "adaptive"}, "low"),
        (Reasoning(enabled=True, adaptive=True, show="omitted"), {"type": "adaptive", "display": "omitted"}, None),
        (Reasoning(enabled=True, budget=1024), {"type": "adaptive"}, "low"),
        (Reasoning(enabled=True, budget=50_000), {"type": "adaptive"}, "high"),
        (Reasoning(effort="low", show="detailed"), {"type": "adaptive", "display": "summarized"}, "low"),
        (Reasoning(effort="none"), {"type": "disabled"}, None),
    ],
)
def test_models_that_choose_their_own_budget_get_an_effort(
    wish: Reasoning, thinking: dict[str, Any], effort: str | None
) -> None:
    found = body(ADAPTIVE, reasoning=wish)
    assert (found["thinking"], found.get("output_config", {}).get("effort")) == (thinking, effort)


@pytest.mark.parametrize("wish", [Reasoning(effort="none"), Reasoning(enabled=False), Reasoning(show="omitted")])
def test_thinking_that_is_off_is_not_mentioned_to_models_that_may_not_know_it(wish: Reasoning) -> None:
    assert "thinking" not in body(reasoning=wish)


def test_an_effort_alone_does_not_switch_thinking_on_for_clients_of_this_wire() -> None:
    found = body(ADAPTIVE, reasoning=Reasoning(effort="low"), wire="anthropic")
    assert "thinking" not in found
    assert found["output_config"] == {"effort": "low"}


CALL = ToolCall("t", "look")
TOOL_TURN = [Turn("user", [Text("a")]), Turn("assistant", [CALL]), Turn("tool", [ToolResult("t")])]
SIGNED_TURN = [TOOL_TURN[0], Turn("assistant", [Thinking("hm", "proof", wire="anthropic"), CALL]), TOOL_TURN[2]]
BEGUN = [Turn("user", [Text("a")]), Turn("assistant", [Text("The answer is")])]
SEARCH = Opaque("anthropic", "server_tool_use", b'{"type":"server_tool_use","id":"s","name":"web_search","input":{}}')


@pytest.mark.parametrize(
    ("members", "target", "thinks"),
    [
        ({"turns": TOOL_TURN}, PLAIN, False),
        ({"turns": TOOL_TURN}, ADAPTIVE, True),
        ({"turns": SIGNED_TURN}, PLAIN, True),
        ({"turns": BEGUN}, PLAIN, False),
        ({"turns": BEGUN}, ADAPTIVE, False),
        ({"tools": [LOOK], "tool_choice": ToolChoice("required")}, PLAIN, False),
        ({"tools": [LOOK], "tool_choice": ToolChoice("tool", ("look",))}, ADAPTIVE, False),
        ({"tools": [LOOK], "tool_choice": ToolChoice("auto")}, PLAIN, True),
        ({}, Target("m", abilities=frozenset({"tools"})), False),
        ({}, Target("m", abilities=frozenset({"tools", "reasoning"})), True),
    ],
)
def test_thinking_is_left_out_where_the_api_would_refuse_it(members: dict[str, Any], target: Target, thinks: bool) -> None:
    found = body(target, reasoning=Reasoning(effort="low"), **members)
    assert ("thinking" in found) == thinks
    assert ("reasoning" in dropped(target, reasoning=Reasoning(effort="low"), **members)) != thinks


@pytest.mark.parametrize(
    ("blocks", "target", "thinks"),
    [
        ([Thinking("hm", "proof", wire="anthropic"), Text("I look."), SEARCH], PLAIN, True),
        ([SEARCH], PLAIN, False),
        ([SEARCH], ADAPTIVE, True),
        ([Thinking("hm", "proof", wire="anthropic"), SEARCH, Text("So")], PLAIN, False),
    ],
)
def test_a_turn_that_the_vendor_paused_is_continued_with_thinking(blocks: list[Block], target: Target, thinks: bool) -> None:
    turns = [Turn("user", [Text("a")]), Turn("assistant", blocks)]
    wish = Reasoning(enabled=True, budget=2000)
    assert ("thinking" in body(target, reasoning=wish, turns=turns, wire="anthropic")) == thinks
    assert ("reasoning" in dropped(target, reasoning=wish, turns=turns, wire="anthropic")) != thinks


def test_adaptive_thinking_beside_forced_tools_is_what_clients_of_this_wire_may_ask() -> None:
    members = {"tools": [LOOK], "tool_choice": ToolChoice("required"), "reasoning": Reasoning(enabled=True, adaptive=True)}
    assert body(ADAPTIVE, wire="anthropic", **members)["thinking"] == {"type": "adaptive"}
    assert "thinking" not in body(ADAPTIVE, **members)
    fixed = Reasoning(enabled=True, budget=2000)
    assert "thinking" not in body(PLAIN, wire="anthropic", **{**members, "reasoning": fixed})


# -- sampling


@pytest.mark.parametrize(
    ("said", "reasoning", "expected", "lost"),
    [
        ({"temperature": 0.3}, None, {"temperature": 0.3}, ()),
        ({"temperature": 1.8}, None, {"temperature": 1.0}, ("temperature",)),
        ({"temperature": -1}, None, {"temperature": 0.0}, ("temperature",)),
        ({"temperature": 0.3}, "low", {}, ("reasoning_effort", "temperature")),
        ({"temperature": 1}, "low", {"temperature": 1.0}, ("reasoning_effort",)),
        ({"top_p": 0.9, "top_k": 5}, None, {"top_p": 0.9, "top_k": 5}, ()),
        ({"top_p": 0.5}, "low", {}, ("reasoning_effort", "top_p")),
        ({"top_p": 0.97}, "low", {"top_p": 0.97}, ("reasoning_effort",)),
        ({"top_k": 5}, "low", {}, ("reasoning_effort", "top_k")),
        ({"temperature": 0.3, "top_p": 0.9}, None, {"temperature": 0.3}, ("top_p",)),
        ({"n": 1, "logprobs": False, "seed": None}, None, {}, ()),
    ],
)
def test_sampling_that_the_api_refuses_is_left_out_and_named(
    said: dict[str, Any], reasoning: str | None, expected: dict[str, Any], lost: tuple[str, ...]
) -> None:
    wish = Reasoning(effort=reasoning) if reasoning else None
    found = body(sampling=Sampling(**said), reasoning=wish)
    assert {name: found[name] for name in ("temperature", "top_p", "top_k") if name in found} == expected
    assert dropped(sampling=Sampling(**said), reasoning=wish) == lost


# -- tools


def test_tools_are_written_with_a_schema_that_is_an_object() -> None:
    found = body(tools=[LOOK, Tool("bare"), Tool("untyped", schema=b'{"properties":{"a":{}}}')])
    assert found["tools"] == [
        {"name": "look", "description": "Looks.", "input_schema": json.loads(OPEN)},
        {"name": "bare", "input_schema": {"type": "object", "properties": {}}},
        {"name": "untyped", "input_schema": {"type": "object", "properties": {"a": {}}}},
    ]


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    (tool,) = body(tools=[Tool("patch", kind="custom", grammar=b"{}")])["tools"]
    assert tool["input_schema"]["required"] == ["input"]


@pytest.mark.parametrize(
    ("target", "schema", "strict"), [(STRUCTURED, CLOSED, True), (STRUCTURED, OPEN, False), (PLAIN, CLOSED, False)]
)
def test_strict_tools_need_a_fit_model_and_a_fit_schema(target: Target, schema: bytes, strict: bool) -> None:
    (tool,) = body(target, tools=[Tool("look", schema=schema, strict=True)])["tools"]
    assert tool.get("strict", False) == strict


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("tool", ("look",)), False, {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
        (ToolChoice("allowed", ("look",), required=True), None, {"type": "any"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
def test_each_tool_choice_has_its_type(
    choice: ToolChoice | None, parallel: bool | None, expected: dict[str, Any] | None
) -> None:
    assert body(tools=[LOOK], tool_choice=choice, parallel_tools=parallel).get("tool_choice") == expected


def test_a_tool_chosen_by_its_bare_name_is_named_as_it_is_sent() -> None:
    found = body(tools=[Tool("smell", namespace="dog")], tool_choice=ToolChoice("tool", ("smell",)))
    assert found["tool_choice"]["name"] == found["tools"][0]["name"] == "dog__smell"


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(tool_choice=ToolChoice("required"), parallel_tools=False)


def test_only_the_allowed_tools_are_sent() -> None:
    tools = [LOOK, Tool("hear"), Tool("smell", namespace="dog")]
    found = body(tools=tools, tool_choice=ToolChoice("allowed", ("look", "dog__smell")))
    assert [tool["name"] for tool in found["tools"]] == ["look", "dog__smell"]


def test_a_renamed_tool_is_chosen_by_its_new_name() -> None:
    rendered = encode_request(asking(tools=[Tool("files.read")], tool_choice=ToolChoice("tool", ("files.read",))), PLAIN)
    found = json.loads(rendered.body)
    assert found["tools"][0]["name"] == found["tool_choice"]["name"]
    assert rendered.names == {found["tools"][0]["name"]: "files.read"}


# -- structured output


def test_a_schema_is_native_where_model_and_schema_are_fit() -> None:
    found = body(STRUCTURED, response_format=ResponseFormat("schema", CLOSED, strict=True))
    assert found["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(CLOSED)}}
    assert "system" not in found


@pytest.mark.parametrize(
    ("target", "schema"),
    [
        (PLAIN, CLOSED),
        (STRUCTURED, OPEN),
        (STRUCTURED, CLOSED.replace(b'"string"', b'"string","minLength":1')),
        (STRUCTURED, b"true"),
    ],
)
def test_a_schema_is_an_instruction_elsewhere(target: Target, schema: bytes) -> None:
    found = body(target, system=[Text("be brief")], response_format=ResponseFormat("schema", schema))
    assert "output_config" not in found
    assert found["system"][0]["text"] == "be brief"
    assert found["system"][1]["text"].endswith("\n" + schema.decode())


def test_json_mode_is_an_instruction() -> None:
    assert "JSON object" in body(response_format=ResponseFormat("json"))["system"][0]["text"]


def test_plain_text_needs_nothing() -> None:
    assert "system" not in body(response_format=ResponseFormat("text"))


# -- the rest


def test_the_last_four_breakpoints_are_kept() -> None:
    hint = CacheHint("1h")
    found = body(
        tools=[Tool("look", cache=hint)],
        system=[Text("s", cache=hint)],
        turns=[
            Turn("user", [Text("a", cache=hint)]),
            Turn("assistant", [ToolCall("t", "look", cache=hint)]),
            Turn("tool", [ToolResult("t", [Text("1", cache=hint)], cache=hint)]),
        ],
    )
    assert json.dumps(found).count('"cache_control"') == 4
    assert "cache_control" not in json.dumps([found["tools"], found["system"]])


def test_other_wires_extras_are_named_and_left_out() -> None:
    rendered = encode_request(asking(extra={"prediction": b"{}", "store": b"true"}), PLAIN)
    assert b"prediction" not in rendered.body
    assert rendered.dropped == ("extra.prediction", "extra.store")


def test_the_users_id_is_metadata() -> None:
    assert body(user="u1")["metadata"] == {"user_id": "u1"}


@pytest.mark.parametrize(
    ("tier", "sent", "lost"), [("auto", "auto", ()), ("default", None, ()), ("flex", None, ("service_tier",))]
)
def test_only_the_vendors_own_service_tiers_are_sent(tier: str, sent: str | None, lost: tuple[str, ...]) -> None:
    assert (body(service_tier=tier).get("service_tier"), dropped(service_tier=tier)) == (sent, lost)


def test_equal_requests_are_equal_bytes() -> None:
    ask = asking(tools=[LOOK, Tool("files.read")], system=[Text("s")])
    assert encode_request(ask, PLAIN) == encode_request(ask, PLAIN)
