from __future__ import annotations

import pytest
from fakes_exchange import FakeExchange

from omniroute.gateway.media_stream import RawPipe, usage_of
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


def test_the_counts_are_in_the_last_events() -> None:
    pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
    for at in range(0, len(DONE), 5):
        pipe.feed(DONE[at : at + 5])
    assert pipe.eof() == b""
    assert pipe.usage == Usage(input=3, output=1)


@pytest.mark.parametrize(
    "events", [b"", b"data: [DONE]\n\n", b'data: "usage"\n\n', b'data: {"usage": null}\n\n', b'data: {"usage": {}}\n\n']
)
def test_events_without_counts_have_none(events: bytes) -> None:
    assert usage_of(events) is None
    assert usage_of(DONE + events) == Usage(input=3, output=1)


def test_the_counts_behind_a_large_picture_are_found() -> None:
    pipe = RawPipe(FakeExchange(Request("POST", "/")), events=True)
    pipe.feed(b'event: x\ndata: {"type":"image_generation.completed","b64_json":"' + b"A" * 100_000)
    pipe.feed(b'","usage":{"input_tokens":5,"output_tokens":9,"input_tokens_details":{"text_tokens":5}},"size":"auto"}\n\n')
    pipe.eof()
    assert pipe.usage == Usage(input=5, output=9)


def test_a_first_event_that_is_cut_within_a_character_still_has_its_counts() -> None:
    assert usage_of(b'\xa9","usage":{"input_tokens":1,"output_tokens":2}}\n\n') == Usage(input=1, output=2)
    assert usage_of(b'"usage":{"input_tokens":1,"output_tok\n\n') is None
