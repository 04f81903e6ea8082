from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.translate.anthropic_request import decode_request
from omniroute.translate.conversation import (
    Ask,
    Block,
    CacheHint,
    Media,
    Opaque,
    Reasoning,
    ResponseFormat,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

HOUR = {"type": "ephemeral", "ttl": "1h"}


def ask(**members: Any) -> Ask:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
    return decode_request(json.dumps(body | members).encode())


def block(**members: Any) -> Block:
    (turn,) = ask(messages=[{"role": "user", "content": [members]}]).turns
    (found,) = turn.blocks
    return found


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ({"type": "tool_reference", "tool_name": "look"}, "Tool found: look"),
        (
            {"type": "search_result", "source": "https://e.com", "title": "T", "content": [{"type": "text", "text": "a"}]},
            "T\nhttps://e.com\na",
        ),
        ({"type": "compaction", "content": "They met."}, "They met."),
        ({"type": "search_result", "source": 1}, ""),
        ({"type": "container_upload", "file_id": "f"}, ""),
    ],
)
def test_the_text_for_other_wires_of_blocks_that_they_do_not_have(member: dict[str, Any], text: str) -> None:
    assert block(**member) == Opaque("anthropic", member["type"], json.dumps(member).encode(), text)


def test_the_smallest_request() -> None:
    assert ask() == Ask(model="m", turns=[Turn("user", [Text("hello")])], max_tokens=9, wire="anthropic")


@pytest.mark.parametrize("system", ["be brief", [{"type": "text", "text": "be brief"}]])
def test_the_system_prompt_as_a_string_and_as_blocks(system: object) -> None:
    assert ask(system=system).system == [Text("be brief")]


def test_a_system_message_in_mid_conversation_keeps_its_place() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": "b"},
    ]
    assert [turn.role for turn in ask(messages=messages).turns] == ["user", "system", "assistant"]


def test_cache_hints_on_every_kind_of_bearer() -> None:
    content = [
        {"type": "text", "text": "a", "cache_control": HOUR},
        {"type": "image", "source": {"type": "url", "url": "https://a.test/i.png"}, "cache_control": {"type": "ephemeral"}},
    ]
    found = ask(
        system=content[:1],
        messages=[{"role": "user", "content": content}],
        tools=[{"name": "look", "input_schema": {}, "cache_control": HOUR}],
    )
    hints = [*found.system, *found.turns[0].blocks, *found.tools]
    assert [bearer.cache for bearer in hints] == [CacheHint("1h"), CacheHint("1h"), CacheHint(None), CacheHint("1h")]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aa"}},
            Media("image", "image/png", data="aa"),
        ),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Media("image", file_id="file_1")),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a.test/d"}},
            Media("document", url="https://a.test/d"),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                "title": "facts",
                "context": "a note",
                "citations": {"enabled": True},
            },
            Media("document", "text/plain", text="words", name="facts", context="a note", citations=True),
        ),
        ({"type": "document", "source": {"type": "content", "content": "words"}}, Media("document", blocks=[Text("words")])),
        ({"type": "thinking", "thinking": "hm", "signature": "proof"}, Thinking("hm", "proof", wire="anthropic")),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking("hm")),
        ({"type": "redacted_thinking", "data": "sealed"}, Thinking("", "sealed", redacted=True, wire="anthropic")),
        ({"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}, ToolCall("t", "look", '{"at": 1}')),
        ({"type": "tool_use", "id": "t", "name": "look", "input": None}, ToolCall("t", "look", "{}")),
        ({"type": "tool_use", "id": "t", "name": "look"}, ToolCall("t", "look", "{}")),
    ],
)
def test_each_kind_of_block_is_read(members: dict[str, Any], expected: Block) -> None:
    assert block(**members) == expected


@pytest.mark.parametrize(
    ("members", "label"),
    [
        ({"type": "mcp_tool_use", "id": 7}, "mcp_tool_use"),
        ({"type": "search_result", "source": "https://a.test", "content": []}, "search_result"),
        ({"type": "image", "source": {"type": "hologram"}}, "image:hologram"),
    ],
)
def test_unknown_blocks_travel_as_they_are(members: dict[str, Any], label: str) -> None:
    found = block(**members)
    assert isinstance(found, Opaque)
    assert (found.wire, found.label, json.loads(found.raw)) == ("anthropic", label, members)


def test_tool_results_come_before_what_else_the_user_says() -> None:
    content = [
        {"type": "text", "text": "and now?"},
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "is_error": True,
            "content": [{"type": "image", "source": {"type": "url", "url": "https://a.test/i.png"}}],
        },
        {"type": "tool_result", "tool_use_id": "c"},
    ]
    assert ask(messages=[{"role": "user", "content": content}]).turns == [
        Turn(
            "tool",
            [
                ToolResult("a", [Text("1")]),
                ToolResult("b", [Media("image", url="https://a.test/i.png")], is_error=True),
                ToolResult("c"),
            ],
        ),
        Turn("user", [Text("and now?")]),
    ]


