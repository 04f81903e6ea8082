from __future__ import annotations

import json
from typing import Any, cast

import pytest
from data_plane import MODEL
from fakes import FakeClock
from fakes_gateway import JSON, SSE, FakeCall, exchange, fake_gateway, job, one_provider
from wires import ANTHROPIC, CHAT, WIRES, Wire, chunk, events

from omniroute.gateway import pipeline, progress
from omniroute.gateway.job import ChatJob, Line
from omniroute.gateway.progress import Progress, count, ended, frame, wanted
from omniroute.gateway.stream import StreamRelay
from omniroute.proto.transport import TransportError
from omniroute.settings import Limits
from omniroute.translate.format import Stamp
from omniroute.translate.formats import FORMATS, RELAYS

ASKED = (b"x-omniroute-progress", b"true")
STAMP = Stamp("id-1", 1_750_000_000, "up/m")
BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


class Bench:
    """A same-wire stream with progress events, its clock in the test's hands."""

    def __init__(self, wire: Wire) -> None:
        self.clock = FakeClock()
        clock = cast(Any, self.clock)
        self.exchange = exchange(wire, {}, ASKED)
        self.call = FakeCall(self.clock)
        form = FORMATS[wire.name]
        tap = RELAYS[wire.name].tap(lambda failure: form.stream_encoder(STAMP).fail(failure), False)
        self.pipe = Progress(tap, self.exchange, clock)
        StreamRelay(
            self.exchange, cast(Any, self.call), self.pipe, [], ping=b"", clock=clock, limits=Limits(keepalive_interval=0.0)
        )

    def told(self) -> list[dict[str, Any]]:
        """The data of the progress events so far."""
        return [json.loads(data) for name, data in events(self.exchange.text) if name == "progress"]


def events_but_progress(raw: bytes) -> bytes:
    return b"\n\n".join(block for block in raw.split(b"\n\n") if not block.startswith(b"event: progress"))


def test_the_shape_of_an_event() -> None:
    assert frame(42, 2.0034) == b'event: progress\ndata: {"tokens_generated":42,"elapsed_ms":2003}\n\n'
    assert frame(0, 0.0, done=True) == b'event: progress\ndata: {"tokens_generated":0,"elapsed_ms":0,"done":true}\n\n'


def test_data_lines_are_counted() -> None:
    assert count(b"".join(CHAT.stream)) == len(CHAT.stream)
    assert count(b'event: x\ndata: {"text":"data: data:"}\n\n: data:\n\n') == 1


@BOTH
async def test_every_two_seconds_and_once_more_before_the_end(wire: Wire) -> None:
    bench = Bench(wire)
    bench.call.push(*wire.opening, wire.first)
    bench.clock.advance(1.9)
    assert bench.told() == []
    bench.clock.advance(0.1)
    so_far = len(wire.opening) + 1
    bench.clock.advance(2.5)
    rest = wire.stream[so_far:]
    bench.call.push(*rest)
    bench.call.end()
    assert bench.told() == [
        {"tokens_generated": so_far, "elapsed_ms": 2000},
        {"tokens_generated": so_far, "elapsed_ms": 4000},
        {"tokens_generated": len(wire.stream) - 1, "elapsed_ms": 4500, "done": True},
    ]
    assert bench.exchange.text.endswith(wire.stream[-1])
    assert bench.exchange.finished


@BOTH
async def test_without_them_the_stream_is_as_it_came(wire: Wire) -> None:
    bench = Bench(wire)
    bench.call.push(*wire.opening, wire.first)
    bench.clock.advance(2.0)
    bench.call.push(*wire.stream[len(wire.opening) + 1 :])
    bench.call.end()
    assert events_but_progress(bench.exchange.text) == b"".join(wire.stream)


async def test_none_before_the_head_is_sent() -> None:
    bench = Bench(CHAT)
    bench.call.push(*CHAT.opening)
    bench.clock.advance(10.0)
    assert not bench.exchange.started
    bench.call.push(CHAT.first)
    assert bench.told() == []


