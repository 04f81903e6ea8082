from __future__ import annotations

import json

import pytest
from playbook import cuts
from wires import (
    ANTHROPIC,
    CHAT,
    CHAT_USAGE,
    COUNTS,
    DONE,
    MESSAGE_END,
    MESSAGE_START,
    TEXT_BLOCK,
    THINKING_BLOCK,
    WIRES,
    Wire,
    block,
    chunk,
    event,
    events,
    sse,
)

from omniroute.translate import relay
from omniroute.translate.events import Failure, Start, Usage
from omniroute.translate.format import BadAnswer, Stamp
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.relay import (
    HELD_BYTES,
    Pipe,
    anthropic_usage,
    boundary_before,
    chat_usage,
    data_of,
    events_of,
    first_of,
)

STAMP = Stamp("id", 0, "m")
BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def tap(wire: Wire, strip: bool = False) -> Pipe:
    form = FORMATS[wire.name]
    return RELAYS[wire.name].tap(lambda failure: form.stream_encoder(STAMP).fail(failure), strip)


def play(pipe: Pipe, *pieces: bytes) -> bytes:
    return b"".join([*map(pipe.feed, pieces), pipe.eof()])


@BOTH
def test_what_goes_in_comes_out_however_it_is_cut(wire: Wire) -> None:
    body = b"".join(wire.stream)
    for pieces in cuts(body, samples=60):
        pipe = tap(wire)
        assert play(pipe, *pieces) == body
        assert (pipe.finished, pipe.failure, pipe.model[-2:]) == (True, None, "-x")
        assert pipe.usage is not None
        assert (pipe.usage.input, pipe.usage.output, pipe.usage.cache_read) == (21, 5, 16)


@BOTH
def test_other_framings_pass_too(wire: Wire) -> None:
    body = b"".join(wire.stream)
    for framed in (
        body.replace(b"\n", b"\r\n"),
        body.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + body,
        b": hello\n\n" + body,
        body[:-2],
    ):
        for pieces in ([framed], [framed[i : i + 1] for i in range(len(framed))]):
            pipe = tap(wire)
            assert play(pipe, *pieces) == framed
            assert pipe.finished


@BOTH
def test_only_whole_events_pass(wire: Wire) -> None:
    pipe = tap(wire)
    assert pipe.feed(wire.stream[0][:-1]) == b""
    assert pipe.feed(b"\n") == wire.stream[0]


@BOTH
def test_when_something_was_said(wire: Wire) -> None:
    pipe = tap(wire)
    for piece in (*wire.opening, b": comment\n\n"):
        pipe.feed(piece)
        assert not pipe.meaningful
    pipe.feed(wire.first)
    assert pipe.meaningful


def test_an_event_too_large_to_hold_goes_through_in_parts_and_is_called_torn() -> None:
    pipe = tap(CHAT)
    large = chunk({"content": "x" * (2 * HELD_BYTES)})
    out = pipe.feed(large[: HELD_BYTES + 100])
    assert out == large[: HELD_BYTES + 100]
    assert pipe.torn
    assert pipe.fail(Failure(502, "cut")).startswith(b"\n\ndata: ")
    assert out + pipe.feed(large[HELD_BYTES + 100 :]) == large
    assert not pipe.torn


def test_usage_before_a_long_last_event_is_found_too() -> None:
    usage = chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 4})
    stream = CHAT.first + chunk({}, finish="stop") + usage + chunk(None, moderation="x" * 5000) + b"data: [DONE]\n\n"
    pipe = tap(CHAT)
    assert play(pipe, CHAT.first, stream.removeprefix(CHAT.first)) == stream
    assert pipe.usage == Usage(input=3, output=4)


@pytest.mark.parametrize("size", [1 << 14, 1 << 16, (1 << 16) + 1])
def test_an_event_that_went_through_in_parts_is_read_once_it_is_whole(size: int) -> None:
    long = chunk({"content": "x" * (3 * HELD_BYTES)}, finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 4})
    stream = CHAT.first + long + b"data: [DONE]\n\n"
    pipe = tap(CHAT)
    assert play(pipe, *(stream[at : at + size] for at in range(0, len(stream), size))) == stream
    assert (pipe.finished, pipe.torn) == (True, False)
    assert pipe.usage == Usage(input=3, output=4)


def test_a_boundary_that_is_cut_after_a_torn_event_still_ends_it() -> None:
    pipe = tap(CHAT)
    event = chunk({"content": "x" * HELD_BYTES})
    assert pipe.feed(event[:-1]) == event[:-2]
    assert pipe.torn
    assert pipe.feed(b"\n" + CHAT.first) == b"\n\n" + CHAT.first
    assert (pipe.torn, pipe.meaningful) == (False, True)


