"""Progress events in a stream, for clients that send ``X-OmniRoute-Progress: true``.

They are sent every two seconds, and once more with ``"done":true`` before the frame that ends the stream::

    event: progress
    data: {"tokens_generated":42,"elapsed_ms":2003}

They are inserted only between complete SSE frames.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ..clock import Clock
from ..proto.exchange import Exchange
from ..translate.events import Failure
from ..translate.relay import Pipe
from .job import ChatJob

INTERVAL: Final = 2.0  # seconds
FIELD: Final = (b"x-omniroute-progress", b"enabled")
_DATA: Final = re.compile(rb"^data:", re.MULTILINE)
# The frame that ends a stream, in the wire formats that have one.  Line ends in JSON are escaped, so text cannot match.
_LAST: Final = re.compile(
    rb"^(?:data: ?\[DONE\]|event: ?(?:message_stop|response\.(?:completed|incomplete|failed|cancelled))\r?$)", re.MULTILINE
)


def wanted(job: ChatJob) -> bool:
    """Whether the client asked for progress events, and its stream is made of server-sent events."""
    if job.exchange.request.header(b"x-omniroute-progress") != b"true":
        return False
    return job.format.framing == "sse" and not job.line.array


def frame(tokens: int, elapsed: float, done: bool = False) -> bytes:
    """One progress event; *elapsed* in seconds."""
    ending = b',"done":true' if done else b""
    return b'event: progress\ndata: {"tokens_generated":%d,"elapsed_ms":%d%b}\n\n' % (tokens, round(elapsed * 1000), ending)


def count(data: bytes) -> int:
    """The number of ``data`` lines; progress events report it as tokens, which it approximates."""
    return len(_DATA.findall(data))


def ended(stream: bytes, tokens: int, elapsed: float, torn: bool = False) -> bytes:
    """*stream*, whole or its last part, with the final progress event before the frame that ends it.

    ``torn``: *stream* ends within a frame.
    """
    found = _LAST.search(stream)
    at = found.start() if found is not None else len(stream)
    gap = b"\n\n" if torn and found is None else b""
    return stream[:at] + gap + frame(tokens + count(stream[:at]), elapsed, done=True) + stream[at:]


class Progress:
    """Wraps *pipe* and adds progress events.  ``close`` it at the end."""

    def __init__(self, pipe: Pipe, exchange: Exchange, clock: Clock) -> None:
        self._pipe, self._exchange, self._clock = pipe, exchange, clock
        self._tokens = 0
        self._ended = False
        self._began = clock.monotonic()
        self._waiting = False  # an event was due within a frame and is to be sent after it
        self._timer = clock.call_later(INTERVAL, self._tick)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)  # usage, model and so on

    def close(self) -> None:
        self._timer.cancel()

    def feed(self, data: bytes) -> bytes:
        out = self._pipe.feed(data)
        if not out or self._ended:
            return out
        if _LAST.search(out) is not None:
            return self._finish(out)
        self._tokens += count(out)
        if self._waiting and not self._pipe.torn:
            self._waiting = False
            out += frame(self._tokens, self._elapsed())
        return out

    def eof(self) -> bytes:
        out = self._pipe.eof()
        if self._ended or not (self._pipe.finished or self._pipe.failure is not None):
            return out  # the stream is incomplete: fail() follows
        return self._finish(out, self._pipe.torn)

    def fail(self, failure: Failure) -> bytes:
        torn = self._pipe.torn
        out = self._pipe.fail(failure)
        if self._ended:
            return out
        if _LAST.search(out) is not None:
            return self._finish(out)
        return self._finish(b"", torn) + out  # the error stays the last event

    def _finish(self, out: bytes, torn: bool = False) -> bytes:
        self._ended = True
        self._timer.cancel()
        return ended(out, self._tokens, self._elapsed(), torn)

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _tick(self) -> None:
        self._timer = self._clock.call_later(INTERVAL, self._tick)
        exchange = self._exchange
        if not exchange.started or exchange.finished:
            return
        if self._pipe.torn:
            self._waiting = True
        else:
            exchange.write(frame(self._tokens, self._elapsed()))
