"""One HTTP/1.1 connection to an origin: requests out, answers in, one at a time (RFC 9112).

httptools finds the pieces; what it does not check is checked here: sizes of head and trailers, lengths that contradict each
other (:mod:`.framing`), answers that nobody asked for.  The connection moves bytes and keeps deadlines; it decides nothing
about retries, pooling or content.  Its states::

    IDLE -request()-> HEAD -head of a final answer-> BODY -last byte-> IDLE, or CLOSED when it cannot be used again
    any -close(), cancel(), failure, deadline, end of stream-> CLOSED

A sink hears ``on_head``, ``on_data`` (at most once per read, whatever the chunking) and then exactly one of ``on_end`` and
``on_error``; after :meth:`H1Connection.cancel` nothing.  Sinks are called outside the parser, so they may cancel or pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import IntEnum
from math import inf
from typing import Final, Literal, NamedTuple, Protocol, cast

import httptools

from ..clock import Clock, Timer
from ..settings import Limits
from .decoding import Decoder, DecodingError, decoder_for
from .framing import Body, FramingError, response_body
from .headers import Headers
from .proxy import Proxy

Reason = Literal[
    "refused", "dns", "tls", "connect_timeout", "reset", "closed", "truncated", "protocol", "timeout", "too_large",
    "blocked_address", "cancelled", "proxy",
]  # fmt: skip


class Origin(NamedTuple):
    """Where connections can be shared (RFC 6454): ``host`` is a name, or an address without brackets."""

    scheme: str
    host: str
    port: int
    via: Proxy | None = None


def forwards(origin: Origin) -> bool:
    """Whether requests are handed to a proxy in absolute form (RFC 9112 section 3.2.2), with no tunnel."""
    return origin.via is not None and origin.scheme == "http" and origin.via.scheme in ("http", "https")


class TransportError(Exception):
    """A call that got no answer, or only a part of one.

    ``reason``: ``dns``, ``blocked_address``, ``refused``, ``proxy``, ``tls`` and ``connect_timeout`` say that there was no
    connection; ``timeout`` that there was one and nothing came in time; ``closed`` that the other side (or our owner) ended
    it before the answer began, ``truncated`` within the answer; ``reset`` that it broke; ``protocol`` that what came, or was
    to be sent, is not HTTP; ``too_large`` that it is more than a limit allows; ``cancelled`` that the owner gave up.

    ``reused``: the connection had served before and died at once, before any byte of this answer, so that it had most likely
    been given up while it was idle, and a fresh one is worth a try.
    ``sent_bytes``: how much of the request had been handed to the system.  The message holds no header or body content.
    """

    def __init__(self, reason: Reason, message: str = "", *, reused: bool = False, sent_bytes: int = 0) -> None:
        super().__init__(message or reason)
        self.reason: Reason = reason
        self.reused = reused
        self.sent_bytes = sent_bytes


class ResponseSink(Protocol):
    """Who takes an answer."""

    def on_head(self, status: int, headers: Headers) -> None:
        """A final answer's status and fields (lower-case names); without content-encoding and -length if it is decoded."""

    def on_data(self, data: bytes) -> None:
        """Body bytes, transfer and content codings undone."""

    def on_end(self) -> None:
        """The answer is complete; the connection may already serve another."""

    def on_error(self, error: TransportError) -> None:
        """The answer will not be completed."""


class _Nobody:
    """The sink while there is no call."""

    def on_head(self, status: int, headers: Headers) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_error(self, error: TransportError) -> None: ...


class _State(IntEnum):
    IDLE = 0
    HEAD = 1
    BODY = 2
    CLOSED = 3


_IDLE, _HEAD, _BODY, _CLOSED = _State  # a global is found faster than a member
_NONE, _, _CHUNKED, _UNTIL_CLOSE = Body
_ABOUT_BODY: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_NOBODY: Final = _Nobody()
_STALE: Final = 5.0  # seconds in which a connection that was given up says so; later, the request may have been acted on
_REFUSALS: Final = 300  # an answer from here on says that the rest of the request is not wanted


