"""Streaming of an answer to the client: hold, commit, forward, end.

``Translation`` is the :class:`~omniroute.translate.relay.Pipe` between different wire formats.  ``StreamRelay`` connects an
upstream call to an exchange: upstream data passes through the pipe to the client within the socket's callback, without a
task switch or a queue.  A slow client pauses its own upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from ..clock import Clock
from ..proto.exchange import Exchange
from ..proto.h1_client import TransportError
from ..proto.headers import Headers
from ..settings import Limits
from ..translate.collect import bad_ending
from ..translate.events import Event, Failure, Finish, Start, TextDelta, ThinkingDelta, Usage, merged
from ..translate.format import BadAnswer, StreamDecoder, StreamEncoder
from ..translate.pii import Redactor
from ..translate.relay import Pipe
from ..translate.think import ThinkSplitter
from ..upstream.send import Call

HELD_BYTES: Final = 1024 * 1024  # held back before the commit at most; more forces the commit
LAST_WORDS: Final = 1.0  # seconds that an upstream may take to end after its last event or an error
PING: Final = {"anthropic": b'event: ping\ndata: {"type": "ping"}\n\n', "ndjson": b"", "sse": b": keep-alive\n\n"}
_MANY: Final = 2048  # from this size of a read on, runs of text events are searched for
_BITE: Final = 512  # bytes decoded before the first search; doubled after each, to limit the number of searches
_OPENERS: Final = frozenset({TextDelta, ThinkingDelta})  # with empty text they only open a block


class Reader(Protocol):
    """Splits the bytes of a stream into events (name, data)."""

    def feed(self, data: bytes) -> Sequence[tuple[bytes, bytes]]: ...
    def finish(self) -> Sequence[tuple[bytes, bytes]]: ...


class Translation:
    """Upstream bytes -> reader -> decoder -> encoder -> client bytes.  See ``Pipe``."""

    def __init__(
        self, reader: Reader, decoder: StreamDecoder, encoder: StreamEncoder, redactor: Redactor | None = None
    ) -> None:
        self._reader, self._decoder, self._encoder = reader, decoder, encoder
        self._thinking = ThinkSplitter()
        self._redactor = redactor
        self.usage: Usage | None = None
        self.model = ""
        self.meaningful = False
        self.finished = False
        self.ended = False
        self.failure: Failure | None = None
        self.pieces = 0
        self.torn = False
        self._unsent = b""  # translated part of a read, still to be sent if the rest of the read is invalid

    def feed(self, data: bytes) -> bytes:
        if len(data) >= _MANY and self._redactor is None:
            return self._feed_many(data)
        return self._translate(self._read(data))

    def _feed_many(self, data: bytes) -> bytes:
        """Feed a large read in parts of whole events: a run of text events after any of them is decoded at once."""
        at, bite = 0, _BITE
        while (end := data.find(b"\n\n", at + bite) + 2) > 1:
            pairs = self._read(data[at:end])
            self._unsent += self._translate(pairs)
            at, bite = end, 2 * bite
            if pairs and self.meaningful and self._thinking.over():
                texts, at = self._decoder.run(pairs[-1], data, end)
                if texts:  # only the encoder needs them
                    self.pieces += len(texts)
                    self._unsent += self._encoder.texts(texts)
        out = self._translate(self._read(data[at:]))
        out, self._unsent = self._unsent + out, b""
        return out

    def _read(self, data: bytes) -> Sequence[tuple[bytes, bytes]]:
        try:
            return self._reader.feed(data)
        except ValueError as error:
            raise BadAnswer(str(error)) from None

    def _translate(self, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
        feed = self._decoder.feed
        events: list[Event] = []
        try:
            for name, data in pairs:
                events += feed(name, data)
        except BadAnswer:
            self._unsent += self._encode(events)
            raise
        return self._encode(events) if events else b""

    def _encode(self, events: Sequence[Event]) -> bytes:
        events = self._thinking.feed(events)
        if self._redactor is not None:
            events = self._redactor.feed(events)
        for event in events:
            kind = type(event)
            if kind is TextDelta and self.meaningful:  # the most frequent case first
                self.pieces += 1
            elif kind is Start:
                self.model = self.model or event.model  # type: ignore[union-attr]
            elif kind is Usage:
                self._learn(event)  # type: ignore[arg-type]
            elif kind is Failure:
                self.failure = self.failure or event  # type: ignore[assignment]
            elif kind is Finish and not self.meaningful and event.reason == "error":  # type: ignore[union-attr]
                self.failure = self.failure or bad_ending(event)  # type: ignore[arg-type]
            elif self.meaningful or kind not in _OPENERS or event.text:  # type: ignore[union-attr]
                self.meaningful = True
                self.pieces += 1
                if kind is Finish:
                    self.finished = self.ended = True
        return self._encoder.feed(events)

    def _learn(self, usage: Usage) -> None:
        self.usage = merged(self.usage, usage)

    def eof(self) -> bytes:
        out = self._translate(self._reader.finish())
        out += self._encode(self._decoder.eof())
        return out + self._encoder.eof()

    def fail(self, failure: Failure) -> bytes:
        """The client's error event.  An answer that already has its finish event and only waits for usage is just ended."""
        ending = self._decoder.eof()
        if any(type(event) is Finish for event in ending):
            return self._unsent + self._encode(ending) + self._encoder.eof()
        return self._unsent + self._encoder.fail(failure)


