from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.anthropic_answer import decode_answer, encode_answer, read_finish, write_finish, write_usage
from omniroute.translate.collect import Answer, collect
from omniroute.translate.conversation import Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
from omniroute.translate.events import Failure, Finish, Start, Usage
from omniroute.translate.format import BadAnswer, Stamp

STAMP = Stamp("msg_stamp", 1_750_000_000, "stamped")


def message(*content: dict[str, Any], **more: Any) -> bytes:
    body: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    body |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 5}}
    return json.dumps(body | more).encode()


def written(answer: Answer, stamp: Stamp = STAMP) -> Any:
    return json.loads(encode_answer(answer, stamp).body)


CITATION = {"type": "char_location", "cited_text": "words", "document_index": 0, "document_title": "facts"}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "hm", "signature": "proof"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "text", "text": "Grüße 👋", "citations": [CITATION]},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": [1, None]}},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
]


def test_a_whole_answer_survives_the_round_trip() -> None:
    answer = collect(decode_answer(message(*BLOCKS, stop_reason="tool_use")))
    body = written(answer)
    assert body["content"] == BLOCKS
    assert (body["id"], body["model"], body["stop_reason"], body["role"]) == ("msg_1", "m", "tool_use", "assistant")


def test_the_blocks_are_read_into_the_vocabulary() -> None:
    blocks = collect(decode_answer(message(*BLOCKS))).blocks
    assert blocks[0] == Thinking("hm", "proof", wire="anthropic")
    assert blocks[1] == Thinking("", "sealed", redacted=True, wire="anthropic")
    assert isinstance(blocks[2], Text)
    assert [(c.title, c.text, c.wire) for c in blocks[2].citations] == [("facts", "words", "anthropic")]
    assert isinstance(blocks[4], Opaque)
    assert blocks[4].label == "server_tool_use"


def test_cached_tokens_count_as_input() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 7,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens_details": {"thinking_tokens": 4},
    }
    answer = collect(decode_answer(message(usage=usage)))
    assert answer.usage == Usage(input=140, output=7, cache_read=100, cache_write=30, cache_write_1h=20, reasoning=4)
    assert written(answer)["usage"] == usage


@pytest.mark.parametrize("usage", [None, "many", {"input_tokens": None, "output_tokens": None}, {}])
def test_usage_that_says_nothing_is_no_failure(usage: object) -> None:
    body = written(collect(decode_answer(message(usage=usage))))
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (0, 0)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (Usage(input=5, cache_read=9), (0, 5, 0)),
        (Usage(input=5, cache_read=3, cache_write=4), (0, 3, 2)),
        (Usage(input=5, cache_read=3, cache_write=1), (1, 3, 1)),
        (Usage(cache_read=3, cache_write=1), (0, 3, 1)),
        (Usage(input=-5, cache_read=-1, cache_write=-1), (0, 0, 0)),
    ],
)
def test_the_counts_of_a_prompt_add_up_to_it_and_none_is_below_zero(usage: Usage, counts: tuple[int, int, int]) -> None:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert tuple(write_usage(usage)[name] for name in names) == counts
    hours = write_usage(Usage(input=3, cache_write=4, cache_write_1h=4))["cache_creation"]
    assert hours == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 3}


@pytest.mark.parametrize(
    ("reason", "sequence", "finish"),
    [
        ("end_turn", None, Finish("stop")),
        ("stop_sequence", "END", Finish("stop", "END")),
        ("max_tokens", None, Finish("length")),
        ("tool_use", None, Finish("tool_calls")),
        ("refusal", None, Finish("refusal")),
        ("pause_turn", None, Finish("pause")),
        ("model_context_window_exceeded", None, Finish("length", raw="model_context_window_exceeded")),
        ("compaction", None, Finish("other", raw="compaction")),
    ],
)
def test_stop_reasons_both_ways(reason: str, sequence: str | None, finish: Finish) -> None:
    assert read_finish(reason, sequence) == finish
    assert write_finish(finish, tools=False, refused=False) == (reason, sequence)


