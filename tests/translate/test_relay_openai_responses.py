from __future__ import annotations

from typing import Any

import msgspec
import pytest
from playbook import STAMP, cuts

from omniroute.translate.events import Failure, Usage
from omniroute.translate.format import BadAnswer
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.relay import Pipe
from omniroute.translate.relay_openai_responses import responses_usage

WIRE = "openai-responses"
RESPONSE: dict[str, Any] = {"id": "resp_up", "model": "gpt-x", "status": "in_progress", "output": []}
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "output_tokens_details": {"reasoning_tokens": 1}}


def sse(*events: dict[str, Any], start: int = 0) -> bytes:
    numbered = [{**event, "sequence_number": n} for n, event in enumerate(events, start)]
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in numbered)


CREATED = {"type": "response.created", "response": RESPONSE}
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1"}}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": 'say \\"sequence_number\\": 99 "error"'}
COMPLETED = {"type": "response.completed", "response": {**RESPONSE, "status": "completed", "usage": USAGE}}
ERROR = {"type": "error", "error": {"code": "rate_limit_exceeded", "type": "tokens", "message": "slow"}}
FAILED = {"type": "response.failed", "response": {**RESPONSE, "status": "failed", "error": {"code": "x", "message": "no"}}}


def tap() -> Pipe:
    return RELAYS[WIRE].tap(lambda failure: FORMATS[WIRE].stream_encoder(STAMP).fail(failure), False)


def test_a_stream_goes_through_as_it_came_however_it_is_cut() -> None:
    body = sse(CREATED, ADDED, DELTA, DELTA, COMPLETED) + b"data: [DONE]\n\n"
    for pieces in cuts(body, samples=60):
        pipe = tap()
        assert b"".join([*map(pipe.feed, pieces), pipe.eof()]) == body
        assert (pipe.meaningful, pipe.finished, pipe.failure, pipe.model) == (True, True, None, "gpt-x")
        assert pipe.usage == Usage(3, 2, reasoning=1, total=5)


def test_announcements_say_nothing_yet_and_deltas_do() -> None:
    pipe = tap()
    pipe.feed(sse(CREATED, ADDED))
    assert not pipe.meaningful
    pipe.feed(sse(DELTA, start=2))
    assert pipe.meaningful
    assert not pipe.finished


@pytest.mark.parametrize("end", [b"\n\n", b""])
def test_an_end_that_repeats_long_instructions_is_an_end_however_it_is_cut(end: bytes) -> None:
    long = {**COMPLETED, "response": {"instructions": "be brief. " * 20_000, **COMPLETED["response"]}}
    body = sse(CREATED, ADDED, DELTA, long).removesuffix(b"\n\n") + end
    for size in (16_384, 65_536, 65_537, len(body) - 1):
        pipe = tap()
        assert b"".join([*(pipe.feed(body[at : at + size]) for at in range(0, len(body), size)), pipe.eof()]) == body
        assert (pipe.finished, pipe.failure) == (True, None)
        assert pipe.usage == Usage(3, 2, reasoning=1, total=5)


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_an_answer_is_finished_at_each_of_its_ends(kind: str) -> None:
    pipe = tap()
    pipe.feed(sse(CREATED, ADDED, DELTA, {**COMPLETED, "type": kind}))
    assert pipe.finished
    assert (pipe.failure is not None) == (kind == "response.failed")
    assert pipe.fail(Failure(502, "late")) == b""


@pytest.mark.parametrize("events", [(CREATED, ERROR), (CREATED, ERROR, FAILED), (CREATED, FAILED)])
def test_an_error_before_anything_was_said_is_known_at_once_so_that_another_attempt_can_be_made(events: Any) -> None:
    pipe = tap()
    pipe.feed(sse(*events))
    assert pipe.failure is not None
    assert not pipe.meaningful


def test_an_error_event_is_followed_by_the_failed_response_that_agents_wait_for() -> None:
    pipe = tap()
    body = sse(CREATED, ADDED, DELTA, ERROR)
    assert pipe.feed(body) == body
    assert pipe.failure is None  # the upstream may still say it itself
    last = msgspec.json.decode(pipe.eof().partition(b"data: ")[2])
    assert (last["type"], last["sequence_number"], last["response"]["id"]) == ("response.failed", 4, "resp_up")
    assert last["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow"}
    assert pipe.failure is not None


def test_an_upstream_that_says_both_is_left_alone() -> None:
    pipe = tap()
    body = sse(CREATED, ADDED, DELTA, ERROR, FAILED)
    assert pipe.feed(body) + pipe.eof() == body
    assert pipe.failure is not None
    assert pipe.failure.code == "rate_limit_exceeded"


def test_a_stream_that_dies_is_ended_in_its_own_numbers() -> None:
    pipe = tap()
    pipe.feed(sse(CREATED, ADDED, DELTA, DELTA))
    last = msgspec.json.decode(pipe.fail(Failure(502, "gone")).partition(b"data: ")[2])
    assert (last["sequence_number"], last["response"]["id"], last["response"]["status"]) == (4, "resp_up", "failed")
    assert last["response"]["error"] == {"code": "server_error", "message": "gone"}
    assert not pipe.finished  # what we said ourselves is no end that the answer reached


def test_a_stream_that_never_began_is_failed_from_its_start() -> None:
    assert tap().fail(Failure(502, "gone")).startswith(b"event: response.created\n")
    pipe = tap()
    assert pipe.feed(b" " * 100_000)  # too much to be held
    assert pipe.fail(Failure(502, "gone")).startswith(b"\n\nevent: response.created\n")


def test_broken_bytes_go_through() -> None:
    pipe = tap()
    body = b'data: {"type":"resp\xff":"x"}\n\ndata: {"a\n\n'
    assert pipe.feed(body) == body


def test_the_model_and_counts_of_a_whole_answer() -> None:
    body = msgspec.json.encode({**RESPONSE, "usage": USAGE})
    assert responses_usage(body) == ("gpt-x", Usage(3, 2, reasoning=1, total=5))
    assert responses_usage(b"{}") == ("", None)
    with pytest.raises(BadAnswer):
        responses_usage(b"<html>")
