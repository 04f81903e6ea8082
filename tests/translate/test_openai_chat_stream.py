from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.events import (
    CUT,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
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
from omniroute.translate.openai_chat_stream import ChatDecoder, decode_answer

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish} | more.pop("choice", {})
    return msgspec.json.encode({"id": "c1", "created": 7, "model": "m", "choices": [choice]} | more)


def play(*chunks: bytes, end: bool = True) -> list[Event]:
    """Events of a stream, without the Start that is always the same."""
    decoder = ChatDecoder()
    events = [event for data in chunks for event in decoder.feed(b"", data)]
    events += decoder.eof() if end else ()
    assert events[0] == Start("c1", "m", 7)
    return events[1:]


def test_text_then_finish_then_usage_then_done() -> None:
    usage = msgspec.json.encode({"id": "c1", "choices": [], "usage": USAGE})
    assert play(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk(finish="stop"), usage, b"[DONE]"
    ) == [
        TextDelta("Hi"),
        Usage(input=3, output=2, total=5),
        Finish("stop"),
    ]


def test_a_whole_answer_at_the_end_of_a_stream_does_not_say_everything_again() -> None:
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "reasoning_content": "Hm", "content": "Hi", "tool_calls": [call]}
    whole = chunk(choice={"delta": None, "message": message, "finish_reason": "tool_calls"}, usage=USAGE)
    said = [chunk({"reasoning_content": "Hm"}), chunk({"content": "Hi"}), chunk({"tool_calls": [call]})]
    events = [ThinkingDelta("Hm"), TextDelta("Hi"), ToolStart("t", "f"), ToolArguments("{}")]
    end = [Usage(input=3, output=2, total=5), Finish("tool_calls")]
    for number in range(1, 4):
        assert play(*said[:number], whole)[:number] == events[:number]
        assert [e for e in play(*said[:number], whole) if not isinstance(e, ToolArguments)][number:] == end
    assert play(chunk({"role": "assistant", "content": ""}), whole) == [*events, *end]


def test_a_vendor_that_says_message_for_delta_is_heard_to_the_end() -> None:
    pieces = [chunk(choice={"delta": None, "message": {"role": "assistant", "content": text}}) for text in ("a", "b")]
    assert play(*pieces, chunk(finish="stop")) == [TextDelta("a"), TextDelta("b"), Finish("stop")]


def test_nothing_follows_done_and_finish_is_emitted_once() -> None:
    decoder = ChatDecoder()
    decoder.feed(b"", chunk({"content": "a"}, "stop"))
    assert list(decoder.feed(b"", b"[DONE]")) == [Finish("stop")]
    assert not decoder.feed(b"", chunk({"content": "b"}))
    assert not decoder.feed(b"", b"garbage")
    assert not decoder.eof()


@pytest.mark.parametrize("data", [b"", b" ", b"null"])
def test_an_event_without_data_says_nothing(data: bytes) -> None:
    assert not ChatDecoder().feed(b"", data)


def test_azures_first_chunk_does_not_begin_the_answer() -> None:
    first = b'{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}'
    assert play(first, chunk({"content": "a"}, "stop")) == [TextDelta("a"), Finish("stop")]


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        ([chunk(finish="stop")], Finish("stop")),
        ([b"[DONE]"], Finish("stop")),
        ([msgspec.json.encode({"choices": [], "usage": USAGE})], Finish("stop")),
        ([chunk(finish="eos")], Finish("stop")),
        ([chunk(finish="eos_token")], Finish("stop")),
        ([chunk(finish="stop_sequence")], Finish("stop")),
        ([chunk({"content": "b"}, "null"), chunk(finish="length")], Finish("length")),
        ([chunk(finish="null")], Failure(502, CUT)),
        ([chunk(finish="content_filter: PROHIBITED_CONTENT")], Finish("content_filter")),
        (
            [chunk(finish="function_call_filter: MALFORMED_FUNCTION_CALL")],
            Finish("error", raw="function_call_filter: MALFORMED_FUNCTION_CALL"),
        ),
        ([chunk(finish="SAFETY")], Finish("content_filter")),
        ([chunk(finish="sensitive")], Finish("content_filter")),
        ([chunk(finish="model_context_window_exceeded")], Finish("length")),
        ([chunk(finish="network_error")], Finish("error", raw="network_error")),
        ([chunk(finish="error", choice={"error": {"code": 502, "message": "m"}})], "m"),
        ([chunk(x_groq={"error": "over capacity"})], "over capacity"),
        ([chunk(finish="stop"), chunk(finish="length")], Finish("stop")),
        ([chunk(finish="strange")], Finish("other", raw="strange")),
        ([chunk(finish=""), b"[DONE]"], Finish("stop")),
        ([], Failure(502, CUT)),
        ([chunk({"content": "b"}, usage=USAGE)], Failure(502, CUT)),  # usage in every chunk proves nothing
    ],
)
def test_what_ends_an_answer_and_how(last: list[bytes], ending: Event | str) -> None:
    found = play(chunk({"content": "a"}), *last)[-1]
    assert (found.message if isinstance(found, Failure) and isinstance(ending, str) else found) == ending


