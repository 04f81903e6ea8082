"""Gemini answers, read: what vendors send, odd or not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate import gemini_stream
from omniroute.translate.conversation import Media
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
    OpaquePart,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.format import BadAnswer
from omniroute.translate.gemini_shapes import raw_parts
from omniroute.translate.gemini_stream import Decoder, decode_answer

HEAD = {"modelVersion": "gemini-x", "responseId": "r1"}
BEGIN = Start("r1", "gemini-x")


def chunk(*parts: dict[str, Any], finish: Any = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **HEAD, **more}


def stream(*chunks: dict[str, Any]) -> list[Event]:
    decoder = Decoder()
    return [*(event for one in chunks for event in decoder.feed(b"", json.dumps(one).encode())), *decoder.eof()]


def whole(body: dict[str, Any]) -> list[Event]:
    return decode_answer(json.dumps(body).encode())


def test_text_thoughts_and_counts() -> None:
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "cachedContentTokenCount": 4}
    events = stream(
        chunk({"text": "Hm.", "thought": True}, usageMetadata={"promptTokenCount": 9}),
        chunk({"text": "Yes"}),
        chunk({"text": "."}, finish="STOP", usageMetadata=counts),
    )
    assert events == [BEGIN, Usage(input=9), ThinkingDelta("Hm."), TextDelta("Yes"), TextDelta("."),
                      Usage(input=9, output=7, cache_read=4, reasoning=5), Finish("stop")]  # fmt: skip


def test_calls_end_with_tool_calls_although_the_vendor_says_stop() -> None:
    call = {"functionCall": {"name": "look", "args": {"at": 1}, "id": "c1"}, "thoughtSignature": "c2ln"}
    events = stream(chunk(call), chunk({"functionCall": {"name": "wait"}}, finish="STOP"))
    assert events == [
        BEGIN,
        *(ToolStart("c1", "look", signature="c2ln"), ToolArguments('{"at": 1}'), BlockEnd()),
        *(ToolStart("", "wait"), ToolArguments("{}"), BlockEnd()),
        Finish("tool_calls"),
    ]


def test_a_call_of_a_tool_that_was_not_offered_is_a_call() -> None:
    call = {"functionCall": {"name": "look", "args": {}}}
    assert whole(chunk(call, finish="UNEXPECTED_TOOL_CALL"))[-1] == Finish("tool_calls", raw="UNEXPECTED_TOOL_CALL")
    assert whole(chunk({"text": "a"}, finish="UNEXPECTED_TOOL_CALL"))[-1] == Finish("error", raw="UNEXPECTED_TOOL_CALL")


def test_a_call_whose_arguments_come_in_pieces() -> None:
    def piece(more: bool, *values: dict[str, Any], **members: Any) -> dict[str, Any]:
        return {"functionCall": {"partialArgs": list(values), "willContinue": more, **members}}

    events = stream(
        chunk({"functionCall": {"name": "f"}}),
        chunk({**piece(True, name="g", id="c1"), "thoughtSignature": "sig"}),
        chunk(piece(True, {"jsonPath": "$.place", "stringValue": "Bos", "willContinue": True})),
        chunk(piece(True, {"jsonPath": "$.place", "stringValue": "ton"})),
        chunk(piece(True, {"jsonPath": "$.days[0]", "numberValue": 2}, {"jsonPath": "$.dry", "boolValue": True})),
        chunk({"functionCall": {}}),
        chunk({"functionCall": {}}, piece(False, {"jsonPath": "$.n", "nullValue": "NULL_VALUE"}, name="h")),
        chunk(piece(True, name="cut"), finish="STOP"),
    )
    assert events == [
        BEGIN,
        *(ToolStart("", "f"), ToolArguments("{}"), BlockEnd()),
        ToolStart("c1", "g", signature="sig"),
        *(ToolArguments('{"place":"Boston","days":[2],"dry":true}'), BlockEnd()),
        *(ToolStart("", "h"), ToolArguments('{"n":null}'), BlockEnd()),
        *(ToolStart("", "cut"), ToolArguments("{}"), BlockEnd()),
        Finish("tool_calls"),
    ]


def test_signatures_follow_what_they_sign() -> None:
    events = stream(
        chunk({"text": "a", "thought": True, "thoughtSignature": "x"}, {"text": "", "thoughtSignature": "y"}, finish="STOP")
    )
    signed = [Signature("x", wire="gemini"), BlockEnd(), Signature("y", wire="gemini"), BlockEnd()]
    assert events == [BEGIN, ThinkingDelta("a"), *signed, Finish("stop")]


def test_the_empty_text_that_ends_a_stream_is_no_block_of_its_own() -> None:
    events = stream(chunk({"functionCall": {"name": "look"}}), chunk({"text": ""}, finish="STOP"))
    assert events == [BEGIN, ToolStart("", "look"), ToolArguments("{}"), BlockEnd(), Finish("tool_calls")]


def test_a_part_with_nothing_but_a_signature() -> None:
    assert Signature("x", wire="gemini") in stream(chunk({"thoughtSignature": "x"}, finish="STOP"))


def test_text_after_a_finish_reason_and_a_second_one() -> None:
    code = {"executableCode": {"code": "1", "language": "PYTHON"}}
    events = stream(chunk(code, finish="STOP"), chunk({"text": "one"}, finish="STOP"))
    assert events == [
        BEGIN,
        OpaquePart("gemini", "executableCode", json.dumps(code).encode()),
        TextDelta("one"),
        Finish("stop"),
    ]


def test_media_in_an_answer() -> None:
    events = stream(
        chunk({"inlineData": {"mimeType": "image/png", "data": "iVBOR"}, "thoughtSignature": "s"}, finish="STOP")
    )
    assert events[1] == MediaPart(Media("image", "image/png", data="iVBOR", signature="s"))


@pytest.mark.parametrize("name", ["inlineData", "fileData"])
def test_a_draft_of_an_image_is_no_part_of_the_answer(name: str) -> None:
    draft = {name: {"mimeType": "image/png", "data": "iVBOR", "fileUri": "https://a.test/a"}, "thought": True}
    drafted = OpaquePart("gemini", name, json.dumps(draft).encode())
    assert stream(chunk(draft, finish="STOP")) == [BEGIN, drafted, Finish("stop")]


def test_a_blocked_prompt_has_no_candidates() -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **HEAD}
    assert stream(blocked) == whole(blocked) == [BEGIN, Finish("content_filter", raw="PROHIBITED_CONTENT")]


@pytest.mark.parametrize("candidate", [{"content": {}}, {}, {"content": None}, {"content": {"parts": None}}])
def test_a_candidate_without_parts(candidate: dict[str, Any]) -> None:
    body = {"candidates": [{**candidate, "finishReason": "MAX_TOKENS"}], **HEAD}
    assert whole(body) == [BEGIN, Finish("length")]


def test_numbers_for_enums() -> None:
    assert stream(chunk({"text": "a"}, finish=2))[-1] == Finish("length")
    assert all(isinstance(stream(chunk({"text": "a"}, finish=word))[-1], Failure) for word in (0, ""))  # not finished


def test_only_the_first_candidate_is_the_answer() -> None:
    both = chunk({"text": "one"}, finish="STOP")
    both["candidates"].append({"content": {"parts": [{"text": "two"}]}, "index": 1, "finishReason": "MAX_TOKENS"})
    assert whole(both) == [BEGIN, TextDelta("one"), Finish("stop")]


def test_a_stream_without_a_finish_reason_was_cut_and_a_whole_answer_not() -> None:
    events = stream(chunk({"text": "a"}))
    assert isinstance(events[-1], Failure)
    assert events[-1].status == 502
    assert whole(chunk({"text": "a"}))[-1] == Finish("stop")


def test_an_empty_stream_was_cut() -> None:
    start, failure = stream()
    assert (start, type(failure)) == (Start(), Failure)


def test_an_error_in_a_stream_ends_it_once() -> None:
    decoder = Decoder()
    decoder.feed(b"", json.dumps(chunk({"text": "a"})).encode())
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    [failure] = decoder.feed(b"", json.dumps(error).encode())
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message) == (503, "overloaded")
    assert [*decoder.feed(b"", b"{}"), *decoder.eof()] == []


@pytest.mark.parametrize("data", [b'[{"error":{"code":429,"message":"slow"}}]', b'{"error":"slow"}'])
def test_errors_of_other_shapes(data: bytes) -> None:
    start, failure = Decoder().feed(b"", data)
    assert start == Start()
    assert isinstance(failure, Failure)


@pytest.mark.parametrize("data", [b"[DONE]", b"", b" ", b"null"])
def test_empty_data_and_end_marks_give_no_events(data: bytes) -> None:
    assert Decoder().feed(b"", data) == ()


@pytest.mark.parametrize(
    "data", [b"<html>", b'{"candidates":3}', b"[1,2]", b'{"candidates":[{"content":{"parts":[{"text":1}]}}]}']
)
def test_rubbish_is_a_declared_failure(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Decoder().feed(b"", data)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"choices":[]}', b'{"candidates":[],"x":"\xff"}'])
def test_a_body_that_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_answer(body)


def test_a_list_of_chunks_under_a_whole_answer_is_read() -> None:
    body = json.dumps([chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")]).encode()
    assert decode_answer(body) == [BEGIN, TextDelta("a"), TextDelta("b"), Finish("stop")]


def test_sources_come_at_the_end() -> None:
    found = chunk({"text": "so"}, finish="STOP")
    found["candidates"][0]["groundingMetadata"] = {"groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}]}
    kinds = [type(event) for event in stream(found)]
    assert kinds == [Start, TextDelta, CitationDelta, Finish]


def test_sources_of_a_stream_keep_their_places_whatever_the_text() -> None:
    found = chunk({"text": "so."}, finish="STOP")
    sources = [{"web": {"uri": "https://a.test", "title": "A"}}]
    supports = [{"segment": {"startIndex": 3, "endIndex": 10, "text": "übt so"}, "groundingChunkIndices": [0]}]
    found["candidates"][0]["groundingMetadata"] = {"groundingChunks": sources, "groundingSupports": supports}
    (cited,) = [event for event in stream(chunk({"text": "Es übt "}), found) if isinstance(event, CitationDelta)]
    assert (cited.citation.start, cited.citation.end, "Es übt so."[3:9]) == (3, 9, "übt so")


def test_counts_that_only_an_earlier_chunk_had_are_kept() -> None:
    events = stream(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 3, "cachedContentTokenCount": 2}),
        chunk(finish="STOP", usageMetadata={"candidatesTokenCount": 1}),
    )
    assert Usage(input=3, output=1, cache_read=2) in events


def test_counts_of_one_round_are_not_those_of_the_whole() -> None:
    """Where tools run at the vendor each round has counts of its own, and the last chunk has the sum."""
    events = stream(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 21, "totalTokenCount": 30}),
        chunk(finish="STOP", usageMetadata={"promptTokenCount": 80, "thoughtsTokenCount": 70, "totalTokenCount": 150}),
    )
    assert Usage(input=80, output=70, reasoning=70, total=150) in events


def test_the_raw_parts_of_a_chunk_are_read_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with code, its results and pictures is large: it is not read again for each of its parts."""
    read: list[bytes] = []

    def counted(data: bytes) -> list[Any]:
        read.append(data)
        return raw_parts(data)

    monkeypatch.setattr(gemini_stream, "raw_parts", counted)
    parts = [{"executableCode": {"code": str(n)}} for n in range(3)]
    body = json.dumps([chunk(*parts), chunk(*parts[:1])]).encode()
    labels = [
        json.loads(event.raw)["executableCode"]["code"] for event in decode_answer(body) if isinstance(event, OpaquePart)
    ]
    assert labels == ["0", "1", "2", "0"]
    assert len(read) == 2