async def test_none_inside_an_event_that_was_too_large_to_hold() -> None:
    bench = Bench(CHAT)
    bench.call.push(*CHAT.opening, CHAT.first)
    large = chunk({"content": "x" * 100_000})
    bench.call.push(large[:90_000])
    bench.clock.advance(2.0)
    assert bench.exchange.text.endswith(large[:90_000])
    bench.call.push(large[90_000:])
    assert bench.exchange.text.endswith(large + frame(3, 2.0)), "it comes as soon as it may"


async def test_a_stream_that_breaks_is_over_too() -> None:
    for wire in WIRES:
        bench = Bench(wire)
        bench.call.push(*wire.opening, wire.first)
        bench.call.fail(TransportError("reset"))
        assert [told.get("done") for told in bench.told()] == [True]
        assert wire.errors(events_but_progress(bench.exchange.text))
    assert bench.exchange.finished


async def test_a_truncated_stream_ends_once() -> None:
    bench = Bench(CHAT)
    bench.call.push(*CHAT.opening, CHAT.first)
    bench.call.end()
    assert len(bench.told()) == 1
    assert events(bench.exchange.text)[-2][0] == "progress"
    assert len(CHAT.errors(events_but_progress(bench.exchange.text))) == 1


async def test_after_the_end_no_timer_is_left() -> None:
    bench = Bench(CHAT)
    bench.call.push(*CHAT.stream)
    bench.call.end()
    bench.clock.advance(60.0)
    assert len(bench.told()) == 1
    bench.pipe.close()


@pytest.mark.parametrize(
    "last",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\r\n\r\n",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
        b'event: response.failed\r\ndata: {"type":"response.failed"}\r\n\r\n',
    ],
)
def test_the_last_event_precedes_the_frame_that_ends_the_stream(last: bytes) -> None:
    text = b'event: x\ndata: {"text":"data: [DONE]"}\n\n'
    assert ended(text + last, 3, 1.0) == text + frame(4, 1.0, done=True) + last


def test_in_a_stream_without_a_final_frame_it_is_the_last() -> None:
    assert ended(b'data: {"a":1}\n\n', 0, 1.0) == b'data: {"a":1}\n\n' + frame(1, 1.0, done=True)
    assert ended(b'data: {"a":1}', 0, 1.0, torn=True) == b'data: {"a":1}\n\n' + frame(1, 1.0, done=True)


def test_only_streams_of_events_have_them() -> None:
    assert not wanted(job(CHAT, {}))
    made = ChatJob(exchange(CHAT, {}, ASKED), Line("openai-chat"), 0.0)
    assert wanted(made)
    made.line = Line("gemini", array=True)
    assert not wanted(made)


@pytest.mark.parametrize("client", WIRES, ids=repr)
@pytest.mark.parametrize("reply", [(200, SSE, b"".join(CHAT.stream)), (200, JSON, CHAT.whole)], ids=["stream", "whole"])
async def test_the_head_says_so_whatever_the_upstream_gives(client: Wire, reply: Any) -> None:
    gateway = fake_gateway(one_provider(CHAT), reply)
    call = exchange(client, client.ask(MODEL, stream=True), ASKED)
    await pipeline.serve(gateway, call, Line(client.name))
    assert call.header(progress.FIELD[0]) == b"enabled"
    told = [json.loads(data) for name, data in events(call.text) if name == "progress"]
    assert [one["done"] for one in told] == [True]
    assert gateway.hands.pending == 0


async def test_other_clients_do_not_get_them() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, SSE, b"".join(CHAT.stream)))
    for headers in ((), ((b"x-omniroute-progress", b"false"),)):
        call = exchange(ANTHROPIC, ANTHROPIC.ask(MODEL, stream=True), *headers)
        await pipeline.serve(gateway, call, Line("anthropic"))
        assert call.header(b"x-omniroute-progress") is None
        assert b"event: progress" not in call.text
