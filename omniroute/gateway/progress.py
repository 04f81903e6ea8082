"""Progress events in a stream, for clients that ask with ``X-OmniRoute-Progress: true`` (routing semantics, section 10.3).

Every two seconds, and once more with ``"done":true`` before what ends the stream::

    event: progress
    data: {"tokens_generated":42,"elapsed_ms":2003}

They stand between whole SSE frames only.
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
# The frame that ends a stream, in the wires that have one; line ends within data are escaped, so this is never a text.
_LAST: Final = re.compile(
    rb"^(?:data: ?\[DONE\]|event: ?(?:message_stop|response\.(?:completed|incomplete|failed|cancelled))\r?$)", re.MULTILINE
)


def wanted(job: ChatJob) -> bool:
    """Whether the client asked, on a stream that has events."""
    if job.exchange.request.header(b"x-omniroute-progress") != b"true":
        return False
    return job.format.framing == "sse" and not job.line.array


def frame(tokens: int, elapsed: float, done: bool = False) -> bytes:
    """One event; *elapsed* in seconds."""
    ending = b',"done":true' if done else b""
    return b'event: progress\ndata: {"tokens_generated":%d,"elapsed_ms":%d%b}\n\n' % (tokens, round(elapsed * 1000), ending)


def count(data: bytes) -> int:
    """``data`` lines, which is what the contract calls tokens."""
    return len(_DATA.findall(data))


def ended(stream: bytes, tokens: int, elapsed: float, torn: bool = False) -> bytes:
    """A whole stream, or its end, with the last progress event before the frame that ends it.

    ``torn``: *stream* ends within a frame.
    """
    found = _LAST.search(stream)
    at = found.start() if found is not None else len(stream)
    gap = b"\n\n" if torn and found is None else b""
    return stream[:at] + gap + frame(tokens + count(stream[:at]), elapsed, done=True) + stream[at:]


class Progress:
    """A pipe around *pipe* that tells the client how far it is.  ``close`` it in the end."""

    def __init__(self, pipe: Pipe, exchange: Exchange, clock: Clock) -> None:
        self._pipe, self._exchange, self._clock = pipe, exchange, clock
        self._tokens = 0
        self._ended = False
        self._began = clock.monotonic()
        self._waiting = False  # one that was due where no frame may stand
        self._timer = clock.call_later(INTERVAL, self._tick)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)  # what was learned is the pipe's

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
            return out  # no end: an error follows
        return self._finish(out, self._pipe.torn)

    def fail(self, failure: Failure) -> bytes:
        torn = self._pipe.torn
        out = self._pipe.fail(failure)
        if self._ended:
            return out
        if _LAST.search(out) is not None:
            return self._finish(out)
        return self._finish(b"", torn) + out  # the error stays the last that the client reads

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
