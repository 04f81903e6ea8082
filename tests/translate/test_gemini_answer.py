"""Gemini answers, written: whole, as SSE and as an array."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import (
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
from omniroute.translate.gemini_answer import ArrayEncoder, Encoder, encode_answer
from omniroute.translate.gemini_error import ERROR_MARK
from omniroute.translate.text_frame import escape

STAMP = Stamp("id-1", 1_750_000_000, "model-1", names={"sent_name": "client.name"})
EVENTS: list[Event] = [
    Start("r1", "m1"),
    ThinkingDelta("hm"),
    Signature("c2ln", wire="gemini"),
    TextDelta("Grüße"),
    CitationDelta(Citation("https://a.test", "A", wire="openai-chat")),
    ToolStart("c1", "sent_name"),
    ToolArguments('{"a"'),
    ToolArguments(":1}"),
    ToolStart("", "patch", kind="custom"),
    ToolArguments("*** text"),
    MediaPart(Media("image", "image/png", data="iVBORw==")),
    OpaquePart("gemini", "executableCode", b'{"executableCode":{"code":"1","language":"PYTHON"}}'),
    Usage(input=5, output=9, reasoning=4, cache_read=2),
    Finish("tool_calls"),
]
PARTS = [
    {"text": "hm", "thought": True},
    {"text": "", "thoughtSignature": "c2ln"},
    {"text": "Grüße"},
    {"functionCall": {"name": "client.name", "args": {"a": 1}, "id": "c1"}},
    {"functionCall": {"name": "patch", "args": {"input": "*** text"}}},
    {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
    {"executableCode": {"code": "1", "language": "PYTHON"}},
]


def sse(raw: bytes) -> list[dict[str, Any]]:
    """The data of each event; an error must be followed by its mark."""
    assert raw.endswith(b"\n\n")
    found = [json.loads(one.removeprefix(b"data: ")) for one in raw.removesuffix(ERROR_MARK).split(b"\n\n")[:-1]]
    assert raw.endswith(ERROR_MARK) == any("error" in one for one in found)
    return found


def parts(responses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for one in responses for part in one["candidates"][0]["content"]["parts"]]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stream_of_responses(at_once: bool) -> None:
    encoder = Encoder(STAMP)
    raw = encoder.feed(EVENTS) if at_once else b"".join(encoder.feed([event]) for event in EVENTS)
    found = sse(raw + encoder.eof())
    assert parts(found) == [*PARTS, {"text": ""}]
    assert {(one["modelVersion"], one["responseId"]) for one in found} == {("m1", "r1")}
    last = found[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"]["thoughtsTokenCount"] == 4
    assert last["candidates"][0]["groundingMetadata"]["groundingChunks"] == [
        {"web": {"uri": "https://a.test", "title": "A"}}
    ]
    assert encoder.feed([TextDelta("more")]) == encoder.eof() == b""


@pytest.mark.parametrize("at_once", [True, False])
def test_an_array_of_the_same_responses(at_once: bool) -> None:
    stream, encoder = Encoder(STAMP), ArrayEncoder(STAMP)
    raw = encoder.feed(EVENTS) if at_once else b"".join(encoder.feed([event]) for event in EVENTS)
    assert json.loads(raw + encoder.eof()) == sse(stream.feed(EVENTS))


def test_a_whole_answer() -> None:
    body = json.loads(encode_answer(collect(EVENTS), STAMP).body)
    candidate = body["candidates"][0]
    assert candidate["content"]["parts"][1:] == PARTS[2:]
    assert candidate["content"]["parts"][0] == {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
    assert (candidate["finishReason"], body["responseId"]) == ("STOP", "r1")


def test_the_official_sdks_types_take_it() -> None:
    whole = types.GenerateContentResponse.model_validate(json.loads(encode_answer(collect(EVENTS), STAMP).body))
    assert whole.function_calls is not None
    assert [call.name for call in whole.function_calls] == ["client.name", "patch"]
    for one in sse(Encoder(STAMP).feed(EVENTS)):
        types.GenerateContentResponse.model_validate(one)


def test_an_empty_answer_has_an_empty_part() -> None:
    found = sse(Encoder(STAMP).feed([Start(), Finish("stop")]))
    assert parts(found) == [{"text": ""}]
    assert json.loads(encode_answer(collect([Start(), Finish("stop")]), STAMP).body)["responseId"] == "id-1"


@pytest.mark.parametrize("before", [[], [Start()], [Start(), TextDelta("a")]])
def test_an_error_ends_a_stream_once(before: list[Event]) -> None:
    encoder, array = Encoder(STAMP), ArrayEncoder(STAMP)
    failure = Failure(503, "overloaded")
    found = sse(encoder.feed(before) + encoder.fail(failure) + encoder.eof())
    assert found[-1]["error"] == {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}
    assert json.loads(array.feed(before) + array.feed([failure]) + array.eof()) == found


def test_events_that_just_stop_are_a_cut() -> None:
    encoder = Encoder(STAMP)
    raw = encoder.feed([Start(), TextDelta("a")]) + encoder.eof()
    assert sse(raw)[-1]["error"]["code"] == 502


def test_what_has_no_place_is_named() -> None:
    encoder = Encoder(STAMP)
    encoder.feed(
        [
            Start(),
            Signature("s", wire="anthropic"),
            RefusalDelta("no"),
            ToolStart("c", "f"),
            ToolArguments("{"),
            Finish("stop"),
        ]
    )
    assert encoder.dropped == ["thinking_signature", "refusal", "tool_arguments"]


def test_a_long_argument_in_single_characters_is_one_part() -> None:
    encoder = Encoder(STAMP)
    text = json.dumps({"a": "x" * 20_000})
    raw = encoder.feed([Start(), ToolStart("c", "f")]) + b"".join(encoder.feed([ToolArguments(c)]) for c in text)
    assert raw == b""
    assert parts(sse(encoder.feed([Finish("tool_calls")])))[0]["functionCall"]["args"] == {"a": "x" * 20_000}


def test_log_probabilities_of_a_piece() -> None:
    fact = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    [first, _] = sse(Encoder(STAMP).feed([Start(), TextDelta("a", json.dumps([fact]).encode()), Finish("stop")]))
    assert first["candidates"][0]["logprobsResult"] == {"chosenCandidates": [{"token": "a", "logProbability": -0.1}]}


@pytest.mark.parametrize("run", [True, False])
def test_places_in_a_stream_are_counted_in_bytes(run: bool) -> None:
    encoder, texts = Encoder(STAMP), ["übt ", "so"]
    raw = encoder.feed([Start(), TextDelta("Es ")])
    raw += encoder.escaped([escape(text) for text in texts]) if run else encoder.feed([TextDelta(text) for text in texts])
    citation = Citation("https://a.test", "A", "übt so", 3, 9, wire="openai-chat")
    last = sse(raw + encoder.feed([CitationDelta(citation), Finish("stop")]))[-1]
    (support,) = last["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert support["segment"] == {"startIndex": 3, "endIndex": 10, "text": "übt so"}


def test_objects_that_came_on_many_lines_go_out_on_one() -> None:
    citation = Citation("https://a.test", wire="gemini", raw=b'{"groundingMetadata":{\n "groundingChunks": []\n}}')
    events: list[Event] = [
        Start(),
        ToolStart("c", "f"),
        ToolArguments('{\n"a": 1\n}'),
        CitationDelta(citation),
        Finish("stop"),
    ]
    call, last = sse(Encoder(STAMP).feed(events))
    assert parts([call])[0]["functionCall"]["args"] == {"a": 1}
    assert last["candidates"][0]["groundingMetadata"] == {"groundingChunks": []}
