from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import (
    Ask,
    Block,
    CacheHint,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.translate.openai_chat_history import read_messages


def read(*messages: dict[str, Any]) -> Ask:
    ask = Ask()
    read_messages(ask, msgspec.Raw(msgspec.json.encode(messages)))
    return ask


def part(**fields: Any) -> Block:
    return read({"role": "user", "content": [fields]}).turns[0].blocks[0]


def test_leading_system_texts_are_the_system_prompt_and_later_ones_stay_in_place() -> None:
    ask = read(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c", "name": "ada"},
        {"role": "system", "content": "d"},
    )
    assert ask.system == [Text("a"), Text("b")]
    assert ask.turns == [Turn("user", [Text("c")], "ada"), Turn("system", [Text("d")])]


@pytest.mark.parametrize(
    ("fields", "block"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, Text("a", CacheHint("1h"))),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("a", CacheHint())),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": None}, Text("a")),
        (
            {"type": "input_audio", "input_audio": {"data": "AA"}, "cache_control": {"type": "ephemeral"}},
            Media("audio", data="AA", cache=CacheHint()),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://e.com/i", "detail": "low"}},
            Media("image", url="https://e.com/i", detail="low"),
        ),
        ({"type": "image_url", "image_url": "data:image/png;base64,AA"}, Media("image", "image/png", "AA")),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}, Media("audio", "audio/mp3", "AA")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a"}},
            Media("document", "application/pdf", "AA", name="a"),
        ),
        ({"type": "file", "file": {"file_data": "AA"}}, Media("document", data="AA")),
        ({"type": "file", "file": {"file_id": "f-1"}}, Media("document", file_id="f-1")),
        ({"type": "video_url", "video_url": {"url": "https://e.com/v"}}, Media("video", url="https://e.com/v")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, Thinking("hm")),
    ],
)
def test_each_kind_of_part_is_read(fields: dict[str, Any], block: Block) -> None:
    assert part(**fields) == block


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "input_audio", "input_audio": "AA"},
        {"x": 1},
        {"type": "file", "file": {}},
    ],
)
def test_parts_that_are_not_understood_travel_as_they_are(fields: dict[str, Any]) -> None:
    block = part(**fields)
    assert isinstance(block, Opaque)
    assert (block.wire, msgspec.json.decode(block.raw)) == ("openai-chat", fields)


@pytest.mark.parametrize(
    ("url", "media"),
    [
        ("https://e.com/a.pdf", Media("document", url="https://e.com/a.pdf", name="a")),
        ("data:application/pdf;base64,AA", Media("document", "application/pdf", "AA", name="a")),
    ],
)
def test_mistrals_documents(url: str, media: Media) -> None:
    fields = {"type": "document_url", "document_url": url, "document_name": "a"}
    media.raw = msgspec.json.encode(fields)
    assert part(**fields) == media


def test_an_assistant_turn_with_everything() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}}
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "hm",
        "refusal": "no",
        "tool_calls": [call, custom],
        "audio": {"id": "s"},
    }
    assert read(message).turns[0].blocks == [
        Thinking("hm"),
        Text("a"),
        Refusal("no"),
        Opaque("openai-chat", "audio", b'{"id":"s"}'),
        ToolCall("1", "f"),
        ToolCall("2", "g", "x", "custom"),
    ]


def test_reasoning_details_keep_their_signatures() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}, {"type": "reasoning.encrypted", "data": "x"}]
    assert read({"role": "assistant", "content": None, "reasoning": "hm", "reasoning_details": details}).turns[0].blocks == [
        Thinking("hm", "s", wire="openai-chat"),
        Thinking("", "x", redacted=True, wire="openai-chat"),
    ]


def test_results_in_a_row_are_one_turn() -> None:
    ask = read(
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "b"}]},
    )
    assert ask.turns == [Turn("tool", [ToolResult("1", [Text("a")]), ToolResult("2", [Text("b")])])]


def test_legacy_function_calls_find_their_results() -> None:
    ask = read(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "a"},
    )
    (call,), (result,) = ask.turns[0].blocks, ask.turns[1].blocks
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.id != ""


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": 5}, "messages.0.content"),
        ({"role": "robot", "content": "a"}, "messages.0.role"),
        ({"content": "a"}, "messages.0.role"),
        ({"role": "user", "content": [5]}, "messages.0.content.0"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages.0.content.0.text"),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, "messages.0.content.0.text"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]},
            "messages.0.content.0.image_url.url",
        ),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages.0.tool_calls.0.function"),
        (
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": 5}}]},
            "messages.0.tool_calls.0.function.name",
        ),
    ],
)
def test_a_wrong_type_of_a_known_thing_names_the_field(message: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        read(message)
    assert (caught.value.kind, caught.value.status, caught.value.param) == ("invalid_request", 400, param)
