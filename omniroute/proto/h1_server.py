"""The HTTP/1.1 server protocol: moves bytes between one transport and the application.

The application handles one request of a connection at a time.  Meanwhile further bytes stay in a limited buffer; when it is
full, reading stops.  So responses leave in order, and a client that pipelines cannot pile up work.  One loop, _advance(),
moves the connection through its states (:class:`State`); after :data:`TURN` steps it lets the other connections run::

    HEAD ─┬───────────── no body ─────────────┬─► HANDLER ── answered ──► HEAD
          └─► BODY ─┬─────── complete ────────┤
                    └─ streamed ─► STREAM ────┘
    BODY, STREAM ── answered before the body is complete ──► REST ── complete ──► HEAD
    any ── closed, refused, aborted or lost ──► CLOSED

A *lingering* close (RFC 9112 section 9.6) shuts down the write side and keeps reading for a while.  Closing a socket with
unread input would make the kernel send RST, which can destroy the response before the client has read it.

``departure.py`` handles a client that ends its side while a request runs.  When a client has left, the handler's ``on_gone``
is called; a handler that has not set it is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final, cast

from ..clock import Clock
from ..errors import Kind, OmniError
from ..settings import Limits
from ..tasks import start
from .deadline import Deadline
from .departure import Departure
from .exchange import Application, Refusal, Request
from .flow import ByteQueue
from .framing import ProtocolError
from .h1_exchange import H1Exchange
from .h1_request import RequestParser
from .h1_response import CLOSE, CONTINUE, DateField, whole_head
from .intake import Held, Intake

_log = logging.getLogger("omniroute.proto")
LINGER: Final = 5.0  # seconds of a lingering close
HASTE: Final = 0.1  # seconds of a lingering close, or to complete a head, while the server drains
PIPELINE_BYTES: Final = 64 * 1024  # of pipelined requests buffered while one is being handled, before reading stops
DISCARD_BYTES: Final = 256 * 1024  # an unwanted rest of a body up to this size is read and dropped to keep the connection
TURN: Final = 16  # steps, each a request or a part of its body, after which other connections get a turn
RETRY_AFTER: Final = (b"retry-after", b"1")
SHUTTING_DOWN: Final = "Server is shutting down"
_KIND_OF_STATUS: Final[Mapping[int, Kind]] = {413: "too_large", 408: "request_timeout"}


class State(IntEnum):
    """What a connection waits for.  It has an exchange in BODY, STREAM and HANDLER, and in no other state."""

    HEAD = 0  # the head of a request; first of all, that the client reads the earlier responses
    BODY = 1  # the rest of a body that is handled as a whole
    STREAM = 2  # the handler's response, and the rest of the body that the handler reads
    HANDLER = 3  # the handler's response
    REST = 4  # the unwanted rest of a body, after the response
    CLOSED = 5  # that the client reads the last response; input is dropped


_HEAD, _BODY, _STREAM, _HANDLER, _REST, _CLOSED = State  # a global lookup is faster than an enum attribute
_WITH_BODY: Final = (_BODY, _STREAM, _REST)  # part of a request's body is still to come


class ServerState:
    """The state shared by all connections of one listener."""

    __slots__ = ("app", "clock", "connections", "date", "draining", "empty", "held", "limits")

    def __init__(self, app: Application, limits: Limits, clock: Clock) -> None:
        self.app = app
        self.limits = limits
        self.clock = clock
        self.date = DateField(clock)
        self.connections: set[H1Server] = set()
        self.draining = False
        self.held = Held()
        self.empty: asyncio.Event | None = None  # set when the last connection ends


class H1Server(asyncio.Protocol):
    """One server connection."""

    __slots__ = ("_busy", "_deadline", "_departure", "_eof", "_head_begun", "_intake", "_loop", "_parser", "_read_paused",
                 "_stall", "_state", "_waits", "exchange", "sent", "server", "transport",
                 "write_paused")  # fmt: skip
    parser_class: ClassVar[type[RequestParser]] = RequestParser

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: H1Exchange | None = None  # the one whose response is not complete yet
        self.sent = 0  # bytes of streamed responses, to tell a slow reader from a stalled one
        self.write_paused = False
        self._state = _HEAD
        self._deadline = Deadline(server.clock, self._expired)
        self._departure: Departure | None = None
        self._busy = False  # inside _advance()
        self._eof = False
        self._read_paused = False
        self._waits = False  # for its next turn
        self._head_begun = True  # the head's deadline is set: for the first head, since the connection was made
        self._intake = Intake(server.limits, server.clock, server.held)
        self._stall = 0  # the value of _taken() at the last check for progress

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        server = self.server
        peer: Any = transport.get_extra_info("peername")
        scheme = "https" if transport.get_extra_info("ssl_object") is not None else "http"
        self._parser = self.parser_class(server.limits, peer[0] if isinstance(peer, tuple) else "", scheme)
        high = server.limits.stream_buffer
        # the gap between the marks: a slow client must not pause and resume every piece
        self.transport.set_write_buffer_limits(high, high // 4)
        server.connections.add(self)
        if len(server.connections) > 2 * server.limits.connections:
            self._state = _CLOSED
            self.transport.abort()
        elif server.draining or len(server.connections) > server.limits.connections:
            self._refuse(503, SHUTTING_DOWN if server.draining else "too many connections")
        else:
            self._deadline.set(server.limits.head_timeout)

    def data_received(self, data: bytes) -> None:
        if self._state is _CLOSED:
            return
        parser = self._parser
        parser.feed(data)
        if self._state is not _HANDLER:
            self._advance()
        if parser.pending > PIPELINE_BYTES and (self._state is _HANDLER or (self._state is _HEAD and self.write_paused)):
            self._pause_reading()

    def eof_received(self) -> bool:
        """Returns whether the write side stays open for responses."""
        self._eof = True
        state = self._state
        if state is _CLOSED or self.transport.get_extra_info("ssl_object") is not None:
            return False  # TLS transports cannot be half-closed; connection_lost() follows
        if state is _HANDLER:
            self._departure = Departure(self, self.server.clock)
            return True
        if state is _STREAM:
            self._fail_stream(OmniError("client_gone", "the client closed the connection before the request was complete"))
            return True
        if state is _REST:
            self._close(linger=False)
            return False
        if state is _BODY or (self._parser.pending and not self.write_paused):
            self._refuse(400, "the request is incomplete")
            return True
        return self._parser.pending > 0  # requests that wait until the client reads

    def connection_lost(self, exc: Exception | None) -> None:
        server = self.server
        server.connections.discard(self)
        if server.empty is not None and not server.connections:
            server.empty.set()
        self._state = _CLOSED
        self._intake.release()
        self._deadline.stop()
        if self._departure is not None:
            self._departure.stop()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.left()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._stall = self._taken()
        self._deadline.set(self.server.limits.write_stall)
        if self.exchange is not None and self.exchange.on_pause is not None:
            self.exchange.on_pause()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._state is _CLOSED:
            return
        exchange = self.exchange
        if exchange is None:
            self._read_on()
            self._head_begun = False
            self._deadline.set(self.server.limits.idle_timeout)
            self._advance()
            return
        self._deadline.clear()
        if self._state is not _HANDLER:
            self._wait_for_body()
        if exchange.on_resume is not None:
            exchange.on_resume()

    # -- requests

    def _advance(self) -> None:
        """Process buffered bytes until a request runs, more bytes are needed, or unsent responses must drain first."""
        if self._busy:
            return
        self._busy = True
        steps = TURN
        try:
            while (state := self._state) is not _HANDLER and state is not _CLOSED:
                if state is _HEAD and self.write_paused:
                    break
                if not steps:
                    self._wait_for_turn()
                    break
                steps -= 1
                if not (self._next_request() if state is _HEAD else self._read_body()):
                    break
        except ProtocolError as error:
            self._broken(error.status, error.message)
        finally:
            self._busy = False

    def _wait_for_turn(self) -> None:
        """Continue after the other connections have had their turn.

        Reading is paused meanwhile.  Otherwise the buffer could grow without limit, and the client's end of input would be
        handled before the requests that precede it.
        """
        if not self._waits:
            self._waits = True
            if not self._read_paused:
                self._pause_reading()
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._waits = False
        if self._state is _CLOSED:
            return
        self._advance()
        if self._state not in _WITH_BODY:
            self._read_on()

    def _next_request(self) -> bool:
        parser = self._parser
        request = parser.head()
        if request is not None:
            self._admit(request)
            return True
        if self._eof or (self.server.draining and not parser.pending):
            self._close(linger=False)
        else:
            self._resume_reading()
            self._wait_for_head()
        return False

    def _admit(self, request: Request) -> None:
        server = self.server
        parser = self._parser
        self.exchange = exchange = H1Exchange(self, request)
        self._state = _HANDLER if parser.complete else _BODY
        self._head_begun = False
        self._deadline.clear()
        try:
            admission = server.app.admit(request)
        except Refusal as refusal:
            exchange.respond(refusal.status, refusal.headers, refusal.body)
            return
        except Exception:  # noqa: BLE001  the client gets a bare 500, the log has the traceback
            _log.exception("admit() failed", extra={"request_id": request.id})
            self.fail(exchange)
            return
        if parser.complete:
            self._run(exchange)
            return
        self._intake.begin(admission.body_limit, parser.announced, holds=not admission.stream_body)
        if admission.stream_body:
            self._state = _STREAM
            exchange.inbox = ByteQueue(self._pause_reading, self._resume_body, server.limits.stream_buffer)
            if parser.expects_continue and not parser.pending:
                exchange.owe_continue()
            self._run(exchange)
        elif parser.expects_continue and not parser.pending:
            self.transport.write(CONTINUE)

    def _read_body(self) -> bool:
        """Process what has arrived of the body, up to the decoder's limit; False when more bytes are needed."""
        parser = self._parser
        exchange = self.exchange
        intake = self._intake
        piece = parser.body()
        complete = parser.complete
        intake.count(len(piece), 0 if complete else parser.announced)
        inbox = exchange.inbox if exchange is not None else None
        if inbox is not None:
            inbox.put(piece)
        if not complete:
            if self._state is _BODY:
                intake.keep(piece)
            intake.check_rate()
            if parser.pending:
                return True
            if inbox is None or not inbox.paused:
                self._resume_reading()
            self._wait_for_body()
            return False
        self._state = _HEAD if exchange is None else _HANDLER
        if self._read_paused:
            self._read_on()
        if exchange is None:
            return True
        if self.write_paused:
            self._deadline.set(self.server.limits.write_stall)
        else:
            self._deadline.clear()
        if inbox is not None:
            inbox.end()
        else:
            exchange.request.body = intake.whole(piece)
            self._run(exchange)
        return True

    def _run(self, exchange: H1Exchange) -> None:
        exchange.task = start(self._loop, self._handle(exchange))

    async def _handle(self, exchange: H1Exchange) -> None:
        try:
            await self.server.app.handle(exchange)
        except Exception:  # noqa: BLE001  as in _admit()
            _log.exception("handler failed", extra={"request_id": exchange.request.id})
        finally:
            exchange.task = None
            if not (exchange.finished or exchange.gone):
                self.fail(exchange)

    def fail(self, exchange: H1Exchange) -> None:
        """End an exchange whose handler did not: with 500 if nothing was sent, else by breaking the connection.

        While the server drains the status is 503, because most likely :meth:`stop` cancelled the handler.
        """
        if exchange.started:
            exchange.abort()
        else:
            status, message = (503, SHUTTING_DOWN) if self.server.draining else (500, "internal error")
            headers, body = self.server.app.refuse(exchange.request, status, message)
            exchange.respond(status, [*headers, RETRY_AFTER] if status == 503 else headers, body)

    # -- responses

    def closes(self) -> bool:
        """Whether the connection ends after the response that is starting now."""
        parser = self._parser
        if not parser.keep_alive or self.server.draining or (self._eof and not parser.pending):
            return True
        return self._state is not _HANDLER and not self._discardable()

    def _discardable(self) -> bool:
        """Whether the unread rest of the body is short enough to read and drop, which is cheaper than a new connection."""
        parser = self._parser
        return 0 < parser.announced <= DISCARD_BYTES and not parser.expects_continue

    def answered(self, exchange: H1Exchange) -> None:
        """*exchange* has sent its complete response: start the next request, or close."""
        rest = self._state is not _HANDLER  # part of the body is unread
        close = exchange.close or (rest and not self._discardable())  # a chunk may have been announced since closes()
        self.exchange = None
        self._intake.release()
        if self._departure is not None:
            self._departure.stop()
            self._departure = None if close else Departure(self, self.server.clock)  # for the next request
        if close:
            self._close(linger=rest or self._parser.pending > 0)
            return
        self._state = _REST if rest else _HEAD
        if self._read_paused:
            self._read_on()
        if rest:
            self._intake.clear()
            self._intake.begin(DISCARD_BYTES, self._parser.announced)
        if rest or self._parser.pending or self._eof or self.server.draining:
            self._advance()
        elif not self.write_paused:
            self._deadline.set(self.server.limits.idle_timeout)

    def send_continue(self) -> None:
        """Send ``100 Continue``, unless the client has already sent the whole body without it."""
        if self._state is not _STREAM:
            return
        self.transport.write(CONTINUE)
        self._intake.measure()
        self._wait_for_body()

    def aborted(self) -> None:
        """The response was aborted: close the connection."""
        self.exchange = None
        self._intake.release()
        self._close(linger=False)

    def _broken(self, status: int, message: str) -> None:
        """The request cannot be read further: refuse it, or fail the streamed body that the handler is reading."""
        if self._state is _REST:
            self._close(linger=True)
        elif self._state is _STREAM:
            kind = _KIND_OF_STATUS.get(status, "invalid_request")
            self._parser.keep_alive = False
            self._fail_stream(OmniError(kind, message, status=status))
            self._pause_reading()
            self._deadline.clear()
        else:
            self._refuse(status, message)

    def _fail_stream(self, error: OmniError) -> None:
        """End the streamed body: the handler gets what has arrived, then *error*."""
        assert self.exchange is not None
        assert self.exchange.inbox is not None
        self.exchange.inbox.fail(error)

    def _refuse(self, status: int, message: str) -> None:
        """Send the server's own response, then close.  Must not be called once a response has begun."""
        exchange, self.exchange = self.exchange, None
        request = exchange.request if exchange is not None else None
        if exchange is not None:
            exchange.finished = True
            exchange.status = status
        self._intake.release()
        headers, body = self.server.app.refuse(request, status, message)
        if status == 503 and all(name != RETRY_AFTER[0] for name, _ in headers):
            headers = [*headers, RETRY_AFTER]
        head = whole_head(status, headers, self.server.date.line(), CLOSE, len(body))
        self.transport.write(head if request is not None and request.method == "HEAD" else head + body)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        self._state = _CLOSED
        self._waits = False
        self._intake.clear()
        self._stall = self._taken()
        self._deadline.set((HASTE if self.server.draining else LINGER) if linger else self.server.limits.write_stall)
        if not linger or self._eof:
            self.transport.close()
            return
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def drain(self) -> None:
        """Close as soon as no request is in progress.

        A client that has sent part of a head, or has not yet read a refusal, gets :data:`HASTE` seconds.
        """
        if self._state is not _HEAD and self._state is not _CLOSED:
            return
        if self._state is _HEAD and not self._parser.pending:
            self._close(linger=False)
        elif not self.transport.get_write_buffer_size():
            self._deadline.set(HASTE)

    def stop(self) -> asyncio.Task[None] | None:
        """The drain time is over: cancel the running handler and return its task, if any."""
        task = self.exchange.task if self.exchange is not None else None
        if task is not None:
            task.cancel()
        return task

    def client_left(self) -> None:
        """The client has closed its side for good."""
        self.transport.abort()
        self.connection_lost(None)

    # -- time and flow

    def _wait_for_head(self) -> None:
        limits = self.server.limits
        if not self._parser.pending:
            if not self.write_paused:
                self._deadline.set(limits.idle_timeout)
            self._head_begun = False
        elif not self._head_begun:
            self._head_begun = True
            self._deadline.set(limits.head_timeout)

    def _wait_for_body(self) -> None:
        exchange = self.exchange
        if not (self._read_paused or self.write_paused or (exchange is not None and exchange.owes_continue)):
            self._deadline.set(self.server.limits.body_silence)

    def _taken(self) -> int:
        return self.sent - self.transport.get_write_buffer_size()

    def _expired(self) -> None:
        """The one deadline has passed; what it means depends on what the connection was waiting for."""
        state = self._state
        if state is _CLOSED or self.write_paused:
            taken = self._taken()
            if taken > self._stall:
                self._stall = taken
                self._deadline.set(self.server.limits.write_stall)
            else:
                self.client_left()
        elif state is _BODY or state is _STREAM:
            self._broken(408, "the request body did not arrive in time")
        elif state is _HEAD and self._parser.pending:
            late = (408, "the request head did not arrive in time")
            self._refuse(*((503, SHUTTING_DOWN) if self.server.draining else late))
        else:
            self._close(linger=False)

    def _pause_reading(self) -> None:
        if not (self._read_paused or self._eof):
            self._read_paused = True
            self.transport.pause_reading()
            if self._state in _WITH_BODY and not self.write_paused:
                self._deadline.clear()

    def _read_on(self) -> None:
        """Resume reading, unless enough pipelined requests are buffered already."""
        if self._state in _WITH_BODY or self._parser.pending <= PIPELINE_BYTES:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._waits:
            self._read_paused = False
            if not self._eof:
                self.transport.resume_reading()

    def _resume_body(self) -> None:
        """The handler has taken all buffered bytes of a streamed body.  Its own delay must not count against the client."""
        if self._state is _STREAM:
            self._intake.measure()
            self._resume_reading()
            self._wait_for_body()