def test_a_stream_without_any_choice_has_failed() -> None:
    for data in ([], [b"[DONE]"]):
        decoder = ChatDecoder()
        events = [e for d in data for e in decoder.feed(b"", d)] + list(decoder.eof())
        assert events == [Start(), Failure(502, CUT)]


@pytest.mark.parametrize("finish", ["stop", "", None, "tool_calls", "function_call"])
def test_an_answer_with_calls_finishes_with_tool_calls(finish: str | None) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    assert play(chunk({"tool_calls": [call]}), chunk(finish=finish), b"[DONE]")[-1] == Finish("tool_calls")


def test_an_empty_legacy_function_call_is_no_call() -> None:
    assert play(chunk({"content": "a", "function_call": {"name": "", "arguments": ""}}, "stop"))[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("name", "data", "status", "message"),
    [
        (b"error", b'{"error":{"message":"m","status_code":400}}', 400, "m"),
        (b"", b'{"error":{"message":"m","code":429}}', 429, "m"),
        (b"", b'{"error":"m"}', 502, "m"),
        (b"error", b'{"message":"m"}', 502, "m"),
        (b"error", b'{"code":400,"message":"m","type":"invalid_request_error"}', 400, "m"),
        (b"", b'{"object":"error","message":"m"}', 502, "m"),
        (b"", b'{"detail":"m"}', 502, "m"),
    ],
)
def test_errors_in_the_stream_are_failures(name: bytes, data: bytes, status: int, message: str) -> None:
    decoder = ChatDecoder()
    decoder.feed(b"", chunk({"content": "a"}, "stop"))
    (failure,) = decoder.feed(name, data)
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message, failure.raw) == (status, message, data)
    assert not decoder.eof()


def test_an_error_inside_a_chunk_comes_after_the_chunks_content() -> None:
    events = play(chunk({"content": "a"}, "error", error={"message": "m", "code": 503}))
    assert events[0] == TextDelta("a")
    assert isinstance(events[1], Failure)
    assert events[1].status == 503


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_text", "thinking"])
def test_thinking_under_either_name(name: str) -> None:
    assert play(chunk({name: "hm"}), chunk({"content": "a"}, "stop")) == [
        ThinkingDelta("hm"),
        TextDelta("a"),
        Finish("stop"),
    ]


def test_reasoning_details_give_text_only_without_another_source_and_always_the_signature() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": None}
    assert play(chunk({"reasoning": "hm", "reasoning_details": [detail]}), end=False) == [ThinkingDelta("hm")]
    assert play(
        chunk({"reasoning_details": [detail | {"signature": "s"}, {"type": "reasoning.encrypted", "data": "x"}]}), end=False
    ) == [
        ThinkingDelta("hm"),
        Signature("s", wire="openai-chat"),
        Signature("x", redacted=True, wire="openai-chat"),
    ]


def test_content_as_a_list_with_thinking_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": "https://example.com/i.png"},
        {"type": "unheard_of", "x": 1},
    ]
    events = play(chunk({"content": parts}), end=False)
    assert events[:2] == [ThinkingDelta("hm"), TextDelta("a")]
    assert isinstance(events[2], MediaPart)
    assert len(events) == 3


