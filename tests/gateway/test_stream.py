from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from fakes import FakeClock
from fakes_exchange import FakeExchange
from fakes_gateway import FakeCall, exchange
from wires import ANTHROPIC, CHAT, DONE, MESSAGE_START, SAID, THINKING_BLOCK, WIRES, Wire, chunk, events, spelled

from omniroute.gateway import stream
from omniroute.gateway.stream import PING, StreamRelay
from omniroute.gateway.translation import HELD_BYTES, Translation
from omniroute.proto.sse import SSEReader
from omniroute.proto.transport import TransportError
from omniroute.settings import Limits
from omniroute.translate.events import Failure
from omniroute.translate.format import Stamp
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.relay import Pipe

LIMITS = Limits(keepalive_interval=15.0, stream_idle_timeout=300.0)
STAMP = Stamp("id-1", 1_750_000_000, "up/m")
HEAD = [(b"content-type", b"text/event-stream")]
BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def tap(wire: Wire) -> Pipe:
    form = FORMATS[wire.name]
    return RELAYS[wire.name].tap(lambda failure: form.stream_encoder(STAMP).fail(failure), False)


def translation(source: Wire, client: Wire) -> Translation:
    return Translation(SSEReader(), FORMATS[source.name].stream_decoder(), FORMATS[client.name].stream_encoder(STAMP))


class Bench:
    """One relay with all its neighbours in the test's hands."""

    def __init__(self, pipe: Pipe, client: Wire, limits: Limits = LIMITS) -> None:
        self.clock = FakeClock()
        self.exchange: FakeExchange = exchange(client, {})
        self.call = FakeCall(self.clock)
        self.pipe = pipe
        clock: Any = self.clock
        self.relay = StreamRelay(
            self.exchange,
            cast(Any, self.call),
            pipe,
            HEAD,
            ping=PING.get(client.name, PING["sse"]),
            clock=clock,
            limits=limits,
        )

    @property
    def sent(self) -> bytes:
        return self.exchange.text

    def begin(self, wire: Wire) -> None:
        """Over the point of no return."""
        self.call.push(*wire.opening, wire.first)
        assert self.exchange.started


def pairs() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("wire", "client"), [(w, c) for w in WIRES for c in WIRES], ids=repr)


def bench(wire: Wire, client: Wire, limits: Limits = LIMITS) -> Bench:
    return Bench(tap(wire) if wire is client else translation(wire, client), client, limits)


# -- the point of no return