def test_citations_of_earlier_answers_are_kept() -> None:
    citation = {"type": "char_location", "cited_text": "words", "document_title": "facts"}
    found = block(type="text", text="so", citations=[citation])
    assert isinstance(found, Text)
    assert [(c.text, c.title, json.loads(c.raw or b"")) for c in found.citations] == [("words", "facts", citation)]


def test_tools_are_read_and_the_vendors_own_are_kept() -> None:
    schema = {"type": "object", "properties": {}}
    found = ask(
        tools=[
            {"name": "look", "description": "Looks.", "input_schema": schema, "strict": True, "defer_loading": True},
            {"type": "custom", "name": "see"},
            {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
        ]
    ).tools
    assert [(t.name, t.kind, t.description, t.strict, t.deferred) for t in found] == [
        ("look", "function", "Looks.", True, True),
        ("see", "function", None, None, False),
        ("web_search", "server", None, None, False),
    ]
    assert json.loads(found[0].schema or b"") == schema
    assert json.loads(found[2].raw or b"")["max_uses"] == 3


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "look", "disable_parallel_tool_use": False}, ToolChoice("tool", ("look",)), True),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_each_tool_choice_is_read(choice: dict[str, Any], expected: ToolChoice, parallel: bool | None) -> None:
    found = ask(tool_choice=choice)
    assert (found.tool_choice, found.parallel_tools) == (expected, parallel)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, Reasoning(enabled=True, budget=4000)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(enabled=True, effort="max", adaptive=True, show="omitted"),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_reasoning(members: dict[str, Any], expected: Reasoning) -> None:
    assert ask(**members).reasoning == expected


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_structured_output_in_both_its_places(place: str) -> None:
    shape = {"type": "json_schema", "schema": {"type": "object"}}
    found = ask(**{place: {"format": shape} if place == "output_config" else shape})
    assert found.response_format == ResponseFormat("schema", b'{"type": "object"}')
    assert found.extra == {}


def test_the_rest_of_the_settings() -> None:
    found = ask(
        stream=True,
        temperature=1,
        top_p=0.5,
        top_k=4,
        stop_sequences=["END"],
        service_tier="auto",
        metadata={"user_id": "u1"},
    )
    assert found.sampling == Sampling(temperature=1, top_p=0.5, top_k=4)
    assert (found.stream, found.stop, found.service_tier, found.user, found.metadata) == (True, ["END"], "auto", "u1", None)


def test_members_without_a_neutral_meaning_travel_as_they_are() -> None:
    found = ask(
        container="c1",
        mcp_servers=[],
        context_management={"edits": []},
        thinking={"type": "between_tools"},
        tool_choice={"type": "new"},
        output_config={"effort": "low", "task_budget": 5},
    )
    assert {name: json.loads(raw) for name, raw in found.extra.items()} == {
        "container": "c1",
        "mcp_servers": [],
        "context_management": {"edits": []},
        "thinking": {"type": "between_tools"},
        "tool_choice": {"type": "new"},
        "output_config": {"task_budget": 5},
    }


def test_null_is_not_said() -> None:
    found = ask(temperature=None, system=None, tools=None, thinking=None, metadata=None, stream=None)
    assert found == ask()


def said(content: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": 7}, "model"),
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": ["hello"]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role"),
        (said(7), "messages.1.content"),
        (said([7]), "messages.1.content.0"),
        (said([{"text": "a"}]), "messages.1.content.0.type"),
        (said([{"type": "text", "text": 7}]), "messages.1.content.0.text"),
        (said([{"type": "text"}]), "messages.1.content.0.text"),
        (said([{"type": "text", "text": "a"}, {"type": "image", "source": 7}]), "messages.1.content.1.source"),
        (said([{"type": "image", "source": {"type": "base64"}}]), "messages.1.content.0.source.data"),
        (
            said([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}]),
            "messages.1.content.0.content.0.text",
        ),
        ({"system": 7}, "system"),
        ({"tools": [{"name": 7}]}, "tools.0.name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 7}}, "output_config.effort"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        ask(**members)
    assert (caught.value.kind, caught.value.status, caught.value.param) == ("invalid_request", 400, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', b"nan"])
def test_a_broken_body_is_the_clients_mistake(body: bytes) -> None:
    with pytest.raises(OmniError) as caught:
        decode_request(body)
    assert caught.value.kind == "invalid_request"


@pytest.mark.parametrize("depth", [20, 400, 20_000])
def test_deep_nesting_is_the_clients_mistake(depth: int) -> None:
    content = b'[{"type":"tool_result","tool_use_id":"t","content":' * depth + b'"x"' + b"}]" * depth
    with pytest.raises(OmniError, match="nested too deeply"):
        decode_request(b'{"model":"m","messages":[{"role":"user","content":' + content + b"}]}")
