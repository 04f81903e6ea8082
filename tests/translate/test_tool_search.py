"""A tool search that the client runs (Codex): a function to every other vendor, and what it finds can be called there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.collect import collect
from omniroute.translate.conversation import ToolResult
from omniroute.translate.events import Event, Finish, Start, ToolArguments, ToolStart
from omniroute.translate.format import Stamp, Target
from omniroute.translate.formats import FORMATS

RESPONSES = FORMATS["openai-responses"]
FOUND = {
    "type": "function",
    "name": "look",
    "description": "Looks",
    "defer_loading": True,
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}
REQUEST: dict[str, Any] = {
    "model": "m",
    "tools": [
        {
            "type": "tool_search",
            "execution": "client",
            "description": "Finds tools",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        }
    ],
    "input": [
        {"role": "user", "content": "Look at it"},
        {"type": "tool_search_call", "id": "tsc_1", "call_id": "c1", "status": "completed", "execution": "client",
         "arguments": {"query": "look"}},
        {"type": "tool_search_output", "call_id": "c1", "status": "completed", "execution": "client", "tools": [FOUND]},
        {"role": "user", "content": "Go on"},
    ],
}  # fmt: skip
CALL: list[Event] = [Start("r", "m"), ToolStart("c2", "tool_search"), ToolArguments('{"query": "more"}'), Finish("tool_use")]


def asked(wire: str) -> dict[str, Any]:
    ask = RESPONSES.decode_request(json.dumps(REQUEST).encode())
    body: dict[str, Any] = json.loads(FORMATS[wire].encode_request(ask, Target("m")).body)
    return body


def test_another_vendor_gets_the_search_as_a_function_and_what_it_found_as_tools() -> None:
    body = asked("openai-chat")
    functions = {tool["function"]["name"]: tool["function"] for tool in body["tools"]}
    assert functions["tool_search"]["parameters"]["required"] == ["query"]
    assert functions["look"]["description"] == "Looks"
    call = next(turn for turn in body["messages"] if turn.get("tool_calls"))["tool_calls"][0]
    assert (call["id"], call["function"]["name"]) == ("c1", "tool_search")
    assert json.loads(call["function"]["arguments"]) == {"query": "look"}
    result = next(turn for turn in body["messages"] if turn["role"] == "tool")
    assert result["tool_call_id"] == "c1"
    assert "look" in result["content"]


@pytest.mark.parametrize("wire", ["anthropic", "gemini", "ollama", "openai-chat"])
def test_every_wire_declares_both(wire: str) -> None:
    text = json.dumps(asked(wire)["tools"])
    assert "tool_search" in text
    assert '"look"' in text
    assert "defer_loading" not in text


def test_on_its_own_wire_nothing_changes() -> None:
    body = asked("openai-responses")
    assert body["tools"] == REQUEST["tools"]
    assert body["input"][1] == REQUEST["input"][1]
    assert body["input"][2] == REQUEST["input"][2]


def test_the_clients_call_is_a_search_again() -> None:
    ask = RESPONSES.decode_request(json.dumps(REQUEST).encode())
    stamp = Stamp(id="0" * 32, created=1, model="m", include_usage=True, names={}, ask=ask)
    answer = json.loads(RESPONSES.encode_answer(collect(CALL), stamp).body)
    (item,) = answer["output"]
    assert (item["type"], item["call_id"], item["execution"]) == ("tool_search_call", "c2", "client")
    assert item["arguments"] == {"query": "more"}
    encoder = RESPONSES.stream_encoder(stamp)
    text = (encoder.feed(CALL) + encoder.eof()).decode()
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [(one["type"], one["arguments"], one["status"]) for one in done] == [
        ("tool_search_call", {"query": "more"}, "completed")
    ]
    assert not [event for event in events if "arguments.delta" in event["type"]]


def test_a_search_by_the_vendor_stays_the_vendors() -> None:
    hosted = {**REQUEST, "tools": [{"type": "tool_search", "execution": "server"}]}
    hosted["input"] = [
        {"role": "user", "content": "x"},
        {"type": "tool_search_call", "execution": "server", "arguments": {}},
    ]
    ask = RESPONSES.decode_request(json.dumps(hosted).encode())
    assert ask.tools[0].kind == "server"
    assert not any(isinstance(block, ToolResult) for turn in ask.turns for block in turn.blocks)


def test_tools_found_by_the_vendor_are_declared_to_others_without_the_result() -> None:
    hosted = {**REQUEST, "tools": [{"type": "tool_search"}]}
    hosted["input"] = [
        {"role": "user", "content": "x"},
        {"type": "tool_search_call", "call_id": "c1", "execution": "server", "arguments": {}},
        {"type": "tool_search_output", "call_id": "c1", "execution": "server", "tools": [FOUND]},
        {"role": "user", "content": "y"},
    ]
    ask = RESPONSES.decode_request(json.dumps(hosted).encode())
    body = json.loads(FORMATS["openai-chat"].encode_request(ask, Target("m")).body)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look"]
    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == [("user", "x"), ("user", "y")]
    own = json.loads(RESPONSES.encode_request(ask, Target("m")).body)
    assert own["tools"] == hosted["tools"]
    assert own["input"][2] == hosted["input"][2]


@pytest.mark.parametrize("wire", ["anthropic", "gemini", "ollama", "openai-chat"])
def test_a_deferred_tool_that_is_added_later_is_declared_once_elsewhere(wire: str) -> None:
    loaded = {name: value for name, value in FOUND.items() if name != "defer_loading"}
    grouped = {"type": "namespace", "name": "maps", "description": "", "tools": [loaded]}
    added = {"type": "additional_tools", "role": "developer", "tools": [loaded, grouped]}
    sent = {"model": "m", "tools": [FOUND, grouped], "input": [{"role": "user", "content": "x"}, added]}
    ask = RESPONSES.decode_request(json.dumps(sent).encode())
    text = FORMATS[wire].encode_request(ask, Target("m")).body.decode()
    assert (text.count('"name":"look"'), text.count('"name":"maps__look"')) == (1, 1)
    own = json.loads(RESPONSES.encode_request(ask, Target("m")).body)
    assert own["tools"] == sent["tools"]
    assert own["input"][1] == added
