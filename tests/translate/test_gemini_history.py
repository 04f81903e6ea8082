"""Conversations as Gemini contents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Block, Media, Text, Thinking, ToolCall, ToolResult, Turn
from omniroute.translate.format import Rendered, Target
from omniroute.translate.gemini_history import SKIP_SIGNATURE, GeminiNames
from omniroute.translate.gemini_render import encode_request
from omniroute.translate.gemini_request import decode_request

OLD, NEW = Target("gemini-2.5-flash"), Target("gemini-3-flash-preview")
PNG = Media("image", "image/png", data="iVBOR")


def user(*blocks: Block) -> Turn:
    return Turn("user", list(blocks) or [Text("hello")])


def model(*blocks: Block) -> Turn:
    return Turn("assistant", list(blocks))


def render(*turns: Turn, target: Target = OLD, wire: str = "other") -> tuple[list[dict[str, Any]], Rendered]:
    done = encode_request(Ask(turns=list(turns), wire=wire), target)
    return json.loads(done.body)["contents"], done


def test_thousands_of_answers_in_a_row_do_not_take_long() -> None:
    contents, _ = render(*[model(Text("x"))] * 8000)
    assert [len(content["parts"]) for content in contents] == [1, 8000]


def test_roles_alternate() -> None:
    found, _ = render(user(Text("a")), user(Text("b")), model(Text("c")), user(Text("d")))
    assert found == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


@pytest.mark.parametrize(
    ("turns", "roles"),
    [
        ((model(Text("a")), user(Text("b"))), ["model", "user"]),
        ((model(Text("a")),), ["model"]),
        ((user(Text("")),), []),
        ((), []),
    ],
)
def test_a_blank_user_content_comes_first_if_the_user_does_not(turns: tuple[Turn, ...], roles: list[str]) -> None:
    found, _ = render(*turns)
    assert found[0] == {"role": "user", "parts": [{"text": " "}]}
    assert [content["role"] for content in found[1:]] == roles


def test_on_its_own_wire_nothing_is_added_and_an_empty_text_stays() -> None:
    assert render(user(Text("")), wire="gemini")[0] == [{"role": "user", "parts": [{"text": ""}]}]
    assert render(model(Text("a")), user(), wire="gemini")[0][0]["role"] == "model"


@pytest.mark.parametrize(
    "response",
    [{"result": 42}, {"return_value": "Mexico"}, {"output": {"a": [1]}}, {"error": {"code": 1}}, {"output": "x"}, {}],
)
def test_a_result_goes_out_again_on_its_own_wire_as_it_came(response: dict[str, Any]) -> None:
    contents = [
        {"role": "user", "parts": [{"text": "hello"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]},
    ]
    done = encode_request(decode_request(json.dumps({"contents": contents}).encode()), OLD)
    assert json.loads(done.body)["contents"] == contents


def test_a_part_is_put_together_again_on_its_own_wire() -> None:
    film = {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.test/a.mp4"}, "videoMetadata": {"fps": 1}}
    contents = [
        {"role": "user", "parts": [film]},
        {"role": "model", "parts": [{"thought": True, "thoughtSignature": "c2ln"}, {"text": "a cat"}]},
        {"role": "user", "parts": [{"text": "and?"}, {"videoMetadata": {"fps": 2}}]},
    ]
    done = encode_request(decode_request(json.dumps({"contents": contents}).encode()), NEW)
    assert json.loads(done.body)["contents"] == contents


def test_parallel_results_come_in_one_content_by_name_and_id() -> None:
    calls = [ToolCall("c1", "look", '{"at":1}'), ToolCall("c2", "mcp/wait now")]
    results = Turn("tool", [ToolResult("c2", [Text("done")]), ToolResult("c1", [Text("boom")], is_error=True)])
    found, done = render(user(), model(*calls), results, user(Text("and?")))
    sent = next(iter(done.names))
    assert done.names == {sent: "mcp/wait now"}
    assert found[1]["parts"] == [
        {"functionCall": {"name": "look", "args": {"at": 1}, "id": "c1"}},
        {"functionCall": {"name": sent, "args": {}, "id": "c2"}},
    ]
    assert found[2]["parts"] == [
        {"functionResponse": {"name": "look", "id": "c1", "response": {"error": "boom"}}},
        {"functionResponse": {"name": sent, "id": "c2", "response": {"output": "done"}}},
    ]
    assert found[3] == {"role": "user", "parts": [{"text": "and?"}]}


def test_images_in_results_go_inside_where_the_model_takes_them() -> None:
    turns = (user(), model(ToolCall("c1", "look")), Turn("tool", [ToolResult("c1", [Text("see"), PNG])]))
    inside, _ = render(*turns, target=NEW)
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}}
    assert inside[2]["parts"][0]["functionResponse"]["parts"] == [blob]
    after, done = render(*turns)
    assert "parts" not in after[2]["parts"][0]["functionResponse"]
    assert after[3]["parts"][1] == blob
    assert done.dropped == ("tool_result_media",)


def test_foreign_calls_say_that_they_are_not_signed_to_models_that_ask() -> None:
    turns = (user(), model(ToolCall("c1", "a"), ToolCall("c2", "b")), Turn("tool", [ToolResult("c1"), ToolResult("c2")]))
    found, _ = render(*turns, target=NEW)
    assert [part.get("thoughtSignature") for part in found[1]["parts"]] == [SKIP_SIGNATURE, None]
    found, _ = render(*turns, target=OLD)
    assert all("thoughtSignature" not in part for part in found[1]["parts"])


def test_own_signatures_come_back_on_the_parts_that_had_them() -> None:
    blocks: list[Block] = [
        Thinking("hm", "s1", wire="gemini"),
        Text("a", signature="s2"),
        Text("", signature="s3"),
        ToolCall("", "f", signature="s4"),
    ]
    found, _ = render(
        user(), model(*blocks), Turn("tool", [ToolResult("", [Text("1")], name="f")]), target=NEW, wire="gemini"
    )
    assert found[1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "s1"},
        {"text": "a", "thoughtSignature": "s2"},
        {"text": "", "thoughtSignature": "s3"},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s4"},
    ]
    assert found[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]


def test_own_calls_without_signature_stay_without() -> None:
    found, _ = render(user(), model(ToolCall("c", "f")), Turn("tool", [ToolResult("c")]), target=NEW, wire="gemini")
    assert "thoughtSignature" not in found[1]["parts"][0]


def test_thoughts_of_others_are_left_out() -> None:
    found, done = render(user(), model(Thinking("hm", "sig", wire="anthropic"), Text("a")), user())
    assert found[1]["parts"] == [{"text": "a"}]
    assert set(done.dropped) == {"thinking", "thinking_signature"}


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (PNG, {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}}),
        (Media("image", data="/9j/4A"), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4A"}}),
        (
            Media("image", url="https://a.test/i.WEBP?x=1"),
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.test/i.WEBP?x=1"}},
        ),
        (Media("image", url="https://a.test/i"), {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.test/i"}}),
        (Media("video", "video/mp4", data="AAAA"), {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
    ],
)
def test_media(media: Media, part: dict[str, Any]) -> None:
    found, _ = render(user(media))
    assert found[0]["parts"] == [part]


def test_links_that_a_provider_does_not_take_are_a_clear_error() -> None:
    with pytest.raises(OmniError, match="image_url"):
        render(user(Media("image", url="https://a.test/i.png")), target=Target("m", quirks=frozenset({"no_image_urls"})))


@pytest.mark.parametrize("data", ["not-base64!", "iVBÖR", "a%2Bb"])
def test_data_that_is_no_base64_is_a_clear_error(data: str) -> None:
    with pytest.raises(OmniError, match="'image': it is not base64") as caught:
        render(user(Media("image", "image/png", data=data)))
    assert (caught.value.kind, caught.value.param) == ("invalid_request", "messages")


def test_base64_in_either_alphabet_and_on_several_lines_is_sent() -> None:
    found, _ = render(user(Media("image", "image/png", data="a-_/+b\r\nAA==")))
    assert found[0]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "a-_/+b\r\nAA=="}}]


def test_a_text_document_is_text() -> None:
    found, _ = render(user(Media("document", text="facts", name="facts.txt")))
    assert found[0]["parts"] == [{"text": "facts.txt"}, {"text": "facts"}]


def test_system_text_in_mid_conversation_is_marked() -> None:
    found, _ = render(user(), Turn("system", [Text("be brief")]), user())
    assert found[0]["parts"][1] == {"text": "<system-reminder>\nbe brief\n</system-reminder>"}


def test_results_whose_calls_were_renamed_twice_in_a_conversation_keep_their_names() -> None:
    turns = [user(), model(ToolCall("c1", "9lives")), Turn("tool", [ToolResult("c1", [Text("x")])])]
    found, done = render(*turns, *turns[1:])
    names = {part["functionCall"]["name"] for c in found for part in c["parts"] if "functionCall" in part}
    assert names == {part["functionResponse"]["name"] for c in found for part in c["parts"] if "functionResponse" in part}
    assert set(done.names) == names


@pytest.mark.parametrize("name", ["look", "_x", "a.b:c-d", "A9", "x" * 64])
def test_names_that_the_wire_takes(name: str) -> None:
    assert GeminiNames().sent(name) == name


@pytest.mark.parametrize("name", ["9lives", "-x", ".a", "a b", "x" * 65, "", "é"])
def test_other_names_are_made_fit_reversibly(name: str) -> None:
    names = GeminiNames()
    sent = names.sent(name)
    assert GeminiNames().sent(sent) == sent
    assert names.renamed == {sent: name}
