"""One HTTP/1.1 exchange on the server: serialises what a handler sends."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from ..errors import OmniError
from .exchange import Exchange, Request
from .flow import ByteQueue
from .h1_response import CHUNKED_FIELD, CLOSE, KEEP_ALIVE, NO_BODY_STATUS, stream_head, whole_head
from .headers import Headers

if TYPE_CHECKING:
    from .h1_server import H1Server

_JOIN_BELOW: Final = 16 * 1024  # bytes; below this, copying into one buffer is cheaper than sending two
_LAST_CHUNK: Final = b"0\r\n\r\n"
_LAST_CHUNKS: Final = b"\r\n" + _LAST_CHUNK  # the end of a chunk, and the last one
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds: closing sends RST


async def _nothing() -> AsyncIterator[bytes]:
    for data in list[bytes]():
        yield data


class H1Exchange(Exchange):
    """An exchange on an :class:`H1Server` connection.

    ``inbox`` is the queue of a streamed request body.  ``close`` says, once the response has begun, whether the connection
    ends after it.
    """

    __slots__ = ("_bare", "_chunked", "_connection", "_continue", "_head", "close", "inbox", "task")

    def __init__(self, connection: H1Server, request: Request) -> None:
        self.request = request  # sets all fields itself: saves the call of super().__init__() on each request
        self.status = 0
        self.started = self.finished = self.gone = False
        self.on_gone = self.on_pause = self.on_resume = None
        self._connection = connection
        self._head = b""  # queued by start(), sent with the first piece
        self._chunked = False
        self._bare = False  # no body may follow the head
        self._continue = False  # 100 (Continue) is owed to the client
        self.close = False
        self.inbox: ByteQueue | None = None
        self.task: asyncio.Task[Any] | None = None

    # -- a complete response

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """See :class:`Exchange`.  Raises ``ValueError`` for an invalid header field, before anything is sent."""
        if self.gone or not self._begin():
            return
        connection = self._connection
        close = connection.closes()
        version = self.request.version
        option = CLOSE if close else KEEP_ALIVE if version == "1.0" else b""
        head = whole_head(status, headers, connection.server.date.line(), option, len(body))
        self.status = status
        self.started = self.finished = True
        self.close = close
        if self.request.method == "HEAD" or status in NO_BODY_STATUS:
            connection.transport.write(head)
        elif len(body) < _JOIN_BELOW:
            connection.transport.write(head + body)
        else:
            connection.transport.writelines((head, body))
        connection.answered(self)

    def _begin(self) -> bool:
        if self.finished:
            return False
        if self.started:
            raise RuntimeError("the answer has already begun")
        return True

    # -- a streamed response

    def start(self, status: int, headers: Headers) -> None:
        """See :class:`Exchange`.  For an HTTP/1.0 client the end of the connection ends the body (RFC 9112 section 6.3)."""
        if self.gone or not self._begin():
            return
        connection = self._connection
        request = self.request
        bare = request.method == "HEAD" or status in NO_BODY_STATUS
        chunked = request.version == "1.1" and status not in NO_BODY_STATUS
        close = connection.closes() or not (chunked or bare)
        option = CLOSE if close else KEEP_ALIVE if request.version == "1.0" else b""
        date = connection.server.date.line()
        self._head = stream_head(status, headers, date, option, CHUNKED_FIELD if chunked else b"")
        self.status = status
        self.started = True
        self.close = close
        self._bare = bare
        self._chunked = chunked
        if connection.write_paused and self.on_pause is not None:
            self.on_pause()

    def write(self, data: bytes | memoryview, ending: bytes = b"\r\n") -> None:
        """See :class:`Exchange`.  Framing and data leave in one write; in the chunked coding *ending* follows the data."""
        size = len(data)
        if self.gone or not size or self.finished:
            return
        if not self.started:
            raise RuntimeError("write() before start()")
        if self._bare:
            return
        head = self._head
        connection = self._connection
        if head:
            self._head = b""
        connection.sent += size
        if not self._chunked:
            connection.transport.writelines((head, data) if head else (data,))
        elif size < _JOIN_BELOW:
            connection.transport.write(b"".join((head, b"%x\r\n" % size, data, ending)))
        else:
            connection.transport.writelines((b"%b%x\r\n" % (head, size), data, ending))

    def end(self, data: bytes = b"") -> None:
        """See :class:`Exchange`."""
        if self.gone or self.finished:
            return
        if not self.started:
            raise RuntimeError("end() before start()")
        if data and not self._bare:
            self.write(data, _LAST_CHUNKS)
        elif last := self._head + _LAST_CHUNK if self._chunked and not self._bare else self._head:
            self._head = b""
            self._connection.transport.write(last)
        self.finished = True
        self._connection.answered(self)

    def abort(self) -> None:
        """See :class:`Exchange`.

        A chunked body is left without its last chunk.  A body that ends with the connection needs an RST instead.
        """
        if self.gone or self.finished:
            return
        self.finished = True
        if self.started and not self._chunked and not self._bare:
            sock = self._connection.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._connection.transport.abort()
        self._connection.aborted()

    # -- the body of the request

    def chunks(self) -> AsyncIterator[bytes]:
        """See :class:`Exchange`.  The call sends ``100 Continue`` if the client waits for it."""
        if self.inbox is None:
            return _nothing()
        if self._continue:
            self._continue = False
            if not (self.gone or self.started):
                self._connection.send_continue()
        return self.inbox

    def owe_continue(self) -> None:
        """Note that the client waits for ``100 Continue`` before it sends the body."""
        self._continue = True

    @property
    def owes_continue(self) -> bool:
        return self._continue

    # -- the connection's side

    def left(self) -> None:
        """The client has left: call ``on_gone``, or cancel the handler's task when that is not set."""
        if self.gone or self.finished:
            return
        self.gone = True
        if self.inbox is not None:
            self.inbox.fail(OmniError("client_gone", "the client has left"))
        if self.on_gone is not None:
            self.on_gone()
        elif self.task is not None:
            self.task.cancel()
