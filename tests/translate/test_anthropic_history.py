"""Histories as the API accepts them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.translate.anthropic_render import encode_request
from omniroute.translate.conversation import (
    Ask,
    Block,
    CacheHint,
    Citation,
    Media,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.translate.format import Target

MID_SYSTEM = Target("m", quirks=frozenset({"mid_system"}))


def user(*said: str | Block) -> Turn:
    return Turn("user", [Text(block) if isinstance(block, str) else block for block in said])


def assistant(*said: str | Block) -> Turn:
    return Turn("assistant", [Text(block) if isinstance(block, str) else block for block in said])


def results(*given: ToolResult) -> Turn:
    return Turn("tool", list(given))


def system(said: str) -> Turn:
    return Turn("system", [Text(said)])


def body(*turns: Turn, target: Target = MID_SYSTEM, wire: str = "openai-chat") -> Any:
    return json.loads(encode_request(Ask(turns=list(turns), wire=wire), target).body)


def messages(*turns: Turn, target: Target = MID_SYSTEM, wire: str = "openai-chat") -> list[tuple[str, Any]]:
    """(role, content), a content of one text shortened to the text."""
    found = []
    for message in body(*turns, target=target, wire=wire)["messages"]:
        content = message["content"]
        only = content[0] if isinstance(content, list) and len(content) == 1 else {}
        found.append((message["role"], only["text"] if only.keys() == {"type", "text"} else content))
    return found


def kinds(content: list[Any]) -> list[str]:
    return [block["type"] for block in content]


def block(said: Block, wire: str = "openai-chat") -> Any:
    ((_, content),) = messages(user("see", said), wire=wire)
    return content[1]


def dropped(*turns: Turn) -> tuple[str, ...]:
    return encode_request(Ask(turns=list(turns), wire="openai-chat"), MID_SYSTEM).dropped


def test_a_plain_conversation() -> None:
    assert messages(user("a"), assistant("b"), user("c")) == [("user", "a"), ("assistant", "b"), ("user", "c")]


def test_neighbours_of_one_role_become_one_message() -> None:
    found = messages(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [(role, len(content)) for role, content in found] == [("user", 2), ("assistant", 2), ("user", 1)]


def test_a_conversation_may_begin_with_an_answer() -> None:
    assert messages(assistant("b"), user("c")) == [("assistant", "b"), ("user", "c")]


@pytest.mark.parametrize("turns", [(), (system("s"),), (assistant(""),)])
def test_there_is_always_a_message_and_the_first_is_not_the_systems(turns: tuple[Turn, ...]) -> None:
    assert messages(*turns)[0][0] == "user"


def test_empty_texts_are_left_out_and_empty_messages_too() -> None:
    assert messages(user("a", "", " \n"), assistant(""), user("b"))[0] == (
        "user",
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    )


def test_results_and_the_users_words_are_one_message_with_the_results_first() -> None:
    call = ToolCall("t1", "look", '{"at": 1}')
    found = messages(user("a"), assistant("b", call), user("wait"), results(ToolResult("t1", [Text("1")])), user("now?"))
    assert [role for role, _ in found] == ["user", "assistant", "user"]
    assert found[1][1][1] == {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}
    assert kinds(found[2][1]) == ["tool_result", "text", "text"]


def test_results_with_images_and_errors() -> None:
    image = Media("image", "image/png", data="iVBOR")
    turn = results(ToolResult("t1", [Text("boom"), image], is_error=True, cache=CacheHint()))
    found = messages(user("a"), assistant(ToolCall("t1", "look")), turn)
    assert found[2][1] == [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [
                {"type": "text", "text": "boom"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
            ],
            "is_error": True,
            "cache_control": {"type": "ephemeral"},
        }
    ]


def test_a_call_without_result_gets_an_empty_one() -> None:
    found = messages(
        user("a"), assistant(ToolCall("t1", "look"), ToolCall("t2", "look")), results(ToolResult("t2", [Text("2")]))
    )
    assert [block["tool_use_id"] for block in found[2][1]] == ["t1", "t2"]
    assert dropped(user("a"), assistant(ToolCall("t1", "look"))) == ("orphan_tool_call",)


def test_a_result_without_call_becomes_the_users_words() -> None:
    ((role, content),) = messages(user("a"), results(ToolResult("t9", [Text("nine")])))
    assert role == "user"
    assert kinds(content) == ["text"] * 3
    assert content[2]["text"] == "nine"


def test_ids_that_the_wire_forbids_are_renamed_alike_in_call_and_result() -> None:
    turns = (user("a"), assistant(ToolCall("call.1/x", "look")), results(ToolResult("call.1/x", [Text("1")])))
    found = messages(*turns)
    sent = found[1][1][0]["id"]
    assert sent.replace("_", "").replace("-", "").isalnum()
    assert found[2][1][0]["tool_use_id"] == sent
    assert messages(*turns) == found


def test_an_id_that_comes_again_in_a_later_turn_is_made_unique() -> None:
    call, result = ToolCall("call_0", "look"), ToolResult("call_0", [Text("1")])
    found = messages(user("a"), assistant(call), results(result), assistant(call), results(result))
    calls = [found[1][1][0]["id"], found[3][1][0]["id"]]
    assert len(set(calls)) == 2
    assert [found[2][1][0]["tool_use_id"], found[4][1][0]["tool_use_id"]] == calls


def test_arguments_of_other_shapes_become_objects() -> None:
    calls = [ToolCall("a", "x", ""), ToolCall("b", "x", '{"cut'), ToolCall("c", "x", "free", kind="custom")]
    found = messages(user("a"), assistant(*calls))
    assert [block["input"] for block in found[1][1]] == [{}, {"INVALID_JSON": '{"cut'}, {"input": "free"}]


def test_names_that_the_wire_forbids_are_renamed_and_reported() -> None:
    ask = Ask(turns=[user("a"), assistant(ToolCall("t", "files.read"))], wire="openai-chat")
    rendered = encode_request(ask, MID_SYSTEM)
    ((sent, own),) = rendered.names.items()
    assert own == "files.read"
    assert json.loads(rendered.body)["messages"][1]["content"][0]["name"] == sent


def test_only_thinking_with_this_vendors_signature_is_sent() -> None:
    own = [Thinking("hm", "proof", wire="anthropic"), Thinking("", "sealed", redacted=True, wire="anthropic")]
    others = [
        Thinking("hm"),
        Thinking("hm", "proof", wire="gemini"),
        Thinking("", "x", redacted=True, wire="openai-responses"),
    ]
    found = messages(user("a"), assistant(*own, *others, "b"), user("c"))
    assert found[1][1] == [
        {"type": "thinking", "thinking": "hm", "signature": "proof"},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "text", "text": "b"},
    ]
    assert dropped(user("a"), assistant(*others, "b"), user("c")) == ("thinking",)


def test_an_answer_begun_by_the_client_does_not_end_in_white_space() -> None:
    assert messages(user("a"), assistant("The answer is \n")) == [("user", "a"), ("assistant", "The answer is")]


def test_white_space_inside_the_history_stays() -> None:
    assert messages(user("a"), assistant("b \n"), user("c"))[1] == ("assistant", "b \n")


# -- system text in mid-conversation


def test_a_system_turn_keeps_its_role_where_the_target_has_it() -> None:
    assert messages(user("a"), system("s"), assistant("b"), user("c"), system("t")) == [
        ("user", "a"),
        ("system", "s"),
        ("assistant", "b"),
        ("user", "c"),
        ("system", "t"),
    ]


def test_two_system_turns_in_a_row_become_one() -> None:
    found = messages(user("a"), system("s"), system("t"), assistant("b"))
    assert [role for role, _ in found] == ["user", "system", "assistant"]


@pytest.mark.parametrize(
    "turns",
    [
        (user("a"), system("s"), user("b")),
        (user("a"), assistant("b"), system("s"), user("c")),
        (user("a"), assistant("b"), system("s"), assistant("c"), user("d")),
    ],
)
def test_where_the_role_is_not_legal_it_is_folded_into_the_users_words(turns: tuple[Turn, ...]) -> None:
    found = messages(*turns)
    assert "system" not in [role for role, _ in found]
    assert "<system-reminder>\\ns\\n</system-reminder>" in json.dumps(found)
    assert dropped(*turns) == ("system_turns",)


def test_where_the_target_has_no_such_role_it_is_folded_at_its_place() -> None:
    ((_, content),) = messages(user("a"), system("s"), user("b"), target=Target("m"))
    assert [block["text"] for block in content] == ["a", "<system-reminder>\ns\n</system-reminder>", "b"]


def test_system_turns_before_everything_else_are_the_system_prompt() -> None:
    found = body(system("s"), user("a"))
    assert found["system"] == [{"type": "text", "text": "s"}]
    assert len(found["messages"]) == 1


# -- media


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (
            Media("image", url="https://a.test/i.png"),
            {"type": "image", "source": {"type": "url", "url": "https://a.test/i.png"}},
        ),
        (
            Media("image", data="/9j/4AAQ", cache=CacheHint("1h")),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
        ),
        (
            Media("document", data="JVBERi0=", name="a.pdf", context="note", citations=True),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "title": "a.pdf",
                "context": "note",
                "citations": {"enabled": True},
            },
        ),
        (
            Media("document", "text/csv", data="YSxi"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            Media("document", text="words"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (
            Media("document", blocks=[Text("words")]),
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "words"}]}},
        ),
        (
            Media("document", url="https://a.test/d"),
            {"type": "document", "source": {"type": "url", "url": "https://a.test/d"}},
        ),
        (Media("audio", "audio/wav", data="UklG", transcript="spoken"), {"type": "text", "text": "spoken"}),
    ],
)
def test_media(media: Media, expected: dict[str, Any]) -> None:
    assert block(media) == expected


def test_a_file_id_goes_back_to_its_own_vendor_only() -> None:
    assert block(Media("document", file_id="file_1"), wire="anthropic")["source"] == {"type": "file", "file_id": "file_1"}
    with pytest.raises(OmniError, match="file_id"):
        block(Media("document", file_id="file_1"))


@pytest.mark.parametrize(
    "media", [Media("audio", data="UklG"), Media("video", data="AAAA"), Media("document", "text/plain", data="/w==")]
)
def test_media_without_a_place_are_a_clear_error(media: Media) -> None:
    with pytest.raises(OmniError) as caught:
        block(media)
    assert caught.value.status == 400


def test_vendor_blocks_and_citations_go_back_to_their_own_vendor_only() -> None:
    own = Opaque("anthropic", "server_tool_use", b'{"type":"server_tool_use","id":"s"}')
    cited = Text("so", citations=[Citation(wire="anthropic", raw=b'{"type":"char_location"}')])
    found = messages(user("a"), assistant(own, cited, Opaque("gemini", "x", b"{}")), user("c"))
    assert found[1][1] == [
        {"type": "server_tool_use", "id": "s"},
        {"type": "text", "text": "so", "citations": [{"type": "char_location"}]},
    ]
