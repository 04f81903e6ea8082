"""One request and its answer, whatever HTTP version carries them.

The server protocol (``h1_server``) subclasses :class:`Exchange`; handlers see only this page.

The life of an exchange, from the handler's side::

    respond(status, headers, body)                       one whole answer, or
    start(status, headers) -> write(data)* -> end()      a streamed one; abort() instead of end() breaks it visibly

``start`` only queues the head: head and first chunk leave in one write.  All methods are synchronous and are no-ops once
the client has gone; ``on_gone`` is called once when that happens.  Back-pressure: when more than the high-water mark is
unsent, ``on_pause`` is called, and ``on_resume`` when it has drained below the low one; a handler joins its source to them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from .headers import Headers


class Request:
    """A parsed request head plus, for buffered routes, its whole body.

    ``path`` is the raw path as sent (no percent-decoding, no query), ``query`` the raw text after ``?``.  ``params`` are the
    percent-decoded variable segments that the route table matched.  ``body`` is complete for buffered routes and empty for
    streamed ones (read :meth:`Exchange.chunks`).  ``peer`` is the address of the connection; behind
    a trusted proxy the edge puts the client's in its place.

    ``known`` is where the application keeps what follows from the head alone (its Content-Length apart): requests of one
    connection whose heads are equal share it.  ``named`` is what :meth:`named` shall return, if the parser knows it already.
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
        self.route: object = None  # whatever the application's admit() put there
        self.id = ""  # request id, set by the application
        self.reply_headers: Headers = []  # what the application wants on every answer to this request

    def header(self, name: bytes) -> bytes | None:
        """The first value of the lower-case *name*, or None."""
        return self.named().get(name)

    def named(self) -> dict[bytes, bytes]:
        """The first value of each field by its lower-case name; made once, so *headers* must be complete by then."""
        named = self._named
        if named is None:
            named = self._named = dict(reversed(self.headers))
        return named


class Exchange:
    """What a handler can do with one request.  Abstract: a server protocol provides the methods."""

    __slots__ = ("finished", "gone", "on_gone", "on_pause", "on_resume", "request", "started", "status")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.status = 0  # of the answer, 0 before respond() or start()
        self.started = False  # the head is queued: the status can no longer change
        self.finished = False  # respond() or end() or abort() was called
        self.gone = False  # the client has left; nothing more can be sent
        self.on_gone: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send a whole answer.  Framing fields (content-length, transfer-encoding, connection, date) are the server's."""
        raise NotImplementedError

    def start(self, status: int, headers: Headers) -> None:
        """Queue the head of a streamed answer of unknown length."""
        raise NotImplementedError

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of the streamed body; empty data is ignored."""
        raise NotImplementedError

    def end(self) -> None:
        """The streamed body is complete."""
        raise NotImplementedError

    def abort(self) -> None:
        """Break the connection, so that the client cannot take what it got for a complete answer."""
        raise NotImplementedError

    def chunks(self) -> AsyncIterator[bytes]:
        """The body of a streamed route, as it arrives, with back-pressure.

        Raises ``OmniError`` (``too_large``, ``request_timeout``, ``client_gone``).
        """
        raise NotImplementedError


class Admission(Protocol):
    """What the application says of a request when its head is complete, before any of its body is read."""

    @property
    def body_limit(self) -> int:
        """Bytes; a longer body is refused with 413."""
        ...

    @property
    def stream_body(self) -> bool:
        """Hand the exchange over at once; the body follows through :meth:`Exchange.chunks`."""
        ...


class Application(Protocol):
    """What a server protocol drives."""

    def admit(self, request: Request) -> Admission:
        """Route the head.  Raises :class:`Refusal` to answer at once without reading the body."""
        ...

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Answer.  Called as a task once the body is complete (or at once for a streamed body)."""
        ...

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        """Header fields and body of an answer that the server itself gives (400, 408, 413, 414, 431, 501, 503 …)."""
        ...


class Refusal(Exception):
    """Raised by :meth:`Application.admit`: this answer, now."""

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body