def test_an_event_larger_than_can_be_read_goes_through_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "READ_BYTES", 2 * HELD_BYTES)
    pipe = tap(CHAT)
    stream = chunk({"content": "x" * (4 * HELD_BYTES)}, finish="stop")
    assert play(pipe, *(stream[at : at + 50_000] for at in range(0, len(stream), 50_000))) == stream
    assert not pipe.finished
    assert pipe.feed(chunk({}, finish="stop")) == chunk({}, finish="stop")
    assert pipe.finished


def test_what_was_held_back_goes_before_an_event_that_is_torn() -> None:
    pipe = tap(ANTHROPIC)
    *blocks, stop = THINKING_BLOCK
    for piece in (MESSAGE_START, *blocks):
        pipe.feed(piece)
    assert pipe.feed(stop) == b""
    start = event("content_block_start", index=1, content_block={"type": "x", "data": "y" * HELD_BYTES})
    assert pipe.feed(start[:-5]) + pipe.feed(start[-5:]) == stop + start


@BOTH
def test_half_an_event_at_the_end_is_not_passed_on(wire: Wire) -> None:
    pipe = tap(wire)
    out = play(pipe, *wire.opening, wire.first, wire.first[:-10])
    assert out == b"".join([*wire.opening, wire.first])
    assert not pipe.finished


def test_a_whole_event_without_its_blank_line_is() -> None:
    pipe = tap(CHAT)
    assert play(pipe, CHAT.first, CHAT.first[:-2]) == CHAT.first + CHAT.first[:-2]
    assert pipe.fail(Failure(502, "cut")).startswith(b"\n\n")


@BOTH
def test_after_the_end_there_is_no_error_any_more(wire: Wire) -> None:
    pipe = tap(wire)
    for piece in wire.stream:
        pipe.feed(piece)
    assert pipe.fail(Failure(502, "late")) == b""


@BOTH
def test_an_error_in_the_stream_is_noted_and_passed_on(wire: Wire) -> None:
    pipe = tap(wire)
    assert pipe.feed(wire.error_event) == wire.error_event
    assert pipe.failure is not None
    assert pipe.failure.message == "Overloaded, try later"
    assert not pipe.meaningful


# -- chat


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


def test_moonshots_usage_stands_in_the_choice() -> None:
    pipe = tap(CHAT)
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": CHAT_USAGE}]}
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


# -- anthropic


def test_a_leading_thinking_blocks_end_waits_for_the_next_block() -> None:
    pipe = tap(ANTHROPIC)
    for piece in (MESSAGE_START, *THINKING_BLOCK[:-1]):
        assert pipe.feed(piece) == piece
    assert pipe.feed(THINKING_BLOCK[-1]) == b""
    assert pipe.feed(event("ping")) == b""
    begin = block(1, {"type": "text", "text": ""})[0]
    assert pipe.feed(begin) == THINKING_BLOCK[-1] + event("ping") + begin


def test_later_thinking_blocks_are_not_held() -> None:
    pipe = tap(ANTHROPIC)
    second = [piece.replace(b'"index": 0', b'"index": 1') for piece in THINKING_BLOCK]
    for piece in (MESSAGE_START, *TEXT_BLOCK, *second):
        assert pipe.feed(piece) == piece


def test_an_error_forgets_what_was_held() -> None:
    pipe = tap(ANTHROPIC)
    out = play(pipe, MESSAGE_START, *THINKING_BLOCK, ANTHROPIC.error_event)
    assert b"content_block_stop" not in out
    assert events(out)[-1][0] == "error"


def test_a_message_that_lacks_its_stop_event_gets_it() -> None:
    pipe = tap(ANTHROPIC)
    out = play(pipe, MESSAGE_START, *TEXT_BLOCK, MESSAGE_END[0])
    assert events(out)[-1] == ("message_stop", '{"type":"message_stop"}')
    pipe = tap(ANTHROPIC)
    pipe.feed(b"".join([MESSAGE_START, *THINKING_BLOCK, MESSAGE_END[0]]))
    assert events(pipe.fail(Failure(502, "late")))[-1][0] == "message_stop"


def test_a_message_that_ended_with_an_error_gets_none() -> None:
    pipe = tap(ANTHROPIC)
    out = play(pipe, MESSAGE_START, *TEXT_BLOCK, MESSAGE_END[0], ANTHROPIC.error_event)
    assert events(out)[-1][0] == "error"


def test_a_message_that_was_cut_gets_none() -> None:
    pipe = tap(ANTHROPIC)
    assert b"message_stop" not in play(pipe, MESSAGE_START, *TEXT_BLOCK)
    assert not pipe.finished