@pytest.mark.parametrize(
    ("finish", "tools", "refused", "reason"),
    [
        (Finish("stop"), True, False, "tool_use"),
        (Finish("other", raw="eos"), False, False, "end_turn"),
        (Finish("content_filter"), False, False, "refusal"),
        (Finish("stop"), False, True, "refusal"),
        (Finish("length"), True, False, "max_tokens"),
        (None, False, False, "end_turn"),
    ],
)
def test_finishes_of_other_wires(finish: Finish | None, tools: bool, refused: bool, reason: str) -> None:
    assert write_finish(finish, tools, refused) == (reason, None)


def test_a_missing_stop_reason_after_a_tool_call_is_the_tool_call() -> None:
    events = decode_answer(message(BLOCKS[3], stop_reason=None))
    assert events[-1] == Finish("tool_calls")


def test_an_error_under_status_200_is_a_failure() -> None:
    events = decode_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    start, failure = events
    assert start == Start()
    assert isinstance(failure, Failure)
    assert (failure.status, failure.message) == (529, "Overloaded")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content":[{}]}', b'{"content":7}', b'{"content":[1]}'])
def test_what_is_no_answer_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_answer(body)


@pytest.mark.parametrize(
    ("upstream", "stamp", "expected"),
    [
        ("msg_9", "msg_stamp", "msg_9"),
        ("chatcmpl-1", "msg_stamp", "msg_stamp"),
        ("", "req-7", "msg_req-7"),
    ],
)
def test_message_ids_have_the_form_that_clients_know(upstream: str, stamp: str, expected: str) -> None:
    answer = Answer(start=Start(upstream), blocks=[Text("hi")], finish=Finish("stop"))
    assert written(answer, Stamp(stamp, 1, "m"))["id"] == expected


def test_calls_get_fitting_ids_of_their_own_and_the_clients_names() -> None:
    calls = [ToolCall("call.1", "files_read_x"), ToolCall("call.1", "look"), ToolCall("", "look")]
    stamp = Stamp("msg_s", 1, "m", names={"files_read_x": "files.read"})
    content = written(Answer(blocks=[*calls], finish=Finish("tool_calls")), stamp)["content"]
    ids = [block["id"] for block in content]
    assert ids[2] == "toolu_s_2"
    assert len(set(ids)) == 3
    assert not any("." in id_ for id_ in ids)
    assert [block["name"] for block in content] == ["files.read", "look", "look"]


def test_arguments_that_are_no_object_are_wrapped_so_that_they_can_be_seen() -> None:
    rendered = encode_answer(Answer(blocks=[ToolCall("c", "look", '{"cut')]), STAMP)
    assert json.loads(rendered.body)["content"][0]["input"] == {"INVALID_JSON": '{"cut'}
    assert rendered.dropped == ("tool_arguments",)


def test_what_other_vendors_added_is_left_out_by_name() -> None:
    blocks = [
        Thinking("hm", "proof", wire="gemini"),
        Thinking("", "sealed", redacted=True, wire="openai-responses"),
        Text("so", citations=[Citation("https://a.test", wire="openai-chat", raw=b"{}")]),
        Opaque("gemini", "executableCode", b"{}"),
        Media("audio", "audio/wav", data="UklG", transcript="spoken"),
        Media("image", "image/png", data="iVBOR"),
        Refusal("no"),
    ]
    rendered = encode_answer(Answer(blocks=[*blocks], finish=Finish("stop")), STAMP)
    body = json.loads(rendered.body)
    assert body["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "so"},
        {"type": "text", "text": "spoken"},
        {"type": "text", "text": "no"},
    ]
    assert body["stop_reason"] == "refusal"
    assert rendered.dropped == ("thinking_signature", "redacted_thinking", "citations", "server_blocks", "media_output")