def test_logprobs_of_a_token_without_text_are_kept() -> None:
    """The first token can be half of a character: its text is empty until the other half comes."""
    half = {"content": [{"token": "\\xf0", "logprob": -0.5}]}
    first = chunk({"role": "assistant", "content": ""}, choice={"logprobs": half})
    out = play(first, chunk({"content": "\U0001f600"}, choice={"logprobs": half}), end=False)
    assert [event.logprobs for event in out if isinstance(event, TextDelta)] == [msgspec.json.encode(half["content"])] * 2
    thought = chunk({"content": "", "reasoning_content": "hm"}, choice={"logprobs": half})
    assert not [event for event in play(thought, end=False) if isinstance(event, TextDelta)]


def test_logprobs_travel_with_their_text() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}]}
    (event,) = play(chunk({"content": "a"}, choice={"logprobs": logprobs}), end=False)
    assert isinstance(event, TextDelta)
    assert event.logprobs == msgspec.json.encode(logprobs["content"])


MARK = {"extra_content": {"google": {"thought": True}}}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([("<thought>why", MARK), (" so", MARK), ("</thought>be", {}), ("cause", {})], ("why so", "because")),
        ([("<thou", MARK), ("ght>why</thou", MARK), ("ght>because", {})], ("why", "because")),
        ([("<think>\nwhy", MARK), ("</think>\n\nbecause", {})], ("why", "because")),
        ([("<thought>why", MARK), (" so", {}), ("</thought>because", {})], ("why so", "because")),
        ([("Plan: ", MARK), (" go", MARK), ("because", {}), ("</thought>", {})], ("Plan:  go", "because</thought>")),
        ([("ah, ", {}), ("<thought>why", MARK), ("</thought>because", {})], ("why", "ah, because")),
        ([("<thought>a", MARK), ("</thought>", {}), ("<thought>b", MARK), ("</thought>c", {})], ("ab", "c")),
        ([("<thought>why </th", MARK)], ("why </th", "")),
        ([("<thought>why</thought>because", MARK)], ("why", "because")),
        ([("so", {"extra_content": {"google": {"thought_signature": "c2ln"}}}), ("!", {"extra_content": 3})], ("", "so!")),
    ],
)
def test_text_that_google_marks_as_thinking_is_thinking(
    deltas: list[tuple[str, dict[str, Any]]], expected: tuple[str, str]
) -> None:
    stream = [chunk({"content": text, "role": "assistant"} | more) for text, more in deltas]
    for before in ([], [chunk({"role": "assistant"})]):
        out = play(*before, *stream, chunk({"role": "assistant"}, finish="stop"))
        found = ("".join([e.text for e in out if isinstance(e, kind)]) for kind in (ThinkingDelta, TextDelta))
        assert tuple(found) == expected


def test_a_whole_answer_of_googles_is_left_to_its_tags() -> None:
    for text in ("<thought>why</thought>because", "because"):
        message = {"role": "assistant", "content": text} | MARK
        whole = msgspec.json.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        assert decode_answer(whole) == [Start(), TextDelta(text), Finish("stop")]


def test_googles_thinking_before_a_call_does_not_reach_the_text() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    out = play(chunk({"content": "<thought>why"} | MARK), chunk({"content": "</thought>", "tool_calls": [call]}, "stop"))
    assert out == [ThinkingDelta("why"), ToolStart("c", "f"), ToolArguments("{}"), Finish("tool_calls")]


def test_a_call_that_stands_alone_where_a_list_belongs_is_read() -> None:
    call = {"index": 0, "id": 0, "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    whole = msgspec.json.encode({"choices": [{"index": 0, "message": {"tool_calls": call}, "finish_reason": "eos_token"}]})
    for events in (play(chunk({"tool_calls": call}), chunk(finish="eos_token")), decode_answer(whole)):
        start = next(event for event in events if isinstance(event, ToolStart))
        assert (start.name, start.id[:5], ToolArguments('{"a":1}') in events) == ("f", "call_", True)


def test_images_audio_annotations_and_refusals() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://e.com", "title": "t", "start_index": 0, "end_index": 1}}
    events = play(
        chunk({"content": "a", "annotations": [note]}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}),
        chunk({"audio": {"id": "x", "data": "AA", "transcript": "he"}}),
        chunk({"audio": {"data": "BB", "transcript": "llo"}}),
        chunk({"refusal": "no"}, "stop"),
    )
    assert isinstance(events[1], CitationDelta)
    assert (events[1].citation.url, events[1].citation.raw) == ("https://e.com", msgspec.json.encode(note))
    assert isinstance(events[2], MediaPart)
    assert events[2].media.data == "AAAA"
    assert events[3] == RefusalDelta("no")
    assert isinstance(events[4], MediaPart)
    assert (events[4].media.data, events[4].media.transcript) == ("AABB", "hello")


