"""The stream decoder, one page of wire at a time.  ``said`` feeds (event name, payload) pairs and gives our events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.anthropic_stream import Decoder
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Opaque, Text, Thinking, ToolCall
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.format import BadAnswer

Page = dict[str, Any]
START: Page = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}},
}
STOP: Page = {"type": "message_stop"}


def opened(index: int, block: Page) -> Page:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> Page:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def closed(index: int) -> Page:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None = "end_turn", sequence: str | None = None, **usage: Any) -> Page:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence}, "usage": usage}


def text(index: int, *pieces: str) -> list[Page]:
    block = opened(index, {"type": "text", "text": ""})
    return [block, *(delta(index, "text_delta", text=piece) for piece in pieces), closed(index)]


def said(*pages: Page) -> list[Event]:
    decoder = Decoder()
    events = [event for page in pages for event in decoder.feed(page["type"].encode(), json.dumps(page).encode())]
    return [*events, *decoder.eof()]


def blocks(*pages: Page) -> list[Any]:
    return list(collect(said(START, *pages, ended(), STOP)).blocks)


def test_a_text_answer() -> None:
    assert said(START, *text(0, "Hel", "lo"), ended(output_tokens=2), STOP) == [
        Start("msg_1", "m"),
        Usage(input=9, output=1),
        TextDelta(""),
        TextDelta("Hel"),
        TextDelta("lo"),
        BlockEnd(),
        Usage(input=9, output=2),
        Finish("stop"),
    ]


def test_thinking_with_its_signature() -> None:
    pages = [
        opened(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="proof"),
        closed(0),
    ]
    assert said(START, *pages, ended(), STOP)[2:6] == [
        ThinkingDelta(""),
        ThinkingDelta("hm"),
        Signature("proof", wire="anthropic"),
        BlockEnd(),
    ]


def test_redacted_thinking_has_no_deltas() -> None:
    found = blocks(opened(0, {"type": "redacted_thinking", "data": "sealed"}), closed(0))
    assert found == [Thinking("", "sealed", redacted=True, wire="anthropic")]


def test_a_block_that_starts_and_stops_without_a_delta() -> None:
    assert blocks(*text(0)) == [Text("")]


def test_two_text_blocks_stay_two() -> None:
    assert blocks(*text(0, "a"), *text(1, "b")) == [Text("a"), Text("b")]


def test_a_tool_call() -> None:
    pages = [
        opened(0, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}),
        delta(0, "input_json_delta", partial_json=""),
        delta(0, "input_json_delta", partial_json='{"at"'),
        delta(0, "input_json_delta", partial_json=": 1}"),
        closed(0),
    ]
    events = said(START, *pages, ended("tool_use"), STOP)
    assert events[2:7] == [
        ToolStart("toolu_1", "look"),
        ToolArguments(""),
        ToolArguments('{"at"'),
        ToolArguments(": 1}"),
        BlockEnd(),
    ]
    assert events[-1] == Finish("tool_calls")


def test_a_tool_call_that_comes_whole_in_its_start() -> None:
    found = blocks(opened(0, {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}), closed(0))
    assert [(call.name, json.loads(call.arguments)) for call in found] == [("look", {"at": 1})]


def test_a_tool_call_without_arguments() -> None:
    assert blocks(opened(0, {"type": "tool_use", "id": "t", "name": "look", "input": {}}), closed(0)) == [
        ToolCall("t", "look", "{}")
    ]


def test_citations_belong_to_their_text() -> None:
    citation = {"type": "web_search_result_location", "url": "https://a.test", "title": "A", "cited_text": "words"}
    events = said(START, opened(0, {"type": "text", "text": ""}), delta(0, "citations_delta", citation=citation))
    found = [event.citation for event in events if isinstance(event, CitationDelta)]
    assert [(c.url, c.title, c.text, c.wire) for c in found] == [("https://a.test", "A", "words", "anthropic")]
    assert json.loads(found[0].raw or b"") == citation


def test_a_server_tool_call_is_gathered_whole() -> None:
    pages = [
        opened(0, {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}),
        delta(0, "input_json_delta", partial_json='{"query":'),
        delta(0, "input_json_delta", partial_json='"x"}'),
        closed(0),
    ]
    (found,) = blocks(*pages)
    assert isinstance(found, Opaque)
    assert (found.wire, found.label) == ("anthropic", "server_tool_use")
    assert json.loads(found.raw) == {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}}


def test_deltas_of_unknown_blocks_are_merged_into_them() -> None:
    pages = [
        opened(0, {"type": "compaction", "content": None, "citations": None}),
        delta(0, "compaction_delta", content="all "),
        delta(0, "compaction_delta", content="so far"),
        delta(0, "citations_delta", citation={"n": 1}),
        delta(0, "odd_delta", text=7),
        closed(0),
    ]
    (found,) = blocks(*pages)
    assert json.loads(found.raw) == {"type": "compaction", "content": "all so far", "citations": [{"n": 1}], "text": 7}


def test_counts_that_are_null_and_counts_that_come_later() -> None:
    start = {
        "type": "message_start",
        "message": {"id": "msg_1", "usage": {"input_tokens": None, "cache_read_input_tokens": 50}},
    }
    answer = collect(said(start, ended(input_tokens=4, output_tokens=2), STOP))
    assert answer.usage == Usage(input=54, output=2, cache_read=50)


@pytest.mark.parametrize("tail", [[ended()], [ended(), STOP], [ended(), STOP, STOP], [STOP], [ended(None), STOP]])
def test_every_end_that_says_so_is_one_finish(tail: list[Page]) -> None:
    events = said(START, *text(0, "a"), *tail)
    assert [event for event in events if isinstance(event, (Finish, Failure))] == [Finish("stop")]
    assert events[-1] == Finish("stop")


def test_a_stop_sequence() -> None:
    assert said(START, ended("stop_sequence", "END"), STOP)[-1] == Finish("stop", "END")


@pytest.mark.parametrize("pages", [[], [START], [START, *text(0, "a")], [START, opened(0, {"type": "text", "text": ""})]])
def test_a_stream_that_ends_without_a_reason_was_cut_off(pages: list[Page]) -> None:
    last = said(*pages)[-1]
    assert isinstance(last, Failure)
    assert last.status == 502


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("overloaded_error", 529),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("invalid_request_error", 400),
        ("new_error", 500),
    ],
)
def test_an_error_event_ends_the_answer(kind: str, status: int) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "No."}}
    events = said(START, *text(0, "a"), error, *text(1, "b"), STOP)
    failure = events[-1]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.type, failure.message, failure.wire) == (status, kind, "No.", "anthropic")
    assert sum(isinstance(event, (Finish, Failure)) for event in events) == 1


def test_an_error_object_without_the_type() -> None:
    decoder = Decoder()
    start, failure = decoder.feed(b"", b'{"error":{"message":"No.","code":503}}')
    assert start == Start()
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message) == (503, "No.")


@pytest.mark.parametrize(
    "data", [b"[DONE]", b" [DONE] ", b"", b'{"type":"ping"}', b'{"type":"new_event","index":"x"}', b"{}"]
)
def test_what_has_no_meaning_is_passed_over(data: bytes) -> None:
    assert list(Decoder().feed(b"data", data)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish",
        b'{"type":"message_start","message":7}',
        b'{"type":"content_block_start","index":0}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":7}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}',
        b"[" * 100_000,
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff"}}',
    ],
)
def test_what_cannot_be_read_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Decoder().feed(b"", data)


def test_interleaved_blocks_are_a_bad_answer_and_not_a_mixed_up_one() -> None:
    decoder = Decoder()
    for page in (START, *text(0, "a"), opened(1, {"type": "text", "text": ""})):
        decoder.feed(b"", json.dumps(page).encode())
    with pytest.raises(BadAnswer, match="interleaved"):
        decoder.feed(b"", json.dumps(delta(0, "text_delta", text="b")).encode())


def test_a_delta_without_a_block_start_opens_its_block() -> None:
    assert blocks(delta(0, "thinking_delta", thinking="hm"), delta(1, "text_delta", text="a")) == [Thinking("hm"), Text("a")]


def test_blocks_without_their_stop() -> None:
    pages = [opened(0, {"type": "text", "text": "a"}), opened(1, {"type": "text", "text": "b"})]
    assert blocks(*pages) == [Text("a"), Text("b")]


def test_an_index_that_is_used_again() -> None:
    assert blocks(*text(0, "a"), *text(0, "b")) == [Text("a"), Text("b")]


def test_a_second_message_start_is_passed_over() -> None:
    events = said(START, START, *text(0, "a"), ended(), STOP)
    assert sum(isinstance(event, Start) for event in events) == 1


def test_a_stream_without_message_start_still_starts() -> None:
    assert said(*text(0, "a"), ended(), STOP)[0] == Start()
    assert said(ended(output_tokens=1), STOP) == [Start(), Usage(output=1), Finish("stop")]
    assert said(STOP) == [Start(), Finish("stop")]


def test_content_in_message_start() -> None:
    start = {"type": "message_start", "message": {"id": "msg_1", "content": [{"type": "text", "text": "begun"}]}}
    assert collect(said(start, ended(), STOP)).blocks == [Text("begun")]


def test_after_the_end_nothing_is_read() -> None:
    decoder = Decoder()
    decoder.feed(b"", json.dumps(STOP).encode())
    assert list(decoder.feed(b"", b"rubbish")) == []
    assert list(decoder.eof()) == []