def _of_pipe(name: str) -> Any:
    """An attribute of the pipe in use."""
    return property(lambda self: getattr(self._pipe, name))


class Undecided:
    """A stream on the same wire that is relayed by a tap, or translated if its text begins with reasoning in tags.

    Output is held until the first text decides.  That delays nothing: a commit waits for the same text.  See ``Pipe``.
    """

    usage = _of_pipe("usage")
    model = _of_pipe("model")
    meaningful = _of_pipe("meaningful")
    finished = _of_pipe("finished")
    ended = _of_pipe("ended")
    failure = _of_pipe("failure")
    pieces = _of_pipe("pieces")
    torn = _of_pipe("torn")

    def __init__(self, tap: Pipe, thinks: Callable[[bytes], bool], translation: Callable[[], Pipe]) -> None:
        self._pipe = tap
        self._thinks = thinks
        self._translation = translation
        self._seen: list[bytes] | None = []  # None: decided
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        if self._seen is None:
            return self._pipe.feed(data)
        self._seen.append(data)
        self._held.append(self._pipe.feed(data))
        undecided = not self._pipe.meaningful and self._pipe.failure is None
        if undecided and sum(map(len, self._seen)) < HELD_BYTES:
            return b""
        return self._decide(self._seen)

    @property
    def chosen(self) -> Pipe:
        """The tap or the translation, once output has begun."""
        assert self._seen is None
        return self._pipe

    def _decide(self, seen: list[bytes]) -> bytes:
        raw, held = b"".join(seen), b"".join(self._held)
        self._seen = None
        self._held.clear()
        if self._pipe.failure is not None or not self._thinks(raw):
            return held
        self._pipe = self._translation()
        return self._pipe.feed(raw)

    def eof(self) -> bytes:
        return self._rest() + self._pipe.eof()

    def fail(self, failure: Failure) -> bytes:
        return self._rest() + self._pipe.fail(failure)

    def _rest(self) -> bytes:
        return b"" if self._seen is None else self._decide(self._seen)


