"""The messages of an Ollama request, written."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Block, Media, Text, Thinking, ToolCall, ToolResult, Turn
from omniroute.translate.fidelity import Losses
from omniroute.translate.ollama_messages import Messages

PNG = "iVBORw0KGgo="
IMAGE = Media("image", "image/png", data=PNG)


def render(*turns: Turn, system: list[Block] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(
        msgspec.json.encode(Messages(Ask(turns=list(turns), system=system or []), Losses()).render())
    )
    return found


def user(*blocks: Block) -> Turn:
    return Turn("user", list(blocks))


def test_texts_are_lines_of_one_content_and_images_stand_beside_them() -> None:
    assert render(user(Text("a"), IMAGE, Text("b")), system=[Text("s"), Text("t")]) == [
        {"role": "system", "content": "s\nt"},
        {"role": "user", "content": "a\nb", "images": [PNG]},
    ]


def test_a_system_text_in_mid_conversation_stays_where_it_is() -> None:
    roles = [m["role"] for m in render(user(Text("a")), Turn("system", [Text("b")]), user(Text("c")))]
    assert roles == ["user", "system", "user"]


def test_thinking_in_history_is_kept_without_its_signature() -> None:
    turn = Turn("assistant", [Thinking("hm", "proof", wire="anthropic"), Text("so "), Text("it is")])
    assert render(user(Text("a")), turn)[1] == {"role": "assistant", "content": "so it is", "thinking": "hm"}


def called(*results: ToolResult, calls: tuple[str, ...] = ("c1",)) -> list[dict[str, Any]]:
    turn = Turn("assistant", [ToolCall(id_, "look", '{"a": 1}') for id_ in calls])
    return render(user(Text("a")), turn, Turn("tool", list(results)), user(Text("next")))


def test_calls_have_objects_for_arguments_and_results_say_whose_they_are() -> None:
    messages = called(ToolResult("c1", [Text("1"), Text("2")]))
    assert messages[1]["tool_calls"] == [{"id": "c1", "function": {"name": "look", "arguments": {"a": 1}}}]
    assert messages[2] == {"role": "tool", "content": "1\n2", "tool_name": "look", "tool_call_id": "c1"}


def test_a_result_has_the_name_that_its_call_was_sent_with() -> None:
    turn = Turn("assistant", [ToolCall("c1", "spawn", "{}", namespace="agents")])
    call, result = render(user(Text("a")), turn, Turn("tool", [ToolResult("c1", [Text("1")], name="spawn")]))[1:]
    assert call["tool_calls"][0]["function"]["name"] == result["tool_name"] == "agents__spawn"


def test_calls_without_ids_stay_without() -> None:
    messages = called(ToolResult("", [Text("1")], name="look"), calls=("",))
    assert "id" not in messages[1]["tool_calls"][0]
    assert messages[2] == {"role": "tool", "content": "1", "tool_name": "look"}


def test_parallel_results_keep_the_order_of_their_calls() -> None:
    messages = called(ToolResult("c2", [Text("two")]), ToolResult("c1", [Text("one")]), calls=("c1", "c2"))
    assert [m["content"] for m in messages[2:4]] == ["one", "two"]


def test_media_of_results_follow_in_the_next_user_message() -> None:
    messages = called(ToolResult("c1", [IMAGE]))
    assert messages[2]["content"] == "See the following user message."
    assert messages[3] == {"role": "user", "content": "From the result of the tool look:\nnext", "images": [PNG]}


def test_media_of_the_last_results_get_a_user_message_of_their_own() -> None:
    messages = render(
        user(Text("a")), Turn("assistant", [ToolCall("c1", "look")]), Turn("tool", [ToolResult("c1", [IMAGE])])
    )
    assert (messages[-1]["role"], messages[-1]["images"]) == ("user", [PNG])


def test_a_failed_result_says_so_once() -> None:
    assert called(ToolResult("c1", [Text("boom")], is_error=True))[2]["content"] == "Error: boom"
    assert called(ToolResult("c1", [Text("Error: boom")], is_error=True))[2]["content"] == "Error: boom"


def test_documents_that_are_text_are_sent_as_text() -> None:
    data = b64encode("Grüße".encode()).decode()
    blocks: list[Block] = [
        Media("document", text="one", name="a.txt", context="from the wiki"),
        Media("document", "text/plain", data=data),
        Media("document", blocks=[Text("two"), IMAGE]),
    ]
    assert render(user(*blocks)) == [{"role": "user", "content": "a.txt\nfrom the wiki\none\nGrüße\ntwo", "images": [PNG]}]


@pytest.mark.parametrize("mime", ["application/pdf", "text/plain"])
def test_documents_that_are_no_text_are_rejected(mime: str) -> None:
    with pytest.raises(OmniError, match="documents"):
        render(user(Media("document", mime, data="/9j/")))


def test_spoken_words_are_sent_when_they_are_known() -> None:
    assert render(user(Media("audio", data="UklG", transcript="hello")))[0]["content"] == "hello"


def test_images_that_the_assistant_made_are_kept() -> None:
    assert render(user(Text("a")), Turn("assistant", [IMAGE, Media("audio", transcript="la")]))[1] == {
        "role": "assistant",
        "content": "la",
        "images": [PNG],
    }