class H1Connection(asyncio.Protocol):
    """``on_idle`` is called when the connection can take another request, ``on_closed`` once when it never will again."""

    __slots__ = (
        "_clock", "_complete", "_deadline", "_decoder", "_dirty", "_drained", "_fault", "_framing", "_full", "_head",
        "_headers", "_limits", "_method", "_on_closed", "_on_idle", "_parser", "_patience", "_paused", "_pieces", "_quiet",
        "_requests", "_silence", "_size", "_state", "_status", "_timer", "_timer_at", "_transport", "_unsent", "_whole",
        "idle_since", "last_activity", "on_body", "origin", "sink",
    )  # fmt: skip

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        clock: Clock,
        on_idle: Callable[[H1Connection], None],
        on_closed: Callable[[H1Connection], None],
    ) -> None:
        self.origin = origin
        self.sink: ResponseSink = _NOBODY
        self.idle_since = self.last_activity = clock.monotonic()
        self._limits = limits
        self._clock = clock
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._transport = cast(asyncio.Transport, None)  # before connection_made()
        self._pieces: list[bytes] = []  # body bytes of the current read
        self._whole = 0  # how many of them belong to the answer, once it is complete
        self.on_body = self._pieces.append  # the parser calls it for every chunk: no frame of ours in between
        self._parser = httptools.HttpResponseParser(self)
        self._state = _IDLE
        self._requests = 0
        self._method = ""
        self._size = 0  # bytes of the request
        self._unsent = 0  # bytes of its body that send() has still to bring
        self._patience = 0.0  # seconds that the answer's head may take
        self._full = False  # the transport holds enough: send() waits
        self._drained: asyncio.Future[None] | None = None  # what it waits for
        self._headers: Headers = []  # of the head, or the trailers, being read
        self._head: Headers = []  # the final answer's, once it is complete
        self._status = 0  # the final answer's, once its head is complete
        self._framing = _NONE
        self._quiet = 0  # bytes read since the request or the last body byte: heads, trailers, chunk extensions
        self._complete = False
        self._dirty = False  # there was more than the answer: never reuse
        self._fault: TransportError | None = None
        self._decoder: Decoder | None = None
        self._paused = False
        self._silence = inf  # seconds without a byte that end a body
        self._deadline = inf
        self._timer: Timer | None = None
        self._timer_at = inf

    # -- for the owner

    @property
    def reusable(self) -> bool:
        """Whether :meth:`request` may be called."""
        return self._state is _IDLE and not self._transport.is_closing()

    def request(
        self,
        pieces: Sequence[bytes | memoryview],
        sink: ResponseSink,
        *,
        method: str,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        follows: int = 0,
    ) -> None:
        """Write one whole request and let *sink* hear its answer.  Only when :attr:`reusable`.

        The last *follows* bytes of its body come through :meth:`send`.  Deadlines in seconds: ``first_byte_timeout`` until
        the answer's head, ``idle_timeout`` between reads of its body (:meth:`watch_silence` changes it later).  None takes
        the limits'.
        """
        self.sink = sink
        self._state = _HEAD
        self._method = method
        self._requests += 1
        self._quiet = 0
        self._silence = self._limits.stream_idle_timeout if idle_timeout is None else idle_timeout
        self._unsent = follows
        self._patience = self._limits.first_byte_timeout if first_byte_timeout is None else first_byte_timeout
        now = self.last_activity = self._clock.monotonic()
        self._deadline = due = now + self._patience
        if due < self._timer_at:
            self._arm(due)
        if len(pieces) == 1:
            self._size = len(pieces[0])
            self._transport.write(pieces[0])
        else:
            self._size = sum(map(len, pieces))
            self._transport.writelines(pieces)

    async def send(self, sink: ResponseSink, data: bytes) -> bool:
        """Write the next piece of the body of *sink*'s request; returns when the origin has taken enough of it.

        False: it is not wanted any more, because the call is over or the origin has answered with a refusal.  Each piece
        that is taken gives the answer's head its full time again.
        """
        if self.sink is not sink or self._status >= _REFUSALS:
            return False
        self._unsent -= len(data)
        self._size += len(data)
        self._transport.write(data)
        while self._full and self.sink is sink and self._status < _REFUSALS:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if self._state is _HEAD:
            self._watch(self._clock.monotonic() + self._patience)
        return self.sink is sink

    def cancel(self, sink: ResponseSink) -> None:
        """Close at once if *sink* still waits for its answer here; it hears nothing more."""
        if self.sink is sink:
            self.close()

    def close(self) -> None:
        """Close at once, whatever is under way; the sink hears nothing more."""
        if self._state is not _CLOSED:
            self._state = _CLOSED
            self.sink = _NOBODY
            self._pieces.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._transport.abort()
            self._wake()
            self._on_closed(self)

    def fail(self, error: TransportError) -> None:
        """Close at once; the sink, if any, hears *error*."""
        if self._state is not _CLOSED:
            sink = self.sink
            error.sent_bytes = max(0, self._size - self._transport.get_write_buffer_size())
            self.close()
            sink.on_error(error)

    def pause(self) -> None:
        """Stop reading, so that the origin feels the back-pressure."""
        if not self._paused and self._state is _BODY:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._state is not _CLOSED:
            self._paused = False
            self._transport.resume_reading()

    def rest(self) -> None:
        """Wait for a request for ``pool_idle`` seconds at most, as after an answer.  Only when :attr:`reusable`."""
        self._watch(self.idle_since + self._limits.pool_idle)
        self._on_idle(self)

    def watch_silence(self, seconds: float) -> None:
        """From now on, end a body after *seconds* without a byte; ``inf``: the sink watches :attr:`last_activity`."""
        self._silence = seconds
        if self._state is _BODY:
            self._watch(self.last_activity + seconds)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._state is _IDLE or self._state is _CLOSED:
            self.close()  # bytes that nobody asked for would be taken for the next answer
            return
        self.last_activity = self._clock.monotonic()
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._dirty = True
            if self._fault is None:
                self._fault = TransportError("protocol", f"malformed answer: {error}")
        self._deliver()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        waiter, self._drained = self._drained, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)

    # -- httptools callbacks: they only take notes, _deliver() acts

    def on_message_begin(self) -> None:
        if self._complete:
            self._dirty = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        headers, self._headers = self._headers, []
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise self._note("protocol", f"unexpected status {status}")
            return  # an interim answer (RFC 9110 section 15.2)
        if self._quiet > self._limits.head_bytes or len(headers) > self._limits.header_fields:
            self._check_head(headers)
        about = [(name, value.strip()) for name, value in headers if name in _ABOUT_BODY]  # the parser leaves blanks behind
        try:
            self._framing = framing = response_body(self._method, status, about).body
        except FramingError as error:
            raise self._note("protocol", error.message) from None
        if framing is _CHUNKED:
            self._dirty = self._parser.get_http_version() == "1.0"
        elif framing is _NONE:
            self._complete = True
            self._dirty = self._method == "HEAD" or not self._parser.should_keep_alive()
        if framing is not _NONE and (len(about) > 1 or (about and about[0][0] == b"content-encoding")):
            self._decoder = decoder_for(about, self._limits.answer_bytes)
        self._head = headers
        self._status = status

    def on_message_complete(self) -> None:
        if self._status and not self._complete:
            self._complete = True
            self._whole = len(self._pieces)
            if not self._parser.should_keep_alive():
                self._dirty = True

    # -- what a read amounts to

    def _note(self, reason: Reason, message: str) -> TransportError:
        self._fault = TransportError(reason, message)
        return self._fault

    def _check_head(self, headers: Headers) -> None:
        if len(headers) > self._limits.header_fields:
            raise self._note("too_large", "the answer has too many header fields")
        if sum(len(name) + len(value) + 4 for name, value in headers) > self._limits.head_bytes:  # the rest may be body
            raise self._note("too_large", "the answer's head is too large")

    def _deliver(self) -> None:
        if self._status and self._state is _HEAD:
            self._deliver_head()
        if self._pieces:
            if self._complete and len(self._pieces) > self._whole:  # the body of an answer that nobody asked for
                self._dirty = True
                del self._pieces[self._whole :]
            self._quiet = 0
            self._deliver_body()
        if self._complete:
            self._finish()
        elif self._fault is not None:
            self.fail(self._fault)
        elif self._quiet > self._limits.head_bytes:
            self.fail(TransportError("too_large", "the answer's head or trailer is too large"))

    def _deliver_head(self) -> None:
        self._state = _BODY
        headers, self._head = self._head, []
        if self._decoder is not None:
            headers = [field for field in headers if field[0] not in (b"content-encoding", b"content-length")]
        if not self._complete:
            self._watch(self.last_activity + self._silence)
        if self._drained is not None:
            self._wake()
        self.sink.on_head(self._status, headers)

    def _deliver_body(self) -> None:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except DecodingError as error:
                self.fail(TransportError(error.reason, str(error)))
                return
        if data:
            self.sink.on_data(data)

    def _finish(self) -> None:
        """The answer is complete: give the connection back, or up, and then say so."""
        if self._state is _CLOSED:
            return
        if self._decoder is not None:
            decoder, self._decoder = self._decoder, None
            try:
                decoder.finish()
            except DecodingError as error:
                self.fail(TransportError(error.reason, str(error)))
                return
        sink, self.sink = self.sink, _NOBODY
        self._complete = False
        self._status = 0
        transport = self._transport
        # An origin may answer before it has read the request; the rest of that request must not lead the next one.
        if self._dirty or self._unsent or transport.is_closing() or transport.get_write_buffer_size():
            self.close()
        else:
            if self._paused:
                self.resume()
            self._state = _IDLE
            self._headers.clear()
            self.idle_since = self.last_activity
            self._deadline = due = self.idle_since + self._limits.pool_idle
            if due < self._timer_at:
                self._arm(due)
            self._on_idle(self)
        sink.on_end()

    def _ended(self, cause: Exception | None) -> None:
        """The origin closed the connection, or it broke."""
        state = self._state
        if state is _IDLE:
            self.close()
        elif state is _BODY and self._framing is _UNTIL_CLOSE and cause is None:
            self._dirty = True
            self._finish()
        elif state is not _CLOSED:
            begun = state is _BODY or self._quiet > 0
            reason: Reason = "reset" if cause is not None else "truncated" if begun else "closed"
            stale = self._requests > 1 and not begun and self._clock.monotonic() - self.last_activity <= _STALE
            self.fail(TransportError(reason, f"connection {reason}", reused=stale))

    # -- deadlines: one timer, set again only when it fires or is too late, so that a call usually costs none

    def _watch(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._timer_at:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._clock.call_later(deadline - self._clock.monotonic(), self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, inf
        due = self.last_activity + self._silence if self._state is _BODY else self._deadline
        if due > self._clock.monotonic():
            self._watch(due)
        elif self._state is _IDLE:
            self.close()
        else:
            what = "the answer's head" if self._state is _HEAD else "more of the answer"
            self.fail(TransportError("timeout", f"no sign of {what} in time"))
