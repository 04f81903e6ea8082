"""Same-wire relaying of Anthropic streams; what every tap does is in ``test_relay.py``."""

from __future__ import annotations

from wires import ANTHROPIC, COUNTS, MESSAGE_END, MESSAGE_START, TEXT_BLOCK, THINKING_BLOCK, block, event, events, play, tap

from omniroute.translate.events import Failure
from omniroute.translate.relay_anthropic import anthropic_usage


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


def test_model_and_usage_of_a_whole_answer() -> None:
    model, usage = anthropic_usage(ANTHROPIC.whole)
    assert usage is not None
    assert (model, usage.input, usage.cache_read) == ("claude-x", 21, COUNTS["cache_read_input_tokens"])
