"""The HTTP/1.1 server protocol: moves bytes between one transport and the application, and decides nothing else.

One request at a time is in the application's hands.  While it is, further bytes wait unread (bounded, then reading stops),
so answers leave in order and a pipelining client cannot make work pile up; nor is it served for long without a turn for the
others (:data:`TURN`)::

    head ──admit──► body ──complete──► handler ──answered──► head …         one loop: _advance()
      └ ProtocolError ─► refusal ─► lingering close                          one end:  _refuse()

A *lingering* close (RFC 9112 section 9.6) shuts the write side and reads on for a while: closing a socket with unread
input makes the kernel send RST, and the client would lose the answer that says why.

When the client's side of the connection ends while a request runs, see ``departure.py``.  A handler that has set
``on_gone`` is told that the client left; one that has not is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final, cast

from ..clock import Clock
from ..errors import OmniError
from ..settings import Limits
from ..tasks import start
from .deadline import Deadline
from .departure import Departure
from .exchange import Application, Refusal, Request
from .flow import PIPELINE_BYTES, ByteQueue, low_mark
from .framing import ProtocolError
from .h1_exchange import H1Exchange
from .h1_request import RequestParser
from .heads import CLOSE, CONTINUE, DateField, whole_head
from .intake import Held, Intake

_log = logging.getLogger("omniroute.proto")
LINGER: Final = 5.0  # seconds a refused client gets to read why
HASTE: Final = 0.1  # the same, and to complete a head, while the server drains
DISCARD_BYTES: Final = 256 * 1024  # an unread body up to this is read and dropped to keep the connection
TURN: Final = 16  # steps, each a request or a part of its body, that a connection may take while others wait
RETRY_AFTER: Final = (b"retry-after", b"1")
SHUTTING_DOWN: Final = "Server is shutting down"


class ServerState:
    """What all connections of one listener share."""

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
    """One connection."""

    __slots__ = ("_busy", "_closing", "_deadline", "_departure", "_eof", "_head_begun", "_intake", "_loop", "_parser",
                 "_read_paused", "_reading", "_stall", "_waits", "exchange", "sent", "server", "transport",
                 "write_paused")  # fmt: skip
    parser_class: ClassVar[type[RequestParser]] = RequestParser

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: H1Exchange | None = None  # the request that has no answer yet
        self.sent = 0  # bytes of streamed answers, to tell a slow reader from a stuck one
        self.write_paused = False
        self._deadline = Deadline(server.clock, self._expired)
        self._departure: Departure | None = None
        self._busy = False  # inside _advance()
        self._closing = False
        self._eof = False
        self._read_paused = False
        self._reading = False  # a body is incomplete
        self._waits = False  # for its next turn
        self._head_begun = True  # the deadline of the open head runs: of the first one since the connection was made
        self._intake = Intake(server.limits, server.clock, server.held)
        self._stall = 0  # a measure of what the client had taken when last looked at

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        server = self.server
        peer: Any = transport.get_extra_info("peername")
        scheme = "https" if transport.get_extra_info("ssl_object") is not None else "http"
        self._parser = self.parser_class(server.limits, peer[0] if isinstance(peer, tuple) else "", scheme)
        high = server.limits.stream_buffer
        self.transport.set_write_buffer_limits(high, low_mark(high))
        server.connections.add(self)
        if len(server.connections) > 2 * server.limits.connections:
            self._closing = True
            self.transport.abort()
        elif server.draining or len(server.connections) > server.limits.connections:
            self._refuse(503, SHUTTING_DOWN if server.draining else "too many connections")
        else:
            self._deadline.set(server.limits.head_timeout)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        parser = self._parser
        parser.feed(data)
        if self.exchange is None or self._reading:
            self._advance()
        if parser.pending > PIPELINE_BYTES and (self.exchange is not None or self.write_paused) and not self._reading:
            self._pause_reading()

    def eof_received(self) -> bool:
        """Returns whether the connection stays open for our answers."""
        self._eof = True
        exchange = self.exchange
        if self._closing or self.transport.get_extra_info("ssl_object") is not None:
            return False  # there is no half-closed TLS; connection_lost() follows
        if self._reading and exchange is not None and exchange.inbox is not None:
            exchange.inbox.fail(OmniError("client_gone", "the client ended before its request did"))
            return True
        if self._reading and exchange is None:  # the rest of a body whose request has its answer
            self._close(linger=False)
            return False
        if self._reading or (exchange is None and self._parser.pending and not self.write_paused):
            self._refuse(400, "the request is incomplete")
            return True
        if exchange is not None:
            self._departure = Departure(self, self.server.clock)
        return exchange is not None or self._parser.pending > 0

    def connection_lost(self, exc: Exception | None) -> None:
        server = self.server
        server.connections.discard(self)
        if server.empty is not None and not server.connections:
            server.empty.set()
        self._closing = True
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
        if self._closing:
            return
        exchange = self.exchange
        if exchange is None:
            self._read_on()
            self._head_begun = False
            self._deadline.set(self.server.limits.idle_timeout)
            self._advance()
            return
        self._deadline.clear()
        if self._reading:
            self._wait_for_body()
        if exchange.on_resume is not None:
            exchange.on_resume()

    # -- requests ----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the bytes allow: until a request runs, or more of one is needed, or the client must read first."""
        if self._busy:
            return
        self._busy = True
        steps = TURN
        try:
            while not self._closing and (self._reading or (self.exchange is None and not self.write_paused)):
                if not steps:
                    self._wait_for_turn()
                    break
                steps -= 1
                if not (self._read_body() if self._reading else self._next_request()):
                    break
        except ProtocolError as error:
            self._broken(error.status, error.message)
        finally:
            self._busy = False

    def _wait_for_turn(self) -> None:
        """Go on when the others have had theirs.

        Meanwhile nothing is read: more could come than is taken, and the end of the client's input would be met before
        what it sent has been looked at.
        """
        if not self._waits:
            self._waits = True
            if not self._read_paused:
                self._pause_reading()
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._waits = False
        if self._closing:
            return
        self._advance()
        if not self._reading:
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
        self._head_begun = False
        self._deadline.clear()
        try:
            admission = server.app.admit(request)
        except Refusal as refusal:
            self._reading = not parser.complete
            exchange.respond(refusal.status, refusal.headers, refusal.body)
            return
        except Exception:  # noqa: BLE001  whatever it is, the client gets 500 and the log the rest
            _log.exception("admit() failed", extra={"request_id": request.id})
            self._reading = not parser.complete
            self.fail(exchange)
            return
        if parser.complete:
            self._run(exchange)
            return
        self._reading = True
        self._intake.begin(admission.body_limit, parser.announced, holds=not admission.stream_body)
        if admission.stream_body:
            exchange.inbox = ByteQueue(self._pause_reading, self._resume_body, server.limits.stream_buffer)
            if parser.expects_continue and not parser.pending:
                exchange.owe_continue()
            self._run(exchange)
        elif parser.expects_continue and not parser.pending:
            self.transport.write(CONTINUE)

    def _read_body(self) -> bool:
        """Take what has arrived of the body, or as much as may be taken at once; False when more of it must come first."""
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
            if exchange is not None and inbox is None:
                intake.keep(piece)
            intake.check_rate()
            if parser.pending:
                return True
            if inbox is None or not inbox.paused:
                self._resume_reading()
            self._wait_for_body()
            return False
        self._reading = False
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
        except Exception:  # noqa: BLE001  likewise
            _log.exception("handler failed", extra={"request_id": exchange.request.id})
        finally:
            exchange.task = None
            if not (exchange.finished or exchange.gone):
                self.fail(exchange)

    def fail(self, exchange: H1Exchange) -> None:
        """End an exchange whose handler did not: 500 while that can still be said, a visible break otherwise.

        While the server drains it was most likely :meth:`stop` that kept the handler from it.
        """
        if exchange.started:
            exchange.abort()
        else:
            status, message = (503, SHUTTING_DOWN) if self.server.draining else (500, "internal error")
            headers, body = self.server.app.refuse(exchange.request, status, message)
            exchange.respond(status, [*headers, RETRY_AFTER] if status == 503 else headers, body)

    # -- answers -----------------------------------------------------------------------------------------------------

    def closes(self) -> bool:
        """Whether the connection ends with the answer that is being given now."""
        parser = self._parser
        if not parser.keep_alive or self.server.draining or (self._eof and not parser.pending):
            return True
        return self._reading and not self._discardable()

    def _discardable(self) -> bool:
        """Whether the unread rest of a body is so short that reading it is cheaper than a new connection."""
        parser = self._parser
        return 0 < parser.announced <= DISCARD_BYTES and not parser.expects_continue

    def answered(self, exchange: H1Exchange) -> None:
        """*exchange* has given its whole answer."""
        self.exchange = None
        self._intake.release()
        if self._departure is not None:
            self._departure.stop()
            self._departure = None if exchange.close else Departure(self, self.server.clock)  # for the next request
        if exchange.close:
            self._close(linger=self._reading or self._parser.pending > 0)
            return
        self._read_on()
        if self._reading:  # the rest of a body that nobody wants
            self._intake.clear()
            self._intake.begin(DISCARD_BYTES, self._parser.announced)
        if self._reading or self._parser.pending or self._eof or self.server.draining:
            self._advance()
        elif not self.write_paused:
            self._deadline.set(self.server.limits.idle_timeout)

    def send_continue(self) -> None:
        """Ask for the body that the client holds back, unless it has sent all of it without being asked."""
        if not self._reading:
            return
        self.transport.write(CONTINUE)
        self._intake.measure()
        self._wait_for_body()

    def aborted(self) -> None:
        """The answer was broken off."""
        self.exchange = None
        self._intake.release()
        self._close(linger=False)

    def _broken(self, status: int, message: str) -> None:
        """The request cannot be read further."""
        exchange = self.exchange
        if exchange is None and self._reading:  # the body of a request that has its answer
            self._close(linger=True)
            return
        if exchange is None or exchange.inbox is None:
            self._refuse(status, message)
            return
        kind = {413: "too_large", 408: "request_timeout"}.get(status, "invalid_request")
        self._parser.keep_alive = False
        exchange.inbox.fail(OmniError(kind, message, status=status))
        self._pause_reading()
        self._deadline.clear()

    def _refuse(self, status: int, message: str) -> None:
        """The server's own answer, then the end of the connection.  Nothing of another answer is open here."""
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
        self._closing = True
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
        """Close as soon as no request is under way; a head half sent, and a refusal not yet read, get a moment."""
        if self.exchange is not None or self._reading:
            return
        if not (self._parser.pending or self._closing):
            self._close(linger=False)
        elif not self.transport.get_write_buffer_size():
            self._deadline.set(HASTE)

    def stop(self) -> asyncio.Task[None] | None:
        """The time for what runs is over: have its handler end it; returns what to wait for."""
        task = self.exchange.task if self.exchange is not None else None
        if task is not None:
            task.cancel()
        return task

    def client_left(self) -> None:
        """The client has closed its side for good."""
        self.transport.abort()
        self.connection_lost(None)

    # -- time and flow -----------------------------------------------------------------------------------------------

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
        """What the one deadline means depends on what the connection waits for."""
        if self._closing or self.write_paused:
            taken = self._taken()
            if taken > self._stall:
                self._stall = taken
                self._deadline.set(self.server.limits.write_stall)
            else:
                self.client_left()
        elif self._reading and self.exchange is not None:
            self._broken(408, "the request body did not arrive in time")
        elif self._parser.pending and self.exchange is None:
            self._refuse(408, "the request head did not arrive in time")
        else:
            self._close(linger=False)

    def _pause_reading(self) -> None:
        if not (self._read_paused or self._eof):
            self._read_paused = True
            self.transport.pause_reading()
            if self._reading and not self.write_paused:
                self._deadline.clear()

    def _read_on(self) -> None:
        """Read again, unless so much has come already that there is no need."""
        if self._read_paused and (self._reading or self._parser.pending <= PIPELINE_BYTES):
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._waits:
            self._read_paused = False
            if not self._eof:
                self.transport.resume_reading()

    def _resume_body(self) -> None:
        """The handler has taken what there was of a streamed body.  Its own slowness is not the client's."""
        if not self._closing and self._reading:
            self._intake.measure()
            self._resume_reading()
            self._wait_for_body()