def test_counts_of_the_first_and_last_event_are_joined() -> None:
    pipe = tap(ANTHROPIC)
    end = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"input_tokens": 7, "output_tokens": 9})
    play(pipe, MESSAGE_START, end)
    assert pipe.usage is not None
    assert (pipe.usage.input, pipe.usage.output, pipe.usage.cache_read) == (23, 9, 16)


def test_what_compacting_the_context_took_is_paid() -> None:
    pipe = tap(ANTHROPIC)
    runs = [{"type": "compaction", "input_tokens": 100, "output_tokens": 10}, {"type": "message"}]
    counts = {"input_tokens": 7, "output_tokens": 9, "iterations": runs}
    play(pipe, MESSAGE_START, event("message_delta", delta={"stop_reason": "end_turn"}, usage=counts))
    assert pipe.usage is not None
    assert (pipe.usage.input, pipe.usage.output, pipe.usage.cache_read) == (123, 19, 16)


# -- whole answers


def test_model_and_usage_of_whole_answers() -> None:
    model, usage = chat_usage(CHAT.whole)
    assert usage is not None
    assert (model, usage.input, usage.cache_read) == ("gpt-x", 21, 16)
    model, usage = anthropic_usage(ANTHROPIC.whole)
    assert usage is not None
    assert (model, usage.input, usage.cache_read) == ("claude-x", 21, COUNTS["cache_read_input_tokens"])


@pytest.mark.parametrize("read", [chat_usage, anthropic_usage])
@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_no_answer(read: object, body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(body)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama"])
def test_half_an_emoji_does_not_stop_an_answer(name: str) -> None:
    """JavaScript cuts texts between the halves of a surrogate pair, and writes the half as an escape."""
    body = b'{"model": "m", "modelVersion": "m", "text": "' + rb"\ud83d" + b'"}'
    assert RELAYS[name].usage(body)[0] == "m"


@pytest.mark.parametrize("read", [chat_usage, anthropic_usage])
def test_odd_members_do_not_stop_an_answer(read: object) -> None:
    assert read(b'{"model": 5, "usage": "many"}') == ("", None)  # type: ignore[operator]


# -- pieces


@pytest.mark.parametrize("at_once", [1, 3, 40])
def test_pieces_are_about_as_many_as_the_events(at_once: int) -> None:
    said = [sse(json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": f"tok-{n} "}}]})) for n in range(400)]
    pipe = tap(CHAT)
    for start in range(0, len(said), at_once):
        pipe.feed(b"".join(said[start : start + at_once]))
    assert pipe.pieces == pytest.approx(400, rel=0.05)


def test_comments_and_other_line_ends_are_one_piece_a_read() -> None:
    pipe = tap(CHAT)
    pipe.feed(b": ping\n\n" * 50)
    pipe.feed(b"data: {}\r\n\r\n" * 50)
    assert pipe.pieces == 2


def test_the_data_of_an_event() -> None:
    assert data_of(b"event: x\ndata: a\ndata:b\n\n") == b"a\nb"
    assert data_of(b"data: a\r\n\r\n") == b"a"
    assert data_of(b": comment\n\n") == b""


def test_events_are_cut_at_blank_lines_of_any_kind() -> None:
    blob = b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d"
    assert [data for _, data in events_of(blob)] == [b"a", b"b", b"c", b"d"]
    assert b"".join(raw for raw, _ in events_of(blob)) == blob


def test_the_boundary_before_a_place() -> None:
    blob = sse("a") + sse("b")
    assert boundary_before(blob, len(blob) - 3) == len(sse("a"))
    assert boundary_before(blob, 3) == 0
    crlf = blob.replace(b"\n", b"\r\n")
    assert boundary_before(crlf, len(crlf) - 5) == len(sse("a").replace(b"\n", b"\r\n"))


def test_the_first_of_some_words_is_found_from_further_and_further_on() -> None:
    class Counted(bytes):
        searched = 0

        def find(self, word: bytes, start: int = 0) -> int:  # type: ignore[override]
            at = super().find(word, start)
            Counted.searched += (at if at >= 0 else len(self)) - start
            return at

    blob, places, found = Counted(b"a.b." * 500), [-1] * 3, list[int]()
    while (at := first_of((b"a", b"b", b"never"), blob, found[-1] + 1 if found else 0, places)) < len(blob):
        found.append(at)
    assert found == [*range(0, 2000, 2)]
    assert Counted.searched <= 3 * len(blob)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_read_full_of_small_telling_events_takes_time_in_proportion(line_end: bytes) -> None:
    events = ANTHROPIC.first + 2000 * (sse({"type": "content_block_stop"}) + sse({"type": "content_block_delta"}))
    blob = events.replace(b"\n", line_end)
    assert tap(ANTHROPIC).feed(blob) == blob