def test_only_the_first_choice_is_the_answer() -> None:
    second = {"index": 1, "delta": {"content": "b"}}
    both = msgspec.json.encode(
        {"id": "c1", "created": 7, "model": "m", "choices": [second, {"index": 0, "delta": {"content": "a"}}]}
    )
    assert play(both, end=False) == [TextDelta("a")]


def test_moonshots_usage_stands_in_the_choice() -> None:
    last = chunk(finish="stop", choice={"usage": USAGE})
    assert play(chunk({"content": "a"}), last)[1:] == [Usage(input=3, output=2, total=5), Finish("stop")]


def test_groqs_usage_counts_where_there_is_no_other() -> None:
    assert play(chunk({"content": "a"}), chunk(finish="stop", x_groq={"usage": USAGE}))[-2] == Usage(
        input=3, output=2, total=5
    )
    both = play(chunk({"content": "a"}), chunk(finish="stop", x_groq={"usage": USAGE}, usage=USAGE))
    assert sum(isinstance(event, Usage) for event in both) == 1


@pytest.mark.parametrize(
    "data", [b"hello", b"<html>", b'{"choices":', b"[]", b'{"choices":[{"delta":{"content":5}}]}', b'{"choices":1}']
)
def test_what_is_no_chunk_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        ChatDecoder().feed(b"", data)


# -- whole answers


def test_an_empty_delta_beside_the_message_of_a_whole_answer_says_nothing() -> None:
    choice = {"message": {"role": "assistant", "content": "Hi"}, "delta": {"role": "assistant", "content": ""}}
    body = msgspec.json.encode({"id": "c1", "choices": [{"index": 0, "finish_reason": "stop"} | choice]})
    assert decode_answer(body)[1:] == [TextDelta("Hi"), Finish("stop")]


def test_the_message_so_far_beside_the_delta_of_a_chunk_says_nothing() -> None:
    first = chunk({"content": "H"}, choice={"message": {"role": "assistant", "content": "H"}})
    last = chunk({"content": ""}, "stop", choice={"message": {"role": "assistant", "content": "Hi"}})
    assert play(first, chunk({"content": "i"}), last) == [TextDelta("H"), TextDelta("i"), Finish("stop")]


def test_a_whole_answer_is_the_same_events() -> None:
    message = {
        "role": "assistant",
        "content": "a",
        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"x":1}'}}],
    }
    body = {
        "id": "c1",
        "model": "m",
        "created": 7,
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert decode_answer(msgspec.json.encode(body)) == [
        Start("c1", "m", 7),
        TextDelta("a"),
        ToolStart("1", "f"),
        ToolArguments('{"x":1}'),
        Usage(input=3, output=2, total=5),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"m","code":400}}',
        b'[{"error":{"message":"m","code":400}}]',
        b'{"choices":null,"base_resp":{"status_code":2013,"status_msg":"m"}}',
    ],
)
def test_an_error_under_status_200_is_a_failure(body: bytes) -> None:
    start, failure = decode_answer(body)
    assert start == Start()
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message) == (400, "m")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"choices":[]}', b"[]", b'["a"]', b"null", b'"x"', b'{"choices":[1]}']
)
def test_what_is_no_answer_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_answer(body)


def test_each_call_of_a_whole_answer_is_one_whatever_it_shares_with_another() -> None:
    calls = [{"index": 0, "id": "1", "function": {"name": name, "arguments": '{"a":1}'}} for name in "ff"]
    choices = [{"message": {"content": "a", "tool_calls": calls}}, {"message": {"tool_calls": calls[:1]}}]
    events = decode_answer(msgspec.json.encode({"id": "c", "choices": choices}))
    assert [e.id == "1" for e in events if isinstance(e, ToolStart)] == [True, False, False]
    assert [e.text for e in events if isinstance(e, ToolArguments)] == ['{"a":1}'] * 3


def test_a_summary_in_the_content_is_thinking() -> None:
    parts = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, {"type": "text", "text": "a"}]
    assert play(chunk({"content": parts}, "stop")) == [ThinkingDelta("hm"), TextDelta("a"), Finish("stop")]
