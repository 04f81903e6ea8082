"""The stream encoder: what our events look like on the wire, and that nothing illegal can come out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.translate.anthropic_emit import Encoder
from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import (
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
from omniroute.translate.format import Stamp

STAMP = Stamp("msg_stamp", 1_750_000_000, "stamped")
START = Start("msg_1", "m")
STOP = Finish("stop")
Page = dict[str, Any]


def pages(body: bytes) -> list[Page]:
    """The payloads of a stream whose framing is exactly the vendor's: ``event``, ``data``, blank line."""
    found = []
    for frame in body.decode().removesuffix("\n\n").split("\n\n") if body else []:
        event, data = frame.split("\n")
        payload = json.loads(data.removeprefix("data: "))
        assert event == f"event: {payload['type']}"
        found.append(payload)
    return found


def written(*events: Event, stamp: Stamp = STAMP) -> list[Page]:
    """Each event fed alone."""
    encoder = Encoder(stamp)
    return pages(b"".join(encoder.feed([event]) for event in events) + encoder.eof())


def types(found: list[Page]) -> list[str]:
    return [page["type"] for page in found]


def deltas(found: list[Page]) -> list[Page]:
    return [page["delta"] for page in found if page["type"] == "content_block_delta"]


def starts(found: list[Page]) -> list[Page]:
    return [page["content_block"] for page in found if page["type"] == "content_block_start"]


def test_a_text_answer_byte_for_byte() -> None:
    encoder = Encoder(STAMP)
    events: list[Event] = [START, Usage(input=9), TextDelta('a "b"\n'), TextDelta("é"), Usage(output=2), STOP]
    assert encoder.feed(events) + encoder.eof() == (
        b"event: message_start\n"
        b'data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m",'
        b'"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        b"event: content_block_start\n"
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a \\"b\\"\\n"}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xc3\xa9"}}\n\n'
        b"event: content_block_stop\n"
        b'data: {"type":"content_block_stop","index":0}\n\n'
        b"event: message_delta\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":9,'
        b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}\n\n'
        b"event: message_stop\n"
        b'data: {"type":"message_stop"}\n\n'
    )


def test_message_start_does_not_wait_for_content() -> None:
    assert types(pages(Encoder(STAMP).feed([START]))) == ["message_start"]


def test_blocks_have_contiguous_indexes_and_never_overlap() -> None:
    found = written(
        START, ThinkingDelta("hm"), TextDelta("a"), ToolStart("t1", "look"), ToolStart("t2", "look"), TextDelta("b"), STOP
    )
    frames = [
        (page["type"], page["index"]) for page in found if page["type"] in ("content_block_start", "content_block_stop")
    ]
    assert frames == [(kind, index) for index in range(5) for kind in ("content_block_start", "content_block_stop")]


