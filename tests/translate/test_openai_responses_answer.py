from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask, Citation, Media, Tool
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
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
from omniroute.translate.format import Stamp
from omniroute.translate.openai_responses_answer import ResponsesEncoder, encode_answer
from omniroute.translate.openai_responses_request import decode_request

WIRE = "openai-responses"
STAMP = Stamp("abc", 7, "m")
TOOLS = [
    *(Tool("exec", kind="custom", namespace="functions"), Tool("spawn", schema=b"{}", namespace="agents")),
    *(Tool("patch", kind="custom"), Tool("a.b", schema=b"{}")),
]
AGENT = Stamp("abc", 7, "m", names={"a_b_1": "a.b"}, ask=Ask(tools=TOOLS, wire=WIRE))


def stream(*events: Event, stamp: Stamp = STAMP, end: bool = True) -> list[dict[str, Any]]:
    encoder = ResponsesEncoder(stamp)
    out = encoder.feed([Start("resp_1", "m", 7)])
    for event in (*events, *([Finish("stop")] if end else [])):
        out += encoder.feed([event])
    out += encoder.eof()
    sent = [msgspec.json.decode(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    names = [line[7:].decode() for line in out.split(b"\n") if line.startswith(b"event: ")]
    assert names == [event["type"] for event in sent]
    return sent


def kinds(sent: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in sent]


def whole(*events: Event, stamp: Stamp = STAMP) -> dict[str, Any]:
    answer = collect([Start("resp_1", "m", 7), *events, *([] if isinstance(events[-1], Finish) else [Finish("stop")])])
    value: dict[str, Any] = msgspec.json.decode(encode_answer(answer, stamp).body)
    return value


def test_a_stream_tells_each_item_from_its_announcement_to_its_end() -> None:
    sent = stream(ThinkingDelta("hm"), TextDelta("a"), TextDelta("b"), ToolStart("c1", "look"), ToolArguments("{}"))
    assert kinds(sent) == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    ids = [event["item"]["id"] for event in sent if event["type"] == "response.output_item.done"]
    assert ids == ["rs_abc_0", "msg_abc_1", "fc_abc_2"]
    assert [item["id"] for item in sent[-1]["response"]["output"]] == ids
    assert sent[12]["text"] == "ab"


def test_stream_and_whole_answer_have_the_same_output() -> None:
    events: list[Event] = [
        *(ThinkingDelta("hm", "rs_9"), Signature("gA", wire=WIRE, id="rs_9"), BlockEnd(), TextDelta("a"), BlockEnd()),
        *(CitationDelta(Citation("https://a.test", "A", start=0, end=1)), TextDelta("b")),
        MediaPart(Media("image", "image/png", data="i")),
        *(ToolStart("c1", "patch", "custom"), ToolArguments("x"), BlockEnd(), ToolStart("", "look"), ToolArguments("")),
        Usage(3, 2),
    ]  # fmt: skip
    streamed, answered = stream(*events)[-1]["response"], whole(*events)
    assert streamed == answered
    assert [item["type"] for item in answered["output"]] == [
        *("reasoning", "message", "image_generation_call", "custom_tool_call", "function_call"),
    ]
    assert answered["output"][0]["id"] == "rs_9"
    assert answered["output"][4]["arguments"] == "{}"


def test_usage_is_always_whole_since_agents_fail_without() -> None:
    assert whole(TextDelta("a"))["usage"] == stream(TextDelta("a"))[-1]["response"]["usage"]
    assert stream(TextDelta("a"))[-1]["response"]["usage"] == {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


@pytest.mark.parametrize(
    ("sent_name", "kind", "arguments", "item"),
    [
        ("agents__spawn", "function", "{}", {"type": "function_call", "name": "spawn", "namespace": "agents"}),
        ("a_b_1", "function", "{}", {"type": "function_call", "name": "a.b"}),
        ("exec", "function", '{"input":"ls \\n"}', {"type": "custom_tool_call", "name": "exec", "input": "ls \n"}),
        ("patch", "custom", "*** Begin", {"type": "custom_tool_call", "name": "patch", "input": "*** Begin"}),
        ("patch", "function", "not json", {"type": "custom_tool_call", "name": "patch", "input": "not json"}),
        ("unknown", "function", "{}", {"type": "function_call", "name": "unknown"}),
    ],
)
def test_calls_come_back_under_the_clients_own_names_and_kinds(sent_name: str, kind: Any, arguments: str, item: Any) -> None:
    events = [ToolStart("c1", sent_name, kind), *(ToolArguments(piece) for piece in arguments)]
    for found in (stream(*events, stamp=AGENT)[-1]["response"]["output"][0], whole(*events, stamp=AGENT)["output"][0]):
        assert item.items() <= found.items()
        assert ("namespace" in found) == ("namespace" in item)


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        *(("stop", "completed", None), ("tool_calls", "completed", None), ("pause", "completed", None)),
        *(("length", "incomplete", "max_output_tokens"), ("content_filter", "incomplete", "content_filter")),
        *(("refusal", "incomplete", "content_filter"), ("error", "failed", None)),
    ],
)
def test_how_an_answer_ends(reason: FinishReason, status: str, why: str | None) -> None:
    last = stream(TextDelta("a"), Finish(reason), end=False)[-1]
    response = whole(TextDelta("a"), OpaquePart("anthropic", "x", b"{}"), Finish(reason))  # which this wire does not have
    assert (last["type"], last["response"]["status"], response["status"]) == (f"response.{status}", status, status)
    assert response["incomplete_details"] == ({"reason": why} if why else None)
    assert response["output"][0]["status"] == ("incomplete" if why else "completed")


def test_a_failure_ends_the_stream_but_no_item_since_agents_run_finished_calls() -> None:
    sent = stream(ToolStart("c1", "look"), ToolArguments('{"rm'), Failure(429, "Slow down.", retry_after=1.0), end=False)
    assert kinds(sent)[-1] == "failed"
    assert "output_item.done" not in kinds(sent)
    response = sent[-1]["response"]
    assert response["error"] == {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 1s."}
    assert response["output"][0]["status"] == "incomplete"


def test_a_failure_before_anything_is_still_a_whole_stream() -> None:
    out = ResponsesEncoder(STAMP).fail(Failure(502, "gone"))
    assert [line[7:] for line in out.split(b"\n") if line.startswith(b"event: ")] == [
        *(b"response.created", b"response.in_progress", b"response.failed"),
    ]


def test_the_response_echoes_the_request_on_one_line() -> None:
    body = {
        "model": "m", "input": "hi", "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 9,
        "metadata": {"a": "b"},
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "look"}, "parallel_tool_calls": False, "reasoning": {"effort": "low"},
    }  # fmt: skip
    ask = decode_request(msgspec.json.format(msgspec.json.encode(body), indent=2))
    first = stream(TextDelta("a"), stamp=Stamp("abc", 7, "m", ask=ask))[0]["response"]
    for name in (
        "instructions",
        "temperature",
        "max_output_tokens",
        "metadata",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
    ):
        assert first[name] == body[name]
    assert (first["status"], first["usage"], first["reasoning"]["effort"]) == ("in_progress", None, "low")


def test_logprobs_stand_in_delta_and_end() -> None:
    logprobs = b'[{"token":"a","logprob":-0.1,"top_logprobs":[]}]'
    sent = stream(TextDelta("a", logprobs), TextDelta("b", logprobs))
    assert [len(e["logprobs"]) for e in sent if "logprobs" in e] == [1, 1, 2]
    assert len(whole(TextDelta("a", logprobs), TextDelta("b", logprobs))["output"][0]["content"][0]["logprobs"]) == 2


def test_tokens_without_bytes_have_an_empty_list_of_them() -> None:
    """The SDK's type wants a list; on the chat wire ``null`` says that there are none."""
    other = b'{"token":"<s>","bytes": null,"logprob":-3}'
    said = TextDelta("a", b'[{"token":"\\"bytes\\":null","bytes":null,"logprob":-0.1,"top_logprobs":[%b]}]' % other)
    written = [e["logprobs"][0] for e in stream(said) if e.get("logprobs")]
    written.append(whole(said)["output"][0]["content"][0]["logprobs"][0])
    assert len(written) == 3
    for one in written:
        assert (one["token"], one["bytes"], one["top_logprobs"][0]["bytes"]) == ('"bytes":null', [], [])


def test_ids_that_no_other_wire_gives_are_made() -> None:
    value = whole(TextDelta("a"), BlockEnd(), ToolStart("", "look"), ToolArguments("{}"), ToolStart("", "look"))
    assert [item.get("call_id") for item in value["output"]] == [None, "call_abc_0", "call_abc_1"]
    assert msgspec.json.decode(encode_answer(collect([Start("chatcmpl-1")]), STAMP).body)["id"] == "resp_abc"
