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
from omniroute.translate.fidelity import Losses
from omniroute.translate.format import Target
from omniroute.translate.names import Names
from omniroute.translate.openai_chat_messages import Messages

IMAGE = Media("image", "image/png", data="AAAA")


def write(
    *turns: Turn, quirks: str = "", wire: str = "other", system: list[Block] | None = None
) -> tuple[list[Any], list[str]]:
    ask = Ask(turns=list(turns), wire=wire, system=system or [])
    lost = Losses()
    messages = Messages(ask, Target("m", quirks=frozenset(quirks.split())), Names(64), wire == "openai-chat", lost)
    return msgspec.json.decode(msgspec.json.encode(messages.render())), list(lost.names())


def content(*blocks: Block, **options: Any) -> Any:
    return write(Turn("user", list(blocks)), **options)[0][0]["content"]


def called(*results: ToolResult) -> list[Turn]:
    return [Turn("assistant", [ToolCall(r.id, "f") for r in results]), Turn("tool", list(results))]


def test_system_texts_become_one_message_and_mid_conversation_ones_stay() -> None:
    messages, lost = write(Turn("user", [Text("c")]), Turn("system", [Text("d")]), system=[Text("a"), Text("b")])
    assert messages == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "d"},
    ]
    assert lost == []
    assert write(system=[Text("a")], quirks="developer_role")[0][0]["role"] == "developer"


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([Text("a")], "a"),
        ([], ""),
        ([Text("a"), Text("b")], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ([IMAGE], [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]),
        (
            [Media("image", url="https://e.com", detail="low")],
            [{"type": "image_url", "image_url": {"url": "https://e.com", "detail": "low"}}],
        ),
        (
            [Media("audio", "audio/mpeg", data="AA")],
            [{"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}],
        ),
        (
            [Media("document", "application/pdf", data="AA", name="a.pdf")],
            [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}}],
        ),
        (
            [Media("document", text="body", name="title")],
            [{"type": "text", "text": "title"}, {"type": "text", "text": "body"}],
        ),
        ([Media("document", blocks=[Text("x")])], "x"),
        ([Refusal("no")], [{"type": "refusal", "refusal": "no"}]),
        ([Opaque("openai-chat", "odd", b'{"type":"odd"}')], [{"type": "odd"}]),
    ],
)
def test_each_kind_of_block_has_its_part(blocks: list[Block], expected: Any) -> None:
    assert content(*blocks) == expected


def test_a_part_of_this_wire_stays_as_it_came() -> None:
    document = Media("document", "application/pdf", data="AA", raw=b'{"type":"document_url"}')
    assert content(document, wire="openai-chat") == [{"type": "document_url"}]
    assert content(document)[0]["type"] == "file"


def test_cache_hints_go_only_to_those_who_take_them() -> None:
    hinted = Text("a", CacheHint("1h"))
    assert content(hinted, quirks="cache_control") == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    assert content(hinted) == "a"
    messages, _ = write(*called(ToolResult("1", [Text("r")], cache=CacheHint())), quirks="cache_control", system=[hinted])
    assert messages[0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert messages[2]["content"] == [{"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}]


def test_thinking_goes_back_only_to_those_who_want_it() -> None:
    turn = Turn("assistant", [Thinking("hm", "s", wire="x"), Thinking("", "z", redacted=True, wire="x"), Text("a")])
    messages, lost = write(turn)
    assert messages == [{"role": "assistant", "content": "a"}]
    assert set(lost) == {"thinking", "thinking_signature", "redacted_thinking"}
    assert write(turn, quirks="reasoning_content")[0][0]["reasoning_content"] == "hm"


def test_calls_and_results() -> None:
    turns = called(ToolResult("1", [Text("a"), Text("b")]), ToolResult("2", [Text("bad")], is_error=True))
    messages, lost = write(*turns)
    assert [call["id"] for call in messages[0]["tool_calls"]] == ["1", "2"]
    assert messages[0]["content"] is None
    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "1", "content": "a\nb"},
        {"role": "tool", "tool_call_id": "2", "content": "Error: bad"},
    ]
    assert lost == ["tool_error"]


def test_media_of_results_follow_in_the_next_user_message() -> None:
    turns = called(ToolResult("1", [Text("a"), IMAGE]), ToolResult("2", [IMAGE]))
    messages, lost = write(*turns, Turn("user", [Text("look")]), Turn("assistant", [Text("ok")]))
    assert [m["role"] for m in messages] == ["assistant", "tool", "tool", "user", "assistant"]
    assert [m["content"] for m in messages[1:3]] == ["a", "See the following user message."]
    assert [p.get("text", p["type"]) for p in messages[3]["content"]] == [
        *("From the result of the tool call 1:", "image_url", "From the result of the tool call 2:", "image_url", "look"),
    ]
    assert set(lost) == {"tool_result_media"}
    assert write(*turns)[0][-1]["role"] == "user"
    assert [m["role"] for m in write(*turns, *called(ToolResult("3")))[0]][3] == "user"


def test_custom_calls_are_functions_where_custom_tools_are_unknown() -> None:
    turn = Turn("assistant", [ToolCall("1", "f", "x = 1", kind="custom")])
    assert write(turn)[0][0]["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"input":"x = 1"}'}}
    ]
    assert write(turn, wire="openai-chat")[0][0]["tool_calls"] == [
        {"id": "1", "type": "custom", "custom": {"name": "f", "input": "x = 1"}}
    ]


def test_an_empty_answer_is_left_out_but_for_the_wires_own_clients() -> None:
    made = Turn("assistant", [Thinking("hm"), Opaque("other", "image_generation_call", b"{}")])
    user = Turn("user", [Text("a")])
    assert write(user, made, user)[0] == [{"role": "user", "content": "a"}] * 2
    assert write(made, quirks="reasoning_content")[0] == [{"role": "assistant", "content": "", "reasoning_content": "hm"}]
    assert write(Turn("assistant", []), wire="openai-chat")[0] == [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize(
    "media",
    [
        Media("video", data="AA"),
        Media("document", url="https://e.com"),
        Media("image", file_id="f"),
        Media("audio", url="https://e.com"),
    ],
)
def test_media_without_a_place_are_rejected_on_other_wires(media: Media) -> None:
    with pytest.raises(OmniError) as caught:
        content(media)
    assert caught.value.status == 400


def test_parts_of_this_wire_are_sent_back_unchanged() -> None:
    assert content(Media("video", url="https://e.com"), wire="openai-chat")[0]["type"] == "video_url"
    assert content(Media("document", file_id="f"), wire="openai-chat") == [{"type": "file", "file": {"file_id": "f"}}]
