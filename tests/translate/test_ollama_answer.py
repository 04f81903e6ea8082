"""Ollama answers, written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ollama import ChatResponse, GenerateResponse

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.format import Stamp
from omniroute.translate.ollama_answer import GenerateEncoder, OllamaEncoder, encode_answer, encode_generated

STAMP = Stamp("id-1", 1_700_000_000, "up/m", names={"short": "a.long.name"})
CREATED = "2023-11-14T22:13:20Z"
END: list[Event] = [Usage(input=3, output=4), Finish("stop")]
TALK: list[Event] = [
    Start("", "m"),
    ThinkingDelta("hm"),
    TextDelta("so"),
    ToolStart("c1", "look"),
    ToolArguments('{"a"'),
    ToolArguments(":1}"),
]


def lines(events: list[Event], encoder: OllamaEncoder | None = None) -> list[dict[str, Any]]:
    encoder = encoder or OllamaEncoder(STAMP)
    out = b"".join(encoder.feed([event]) for event in events) + encoder.eof()
    assert out.endswith(b"\n")
    return [msgspec.json.decode(line) for line in out.splitlines()]


def test_every_line_has_model_time_message_and_done() -> None:
    for line in lines([*TALK, *END]):
        assert (line["model"], line["created_at"], line["message"]["role"]) == ("m", CREATED, "assistant")
        assert isinstance(line["message"]["content"], str)
        ChatResponse.model_validate(line)


def test_a_call_is_one_line_once_its_arguments_are_whole() -> None:
    found = lines([*TALK, BlockEnd(), *END])
    assert [line["done"] for line in found] == [False, False, False, True]
    assert found[2]["message"]["tool_calls"] == [
        {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"a": 1}}}
    ]


def test_the_last_line_has_all_members_that_clients_read() -> None:
    assert lines([Start(), *END])[-1] == {
        **{"model": "up/m", "created_at": CREATED, "message": {"role": "assistant", "content": ""}},
        **{"done": True, "done_reason": "stop", "total_duration": 0, "load_duration": 0},
        **{"prompt_eval_count": 3, "prompt_eval_duration": 0, "eval_count": 4, "eval_duration": 0},
    }


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (Finish("tool_calls"), "stop"),
        (Finish("length"), "length"),
        (Finish("content_filter"), "content_filter"),
        (Finish("pause"), "stop"),
        (Finish("other", raw="load"), "load"),
        (Finish("other", raw="weird"), "stop"),
    ],
)
def test_the_reason_of_the_end(finish: Finish, word: str) -> None:
    assert lines([Start(), finish])[-1]["done_reason"] == word
    assert msgspec.json.decode(encode_answer(collect([Start(), finish]), STAMP).body)["done_reason"] == word


def test_whole_and_streamed_say_the_same() -> None:
    events = [*TALK, *END]
    whole = msgspec.json.decode(encode_answer(collect(events), STAMP).body)
    streamed = lines(events)
    assert whole["message"]["content"] == "".join(line["message"]["content"] for line in streamed)
    assert whole["message"]["thinking"] == "hm"
    assert whole["message"]["tool_calls"] == streamed[2]["message"]["tool_calls"]
    assert {k: v for k, v in whole.items() if k != "message"} == {k: v for k, v in streamed[-1].items() if k != "message"}
    ChatResponse.model_validate(whole)


def test_generate_has_its_text_at_the_top_level() -> None:
    events: list[Event] = [Start(), ThinkingDelta("hm"), TextDelta("so"), *END]
    found = lines(events, GenerateEncoder(STAMP))
    assert [(line["response"], line.get("thinking"), line["done"]) for line in found] == [
        ("", "hm", False),
        ("so", None, False),
        ("", None, True),
    ]
    whole = msgspec.json.decode(encode_generated(collect(events), STAMP).body)
    assert (whole["response"], whole["thinking"]) == ("so", "hm")
    for line in (*found, whole):
        assert "message" not in line
        GenerateResponse.model_validate(line)


@pytest.mark.parametrize("encoder", [OllamaEncoder, GenerateEncoder])
def test_one_call_or_many_give_the_same_bytes(encoder: type[OllamaEncoder]) -> None:
    events: list[Event] = [*TALK, TextDelta(""), TextDelta("x", b'[{"token":"x","logprob":0}]'), *END]
    one, many = encoder(STAMP), encoder(STAMP)
    assert one.feed(events) + one.eof() == b"".join(many.feed([event]) for event in events) + many.eof()


@pytest.mark.parametrize(
    ("text", "arguments"), [("", {}), ("null", {}), ('{"cut', {"INVALID_JSON": '{"cut'}), ("[1]", {"INVALID_JSON": "[1]"})]
)
def test_arguments_are_always_an_object(text: str, arguments: dict[str, Any]) -> None:
    events: list[Event] = [Start(), ToolStart("c1", "look"), ToolArguments(text), *END]
    assert lines(events)[0]["message"]["tool_calls"][0]["function"]["arguments"] == arguments


def test_arguments_printed_over_many_lines_stay_on_one() -> None:
    events: list[Event] = [Start(), ToolStart("c1", "look"), ToolArguments('{\n "a": 1\n}'), *END]
    assert len(lines(events)) == 2


def test_custom_tools_have_their_text_as_input() -> None:
    events: list[Event] = [Start(), ToolStart("c1", "patch", "custom"), ToolArguments("*** Begin"), *END]
    assert lines(events)[0]["message"]["tool_calls"][0]["function"]["arguments"] == {"input": "*** Begin"}


def test_tools_get_their_own_names_back_and_missing_ids_are_made() -> None:
    events: list[Event] = [Start(), ToolStart("", "short"), ToolStart("", "short"), *END]
    calls = [line["message"]["tool_calls"][0] for line in lines(events)[:2]]
    assert [call["function"]["name"] for call in calls] == ["a.long.name", "a.long.name"]
    assert [call["function"]["index"] for call in calls] == [0, 1]
    assert calls[0]["id"] != calls[1]["id"]
    whole = msgspec.json.decode(encode_answer(collect(events), STAMP).body)
    assert whole["message"]["tool_calls"] == calls


def test_images_and_spoken_words() -> None:
    events: list[Event] = [
        Start(),
        MediaPart(Media("image", data="iVBOR")),
        MediaPart(Media("audio", transcript="la")),
        *END,
    ]
    found = lines(events)
    assert (found[0]["message"]["images"], found[1]["message"]["content"]) == (["iVBOR"], "la")
    generated = lines(events, GenerateEncoder(STAMP))
    assert (generated[0]["image"], generated[1]["response"]) == ("iVBOR", "la")
    whole = msgspec.json.decode(encode_answer(collect(events), STAMP).body)["message"]
    assert (whole["images"], whole["content"]) == (["iVBOR"], "la")
    assert msgspec.json.decode(encode_generated(collect(events), STAMP).body)["image"] == "iVBOR"


def test_refusals_are_words_and_citations_are_named() -> None:
    encoder = OllamaEncoder(STAMP)
    found = lines([Start(), RefusalDelta("no"), CitationDelta(Citation("https://a.test")), *END], encoder)
    assert found[0]["message"]["content"] == "no"
    assert encoder.dropped == ["refusal", "citations"]


def test_an_answer_without_words_is_its_last_line() -> None:
    assert len(lines([Start(), Finish("stop")])) == 1
    assert lines([Finish("stop")])[0]["model"] == "up/m"


def test_an_error_is_one_line_and_the_last() -> None:
    encoder = OllamaEncoder(STAMP)
    encoder.feed(TALK)
    assert encoder.feed([Failure(503, "busy")]) == b'{"error":"busy"}\n'
    assert (encoder.feed(END), encoder.eof(), encoder.fail(Failure(500, "x"))) == (b"", b"", b"")


def test_events_that_just_stop_were_cut() -> None:
    assert list(lines([Start(), TextDelta("so")])[-1]) == ["error"]
