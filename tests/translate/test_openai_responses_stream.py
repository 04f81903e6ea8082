from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import (
    CUT,
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
    OpaquePart,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.format import BadAnswer
from omniroute.translate.openai_responses_stream import ResponsesDecoder, decode_answer

WIRE = "openai-responses"
RESPONSE = {"id": "resp_1", "model": "m", "created_at": 7.0, "status": "completed"}
CREATED = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}}
COMPLETED = {"type": "response.completed", "response": RESPONSE}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look"}
OTHER = {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "find"}
STARTED = [ToolStart("c1", "look", item_id="fc_1"), ToolStart("c2", "find", item_id="fc_2")]


def event(kind: str, index: int | None = 0, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": index, **members}


def play(*events: dict[str, Any], end: bool = True) -> list[Event]:
    decoder = ResponsesDecoder()
    out: list[Event] = []
    for one in (CREATED, *events, *([COMPLETED] if end else [])):
        out += decoder.feed(b"", msgspec.json.encode(one))
    assert out[0] == Start("resp_1", "m", 7)
    return [*out[1:], *decoder.eof()]


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return event("output_item.added", index, item=item)


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return event("output_item.done", index, item=item)


def arguments(index: int, text: str) -> dict[str, Any]:
    return event("function_call_arguments.delta", index, delta=text)


def test_a_call_that_was_never_announced_is_emitted_at_its_end() -> None:
    whole = {**CALL, "arguments": '{"a":1}'}
    pieces = arguments(0, '{"a"'), arguments(0, ":1}")
    told = [STARTED[0], ToolArguments('{"a":1}'), BlockEnd(), Finish("tool_calls")]
    assert play(*pieces, done(0, whole)) == told
    assert play(*pieces, {**COMPLETED, "response": {**RESPONSE, "output": [whole]}}, end=False) == told
    assert play(event("custom_tool_call_input.delta", delta="ls")) == [Finish("stop")]


def test_parallel_calls_that_interleave_are_put_in_a_row() -> None:
    said = play(
        *(added(0, CALL), added(1, OTHER), arguments(0, '{"a"'), arguments(1, "{}"), arguments(0, ":1}")),
        *(done(1, {**OTHER, "arguments": "{}"}), done(0, {**CALL, "arguments": '{"a":1}'})),
    )
    assert said == [
        *(STARTED[0], ToolArguments('{"a"'), ToolArguments(":1}"), BlockEnd()),
        *(STARTED[1], ToolArguments("{}"), BlockEnd(), Finish("tool_calls")),
    ]


def test_a_call_without_end_makes_way_once_its_arguments_are_whole() -> None:
    said = play(added(0, CALL), arguments(0, '{"a":1}'), added(1, OTHER), arguments(1, "{}"))
    assert said[:5] == [STARTED[0], ToolArguments('{"a":1}'), BlockEnd(), STARTED[1], ToolArguments("{}")]


def test_a_call_that_is_whole_in_its_first_event() -> None:
    said = play(added(0, {**CALL, "arguments": '{"a":1}'}), added(1, OTHER), done(1, {**OTHER, "arguments": "{}"}))
    assert said[:3] == [STARTED[0], ToolArguments('{"a":1}'), BlockEnd()]
    assert said[3:] == [STARTED[1], ToolArguments("{}"), BlockEnd(), Finish("tool_calls")]


@pytest.mark.parametrize("where", ["arguments.done", "item.done"])
def test_arguments_that_only_their_end_has(where: str) -> None:
    whole = event("function_call_arguments.done", arguments="{}") if where == "arguments.done" else None
    said = play(added(0, CALL), *([whole] if whole else []), done(0, {**CALL, "arguments": {}}))
    assert said == [STARTED[0], ToolArguments("{}"), BlockEnd(), Finish("tool_calls")]


def test_late_ends_of_thinking_do_not_hold_the_text_back() -> None:
    thinking, message = {"type": "reasoning", "id": "rs_1"}, {"type": "message", "id": "msg_1"}
    said = play(
        added(0, thinking),
        event("reasoning_text.delta", delta="hm"),
        added(1, message),
        event("output_text.delta", 1, delta="4"),
        done(1, {**message, "content": [{"type": "output_text", "text": "4"}]}),
        event("reasoning_text.done", text="hm"),
        done(0, {**thinking, "content": [{"type": "reasoning_text", "text": "hm"}]}),
    )
    assert said == [ThinkingDelta("hm", "rs_1"), BlockEnd(), TextDelta("4"), BlockEnd(), Finish("stop")]


def test_encrypted_thinking_without_text_is_a_signature_with_its_id() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "last"}
    said = play(added(0, {**item, "encrypted_content": "first"}), done(0, item))
    assert said == [Signature("last", wire=WIRE, id="rs_1"), BlockEnd(), Finish("stop")]


