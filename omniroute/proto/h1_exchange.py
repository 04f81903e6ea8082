"""The answering side of one HTTP/1.1 exchange: what handlers call, turned into bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from ..errors import OmniError
from .exchange import Exchange, Request
from .flow import ByteQueue
from .headers import Headers
from .heads import CHUNKED_FIELD, CLOSE, KEEP_ALIVE, NO_BODY_STATUS, stream_head, whole_head

if TYPE_CHECKING:
    from .h1_server import H1Server

_JOIN_BELOW: Final = 16 * 1024  # bytes; copying less into one buffer is cheaper than a second one for the kernel
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


async def _nothing() -> AsyncIterator[bytes]:
    for data in list[bytes]():
        yield data


class H1Exchange(Exchange):
    """``inbox`` is the queue of a streamed body; ``close`` becomes whether the connection ends with this answer."""

    __slots__ = ("_bare", "_chunked", "_connection", "_continue", "_head", "close", "inbox", "task")

    def __init__(self, connection: H1Server, request: Request) -> None:
        self.request = request  # not super().__init__(): one call less on each request
        self.status = 0
        self.started = self.finished = self.gone = False
        self.on_gone = self.on_pause = self.on_resume = None
        self._connection = connection
        self._head = b""  # queued by start(), leaves with the first piece
        self._chunked = False
        self._bare = False  # no body may follow the head
        self._continue = False  # 100 (Continue) is owed to the client
        self.close = False
        self.inbox: ByteQueue | None = None
        self.task: asyncio.Task[Any] | None = None

    # -- a whole answer ----------------------------------------------------------------------------------------------

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """See :class:`Exchange`.  Raises ``ValueError`` for a field that would split the answer, before anything is sent."""
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

    # -- a streamed answer -------------------------------------------------------------------------------------------

    def start(self, status: int, headers: Headers) -> None:
        """See :class:`Exchange`.  To an HTTP/1.0 client the body is ended by closing (RFC 9112 section 6.3)."""
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

    def write(self, data: bytes | memoryview) -> None:
        """See :class:`Exchange`.  Framing and data leave in one write."""
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
            connection.transport.write(b"".join((head, b"%x\r\n" % size, data, b"\r\n")))
        else:
            connection.transport.writelines((b"%b%x\r\n" % (head, size), data, b"\r\n"))

    def end(self) -> None:
        if self.gone or self.finished:
            return
        if not self.started:
            raise RuntimeError("end() before start()")
        self.finished = True
        last = self._head + b"0\r\n\r\n" if self._chunked and not self._bare else self._head
        self._head = b""
        if last:
            self._connection.transport.write(last)
        self._connection.answered(self)

    def abort(self) -> None:
        """A chunked answer is left without its last chunk; one that closing would complete is reset."""
        if self.gone or self.finished:
            return
        self.finished = True
        if self.started and not self._chunked and not self._bare:
            sock = self._connection.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._connection.transport.abort()
        self._connection.aborted()

    # -- the body of the request -------------------------------------------------------------------------------------

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; asking for it is what sends ``100 Continue``."""
        if self.inbox is None:
            return _nothing()
        if self._continue:
            self._continue = False
            if not (self.gone or self.started):
                self._connection.send_continue()
        return self.inbox

    def owe_continue(self) -> None:
        """The client waits for ``100 Continue`` before it sends its body."""
        self._continue = True

    @property
    def owes_continue(self) -> bool:
        return self._continue

    # -- the connection's side ---------------------------------------------------------------------------------------

    def left(self) -> None:
        """The client is gone: tell the handler, or cancel it when it has not asked to be told."""
        if self.gone or self.finished:
            return
        self.gone = True
        if self.inbox is not None:
            self.inbox.fail(OmniError("client_gone", "the client has left"))
        if self.on_gone is not None:
            self.on_gone()
        elif self.task is not None:
            self.task.cancel()
