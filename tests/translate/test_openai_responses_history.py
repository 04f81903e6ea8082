from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from omniroute.translate.conversation import Ask, CacheHint, Media, Opaque, Text, Thinking, ToolCall, ToolResult, Turn
from omniroute.translate.openai_responses_request import decode_request

PNG = "data:image/png;base64,iVBORw0KGgo="


def read(*items: Any, **members: Any) -> Ask:
    return decode_request(msgspec.json.encode({"model": "m", "input": list(items), **members}))


def test_what_the_assistant_did_in_a_row_is_one_turn() -> None:
    ask = read(
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "x"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_image", "image_url": PNG}]},
    )
    assert ask.turns[1] == Turn(
        "assistant",
        [
            Thinking("hm", "gA", wire="openai-responses", id="rs_1"),
            Text("Two."),
            ToolCall("c1", "look", "{}", item_id="fc_1"),
            ToolCall("c2", "patch", "x", "custom", item_id="ctc_1"),
        ],
    )
    image = Media("image", "image/png", data="iVBORw0KGgo=")
    assert ask.turns[2] == Turn("tool", [ToolResult("c1", [Text("one")]), ToolResult("c2", [image], kind="custom")])


def test_thinking_is_its_full_text_or_its_summary() -> None:
    summary, text = [{"type": "summary_text", "text": "short"}], [{"type": "reasoning_text", "text": "long"}]
    ask = read(
        {"type": "reasoning", "summary": summary, "content": text},
        {"type": "reasoning", "summary": summary, "content": None},
    )
    assert [block.text for block in ask.turns[0].blocks if isinstance(block, Thinking)] == ["long", "short"]


def test_developer_messages_lead_as_the_system_prompt_and_stay_in_place_later() -> None:
    ask = read(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "Be brief."},
        instructions="Be you.",
    )
    assert ask.system == [Text("Be you."), Text("Be kind.")]
    assert ask.turns[1] == Turn("system", [Text("Be brief.")])


def test_items_and_parts_of_unknown_kinds_travel_as_they_are() -> None:
    ask = read(
        {"type": "web_search_call", "id": "ws_1"}, {"role": "user", "content": [{"type": "input_mood", "mood": "good"}]}
    )
    assert ask.turns[0].blocks == [Opaque("openai-responses", "web_search_call", b'{"type":"web_search_call","id":"ws_1"}')]
    assert ask.turns[1].blocks == [Opaque("openai-responses", "input_mood", b'{"type":"input_mood","mood":"good"}')]


def test_files_come_as_data_link_or_id() -> None:
    ask = read(
        {
            "role": "user",
            "content": [
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                {"type": "input_file", "file_data": "JVBE"},
                {"type": "input_file", "file_url": "https://a.test/a.pdf", "detail": "low"},
                {"type": "input_file", "file_id": "file-1"},
                {"type": "input_image", "file_id": "file-2", "detail": "low"},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            ],
        }
    )
    assert ask.turns[0].blocks == [
        Media("document", "application/pdf", data="JVBE", name="a.pdf"),
        Media("document", data="JVBE"),
        Media("document", url="https://a.test/a.pdf", detail="low"),
        Media("document", file_id="file-1"),
        Media("image", file_id="file-2", detail="low"),
        Media("audio", "audio/wav", data="UklG"),
    ]


def test_the_end_of_a_prefix_to_cache_is_marked_on_its_last_part() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    picture = {"type": "input_image", "image_url": "https://a.test/a.png"}
    ask = read({"role": "user", "content": [{"type": "input_text", "text": "a"} | mark, picture | mark, picture]})
    image = Media("image", url="https://a.test/a.png")
    assert ask.turns[0].blocks == [Text("a", CacheHint()), replace(image, cache=CacheHint()), image]


def test_thousands_of_declarations_in_a_conversation_do_not_take_long() -> None:
    tool = {"type": "function", "name": "f"}
    items = [{"type": "additional_tools", "tools": [tool | {"name": f"f{n}"}]} for n in range(3000)]
    tools = read(*items, *items[:1]).tools
    assert [tool.kind for tool in tools] == ["function"] * 3000 + ["server"]


def test_tools_declared_in_the_conversation_are_tools_with_a_place() -> None:
    declared = {"type": "function", "name": "late", "parameters": {"type": "object"}}
    ask = read({"role": "user", "content": "hi"}, {"type": "additional_tools", "role": "developer", "tools": [declared]})
    assert [(tool.name, tool.placed) for tool in ask.tools] == [("late", 1)]


def test_a_tool_that_was_found_by_search_has_no_namespace_of_its_own() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "rate", "namespace": "rate", "arguments": "{}"}
    grouped = {"type": "namespace", "name": "rate", "tools": [{"type": "function", "name": "rate"}]}
    assert read(call).turns[0].blocks == [ToolCall("c1", "rate", "{}")]
    assert read(call, tools=[grouped]).turns[0].blocks == [ToolCall("c1", "rate", "{}", namespace="rate")]
