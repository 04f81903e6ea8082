from __future__ import annotations

import json

import pytest
from fakes_exchange import FakeExchange
from wires import events

from omniroute.gateway.media_stream import RawPipe, error_of, usage_of
from omniroute.proto.exchange import Request
from omniroute.translate.events import Failure, Usage

DONE = b'event: x\r\ndata: {"type":"transcript.text.done","usage":{"input_tokens":3,"output_tokens":1}}\r\n\r\n'


def test_bytes_go_through_and_an_error_breaks_the_connection() -> None:
    exchange = FakeExchange(Request("POST", "/"))
    pipe = RawPipe(exchange, events=False)
    assert (pipe.feed(b""), pipe.meaningful) == (b"", False)
    assert (pipe.feed(b"\0\xff"), pipe.meaningful) == (b"\0\xff", True)
    assert pipe.fail(Failure(502, "broken")) == b""
    assert exchange.aborted
    assert not pipe.finished


@pytest.mark.parametrize(("before", "told"), [(DONE, True), (b"data: {}\n\n", True), (DONE + b'data: {"b64', False)])
def test_an_error_after_whole_events_is_an_event_too(before: bytes, told: bool) -> None:
    exchange = FakeExchange(Request("POST", "/"))
    pipe = RawPipe(exchange, events=True)
    pipe.feed(before)
    out = pipe.fail(Failure(502, "broken"))
    assert exchange.aborted is not told
    assert [(name, json.loads(data)["error"]["message"]) for name, data in events(out)] == [("error", "broken")] * told


def test_an_error_event_is_a_failure() -> None:
    error = b'event: error\ndata: {"type": "error", "error": {"type": "server_error", "message": "no image"}}\n\n'
    for before in (b"", DONE):
        for size in (7, 1000):
            pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
            sent = before + error
            assert b"".join(pipe.feed(sent[at : at + size]) for at in range(0, len(sent), size)) + pipe.eof() == sent
            assert pipe.failure is not None
            assert (pipe.failure.status, pipe.failure.message, pipe.finished) == (500, "no image", False)
            assert pipe.meaningful is (size == 7)  # in one read: nothing has been sent, another account may serve


def test_a_failure_is_kept_whatever_comes_after_it() -> None:
    pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
    pipe.feed(b'data: {"error":{"message":"over"}}\n\n')
    pipe.feed(b'data: {"text":"no","note":"\\"error\\"", "error":null}\n\n')
    assert pipe.failure is not None
    assert pipe.failure.message == "over"


@pytest.mark.parametrize("word", ["moderation_blocked", "content_policy_violation"])
def test_a_prompt_that_the_vendor_blocks_is_the_requests_fault(word: str) -> None:
    failure = error_of(b'data: {"type": "error", "error": {"type": "x", "code": "%b", "message": "no"}}\n\n' % word.encode())
    assert failure is not None
    assert failure.status == 400


def test_the_counts_are_in_the_last_events() -> None:
    pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
    for at in range(0, len(DONE), 5):
        pipe.feed(DONE[at : at + 5])
    assert pipe.eof() == b""
    assert pipe.usage == Usage(input=3, output=1)


@pytest.mark.parametrize(
    "last", [b"", b"data: [DONE]\n\n", b'data: "usage"\n\n', b'data: {"usage": null}\n\n', b'data: {"usage": {}}\n\n']
)
def test_events_without_counts_have_none(last: bytes) -> None:
    assert usage_of(last) is None
    assert usage_of(DONE + last) == Usage(input=3, output=1)


def test_the_counts_behind_a_large_picture_are_found() -> None:
    pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
    pipe.feed(b'event: x\ndata: {"type":"image_generation.completed","b64_json":"' + b"A" * 100_000)
    pipe.feed(b'","usage":{"input_tokens":5,"output_tokens":9,"input_tokens_details":{"text_tokens":5}},"size":"auto"}\n\n')
    pipe.eof()
    assert pipe.usage == Usage(input=5, output=9)


def test_a_first_event_that_is_cut_within_a_character_still_has_its_counts() -> None:
    assert usage_of(b'\xa9","usage":{"input_tokens":1,"output_tokens":2}}\n\n') == Usage(input=1, output=2)
    assert usage_of(b'"usage":{"input_tokens":1,"output_tok\n\n') is None