def test_an_empty_answer_is_still_a_whole_message() -> None:
    found = written(START, STOP)
    assert types(found) == ["message_start", "message_delta", "message_stop"]
    assert found[1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_a_finish_without_a_start_is_still_a_whole_message() -> None:
    found = written(STOP)
    assert (found[0]["message"]["id"], found[0]["message"]["model"]) == ("msg_stamp", "stamped")


# -- the client's commit point


def test_the_stop_of_a_leading_thinking_block_waits_for_the_next_block() -> None:
    encoder = Encoder(STAMP)
    before = pages(encoder.feed([START, ThinkingDelta("hm"), Signature("proof", wire="anthropic"), BlockEnd()]))
    assert "content_block_stop" not in types(before)
    assert types(pages(encoder.feed([TextDelta("a")])))[:2] == ["content_block_stop", "content_block_start"]


@pytest.mark.parametrize(
    "leading",
    [
        [ThinkingDelta("hm"), BlockEnd()],
        [ThinkingDelta("hm")],
        [Signature("sealed", redacted=True, wire="anthropic"), BlockEnd()],
        [TextDelta("a")],
    ],
)
def test_an_error_before_the_commit_point_is_the_only_thing_that_follows(leading: list[Event]) -> None:
    encoder = Encoder(STAMP)
    before = pages(encoder.feed([START, *leading]))
    after = pages(encoder.fail(Failure(529, "Overloaded")))
    assert "content_block_stop" not in types(before + after)
    assert after == [{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]


def test_a_turn_that_ends_well_after_thinking_alone_releases_the_stop() -> None:
    found = written(START, ThinkingDelta("hm"), BlockEnd(), STOP)
    assert types(found)[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_the_stop_of_a_later_thinking_block_is_not_held_back() -> None:
    encoder = Encoder(STAMP)
    found = pages(encoder.feed([START, TextDelta("a"), BlockEnd(), ThinkingDelta("hm"), BlockEnd()]))
    assert types(found)[-1] == "content_block_stop"


# -- endings


def test_after_the_ending_nothing_is_written() -> None:
    encoder = Encoder(STAMP)
    encoder.feed([START, STOP])
    assert (encoder.feed([TextDelta("late")]), encoder.fail(Failure(500, "late")), encoder.eof()) == (b"", b"", b"")


def test_after_an_error_nothing_is_written() -> None:
    encoder = Encoder(STAMP)
    assert types(pages(encoder.feed([START, Failure(500, "No."), TextDelta("late"), STOP]))) == ["error"]
    assert (encoder.feed([STOP]), encoder.eof()) == (b"", b"")


def test_events_that_just_stop_are_reported_as_an_error() -> None:
    found = written(START, TextDelta("a"))
    assert found[-1]["error"]["type"] == "api_error"
    assert types(found)[-2:] == ["content_block_delta", "error"]


def test_a_finish_that_says_error_is_an_error() -> None:
    assert types(written(START, TextDelta("a"), Finish("error")))[-1] == "error"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(429, "Slow.", type="rate_limit_error"), {"type": "rate_limit_error", "message": "Slow."}),
        (Failure(500, "No.", type="overloaded_error"), {"type": "overloaded_error", "message": "No."}),
        (Failure(429, "Slow.", type="tokens", code="tpm"), {"type": "rate_limit_error", "message": "Slow.", "code": "tpm"}),
        (Failure(418, "Tea."), {"type": "invalid_request_error", "message": "Tea."}),
    ],
)
def test_errors_in_the_wires_own_words(failure: Failure, error: Page) -> None:
    assert written(START, failure)[-1] == {"type": "error", "error": error}


# -- blocks


def test_thinking_with_its_signature() -> None:
    found = written(START, ThinkingDelta(""), ThinkingDelta("hm"), Signature("proof", wire="anthropic"), BlockEnd(), STOP)
    assert starts(found) == [{"type": "thinking", "thinking": "", "signature": ""}]
    assert deltas(found) == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "proof"},
    ]


def test_a_signature_alone_opens_its_block() -> None:
    found = written(START, Signature("proof", wire="anthropic"), STOP)
    assert [block["type"] for block in starts(found)] == ["thinking"]


def test_signatures_of_other_vendors_are_named_and_left_out() -> None:
    encoder = Encoder(STAMP)
    encoder.feed([START, ThinkingDelta("hm"), Signature("proof", wire="gemini"), Signature("x", redacted=True), STOP])
    assert encoder.dropped == ["thinking_signature", "redacted_thinking"]


def test_a_tool_call() -> None:
    stamp = Stamp("msg_s", 1, "m", names={"files_read_1": "files.read"})
    found = written(START, ToolStart("", "files_read_1"), ToolArguments('{"at"'), ToolArguments(":1}"), STOP, stamp=stamp)
    assert starts(found) == [{"type": "tool_use", "id": "toolu_s_0", "name": "files.read", "input": {}}]
    assert [delta["partial_json"] for delta in deltas(found)] == ['{"at"', ":1}"]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("text", ["", "null", " "])
def test_no_arguments_are_written_as_none(text: str) -> None:
    assert deltas(written(START, ToolStart("t", "look"), ToolArguments(text), STOP)) == []


def test_the_free_text_of_a_custom_tool_becomes_an_object() -> None:
    found = written(START, ToolStart("t", "patch", kind="custom"), ToolArguments('a "b"'), ToolArguments("\nc"), STOP)
    assert json.loads("".join(delta["partial_json"] for delta in deltas(found))) == {"input": 'a "b"\nc'}


