"""Same-wire relaying of OpenAI chat streams; what every tap does is in ``test_relay.py``."""

from __future__ import annotations

import pytest
from wires import CHAT, CHAT_USAGE, DONE, chunk, play, sse, tap

from omniroute.translate.events import Failure, Start
from omniroute.translate.formats import FORMATS
from omniroute.translate.relay_openai_chat import chat_usage


def test_the_usage_chunk_that_nobody_asked_for_is_taken_out() -> None:
    usage = chunk(None, usage=CHAT_USAGE)
    for pieces in ([*CHAT.stream], [b"".join(CHAT.stream)]):
        pipe = tap(CHAT, strip=True)
        assert play(pipe, *pieces) == b"".join(piece for piece in CHAT.stream if piece != usage)
        assert pipe.usage is not None
        assert pipe.usage.total == 26


def test_a_usage_that_comes_with_choices_is_left_in() -> None:
    last = chunk({}, "stop", usage=CHAT_USAGE)
    pipe = tap(CHAT, strip=True)
    assert play(pipe, CHAT.first, last, DONE) == CHAT.first + last + DONE
    assert pipe.usage is not None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "Slow down", "type": "tokens", "code": "rate_limit_exceeded"}, 429),
        ({"message": "Slow down", "code": 429}, 429),
        ({"message": "Too long", "type": "invalid_request_error", "code": "context_length_exceeded"}, 400),
        ({"message": "Something"}, 502),
    ],
)
def test_an_error_in_a_chat_stream_has_the_status_that_its_words_mean(error: dict[str, object], status: int) -> None:
    pipe = tap(CHAT)
    pipe.feed(chunk(None, error=error))
    assert pipe.failure is not None
    assert pipe.failure.status == status


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 402, "insufficient balance"),
        ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, 401, "login fail"),
        ({"object": "error", "message": "Too many", "code": 429}, 429, "Too many"),
        ({"detail": "Not enough credits"}, 502, "Not enough credits"),
        ({"message": "Loading model", "type": "unavailable_error", "code": 503}, 503, "Loading model"),
    ],
)
def test_an_error_of_another_shape_in_place_of_the_choices_is_noted_too(said: object, status: int, message: str) -> None:
    pipe = tap(CHAT)
    play(pipe, sse(said))
    assert pipe.failure is not None
    assert (pipe.failure.status, pipe.failure.message, pipe.meaningful) == (status, message, False)
    decoder = FORMATS["openai-chat"].stream_decoder()
    assert [type(event) for event in decoder.feed(b"", sse(said)[6:])] == [Start, Failure]


def test_a_vendor_that_says_in_every_chunk_that_all_is_well_does_not_fail() -> None:
    for base_resp in ({"status_code": 0, "status_msg": ""}, None):
        pipe = tap(CHAT)
        play(pipe, chunk({"content": "a"}, "stop"), sse({"usage": CHAT_USAGE, "base_resp": base_resp}), DONE)
        assert (pipe.failure, pipe.finished) == (None, True)


def test_the_word_null_as_a_finish_reason_says_and_ends_nothing() -> None:
    pipe = tap(CHAT)
    pipe.feed(chunk({"role": "assistant", "content": ""}, "null"))
    assert (pipe.meaningful, pipe.finished) == (False, False)
    pipe.feed(chunk({"content": "a"}, "null"))
    assert (pipe.meaningful, pipe.finished) == (True, False)
    pipe.feed(chunk({}, "stop"))
    assert pipe.finished


def test_a_finish_reason_beside_an_error_neither_says_nor_ends_anything() -> None:
    failed = chunk({"content": ""}, "error", error={"message": "Provider disconnected", "code": 502})
    pipe = tap(CHAT)
    assert pipe.feed(failed) == failed
    assert pipe.failure is not None
    assert (pipe.meaningful, pipe.finished) == (False, False)


def test_what_is_said_beside_an_error_counts() -> None:
    pipe = tap(CHAT)
    pipe.feed(chunk({"content": "half"}, "error", error={"message": "Provider disconnected", "code": 502}))
    assert (pipe.meaningful, pipe.finished) == (True, False)


def test_done_alone_is_not_meaningful() -> None:
    pipe = tap(CHAT)
    play(pipe, DONE)
    assert pipe.finished
    assert not pipe.meaningful


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"refusal": "x"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "a"}},
        {"images": [1]},
    ],
)
def test_each_kind_of_content_is_meaningful(delta: dict[str, object]) -> None:
    pipe = tap(CHAT)
    pipe.feed(chunk(delta))
    assert pipe.meaningful


@pytest.mark.parametrize("delta", [{}, {"role": "assistant"}, {"content": ""}, {"content": None}, {"tool_calls": []}])
def test_events_without_content_are_not_meaningful(delta: dict[str, object]) -> None:
    pipe = tap(CHAT)
    pipe.feed(chunk(delta))
    assert not pipe.meaningful


def test_a_vendor_without_finish_and_done_ends_with_its_usage() -> None:
    pipe = tap(CHAT)
    play(pipe, CHAT.first, chunk(None, usage=CHAT_USAGE))
    assert pipe.finished
    pipe = tap(CHAT)
    play(pipe, CHAT.first)
    assert not pipe.finished


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": CHAT_USAGE}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"id": "r", "usage": CHAT_USAGE}},
    ],
    ids=["moonshot", "groq"],
)
def test_usage_in_a_vendors_own_place_is_found(last: dict[str, object]) -> None:
    pipe = tap(CHAT)
    play(pipe, CHAT.first, sse(last), DONE)
    assert pipe.usage is not None
    assert pipe.usage.input == CHAT_USAGE["prompt_tokens"]


def test_a_word_inside_the_text_is_not_an_event() -> None:
    """What looks like a telling word is read, not believed."""
    for text in ('"usage":{', 'finish_reason":"stop', '"error"', "[DONE]"):
        piece = chunk({"content": text})
        pipe = tap(CHAT)
        assert pipe.feed(CHAT.first) + pipe.feed(piece) == CHAT.first + piece
        assert (pipe.finished, pipe.failure, pipe.usage) == (False, None, None)


def test_model_and_usage_of_a_whole_answer() -> None:
    model, usage = chat_usage(CHAT.whole)
    assert usage is not None
    assert (model, usage.input, usage.cache_read) == ("gpt-x", 21, 16)
