"""Streaming of an answer to the client: hold, commit, forward, end.

``StreamRelay`` connects an upstream call to an exchange: upstream data passes through the pipe to the client within the
socket's callback, without a task switch or a queue.  A slow client pauses its own upstream.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ..clock import Clock, Timer
from ..proto.exchange import Exchange
from ..proto.headers import Headers
from ..proto.transport import TransportError
from ..settings import Limits
from ..translate.events import Failure
from ..translate.format import BadAnswer
from ..translate.relay import Pipe
from ..upstream.call import Call
from .translation import HELD_BYTES, Undecided

LAST_WORDS: Final = 1.0  # seconds that an upstream may take to end after its last event or an error
PING: Final = {  # by wire, or else by framing
    "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
    "gemini": b"\n\n",  # Google's SDKs fail on comments, or read nothing after them; all skip blank lines
    "sse": b": keep-alive\n\n",
    "ndjson": b"",
}


def _unreadable(error: BadAnswer) -> Failure:
    return Failure(502, f"The provider's stream could not be read: {error}")


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
        self._timer: Timer | None = None
        self.committed_at: float | None = None
        exchange.on_pause, exchange.on_resume = self._pause, self._resume
        call.attach(self._on_data, self._on_end, self._on_error)
        if self._timer is None and not self._done.done():
            self._timer = clock.call_later(self._tick(), self._watch)

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
                self._exchange.end(self._pipe.fail(Failure(503, "Server is shutting down")))
            raise
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Stop at once; closes the upstream connection unless its response is complete."""
        if self._timer is not None:
            self._timer.cancel()
        self._exchange.on_pause = self._exchange.on_resume = None
        self._call.cancel()

    # callbacks of the upstream call

    def _on_data(self, data: bytes) -> None:
        if self._done.done():
            return
        pipe = self._pipe
        try:
            out = pipe.feed(data)
        except BadAnswer as error:
            self._fail(_unreadable(error))
            return
        if pipe.failure is not None:
            out = self._masked(out)
        if not self._sent_head:
            self._before_commit(out)
        elif out:
            self._exchange.write(out)
        if (pipe.failure is not None or pipe.ended) and self._sent_head and not self._closing:
            self._closing = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_later(LAST_WORDS, self._close if pipe.failure is not None else self._on_end)

    def _masked(self, out: bytes) -> bytes:
        """*out*, in which an error may repeat the account's key, without it."""
        return out.replace(self._secret, b"[key]") if self._secret else out

    def _before_commit(self, out: bytes) -> None:
        pipe = self._pipe
        if out:
            self._held.append(out)
            self._held_size += len(out)
        if pipe.failure is not None and not pipe.meaningful:
            self._refuse(pipe.failure)
        elif pipe.meaningful or self._held_size > HELD_BYTES:
            self._exchange.write(self._commit())

    def _commit(self) -> bytes:
        """Start the client's response; returns what was held, to be sent."""
        if isinstance(self._pipe, Undecided):
            self._pipe = self._pipe.chosen  # saves a frame per read
        self._sent_head = True
        self.committed_at = self._clock.monotonic()
        self._exchange.start(200, self._head)
        if not self._committed.done():
            self._committed.set_result(None)
        held = b"".join(self._held)
        self._held.clear()
        return held

    def _refuse(self, failure: Failure) -> None:
        self.cancel()
        if not self._committed.done():
            self._committed.set_result(failure)
        if not self._done.done():
            self._done.set_result(failure)

    def _on_end(self, rest: bytes = b"") -> None:
        if self._done.done():
            return
        pipe = self._pipe
        out, fault = b"", None
        try:
            if rest:
                out = pipe.feed(rest)
            out += pipe.eof()
        except BadAnswer as error:
            fault = _unreadable(error)
        if pipe.failure is not None:
            out = self._masked(out)
        if not self._sent_head:
            if not pipe.meaningful:
                self._refuse(pipe.failure or fault or Failure(502, "The provider closed the stream without an answer"))
                return
            out = self._commit() + out
        if fault is None and (pipe.finished or pipe.failure is not None):
            self._close(out)
            return
        self._exchange.write(out)
        self._fail(fault or Failure(502, "The provider's stream ended before the answer was complete"))

    def _close(self, last: bytes = b"") -> None:
        """End the client's response with its *last* bytes."""
        if not self._done.done():
            self._exchange.end(last)
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
        error = self._masked(pipe.fail(failure)) if pipe.failure is None else b""  # else the upstream's own error was sent
        self._exchange.end(error)
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