def test_parts_of_a_message_are_blocks_with_their_annotations() -> None:
    note = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0, "end_index": 3}
    citation = Citation("https://a.test", "A", start=0, end=3, wire=WIRE, raw=msgspec.json.encode(note))
    said = play(
        added(0, {"type": "message", "id": "msg_1"}),
        event("content_part.added", content_index=0, part={"type": "output_text"}),
        event("output_text.delta", content_index=0, delta="one"),
        event("output_text.annotation.added", annotation=note),
        event(
            "content_part.done", content_index=0, part={"type": "output_text", "text": "one", "annotations": [note, note]}
        ),
        event("content_part.added", content_index=1, part={"type": "refusal"}),
        event("refusal.delta", content_index=1, delta="no"),
        event("content_part.done", content_index=1, part={"type": "refusal", "refusal": "no"}),
        done(
            0, {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "one", "annotations": [note]}]}
        ),
    )
    both = [CitationDelta(citation), CitationDelta(citation)]
    assert said == [TextDelta("one"), *both, BlockEnd(), RefusalDelta("no"), BlockEnd(), Finish("stop")]


@pytest.mark.parametrize("content", [[{"type": "output_text", "text": "hi"}], "hi"])
def test_output_that_only_the_final_response_has(content: Any) -> None:
    output = [
        {"type": "message", "content": content},
        {**CALL, "arguments": "{}"},
    ]
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "input_tokens_details": {"cached_tokens": 1}}
    final = {"type": "response.completed", "response": {**RESPONSE, "output": output, "usage": usage}}
    said = play(final, end=False)
    assert said == [
        *(TextDelta("hi"), BlockEnd(), STARTED[0], ToolArguments("{}"), BlockEnd()),
        *(Usage(3, 2, cache_read=1, total=5), Finish("tool_calls")),
    ]


def test_the_vendors_own_items_are_kept_whole_also_without_an_end() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    whole = OpaquePart(WIRE, "web_search_call", msgspec.json.encode(item))
    assert play(added(0, {**item, "status": "in_progress"}), done(0, item)) == [whole, Finish("stop")]
    final = {"type": "response.completed", "response": {**RESPONSE, "output": [item]}}
    assert play(added(0, {**item, "status": "in_progress"}), final, end=False) == [whole, Finish("stop")]


def test_made_images_are_media() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "result": "iVBOR", "output_format": "webp"}
    assert play(done(0, item))[0] == MediaPart(Media("image", "image/webp", data="iVBOR"))


def test_an_incomplete_answer_in_the_middle_of_a_call() -> None:
    final = {"type": "response.incomplete", "response": {**RESPONSE, "incomplete_details": {"reason": "max_output_tokens"}}}
    said = play(added(0, CALL), arguments(0, '{"a":4'), final, end=False)
    assert said == [STARTED[0], ToolArguments('{"a":4'), BlockEnd(), Finish("length")]


def test_an_error_is_told_once_and_ends_no_block() -> None:
    error = {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow", "type": "tokens"}}
    failed = {"type": "response.failed", "response": {**RESPONSE, "error": {"code": "server_error", "message": "later"}}}
    said = play(added(0, CALL), arguments(0, "{"), error, failed, end=False)
    assert said[:2] == [STARTED[0], ToolArguments("{")]
    assert [(f.status, f.code, f.message) for f in said[2:] if isinstance(f, Failure)] == [
        (429, "rate_limit_exceeded", "slow")
    ]
    (failure,) = play(failed, end=False)
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message, failure.wire) == (500, "later", WIRE)


def test_a_stream_that_just_ends_was_cut() -> None:
    said = play(added(0, CALL), arguments(0, "{}"), end=False)
    assert said == [STARTED[0], ToolArguments("{}"), Failure(502, CUT)]


@pytest.mark.parametrize("data", [b"<html>", b'{"type":"response.output_text.delta","delta":3}', b'{"type":', b"[1]"])
def test_what_is_no_event_is_declared(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        ResponsesDecoder().feed(b"", data)


@pytest.mark.parametrize("data", [b"[DONE]", b"", b" ", b'{"type":"keepalive"}', b'{"type":"response.new","item_id":3}'])
def test_what_means_nothing_is_passed_over(data: bytes) -> None:
    assert not ResponsesDecoder().feed(b"", data)


def test_a_vendor_that_numbers_nothing_is_understood() -> None:
    said = play(
        {"type": "response.output_item.added", "item": {"type": "message", "id": "msg_1"}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "a"},
        {"type": "response.output_text.delta", "delta": "b"},
    )
    assert said == [TextDelta("a"), TextDelta("b"), BlockEnd(), Finish("stop")]


def test_a_whole_answer_and_its_ways_to_fail() -> None:
    body = {
        **RESPONSE,
        "output": [{"type": "reasoning", "id": "rs_1", "summary": [{"text": "hm"}], "encrypted_content": "g"}],
    }
    assert decode_answer(msgspec.json.encode(body)) == [
        Start("resp_1", "m", 7),
        ThinkingDelta("hm", "rs_1"),
        Signature("g", wire=WIRE, id="rs_1"),
        BlockEnd(),
        Finish("stop"),
    ]
    failed = decode_answer(b'{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"oops"}}')
    plain = decode_answer(b'{"error":{"code":"rate_limit_exceeded","message":"slow"}}')
    assert [(e.status, e.message) for e in (failed[-1], plain[-1]) if isinstance(e, Failure)] == [
        (500, "oops"),
        (429, "slow"),
    ]
    for rubbish in (b"<html>", b"{}", b'{"output":3}', b'{"output":[{"type":"\xff"}]}'):
        with pytest.raises(BadAnswer):
            decode_answer(rubbish)
