"""Contents and parts of Gemini requests, read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from omniroute.errors import OmniError
from omniroute.translate.conversation import Media, Opaque, Text, Thinking, ToolCall, ToolResult, Turn
from omniroute.translate.gemini_contents import read_system, read_turns


def turns(*contents: dict[str, Any]) -> list[Turn]:
    return read_turns(Raw(json.dumps(contents).encode()))


def blocks(*parts: dict[str, Any]) -> list[Any]:
    return [block for turn in turns({"role": "user", "parts": list(parts)}) for block in turn.blocks]


def test_a_content_without_a_role_is_the_users() -> None:
    found = turns(
        {"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}, {"role": "user", "parts": [{"text": "c"}]}
    )
    assert [(turn.role, turn.blocks) for turn in found] == [
        ("user", [Text("a")]),
        ("assistant", [Text("b")]),
        ("user", [Text("c")]),
    ]


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def test_the_chunks_of_a_streamed_answer_are_one_turn_again() -> None:
    call = {"functionCall": {"name": "look", "args": {}}}
    found = turns(
        *(model({"text": text, "thought": True}) for text in ("Let me ", "think.")),
        *(model({"text": text}) for text in ("Good ", "morning", "")),
        model({"text": "", "thoughtSignature": "c2ln"}),
        model({"text": "!"}, call),
        model(call),
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "user", "parts": [{"text": "b"}]},
    )
    assert [turn.role for turn in found] == ["assistant", "user", "user"]
    assert found[0].blocks == [
        Thinking("Let me think.", wire="gemini"),
        Text("Good morning", signature="c2ln"),
        Text("!"),
        *[ToolCall("", "look", "{}")] * 2,
    ]


def streamed(more: bool, *values: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"functionCall": {**members, "partialArgs": list(values), "willContinue": more}}


def test_a_call_whose_arguments_were_streamed_is_one_call_again() -> None:
    found = turns(
        model({**streamed(True, name="look"), "thoughtSignature": "c2ln"}),
        model({"function_call": {"partial_args": [{"json_path": "$.at", "string_value": "Bos"}], "will_continue": True}}),
        model(streamed(True, {"jsonPath": "$.at", "stringValue": "ton"}, {"jsonPath": "$.dry", "boolValue": True})),
        model({"functionCall": {}}, {"text": "and"}),
        model(streamed(False, {"jsonPath": "$.n[0]", "numberValue": 2}, name="count", args={"m": 1})),
        model(streamed(True, {"jsonPath": "$.x", "nullValue": "NULL_VALUE"}, name="cut")),
    )
    assert [turn.blocks for turn in found] == [
        [
            ToolCall("", "look", '{"at":"Boston","dry":true}', signature="c2ln"),
            Text("and"),
            ToolCall("", "count", '{"m":1,"n":[2]}'),
            ToolCall("", "cut", '{"x":null}'),
        ]
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"functionCall": {}}, "contents.0.parts.0.functionCall.name"),
        (streamed(False, {"jsonPath": "$.a"}), "contents.0.parts.0.functionCall.name"),
        (streamed(False, {"stringValue": "a"}, name="f"), "contents.0.parts.0.functionCall.partialArgs.0.jsonPath"),
        (streamed(False, {"jsonPath": "$.a[9999]"}, name="f"), "contents.0.parts.0.functionCall.partialArgs"),
    ],
)
def test_pieces_that_fit_no_call(part: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as error:
        turns(model(part))
    assert error.value.param == param


def test_a_text_cut_into_many_contents_is_one_up_to_whatever_follows() -> None:
    call, said = {"functionCall": {"name": "f"}}, {"text": "ab"}
    pieces = [model(said)] * 3000
    found = turns(*pieces, model(said, call), model(said), model({"text": "c", "thoughtSignature": "s"}), model(said))
    texts = [Text("ab" * 3001), ToolCall("", "f"), Text("abc", signature="s"), Text("ab")]
    assert found == [Turn("assistant", texts)]
    user = {"role": "user", "parts": [said]}
    assert turns(*pieces, user) == [Turn("assistant", [Text("ab" * 3000)]), Turn("user", [Text("ab")])]


def test_results_are_turns_of_their_own() -> None:
    result = {"functionResponse": {"name": "look", "id": "c1", "response": {"output": "1"}}}
    found = turns({"role": "function", "parts": [result, result, {"text": "and?"}]})
    assert [turn.role for turn in found] == ["tool", "user"]
    assert found[0].blocks == [ToolResult("c1", [Text("1")], name="look")] * 2


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "1"}, "1", False),
        ({"result": 30000}, "30000", False),
        ({"error": "boom"}, "boom", True),
        ({"temperature": 20}, '{"temperature": 20}', False),
        ({"output": {"a": 1}}, '{"a": 1}', False),
        ({"content": [{"type": "text", "text": "x"}]}, "x", False),
        ({"output": [{"type": "text", "text": "x", "id": "lc_1"}]}, "x", False),
        ({"return_value": "Mexico"}, "Mexico", False),
        ({"name": "f", "content": [{"text": "x"}]}, "x", False),
        ({"name": "g", "content": "x"}, '{"name": "g", "content": "x"}', False),
        ({"name": "f"}, '{"name": "f"}', False),
        ({}, "", False),
    ],
)
def test_what_a_response_says(response: dict[str, Any], text: str, is_error: bool) -> None:
    [result] = blocks({"functionResponse": {"name": "f", "response": response}})
    assert ("".join(block.text for block in result.blocks), result.is_error) == (text, is_error)


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        ({"output": "1"}, False),
        ({"error": "boom"}, False),
        ({}, False),
        ({"output": 42}, True),
        ({"result": "1"}, True),
        ({"return_value": "Mexico"}, True),
        ({"name": "f", "content": [{"text": "x"}]}, True),
    ],
)
def test_a_response_that_is_more_than_its_text_is_kept(response: dict[str, Any], kept: bool) -> None:
    [result] = blocks({"functionResponse": {"name": "f", "response": response}})
    assert result.raw == (json.dumps(response).encode() if kept else None)


def test_media_in_a_response() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}}
    [result] = blocks({"functionResponse": {"name": "f", "response": {}, "parts": [image]}})
    assert result.blocks == [Media("image", "image/png", data="iVBOR")]


def test_both_spellings_of_names() -> None:
    snake = blocks({"function_call": {"name": "f", "args": {"snake_case": 1}}, "thought_signature": "s"})
    assert snake == [ToolCall("", "f", '{"snake_case": 1}', signature="s")]
    assert blocks({"inline_data": {"mime_type": "image/png", "data": "a-_"}}) == [Media("image", "image/png", data="a+/=")]
    assert (
        blocks({"file_data": {"file_uri": "https://a.test/a.pdf", "mime_type": "application/pdf"}})[0].url
        == "https://a.test/a.pdf"
    )


def test_thoughts_and_signatures() -> None:
    found = blocks(
        {"text": "hm", "thought": True, "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "t"},
        {"thoughtSignature": "u"},
        {"thought": True, "thoughtSignature": "v"},
    )
    assert found == [
        Thinking("hm", "s", wire="gemini"),
        Text("", signature="t"),
        Text("", signature="u"),
        Thinking("", "v", wire="gemini"),
    ]


def test_what_is_said_beside_the_data_of_a_part_follows_it() -> None:
    cut = {"videoMetadata": {"fps": 1}}
    film = {"fileData": {"fileUri": "https://a.test/a.mp4", "mimeType": "video/mp4"}}
    raw = b'{"videoMetadata":{"fps": 1}}'
    media = Media("video", "video/mp4", url="https://a.test/a.mp4")
    assert blocks(film | cut, {"text": "what?"}) == [media, Opaque("gemini", "part.videoMetadata", raw), Text("what?")]
    assert blocks({"text": "what?"}, cut) == [Text("what?"), Opaque("gemini", "videoMetadata", raw)]


def test_unknown_parts_travel_whole() -> None:
    [found] = blocks({"codeExecutionResult": {"outcome": "OUTCOME_OK"}})
    assert found == Opaque("gemini", "codeExecutionResult", b'{"codeExecutionResult":{"outcome": "OUTCOME_OK"}}')


def test_a_draft_of_an_image_is_no_image() -> None:
    [found] = blocks({"inlineData": {"mimeType": "image/png", "data": "iVBOR"}, "thought": True})
    assert isinstance(found, Opaque)
    assert found.label == "inlineData"
    assert json.loads(found.raw)["thought"] is True


@pytest.mark.parametrize(
    "given", ['"be brief"', '{"parts":[{"text":"be brief"}]}', '{"parts":{"text":"be brief"}}', '{"text":"be brief"}']
)
def test_system_instructions(given: str) -> None:
    assert read_system(Raw(given.encode())) == [Text("be brief")]


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"role": "wizard", "parts": []}, "contents.0.role"),
        ({"parts": [{"text": 3}]}, "contents.0.parts.0.text"),
        ({"parts": [{"functionCall": {}}]}, "contents.0.parts.0.functionCall.name"),
        ({"parts": [{"functionCall": {"name": "f", "args": []}}]}, "contents.0.parts.0.functionCall.args"),
        ({"parts": [{"inlineData": {"mimeType": "image/png"}}]}, "contents.0.parts.0.inlineData.data"),
        ({"parts": 3}, "contents.0.parts"),
    ],
)
def test_mistakes_name_their_field(content: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        turns(content)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)