@pairs()
async def test_nothing_is_sent_before_the_first_event_that_says_something(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    for piece in wire.opening:
        b.call.push(piece)
        assert not b.exchange.started
    b.call.push(wire.first)
    assert b.exchange.started
    assert b.exchange.status == 200
    assert await b.relay.commit() is None
    assert b.relay.committed_at == b.clock.monotonic()
    assert len(b.exchange.pieces) == 1, "all that was held leaves in one write"
    assert client.text(b.sent, True) == "Good "


@pairs()
async def test_a_whole_stream_ends_once(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.call.push(*wire.stream)
    b.call.end()
    assert await b.relay.commit() is None
    assert await b.relay.finish() is None
    assert client.text(b.sent, True) == SAID
    assert b.exchange.finished
    assert not b.exchange.aborted
    assert b.clock.pending == 0


@pairs()
async def test_bytes_that_come_with_the_end_are_sent_as_if_they_came_before_it(wire: Wire, client: Wire) -> None:
    for at in range(len(wire.stream) + 1):
        b, before = bench(wire, client), bench(wire, client)
        b.call.push(*wire.stream[:at])
        b.call.end(b"".join(wire.stream[at:]))
        before.call.push(*wire.stream)
        before.call.end()
        for each in (b, before):
            assert await each.relay.commit() is None
            assert await each.relay.finish() is None
        assert spelled(b.sent) == spelled(before.sent)
        assert b.clock.pending == 0


@pairs()
async def test_an_error_before_that_point_sends_nothing(wire: Wire, client: Wire) -> None:
    for broken in (
        lambda b: b.call.push(wire.error_event),
        lambda b: b.call.fail(TransportError("reset")),
        lambda b: b.call.end(),
    ):
        b = bench(wire, client)
        b.call.push(*wire.opening)
        broken(b)
        failure = await b.relay.commit()
        assert isinstance(failure, Failure)
        assert failure.status >= 500
        assert not b.exchange.started
        assert b.call.cancelled
        assert b.clock.pending == 0


@pairs()
async def test_an_error_after_it_is_said_once_in_the_stream(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.begin(wire)
    b.call.fail(TransportError("reset", "connection reset"))
    failure = await b.relay.finish()
    assert failure is not None
    assert failure.status == 502
    assert len(client.errors(b.sent)) == 1
    assert b.exchange.finished
    assert b.clock.pending == 0


async def test_an_answer_too_large_to_hold_is_committed_as_it_is() -> None:
    b = bench(CHAT, CHAT)
    b.call.push(b": " + b"x" * (HELD_BYTES + 1) + b"\n\n")
    assert b.exchange.started


async def test_a_held_stop_event_is_forgotten_when_the_stream_fails() -> None:
    b = bench(ANTHROPIC, ANTHROPIC)
    b.call.push(MESSAGE_START, *THINKING_BLOCK)
    b.call.fail(TransportError("reset"))
    assert b"content_block_stop" not in b.sent
    assert events(b.sent)[-1][0] == "error"


@pairs()
async def test_a_break_after_the_end_is_no_failure(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.call.push(*wire.stream)
    b.call.fail(TransportError("truncated"))
    assert await b.relay.finish() is None
    assert client.errors(b.sent) == []


@pairs()
async def test_after_its_own_error_an_upstream_has_a_second_to_close(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.begin(wire)
    b.call.push(wire.error_event)
    assert len(client.errors(b.sent)) == 1
    assert not b.exchange.finished
    b.clock.advance(stream.LAST_WORDS)
    failure = await b.relay.finish()
    assert failure is not None
    assert failure.message == "Overloaded, try later"
    assert b.exchange.finished
    assert b.call.cancelled
    assert len(client.errors(b.sent)) == 1


# -- silence


@BOTH
async def test_after_fifteen_seconds_of_silence_a_keep_alive_is_sent_and_every_fifteen_again(wire: Wire) -> None:
    b = bench(wire, wire)
    b.begin(wire)
    before = b.sent
    ping = PING.get(wire.name, PING["sse"])
    b.clock.advance(14.9)
    assert b.sent == before
    b.clock.advance(0.2)
    assert b.sent == before + ping
    b.clock.advance(30.0)
    assert b.sent == before + 3 * ping


@pairs()
async def test_after_its_end_a_stream_is_silent(wire: Wire, client: Wire) -> None:
    """Also when the upstream keeps its connection open."""
    b = bench(wire, client)
    b.call.push(*wire.stream)
    said = b.sent
    b.clock.advance(100.0)
    assert b.sent == said


async def test_an_event_puts_the_keep_alive_off() -> None:
    b = bench(CHAT, CHAT)
    b.begin(CHAT)
    for _ in range(10):
        b.clock.advance(10.0)
        b.call.push(chunk({"content": "x"}))
    assert PING["sse"] not in b.sent


async def test_no_keep_alive_before_the_head_is_sent() -> None:
    b = bench(ANTHROPIC, ANTHROPIC)
    b.call.push(MESSAGE_START)
    b.clock.advance(100.0)
    assert not b.exchange.started


async def test_keep_alives_can_be_switched_off() -> None:
    b = bench(CHAT, CHAT, Limits(keepalive_interval=0.0, stream_idle_timeout=300.0))
    b.begin(CHAT)
    b.clock.advance(299.0)
    assert PING["sse"] not in b.sent


async def test_no_keep_alive_inside_an_event_that_was_too_large_to_hold() -> None:
    b = bench(CHAT, CHAT)
    b.begin(CHAT)
    large = chunk({"content": "x" * 100_000})
    b.call.push(large[:80_000])
    assert b.sent.endswith(b"x")
    b.clock.advance(60.0)
    b.call.push(large[80_000:])
    assert b.sent.endswith(large)
    b.clock.advance(15.0)
    assert b.sent.endswith(large + PING["sse"])


@pairs()
async def test_a_silent_upstream_is_given_up_after_the_idle_time(wire: Wire, client: Wire) -> None:
    early, late = bench(wire, client), bench(wire, client)
    late.begin(wire)
    for b in (early, late):
        b.clock.advance(299.0)
        assert not b.call.cancelled
        b.clock.advance(2.0)
        assert b.call.cancelled
    failure = await early.relay.commit()
    assert failure is not None
    assert failure.status == 504
    assert not early.exchange.started
    failure = await late.relay.finish()
    assert failure is not None
    assert "nothing for 300 seconds" in failure.message
    assert len(client.errors(late.sent)) == 1


# -- the client's side


async def test_a_slow_client_pauses_its_own_upstream() -> None:
    b = bench(CHAT, CHAT)
    b.begin(CHAT)
    assert b.exchange.on_pause is not None
    assert b.exchange.on_resume is not None
    b.exchange.on_pause()
    assert b.call.paused
    b.clock.advance(1000.0)  # however long: the upstream is not to blame, and nothing is written
    assert not b.call.cancelled
    assert PING["sse"] not in b.sent
    b.exchange.on_resume()
    assert not b.call.paused
    b.clock.advance(299.0)
    assert not b.call.cancelled
    b.clock.advance(2.0)
    assert b.call.cancelled


async def test_while_paused_the_watch_does_not_spin() -> None:
    b = bench(CHAT, CHAT)
    b.begin(CHAT)
    assert b.exchange.on_pause is not None
    b.exchange.on_pause()
    turns = 0
    call_later = b.clock.call_later

    def counted(*args: Any) -> Any:
        nonlocal turns
        turns += 1
        return call_later(*args)

    b.clock.call_later = counted  # type: ignore[method-assign]
    b.clock.advance(3600.0)
    assert turns < 1000


async def test_cancelling_lets_go_of_everything() -> None:
    b = bench(CHAT, CHAT)
    b.begin(CHAT)
    b.relay.cancel()
    assert b.call.cancelled
    assert b.exchange.on_pause is None
    assert b.exchange.on_resume is None
    assert b.clock.pending == 0


async def test_a_chat_stream_for_a_chat_client_is_never_translated() -> None:
    b = bench(CHAT, CHAT)
    odd = b'data: {"id":"x","choices":[{"delta":{"content":"hi"}}],"vendor":{"a":  1}}\n\n'
    b.call.push(odd, DONE)
    b.call.end()
    assert b.sent == odd + DONE


# -- endings


@pairs()
async def test_an_upstream_that_stays_open_after_its_last_event_delays_the_client_only_briefly(
    wire: Wire, client: Wire
) -> None:
    b = bench(wire, client)
    b.call.push(*wire.stream)
    assert not b.exchange.finished
    b.clock.advance(stream.LAST_WORDS)
    assert await b.relay.finish() is None
    assert client.text(b.sent, True) == SAID
    assert client.errors(b.sent) == []
    assert b.exchange.finished
    assert not b.exchange.aborted
    assert b.call.cancelled


@pairs()
async def test_a_break_between_the_reason_of_the_end_and_the_last_event_is_no_failure(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.call.push(*wire.stream[:-1])
    b.call.fail(TransportError("truncated"))
    assert await b.relay.finish() is None
    assert client.text(b.sent, True) == SAID
    assert client.errors(b.sent) == []
    assert b.exchange.finished


@pairs()
async def test_a_stream_that_the_servers_end_overtakes_says_so(wire: Wire, client: Wire) -> None:
    b = bench(wire, client)
    b.begin(wire)
    running = asyncio.ensure_future(b.relay.finish())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert len(client.errors(b.sent)) == 1
    assert b"shutting down" in b.sent
    assert b.exchange.finished
    assert b.call.cancelled


@BOTH
@pytest.mark.parametrize("how", ["read", "last bytes", "last bytes without a line end"])
async def test_an_error_that_repeats_the_accounts_key_does_not_tell_it_to_the_client(wire: Wire, how: str) -> None:
    b = Bench(tap(wire), wire)
    b.relay._secret = b"very-secret-key"
    b.call.push(b"".join([*wire.opening, wire.first]))
    assert await b.relay.commit() is None
    error = wire.error_event.replace(b"Overloaded", b"Not for very-secret-key")
    if how == "read":
        b.call.push(error)
    b.call.end({"read": b"", "last bytes": error}.get(how, error.rstrip()))
    failure = await b.relay.finish()
    assert failure is not None
    assert wire.errors(b.sent)[0]["message"] == "Not for [key], try later"


async def test_an_error_that_quotes_unreadable_data_does_not_tell_the_accounts_key() -> None:
    b = bench(CHAT, ANTHROPIC)
    b.relay._secret = b"very-secret-key"
    b.begin(CHAT)
    b.call.push(b'data: "Not for very-secret-key"\n\n')
    assert "Not for [key]" in ANTHROPIC.errors(b.sent)[0]["message"]
