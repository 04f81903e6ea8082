"""One request and its response, independent of the HTTP version.

A server protocol subclasses :class:`Exchange` (``h1_exchange.py``); handlers depend on this module alone.

The life of an exchange, from the handler's side::

    respond(status, headers, body)                       a complete response, or
    start(status, headers) -> write(data)* -> end()      a streamed one; abort() instead of end() breaks it visibly

``start`` only queues the head, so that head and first chunk leave in one write.  All methods are synchronous and do nothing
once the client has left; ``on_gone`` is called once when that happens.  Back-pressure: ``on_pause`` is called when more than
the high-water mark is unsent, ``on_resume`` when less than the low-water mark is; a handler connects its source to both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from .headers import Headers


class Request:
    """A parsed request head plus, for buffered routes, its whole body.

    ``path`` is the raw path as sent (no percent-decoding, no query), ``query`` the raw text after ``?``.  ``params`` are the
    percent-decoded variables that the route table matched.  ``body`` is complete for buffered routes and empty for streamed
    ones (read :meth:`Exchange.chunks`).  ``peer`` is the IP address of the connection's other end; behind a trusted proxy
    the edge replaces it with the client's.

    ``known`` is a cache for the application: requests of one connection whose heads are equal except for the Content-Length
    share it, so it may hold only what follows from such a head.  ``named`` presets the result of :meth:`named`.
    """

    __slots__ = (
        "_named", "body", "headers", "id", "known", "method", "params", "path", "peer", "query", "reply_headers", "route",
        "scheme", "version",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
        *,
        peer: str = "127.0.0.1",
        scheme: str = "http",
        version: str = "1.1",
        named: dict[bytes, bytes] | None = None,
        known: dict[str, Any] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers: Headers = headers if headers is not None else []
        self._named = named
        self.known: dict[str, Any] = known if known is not None else {}
        self.body = body
        self.peer = peer
        self.scheme = scheme
        self.version = version
        self.params: dict[str, str] = {}
        self.route: object = None  # for the application: set by its admit()
        self.id = ""  # request id, set by the application
        self.reply_headers: Headers = []  # fields that the application adds to every response to this request

    def header(self, name: bytes) -> bytes | None:
        """The first value of the lower-case *name*, or None."""
        return self.named().get(name)

    def named(self) -> dict[bytes, bytes]:
        """The first value of each field by lower-case name.  Cached: later changes of ``headers`` are not seen."""
        named = self._named
        if named is None:
            named = self._named = dict(reversed(self.headers))
        return named


class Exchange:
    """What a handler can do with one request.  Abstract: a server protocol implements the methods."""

    __slots__ = ("finished", "gone", "on_gone", "on_pause", "on_resume", "request", "started", "status")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.status = 0  # of the response, 0 before respond() or start()
        self.started = False  # the head is queued: the status can no longer change
        self.finished = False  # respond() or end() or abort() was called
        self.gone = False  # the client has left; nothing more can be sent
        self.on_gone: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send a complete response.  The server adds content-length, transfer-encoding, connection and date itself."""
        raise NotImplementedError

    def start(self, status: int, headers: Headers) -> None:
        """Queue the head of a streamed response of unknown length."""
        raise NotImplementedError

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of the streamed body; empty data is ignored."""
        raise NotImplementedError

    def end(self, data: bytes = b"") -> None:
        """Complete the streamed body with *data*; both leave in one write."""
        raise NotImplementedError

    def abort(self) -> None:
        """Break the connection, so that the client cannot mistake what it received for a complete response."""
        raise NotImplementedError

    def chunks(self) -> AsyncIterator[bytes]:
        """The body of a streamed route, as it arrives, with back-pressure.

        Raises ``OmniError`` (``too_large``, ``request_timeout``, ``client_gone``).
        """
        raise NotImplementedError


class Admission(Protocol):
    """What the application decides once a request's head is complete, before any of its body is read."""

    @property
    def body_limit(self) -> int:
        """In bytes; a longer body is refused with 413."""
        ...

    @property
    def stream_body(self) -> bool:
        """Whether to start the handler at once and deliver the body through :meth:`Exchange.chunks`."""
        ...


class Application(Protocol):
    """The interface that a server protocol calls."""

    def admit(self, request: Request) -> Admission:
        """Route the request by its head.  Raises :class:`Refusal` to respond at once without reading the body."""
        ...

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Respond to the request.  Run as a task once the body is complete, or at once for a streamed body."""
        ...

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        """Header fields and body of a response that the server itself sends (400, 408, 413, 414, 431, 501, 503 …)."""
        ...


class Refusal(Exception):
    """Raised by :meth:`Application.admit` with the response to send at once."""

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body
