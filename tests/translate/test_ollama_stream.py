"""Ollama answers, read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.collect import collect
from omniroute.translate.events import (
    Event,
    Failure,
    Finish,
    MediaPart,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.format import BadAnswer
from omniroute.translate.ollama_stream import OllamaDecoder, decode_answer

HEAD = {"model": "qwen3", "created_at": "2025-06-09T18:55:26Z"}
START = Start("", "qwen3", 1_749_495_326)
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4}


def line(message: dict[str, Any] | None = None, **more: Any) -> bytes:
    said = {} if message is None else {"message": {"role": "assistant", "content": "", **message}}
    return msgspec.json.encode({**HEAD, **said, "done": False, **more})


def read(*lines: bytes) -> list[Event]:
    decoder = OllamaDecoder()
    return [event for data in lines for event in decoder.feed(b"", data)] + list(decoder.eof())


def test_a_stream_of_text_ends_with_its_counts() -> None:
    assert read(line({"content": "Hel"}), line({"content": "lo"}), line({}, **END)) == [
        START,
        TextDelta("Hel"),
        TextDelta("lo"),
        Usage(input=3, output=4),
        Finish("stop"),
    ]


def test_a_line_with_everything_gives_thinking_then_text_then_images_then_calls() -> None:
    call = {"id": "c1", "function": {"name": "look", "arguments": {"a": 1}}}
    events = read(line({"content": "so", "thinking": "hm", "images": ["iVBOR"], "tool_calls": [call]}, **END))
    assert [type(event) for event in events[1:6]] == [ThinkingDelta, TextDelta, MediaPart, ToolStart, ToolArguments]
    assert events[4:6] == [ToolStart("c1", "look"), ToolArguments('{"a":1}')]


def test_stop_with_tool_calls_means_tool_calls() -> None:
    calls = [{"function": {"name": "look", "arguments": {}}}]
    assert read(line({"tool_calls": calls}), line({}, **END))[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    ("word", "finish"),
    [("length", Finish("length")), (None, Finish("stop")), ("load", Finish("other", raw="load"))],
)
def test_the_reason_of_the_end(word: str | None, finish: Finish) -> None:
    assert read(line({}, **{**END, "done_reason": word}))[-1] == finish


def test_calls_without_ids_get_made_ones_that_are_the_same_at_every_reading() -> None:
    calls = [{"function": {"name": "look", "arguments": {}}}, {"function": {"name": "look", "arguments": {}}}]
    together = collect(read(line({"tool_calls": calls}, **END))).blocks
    apart = collect(read(*(line({"tool_calls": [call]}) for call in calls), line({}, **END))).blocks
    assert together == apart
    assert together[0] != together[1]
    later = [line({"tool_calls": calls}, **{**END, "created_at": "2025-06-09T18:55:27Z"})]
    assert collect(read(*later)).blocks != together


def test_an_id_given_twice_is_used_once() -> None:
    call = {"id": "c1", "function": {"name": "look", "arguments": {}}}
    starts = [event for event in read(line({"tool_calls": [call, call]}, **END)) if isinstance(event, ToolStart)]
    assert starts[0].id == "c1"
    assert starts[1].id.startswith("call_")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"a": "ü"}, '{"a":"ü"}'), ('{"a": 1}', '{"a": 1}'), (None, "{}"), ("", "{}"), ([1], "[1]")],
)
def test_arguments_become_json_text_whatever_they_are(arguments: object, text: str) -> None:
    events = read(line({"tool_calls": [{"function": {"name": "look", "arguments": arguments}}]}, **END))
    assert events[2] == ToolArguments(text)


def test_logprobs_stay_with_their_words() -> None:
    found = read(line({"content": "so"}, logprobs=[{"token": "so", "logprob": -0.1}]), line({}, **END))
    assert found[1] == TextDelta("so", b'[{"token":"so","logprob":-0.1}]')


def test_the_words_of_generate_are_read_by_the_same_code() -> None:
    lines = [line(response="", thinking="hm"), line(response="so"), line(response="", **END)]
    assert read(*lines)[1:3] == [ThinkingDelta("hm"), TextDelta("so")]


def test_an_error_line_ends_the_answer_and_nothing_follows() -> None:
    events = read(line({"content": "so"}), b'{"error":"server busy"}', line({"content": "more"}, **END))
    assert [type(event) for event in events] == [Start, TextDelta, Failure]
    assert (events[-1].status, events[-1].message) == (503, "server busy")  # type: ignore[union-attr]


def test_a_stream_without_its_last_line_was_cut() -> None:
    assert isinstance(read(line({"content": "so"}))[-1], Failure)
    assert [type(event) for event in read()] == [Start, Failure]


def test_what_comes_behind_the_end_is_not_read() -> None:
    assert read(line({}, **END), b"junk")[-1] == Finish("stop")


def test_a_whole_answer_may_be_printed_over_many_lines() -> None:
    body = msgspec.json.format(line({"content": "so"}, **END), indent=2)
    assert collect(decode_answer(b"\xef\xbb\xbf" + body)).finish == Finish("stop")


def test_an_unrequested_stream_is_read_as_a_whole_answer() -> None:
    body = b"\n".join([line({"content": "so "}), line({"content": "so"}), line({}, **END)])
    answer = collect(decode_answer(body))
    assert answer.blocks[0].text == "so so"  # type: ignore[union-attr]


def test_an_error_under_status_200_is_a_failure() -> None:
    failure = decode_answer(b'{"error":"model \'x\' not found"}')[-1]
    assert isinstance(failure, Failure)
    assert failure.status == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model":"m"}', b"<html>", b'{"message":{"content":"a"'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_answer(body)