def test_a_refusal_is_text_with_its_own_stop_reason() -> None:
    found = written(START, RefusalDelta("no"), STOP)
    assert deltas(found) == [{"type": "text_delta", "text": "no"}]
    assert found[-2]["delta"]["stop_reason"] == "refusal"


def test_citations_of_this_wire_only() -> None:
    raw = b'{\n"type":"char_location"}'
    own, other = Citation(wire="anthropic", raw=raw), Citation("https://a.test", wire="openai-chat", raw=b"{}")
    encoder = Encoder(STAMP)
    found = pages(encoder.feed([START, TextDelta("a"), CitationDelta(own), CitationDelta(other), STOP]))
    assert deltas(found)[1:] == [{"type": "citations_delta", "citation": {"type": "char_location"}}]
    assert encoder.dropped == ["citations"]


def test_server_blocks_are_written_as_the_vendor_does() -> None:
    call = b'{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}'
    result = b'{"type":"web_search_tool_result","tool_use_id":"s","content":[]}'
    found = written(
        START,
        OpaquePart("anthropic", "server_tool_use", call),
        OpaquePart("anthropic", "web_search_tool_result", result),
        STOP,
    )
    assert starts(found) == [{**json.loads(call), "input": {}}, json.loads(result)]
    assert deltas(found) == [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}]


def test_what_the_wire_cannot_hold_is_named() -> None:
    encoder = Encoder(STAMP)
    events = [
        TextDelta("a", logprobs=b"[]"),
        OpaquePart("gemini", "executableCode", b"{}"),
        MediaPart(Media("audio", "audio/wav", data="UklG", transcript="spoken")),
    ]
    found = pages(encoder.feed([START, *events, STOP]))
    assert encoder.dropped == ["logprobs", "server_blocks", "media_output"]
    assert [delta["text"] for delta in deltas(found)] == ["a", "spoken"]


# -- properties

texts = st.sampled_from(["", "a", '"\\', "é👋", "\n\u2028"])
events_in_any_order: st.SearchStrategy[Event] = st.one_of(
    st.builds(TextDelta, texts),
    st.builds(ThinkingDelta, texts),
    st.builds(Signature, texts, st.booleans(), st.sampled_from(["anthropic", "gemini"])),
    st.builds(RefusalDelta, texts),
    st.builds(ToolStart, texts, texts, st.sampled_from(["function", "custom"])),
    st.builds(ToolArguments, texts),
    st.just(OpaquePart("anthropic", "x_tool_result", b'{"type":"x_tool_result"}')),
    st.just(OpaquePart("anthropic", "server_tool_use", b'{"type":"server_tool_use","input":{"a":1}}')),
    st.just(CitationDelta(Citation(wire="anthropic", raw=b"{}"))),
    st.just(BlockEnd()),
    st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
)
endings: st.SearchStrategy[list[Event]] = st.sampled_from([[STOP], [Finish("length")], [Failure(500, "No.")], []])


@settings(max_examples=150)
@given(st.lists(events_in_any_order, max_size=20), endings, st.integers(1, 5))
def test_only_legal_sequences_come_out(middle: list[Event], ending: list[Event], size: int) -> None:
    events = [START, *middle, *ending]
    encoder = Encoder(STAMP)
    body = b"".join(encoder.feed(events[at : at + size]) for at in range(0, len(events), size)) + encoder.eof()
    state, opened = "before", -1
    is_open = False
    for page in pages(body):
        kind = page["type"]
        if kind == "message_start":
            assert state == "before"
            state = "in"
        elif kind == "content_block_start":
            assert (state, is_open, page["index"]) == ("in", False, opened + 1)
            opened, is_open = page["index"], True
        elif kind in ("content_block_delta", "content_block_stop"):
            assert (state, is_open, page["index"]) == ("in", True, opened)
            is_open = kind == "content_block_delta"
        elif kind == "message_delta":
            assert (state, is_open) == ("in", False)
            state = "ending"
        else:
            assert kind == "error" or state == "ending"
            state = "over"
    assert state == "over"
