"""One HTTP/1.1 client connection: one request and its response at a time (RFC 9112).

httptools parses.  This module checks what httptools does not: the size of head and trailers, contradictory lengths
(:mod:`.framing`), unsolicited responses.  The connection moves bytes and enforces deadlines; retries and pooling are decided
elsewhere.  Its states::

    IDLE -request()-> HEAD -head of the final response-> BODY -last byte-> IDLE, or CLOSED when it cannot be reused
    any -close(), cancel(), failure, deadline, end of stream-> CLOSED

A sink receives ``on_head``, then at most one call per read, whatever the chunking: ``on_data``, or for the last one
``on_end``.  Any failure leads straight to ``on_error``, and after :meth:`H1Connection.cancel` nothing is called.  Sinks are
called outside the parser, so they may cancel or pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import IntEnum
from math import inf
from typing import Final, Protocol, cast

import httptools

from ..clock import Clock
from ..settings import Limits
from .deadline import Deadline
from .decoding import Decoder, DecodingError, decoder_for
from .framing import CHUNKED, NO_BODY, UNTIL_CLOSE, FramingError, response_body
from .headers import Headers
from .transport import Origin, Reason, TransportError


class ResponseSink(Protocol):
    """The receiver of one response."""

    def on_head(self, status: int, headers: Headers) -> None:
        """The final response's status and fields (lower-case names).

        A body that is decoded here comes without content-encoding and content-length.
        """

    def on_data(self, data: bytes) -> None:
        """Body bytes, with transfer and content codings removed."""

    def on_end(self, rest: bytes) -> None:
        """The response is complete with the *rest* of its body, often empty.

        The rest comes with the end, so that both can be passed on in one write.  The connection may already serve another
        request.
        """

    def on_error(self, error: TransportError) -> None:
        """The response will not be completed."""


class _Nobody:
    """The sink while no call is in progress."""

    def on_head(self, status: int, headers: Headers) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_end(self, rest: bytes) -> None: ...
    def on_error(self, error: TransportError) -> None: ...


class _State(IntEnum):
    IDLE = 0
    HEAD = 1
    BODY = 2
    CLOSED = 3


_IDLE, _HEAD, _BODY, _CLOSED = _State  # a global lookup is faster than an enum attribute
_ABOUT_BODY: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_NOBODY: Final = _Nobody()
_STALE: Final = 5.0  # seconds; a connection that ends later than that may have ended after the server acted on the request
_REFUSALS: Final = 300  # from this status on, the rest of the request body is not sent


class H1Connection(asyncio.Protocol):
    """One client connection.

    ``on_idle`` is called whenever the connection can take another request, ``on_closed`` once when it no longer can.
    """

    __slots__ = (
        "_clock", "_complete", "_deadline", "_decoder", "_dirty", "_drained", "_fault", "_framing", "_full", "_head",
        "_headers", "_limits", "_method", "_on_closed", "_on_idle", "_parser", "_patience", "_paused", "_pieces", "_quiet",
        "_requests", "_silence", "_state", "_status", "_transport", "_unsent", "_whole", "idle_since", "last_activity",
        "on_body", "origin", "sink",
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
        self._whole = 0  # how many of the pieces belong to the response, once it is complete
        self.on_body = self._pieces.append  # called by the parser for every chunk: avoids a Python frame each time
        self._parser = httptools.HttpResponseParser(self)
        self._state = _IDLE
        self._requests = 0
        self._method = ""
        self._unsent = 0  # bytes of the request's body still to come through send()
        self._patience = 0.0  # seconds that the response head may take
        self._full = False  # the write buffer is above its high-water mark: send() waits
        self._drained: asyncio.Future[None] | None = None  # what send() waits for
        self._headers: Headers = []  # of the head, or the trailers, being read
        self._head: Headers = []  # of the final response, once its head is complete
        self._status = 0  # of the final response, once its head is complete
        self._framing = NO_BODY
        self._quiet = 0  # bytes read since the request or the last body byte: heads, trailers, chunk extensions
        self._complete = False
        self._dirty = False  # the connection must not be reused
        self._fault: TransportError | None = None
        self._decoder: Decoder | None = None
        self._paused = False
        self._silence = inf  # seconds without a byte after which a body has failed
        self._deadline = Deadline(clock, self._expired)

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
        """Write a request; *sink* receives the response.  Call only when :attr:`reusable`.

        The last *follows* bytes of the body are not in *pieces* but come through :meth:`send`.  Timeouts in seconds:
        ``first_byte_timeout`` until the response head, ``idle_timeout`` between reads of its body (:meth:`watch_silence`
        changes it later).  None means the value from ``Limits``.
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
        self._deadline.at(now + self._patience)
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)

    async def send(self, sink: ResponseSink, data: bytes) -> bool:
        """Write the next piece of the request body; returns once the write buffer has room again.

        False means that the rest is not wanted: *sink*'s call is over, or the origin has responded with a status of 300 or
        more.  Each piece that is written restarts the timeout for the response head.
        """
        if self.sink is not sink or self._status >= _REFUSALS:
            return False
        self._unsent -= len(data)
        self._transport.write(data)
        while self._full and self.sink is sink and self._status < _REFUSALS:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if self._state is _HEAD:
            self._deadline.at(self._clock.monotonic() + self._patience)
        return self.sink is sink

    def cancel(self, sink: ResponseSink) -> None:
        """Close at once if *sink* still waits for its response here; no method of it is called any more."""
        if self.sink is sink:
            self.close()

    def close(self) -> None:
        """Close at once, whatever is in progress; no method of the sink is called any more."""
        if self._state is not _CLOSED:
            self._state = _CLOSED
            self.sink = _NOBODY
            self._pieces.clear()
            self._deadline.stop()
            self._transport.abort()
            self._wake()
            self._on_closed(self)

    def fail(self, error: TransportError) -> None:
        """Close at once and report *error* to the sink, if any."""
        if self._state is not _CLOSED:
            sink = self.sink
            self.close()
            sink.on_error(error)

    def pause(self) -> None:
        """Stop reading, so that TCP flow control slows the origin down."""
        if not self._paused and self._state is _BODY:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._state is not _CLOSED:
            self._paused = False
            self._transport.resume_reading()

    def rest(self) -> None:
        """Make the connection idle without a request, for at most ``pool_idle`` seconds.  Only when :attr:`reusable`."""
        self._deadline.at(self.idle_since + self._limits.pool_idle)
        self._on_idle(self)

    def watch_silence(self, seconds: float) -> None:
        """Fail the body after *seconds* without a byte; with ``inf`` the sink has to watch :attr:`last_activity` itself."""
        self._silence = seconds
        if self._state is _BODY:
            self._deadline.at(self.last_activity + seconds)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._state is _IDLE or self._state is _CLOSED:
            self.close()  # unsolicited bytes would be taken for the next response
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

    # -- httptools callbacks: they only record, _deliver() acts

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
            return  # an interim response (RFC 9110 section 15.2)
        if self._quiet > self._limits.head_bytes or len(headers) > self._limits.header_fields:
            self._check_head(headers)
        about = [(name, value.strip()) for name, value in headers if name in _ABOUT_BODY]  # httptools keeps trailing blanks
        try:
            self._framing = framing = response_body(self._method, status, about)
        except FramingError as error:
            raise self._note("protocol", error.message) from None
        if framing is CHUNKED:
            self._dirty = self._parser.get_http_version() == "1.0"
        elif framing is NO_BODY:
            self._complete = True
            self._dirty = self._method == "HEAD" or not self._parser.should_keep_alive()
        if framing is not NO_BODY and (len(about) > 1 or (about and about[0][0] == b"content-encoding")):
            self._decoder = decoder_for(about, self._limits.answer_bytes)
        self._head = headers
        self._status = status

    def on_message_complete(self) -> None:
        if self._status and not self._complete:
            self._complete = True
            self._whole = len(self._pieces)
            if not self._parser.should_keep_alive():
                self._dirty = True

    # -- after each read

    def _note(self, reason: Reason, message: str) -> TransportError:
        self._fault = TransportError(reason, message)
        return self._fault

    def _check_head(self, headers: Headers) -> None:
        if len(headers) > self._limits.header_fields:
            raise self._note("too_large", "the answer has too many header fields")
        if sum(len(name) + len(value) + 4 for name, value in headers) > self._limits.head_bytes:  # _quiet counts body too
            raise self._note("too_large", "the answer's head is too large")

    def _deliver(self) -> None:
        if self._status and self._state is _HEAD:
            self._deliver_head()
        if self._complete:
            if len(self._pieces) > self._whole:  # the body of an unsolicited second response
                self._dirty = True
                del self._pieces[self._whole :]
            self._finish()
            return
        if self._pieces:
            self._quiet = 0
            if data := self._body():
                self.sink.on_data(data)
        if self._fault is not None:
            self.fail(self._fault)
        elif self._quiet > self._limits.head_bytes:
            self.fail(TransportError("too_large", "the answer's head or trailer is too large"))

    def _deliver_head(self) -> None:
        self._state = _BODY
        headers, self._head = self._head, []
        if self._decoder is not None:
            headers = [field for field in headers if field[0] not in (b"content-encoding", b"content-length")]
        if not self._complete:
            self._deadline.at(self.last_activity + self._silence)
        if self._drained is not None:
            self._wake()
        self.sink.on_head(self._status, headers)

    def _body(self) -> bytes:
        """Remove and return the body bytes read; fails the call, and returns none, if they cannot be decoded."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._decoder is not None:
            try:
                return self._decoder.feed(data)
            except DecodingError as error:
                self.fail(TransportError(error.reason, str(error)))
                return b""
        return data

    def _finish(self) -> None:
        """The response is complete: make the connection idle or close it, then tell the sink."""
        rest = self._body() if self._pieces else b""
        if self._state is _CLOSED:
            return
        if self._decoder is not None:
            decoder, self._decoder = self._decoder, None
            try:
                decoder.finish()
            except DecodingError as error:
                if rest:
                    self.sink.on_data(rest)
                self.fail(TransportError(error.reason, str(error)))
                return
        sink, self.sink = self.sink, _NOBODY
        self._complete = False
        self._status = 0
        transport = self._transport
        # An origin may respond before it has read the whole request.  The rest must not be taken for the next request.
        if self._dirty or self._unsent or transport.is_closing() or transport.get_write_buffer_size():
            self.close()
        else:
            if self._paused:
                self.resume()
            self._state = _IDLE
            self._headers.clear()
            self.idle_since = self.last_activity
            self._deadline.at(self.idle_since + self._limits.pool_idle)
            self._on_idle(self)
        sink.on_end(rest)

    def _ended(self, cause: Exception | None) -> None:
        """The origin closed the connection, or it broke."""
        state = self._state
        if state is _IDLE:
            self.close()
        elif state is _BODY and self._framing is UNTIL_CLOSE and cause is None:
            self._dirty = True
            self._finish()
        elif state is not _CLOSED:
            begun = state is _BODY or self._quiet > 0
            reason: Reason = "reset" if cause is not None else "truncated" if begun else "closed"
            stale = self._requests > 1 and not begun and self._clock.monotonic() - self.last_activity <= _STALE
            self.fail(TransportError(reason, f"connection {reason}", reused=stale))

    # -- time

    def _expired(self) -> None:
        # every read moves the deadline of a body, so it is moved only here, by the time of the last read
        if self._state is _BODY and (due := self.last_activity + self._silence) > self._clock.monotonic():
            self._deadline.at(due)
        elif self._state is _IDLE:
            self.close()
        else:
            what = "the response head" if self._state is _HEAD else "the rest of the response"
            self.fail(TransportError("timeout", f"{what} did not arrive in time"))
