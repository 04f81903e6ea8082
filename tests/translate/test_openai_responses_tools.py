from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from omniroute.translate.conversation import Tool, ToolChoice
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS
from omniroute.translate.names import Names, tools_by_name
from omniroute.translate.openai_responses_request import decode_request
from omniroute.translate.openai_responses_tools import read_choice, read_tools, write_tools

LARK = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
GROUP = {
    "type": "namespace",
    "name": "agents",
    "description": "Other agents.",
    "tools": [
        {"type": "function", "name": "spawn", "parameters": {"type": "object"}, "strict": False, "defer_loading": True},
        {"type": "custom", "name": "tell", "format": LARK},
    ],
}


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def test_a_group_is_flattened_and_put_together_again_on_its_own_wire() -> None:
    tools = read_tools(raw([GROUP]), "tools")
    assert [(t.name, t.namespace, t.kind, t.deferred) for t in tools] == [
        ("spawn", "agents", "function", True),
        ("tell", "agents", "custom", False),
    ]
    assert msgspec.json.decode(msgspec.json.encode(write_tools(tools, Names(64), own=True))) == [GROUP]


def test_for_another_client_strictness_is_said_since_this_wire_assumes_it() -> None:
    written = write_tools([Tool("look", schema=b'{"type":"object"}')], Names(64), own=False)
    parameters = Raw(b'{"type":"object","properties":{}}')
    assert written == [{"type": "function", "name": "look", "parameters": parameters, "strict": False}]


def test_a_grammar_has_the_nesting_of_the_wire_it_goes_to() -> None:
    body = {"model": "m", "input": "x", "tools": [{"type": "custom", "name": "patch", "format": LARK}]}
    ask = decode_request(msgspec.json.encode(body))
    target = Target("m", quirks=frozenset({"custom_tools"}))
    chat = msgspec.json.decode(FORMATS["openai-chat"].encode_request(ask, target).body)
    nested = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}}
    assert chat["tools"][0]["custom"]["format"] == nested
    back = FORMATS["openai-chat"].decode_request(msgspec.json.encode(chat))
    own = msgspec.json.decode(FORMATS["openai-responses"].encode_request(back, Target("m")).body)
    assert own["tools"][0]["format"] == LARK


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "look"}, ToolChoice("tool", ("look",))),
        ({"type": "function", "name": "spawn", "namespace": "agents"}, ToolChoice("tool", ("agents__spawn",))),
        ({"type": "function", "name": "wait", "namespace": "functions"}, ToolChoice("tool", ("wait",))),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "a"}, {"type": "mcp"}]},
            ToolChoice("allowed", ("a",), required=True),
        ),
        ({"type": "web_search"}, None),
    ],
)
def test_a_choice_names_tools_flat(given: Any, choice: ToolChoice | None) -> None:
    assert read_choice(raw(given)) == choice


@pytest.mark.parametrize("mode", ["tool", "allowed"])
@pytest.mark.parametrize("wire", ["openai-chat", "anthropic", "openai-responses"])
def test_the_choice_of_a_grouped_tool_survives_on_every_wire(wire: str, mode: str) -> None:
    named = {"type": "function", "name": "spawn", "namespace": "agents"}
    choice = named if mode == "tool" else {"type": "allowed_tools", "mode": "auto", "tools": [named]}
    body = {"model": "m", "input": "x", "tools": [GROUP], "tool_choice": choice}
    sent = FORMATS[wire].encode_request(decode_request(msgspec.json.encode(body)), Target("m", max_output=100)).body
    value = msgspec.json.decode(sent)
    names = msgspec.json.encode(value["tools"] if mode == "allowed" and wire != "openai-responses" else value["tool_choice"])
    assert (b'"spawn"' if wire == "openai-responses" else b'"agents__spawn"') in names
    assert b"tell" not in names


def test_a_tool_is_found_by_its_flat_or_its_bare_name() -> None:
    tools = read_tools(raw([GROUP, {"type": "function", "name": "tell"}]), "tools")
    found = [tools_by_name(tools).get(name) for name in ("agents__tell", "tell", "spawn", "nothing")]
    assert [(t.namespace, t.name) if t else None for t in found] == [
        ("agents", "tell"),
        (None, "tell"),
        ("agents", "spawn"),
        None,
    ]