class StreamRelay:
    """One streamed answer.

    First ``await commit()``.  None: the head and the first bytes have been sent to the client; a Failure: nothing has been
    sent, and another attempt may follow.  Then ``await finish()``: the Failure that ended the stream, or None.
    """

    def __init__(
        self,
        exchange: Exchange,
        call: Call,
        pipe: Pipe,
        head: Headers,
        *,
        ping: bytes,
        clock: Clock,
        limits: Limits,
        secret: bytes = b"",
    ) -> None:
        self._exchange, self._call, self._pipe, self._head = exchange, call, pipe, head
        self._ping, self._clock, self._limits = ping, clock, limits
        self._secret = secret  # the account's key, removed from errors that repeat it
        loop = asyncio.get_running_loop()
        self._committed: asyncio.Future[Failure | None] = loop.create_future()
        self._done: asyncio.Future[Failure | None] = loop.create_future()
        self._held: list[bytes] = []
        self._held_size = 0
        self._sent_head = False
        self._paused = False
        self._closing = False
        self._resumed = self._pinged = clock.monotonic()
        self._timer = clock.call_later(self._tick(), self._watch)
        self.committed_at: float | None = None
        exchange.on_pause, exchange.on_resume = self._pause, self._resume
        call.attach(self._on_data, self._on_end, self._on_error)

    async def commit(self) -> Failure | None:
        try:
            return await self._committed
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def finish(self) -> Failure | None:
        try:
            return await self._done
        except asyncio.CancelledError:
            if not (self._exchange.gone or self._pipe.finished):  # the server shuts down
                self._exchange.write(self._pipe.fail(Failure(503, "Server is shutting down")))
                self._exchange.end()
            raise
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Stop at once; closes the upstream connection unless its response is complete."""
        self._timer.cancel()
        self._exchange.on_pause = self._exchange.on_resume = None
        self._call.cancel()

    # callbacks of the upstream call

    def _on_data(self, data: bytes) -> None:
        if self._done.done():
            return
        try:
            out = self._pipe.feed(data)
        except BadAnswer as error:
            self._fail(Failure(502, f"The provider's stream could not be read: {error}"))
            return
        if self._pipe.failure is not None and self._secret:
            out = out.replace(self._secret, b"[key]")
        if self._sent_head:
            if out:
                self._exchange.write(out)
        else:
            self._before_commit(out)
        pipe = self._pipe
        if (pipe.failure is not None or pipe.ended) and self._sent_head and not self._closing:
            self._closing = True
            self._timer.cancel()
            self._timer = self._clock.call_later(LAST_WORDS, self._close if pipe.failure is not None else self._on_end)

    def _before_commit(self, out: bytes) -> None:
        pipe = self._pipe
        if out:
            self._held.append(out)
            self._held_size += len(out)
        if pipe.failure is not None and not pipe.meaningful:
            self._refuse(pipe.failure)
        elif pipe.meaningful or self._held_size > HELD_BYTES:
            self._commit()

    def _commit(self) -> None:
        if isinstance(self._pipe, Undecided):
            self._pipe = self._pipe.chosen  # saves a frame per read
        self._sent_head = True
        self.committed_at = self._clock.monotonic()
        self._exchange.start(200, self._head)
        self._exchange.write(b"".join(self._held))
        self._held.clear()
        if not self._committed.done():
            self._committed.set_result(None)

    def _refuse(self, failure: Failure) -> None:
        self.cancel()
        if not self._committed.done():
            self._committed.set_result(failure)
        if not self._done.done():
            self._done.set_result(failure)

    def _on_end(self) -> None:
        if self._done.done():
            return
        pipe = self._pipe
        try:
            out = pipe.eof()
        except BadAnswer as error:
            self._fail(Failure(502, f"The provider's stream could not be read: {error}"))
            return
        complete = pipe.finished or pipe.failure is not None
        if not self._sent_head:
            if pipe.failure is not None and not pipe.meaningful:
                self._refuse(pipe.failure)
                return
            if not pipe.meaningful:
                self._refuse(Failure(502, "The provider closed the stream without an answer"))
                return
            if out:
                self._held.append(out)
            self._commit()
        elif out:
            self._exchange.write(out)
        if not complete:
            self._fail(Failure(502, "The provider's stream ended before the answer was complete"))
            return
        self._close()

    def _close(self) -> None:
        """End the client's response, whose final events have been written."""
        if not self._done.done():
            self._exchange.end()
            self._done.set_result(self._pipe.failure)

    def _on_error(self, error: TransportError) -> None:
        self._fail(Failure(504 if error.reason == "timeout" else 502, f"The connection to the provider broke: {error}"))

    def _fail(self, failure: Failure) -> None:
        """Refuse if nothing was sent yet, so that another attempt may follow; else send one error in the client's format."""
        if self._done.done():
            return
        if not self._sent_head:
            self._refuse(failure)
            return
        pipe = self._pipe
        if pipe.failure is None:  # else the upstream's own error event has been sent
            self._exchange.write(pipe.fail(failure))
        self._exchange.end()
        self._call.cancel()
        self._done.set_result(pipe.failure or (None if pipe.finished else failure))

    # timers and callbacks of the client's exchange

    def _tick(self) -> float:
        keepalive, idle = self._limits.keepalive_interval, self._limits.stream_idle_timeout
        return min(keepalive, idle) if keepalive > 0 else idle

    def _watch(self) -> None:
        if self._done.done():
            return
        now = self._clock.monotonic()
        silence = 0.0 if self._paused else now - max(self._call.last_activity, self._resumed)
        if silence >= self._limits.stream_idle_timeout:
            self._fail(Failure(504, f"The provider sent nothing for {self._limits.stream_idle_timeout:g} seconds"))
            return
        interval = self._limits.keepalive_interval
        quiet = min(silence, now - self._pinged)
        between = self._sent_head and not (self._pipe.torn or self._pipe.finished)  # nothing may follow the end
        if interval > 0 and quiet >= interval and self._ping and between:
            self._pinged = now
            self._exchange.write(self._ping)
            quiet = 0.0
        due = [self._limits.stream_idle_timeout - silence]
        if interval > 0:
            due.append(interval - quiet if quiet < interval else interval)
        self._timer = self._clock.call_later(max(0.001, min(due)), self._watch)

    def _pause(self) -> None:
        self._paused = True
        self._call.pause()

    def _resume(self) -> None:
        self._paused = False
        self._resumed = self._clock.monotonic()
        self._call.resume()
