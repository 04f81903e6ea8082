from __future__ import annotations

from typing import Any

import msgspec

from omniroute.translate.conversation import Ask, Block, Citation, Media, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from omniroute.translate.format import Target
from omniroute.translate.openai_responses_render import encode_request


def sent(*turns: Turn, quirks: tuple[str, ...] = (), wire: str = "other", system: tuple[Block, ...] = ()) -> dict[str, Any]:
    ask = Ask(turns=list(turns), system=list(system), wire=wire)
    value: dict[str, Any] = msgspec.json.decode(encode_request(ask, Target("m", quirks=frozenset(quirks))).body)
    return value


def user(*blocks: Block) -> Turn:
    return Turn("user", list(blocks) or [Text("hi")])


def test_the_system_prompt_is_the_instructions_and_later_system_texts_stay_in_place() -> None:
    turns = (user(), Turn("system", [Text("Now be brief.")]), user())
    value = sent(*turns, system=(Text("Be kind."), Text("Be true.")))
    assert value["instructions"] == "Be kind.\nBe true."
    assert value["input"][1] == {"type": "message", "role": "system", "content": "Now be brief."}
    assert sent(*turns, quirks=("developer_role",))["input"][1]["role"] == "developer"


def test_each_thing_the_assistant_did_is_an_item() -> None:
    turn = Turn("assistant", [Text("One"), Text("two."), ToolCall("c1", "look", ""), ToolCall("c2", "patch", "x", "custom")])
    results = Turn("tool", [ToolResult("c1", [Text("a"), Text("b")]), ToolResult("c2", [])])
    assert sent(user(), turn, results)["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "One"},
        {"type": "message", "role": "assistant", "content": "two."},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        },
        {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
    ]


def test_a_call_id_is_given_once_in_a_conversation() -> None:
    turns = [Turn("assistant", [ToolCall("c1", "look")]), Turn("tool", [ToolResult("c1", [Text("a")])])]
    items = sent(user(), *turns, user(), *turns)["input"]
    first, second = items[1]["call_id"], items[4]["call_id"]
    assert first == "c1" != second
    assert [items[2]["call_id"], items[5]["call_id"]] == [first, second]
    assert sent(*turns, *turns, wire="openai-responses")["input"][2]["call_id"] == "c1"


def test_images_in_tool_results_stay_in_the_result() -> None:
    result = ToolResult("c1", [Media("image", "image/png", data="iVBOR")])
    value = sent(user(), Turn("assistant", [ToolCall("c1", "shot")]), Turn("tool", [result]))
    assert value["input"][2]["output"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,iVBOR", "detail": "auto"}
    ]


def test_a_failed_tool_says_so_in_its_text() -> None:
    results = Turn("tool", [ToolResult("c1", [Text("boom")], is_error=True)])
    value = sent(user(), Turn("assistant", [ToolCall("c1", "look")]), results)
    assert value["input"][2]["output"] == "Error: boom"


def test_encrypted_thinking_of_this_wire_goes_back_with_its_id_and_other_thinking_does_not() -> None:
    own = Thinking("hm", "gAAA", wire="openai-responses", id="rs_1")
    foreign = Thinking("so", "proof", wire="anthropic")
    turn = Turn("assistant", [own, foreign, Text("Yes.")])
    summary = [{"type": "summary_text", "text": "hm"}]
    kept = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"}
    assert sent(user(), turn, user())["input"][1:3] == [kept, {"type": "message", "role": "assistant", "content": "Yes."}]
    wanted = sent(user(), Turn("assistant", [Thinking("so")]), user(), quirks=("reasoning_content",))["input"][1]
    assert wanted == {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "so"}]}


def test_refusals_and_own_citations_need_the_whole_message() -> None:
    note = b'{"type":"url_citation","url":"https://a.test"}'
    cited = Text("so", citations=[Citation("https://a.test", wire="openai-responses", raw=note)])
    items = sent(user(), Turn("assistant", [Refusal("No."), cited]), user())["input"]
    assert items[1]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert items[2]["content"][0]["annotations"] == [msgspec.json.decode(note)]


def test_documents_are_files_links_or_texts() -> None:
    value = sent(
        user(
            Media("document", "application/pdf", data="JVBE"),
            Media("document", url="https://a.test/a.pdf"),
            Media("document", text="words", name="a.txt", context="From the wiki."),
        )
    )
    assert value["input"][0]["content"] == [
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "input_file", "file_url": "https://a.test/a.pdf"},
        {"type": "input_text", "text": "From the wiki."},
        {"type": "input_text", "text": "a.txt"},
        {"type": "input_text", "text": "words"},
    ]


def test_ids_of_calls_are_made_to_fit_the_same_way_in_call_and_result() -> None:
    long = "c" * 100
    items = sent(user(), Turn("assistant", [ToolCall(long, "look")]), Turn("tool", [ToolResult(long, [Text("1")])]))["input"]
    assert items[1]["call_id"] == items[2]["call_id"]
    assert len(items[1]["call_id"]) == 64


def test_an_own_conversation_is_not_mended_since_its_calls_may_lie_at_the_vendor() -> None:
    result = Turn("tool", [ToolResult("c1", [Text("1")])])
    assert sent(result, wire="openai-responses")["input"][0]["type"] == "function_call_output"
    assert sent(result)["input"][0]["role"] == "user"
