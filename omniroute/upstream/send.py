"""The HTTP client: pooled connections, timeouts, one retry after a stale connection.

:meth:`Client.fetch` returns a whole response.  :meth:`Client.open` returns a :class:`Call` once the head has arrived; its
body is then read to the end or delivered to callbacks.  The client follows no redirects, requests no content coding and
keeps no cookies.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import lru_cache
from math import inf
from typing import Any, Final, NamedTuple

from ..clock import Clock
from ..proto.dial import dial
from ..proto.h1_client import H1Connection, Origin, TransportError, forwards
from ..proto.headers import Headers
from ..settings import Limits
from .pool import Pool

Data = bytes | memoryview
Whole = tuple[int, Headers, bytes]

_OURS: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"upgrade", b"expect"}
)
_BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
_PORTS: Final = {"http": 80, "https": 443}
_PROXY_LOGIN: Final = 407  # Proxy Authentication Required
_JOIN: Final = 16 * 1024  # bytes; up to this, copying head and body into one buffer is cheaper than sending two


class Source(NamedTuple):
    """A body too large for memory; ``pieces`` is called for each attempt and must yield ``size`` bytes in total.

    An exception from ``pieces`` ends the call and is raised to its caller.
    """

    size: int
    pieces: Callable[[], AsyncGenerator[bytes, None]]


Body = Data | Sequence[Data] | Source
Ends = Callable[[Headers], Callable[[bytes], bool] | None]
"""Makes, from a response's header fields, a function that tells after each piece of its body whether it is complete.

None if HTTP framing determines the end, as usual.
"""


class _Push:
    """The sink of an attached call: the owner's callbacks as direct attributes."""

    __slots__ = ("on_data", "on_end", "on_error")

    def __init__(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], on_error: Callable[[TransportError], None]
    ) -> None:
        self.on_data = on_data
        self.on_end = on_end
        self.on_error = on_error

    def on_head(self, status: int, headers: Headers) -> None: ...


class Call:
    """A response whose head has arrived.

    The owner must finish it: with :meth:`read`, with :meth:`attach` until ``on_end`` or ``on_error`` is called, or with
    :meth:`cancel`.  Until then about ``stream_buffer`` bytes are buffered before reading from the origin is paused.
    """

    __slots__ = (
        "_cancelled", "_complete", "_connection", "_ended", "_ends", "_error", "_limit", "_pieces", "_push", "_size",
        "_waiter", "_whole", "headers", "status",
    )  # fmt: skip

    def __init__(
        self, connection: H1Connection, waiter: asyncio.Future[None], whole: bool, limit: int, ends: Ends | None = None
    ) -> None:
        self.status = 0
        self.headers: Headers = []
        self._connection = connection
        self._waiter = waiter
        self._whole = whole  # the waiter waits for the end, not for the head
        self._limit = limit  # bytes: of the whole body if _whole, else the buffer size above which reading is paused
        self._ends = ends
        self._complete: Callable[[bytes], bool] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._cancelled = False
        self._error: TransportError | None = None
        self._push: _Push | None = None

    @property
    def last_activity(self) -> float:
        """``clock.monotonic()`` of the last byte received."""
        return self._connection.last_activity

    async def read(self, limit: int) -> bytes:
        """The rest of the body.

        Raises :class:`TransportError`: ``too_large`` beyond *limit* bytes, ``timeout`` after ``stream_idle_timeout`` seconds
        without data, ``truncated``, ``reset``, ``protocol``, and ``cancelled`` after :meth:`cancel`.
        """
        if self._size > limit:
            self.cancel()
            raise TransportError("too_large", "the answer is larger than its limit")
        if not (self._ended or self._error):
            self._whole, self._limit = True, limit
            self._waiter = asyncio.get_running_loop().create_future()
            self.resume()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self._error is not None:
            raise self._error
        return self.take()

    def take(self) -> bytes:
        """Remove and return the body bytes that have arrived."""
        pieces, self._pieces = self._pieces, []
        self._size = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def attach(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], on_error: Callable[[TransportError], None]
    ) -> None:
        """Deliver the rest of the body to callbacks: buffered bytes at once, then each read, directly from the protocol.

        Exactly one of *on_end* and *on_error* is called last, perhaps before this returns, unless :meth:`cancel` is called
        first.  No idle timeout applies any more: the caller has to watch :attr:`last_activity`.
        """
        connection = self._connection
        self._push = push = _Push(on_data, on_end, on_error)
        if connection.sink is self:
            connection.sink = push
            connection.watch_silence(inf)
            connection.resume()
        if self._pieces:
            on_data(self.take())
        if self._cancelled:
            return
        if self._error is not None:
            on_error(self._error)
        elif self._ended:
            on_end()

    def pause(self) -> None:
        """Stop reading from the origin until :meth:`resume`."""
        if self._connection.sink is (self._push or self):
            self._connection.pause()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        if self._connection.sink is (self._push or self):
            self._connection.resume()

    def cancel(self) -> None:
        """Close the connection at once, unless the response is complete.  No callback is called any more."""
        self._cancelled = True
        self._connection.cancel(self._push or self)
        self._push = None  # breaks a reference cycle, as the callbacks are often bound methods of the owner
        if not self._ended and self._error is None:
            self._error = TransportError("cancelled")
            if self._whole and not self._waiter.done():
                self._waiter.set_exception(self._error)

    # -- ResponseSink, until attach()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        if self._ends is not None:
            self._complete = self._ends(headers)
        if not self._whole and not self._waiter.done():
            self._waiter.set_result(None)

    def on_data(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._limit:
            if not self._whole:
                self._connection.pause()
            else:
                self._connection.cancel(self)
                self.on_error(TransportError("too_large", "the answer is larger than its limit"))
        elif self._complete is not None and not self._waiter.done() and self._complete(data):
            self._waiter.set_result(None)  # not closed here: the body's end is often in the same read, so it may be reused

    def on_end(self) -> None:
        self._ended = True
        if self._whole and not self._waiter.done():
            self._waiter.set_result(None)

    def on_error(self, error: TransportError) -> None:
        self._error = error
        if not self._waiter.done():
            self._waiter.set_exception(error)


@lru_cache(maxsize=1024)
def _start(origin: Origin, method: str, path: bytes) -> bytes:
    """Request line and Host field; cached, because few combinations make up most calls."""
    if not re.fullmatch(rb"/[!-~]*", path):
        raise TransportError("protocol", "the request path holds a space or control character, or has no slash")
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if _PORTS.get(origin.scheme) == origin.port else f":{origin.port}"
    place = f"{host}{port}".encode("ascii" if host.isascii() else "idna")
    if not forwards(origin):
        return b"%b %b HTTP/1.1\r\nhost: %b" % (method.encode(), path, place)
    start = b"%b http://%b%b HTTP/1.1\r\nhost: %b" % (method.encode(), place, path, place)
    proof = origin.via.authorization if origin.via is not None else b""
    return start + b"\r\nproxy-authorization: " + proof if proof else start


class Template(NamedTuple):
    """A request without its body: the part that is the same for many calls, checked and serialised once."""

    origin: Origin
    method: str
    head: bytes  # request line and fields, each with its CRLF


def template(origin: Origin, method: str, path: bytes, headers: Headers) -> Template:
    """Serialise a request head.  Framing fields in *headers* are dropped; :func:`request_pieces` adds the right ones.

    Raises :class:`TransportError` ``protocol`` for a character that would allow request splitting: a line break or NUL in a
    field, a space or control character in the path.
    """
    return Template(origin, method, _start(origin, method, path) + b"\r\n" + _lines(headers))


def _lines(headers: Headers) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in headers if field[0] not in _OURS]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
        raise TransportError("protocol", "a request header field holds a line break or NUL")
    return block


def request_pieces(form: Template, extra: Headers, body: Body) -> list[Data]:
    """The buffers of a complete request.  A body above 16 KiB is not copied; that of a :class:`Source` is not included."""
    head = form.head + _lines(extra) if extra else form.head
    if isinstance(body, bytes):
        length = len(body)
        if length <= _JOIN and (length or form.method in _BODIED):
            return [b"%bcontent-length: %d\r\n\r\n%b" % (head, length, body)]
    if isinstance(body, Source):
        return [head + b"content-length: %d\r\n\r\n" % body.size]
    pieces = (body,) if isinstance(body, (bytes, memoryview)) else body
    length = sum(map(len, pieces))
    head += b"content-length: %d\r\n\r\n" % length if length or form.method in _BODIED else b"\r\n"
    return [b"".join((head, *pieces))] if length <= _JOIN else [head, *pieces]


class Times(NamedTuple):
    """Timeouts in seconds: to connect, for the response head, between reads of the body.  None = the value in ``Limits``."""

    connect: float | None = None
    first_byte: float | None = None
    idle: float | None = None


NO_TIMES: Final = Times()
NO_FIELDS: Final[Headers] = []


class Client:
    """The HTTP client of the process, with one connection pool.

    ``ssl_context`` replaces the default one with the system's authorities.  ``allow_private`` is passed to
    :func:`..proto.dial.allowed`; ``permits``, if given, decides in place of that function.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Clock,
        *,
        ssl_context: ssl.SSLContext | None = None,
        allow_private: bool = True,
        permits: Callable[[str], bool] | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._tls = ssl_context
        self._allow_private = allow_private
        self._permits = permits
        self._pool: Pool[H1Connection] = Pool(limits.pool_per_origin, limits.pool_idle)
        self._connections: set[H1Connection] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # cached: get_running_loop() makes a system call (getpid)
        self._dialled = self._reused = self._retried = 0

    def open(
        self,
        origin: Origin,
        method: str,
        path: bytes,
        headers: Headers,
        body: Body = b"",
        *,
        times: Times = NO_TIMES,
    ) -> Coroutine[Any, Any, Call]:
        """Send a request; returns when the head of the final response has arrived.

        *headers* have lower-case names; framing fields are replaced.  Raises :class:`TransportError`.  Cancelling the caller
        closes the connection.
        """
        return self.open_as(template(origin, method, path, headers), body, times=times)

    def open_as(
        self, form: Template, body: Body = b"", *, extra: Headers = NO_FIELDS, times: Times = NO_TIMES
    ) -> Coroutine[Any, Any, Call]:
        """As :meth:`open`, with a prepared head to which the *extra* fields are added."""
        source = body if type(body) is Source else None
        return self._perform(form, request_pieces(form, extra, body), False, self._limits.stream_buffer, times, source)

    async def fetch(
        self,
        origin: Origin,
        method: str,
        path: bytes,
        headers: Headers,
        body: Body = b"",
        *,
        limit: int,
        times: Times = NO_TIMES,
    ) -> Whole:
        """Send a request; returns status, fields and the whole body of at most *limit* bytes.

        Raises as :meth:`open` and :meth:`Call.read`.
        """
        call = await self.whole_as(template(origin, method, path, headers), body, limit=limit, times=times)
        return call.status, call.headers, call.take()

    def whole_as(
        self,
        form: Template,
        body: Body = b"",
        *,
        limit: int,
        extra: Headers = NO_FIELDS,
        times: Times = NO_TIMES,
        ends: Ends | None = None,
    ) -> Coroutine[Any, Any, Call]:
        """As :meth:`open_as`, but returns once the whole body, at most *limit* bytes, can be taken with :meth:`Call.take`.

        *ends* is for origins that complete a response without ending its body: it tells where the response is complete.
        """
        source = body if type(body) is Source else None
        return self._perform(form, request_pieces(form, extra, body), True, limit, times, source, ends)

    async def reach(self, origin: Origin, seconds: float) -> None:
        """Ensure an idle connection to *origin* for the next call, connecting within *seconds* if there is none.

        Raises :class:`TransportError`.
        """
        connection = self._pool.take(origin, self._clock.monotonic()) or await self._dial(origin, seconds)
        connection.rest()

    async def close(self) -> None:
        """Close every connection.  Calls in progress and later ones fail with ``closed``."""
        self._closed = True
        for connection in list(self._connections):
            connection.fail(TransportError("closed", "the client was closed"))

    def stats(self) -> dict[str, int]:
        """Current connections (``open``, ``idle``) and counts since the start (``dialled``, ``reused``, ``retried``)."""
        return {
            "open": len(self._connections),
            "idle": len(self._pool),
            "dialled": self._dialled,
            "reused": self._reused,
            "retried": self._retried,
        }

    async def _perform(
        self,
        form: Template,
        pieces: list[Data],
        whole: bool,
        limit: int,
        times: Times,
        source: Source | None,
        ends: Ends | None = None,
    ) -> Call:
        origin = form.origin
        connection = self._pool.take(origin, self._clock.monotonic())
        if connection is not None:
            self._reused += 1
        while True:
            if connection is None:
                connection = await self._dial(origin, times.connect)
            waiter = self._future()
            call = Call(connection, waiter, whole, limit, ends)
            connection.request(
                pieces,
                call,
                method=form.method,
                first_byte_timeout=times.first_byte,
                idle_timeout=times.idle,
                follows=source.size if source is not None else 0,
            )
            try:
                if source is not None:
                    await _send_body(connection, call, source)
                await waiter
            except TransportError as error:
                if not error.reused:
                    raise
                connection = None  # it was stale; retry on a fresh one, whose errors are never "reused", so at most once
                self._retried += 1
            except BaseException:  # cancelled, or the Source failed
                if not waiter.cancel() and not waiter.cancelled():
                    waiter.exception()
                call.cancel()
                raise
            else:
                if call._complete is not None:
                    call.cancel()
                return call if origin.via is None else _beyond_proxy(call, origin)

    def _future(self) -> asyncio.Future[None]:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        return loop.create_future()

    async def _dial(self, origin: Origin, timeout: float | None) -> H1Connection:
        self._refuse_closed()
        self._dialled += 1
        connection = await dial(
            origin,
            lambda: H1Connection(origin, self._limits, self._clock, self._on_idle, self._on_closed),
            self._clock,
            timeout=self._limits.connect_timeout if timeout is None else timeout,
            allow_private=self._allow_private,
            permits=self._permits,
            tls=self._tls,
        )
        if self._closed or not connection.reusable:
            connection.close()
            self._refuse_closed()
            raise TransportError("closed", "the connection was closed as soon as it was made")
        self._connections.add(connection)
        return connection

    def _refuse_closed(self) -> None:
        if self._closed:
            raise TransportError("closed", "the client was closed")

    def _on_idle(self, connection: H1Connection) -> None:
        surplus = connection if self._closed else self._pool.put(connection)
        if surplus is not None:
            surplus.close()

    def _on_closed(self, connection: H1Connection) -> None:
        self._connections.discard(connection)
        self._pool.drop(connection)


def _beyond_proxy(call: Call, origin: Origin) -> Call:
    """Return *call* unless a forwarding proxy responded with 407 in place of the origin.  Raises :class:`TransportError`."""
    if call.status == _PROXY_LOGIN and forwards(origin):
        call.cancel()
        raise TransportError("proxy", f"proxy refused: {call.status}")
    return call


async def _send_body(connection: H1Connection, call: Call, source: Source) -> None:
    """Send the body as fast as the origin reads it; stop when the origin no longer wants it."""
    left = source.size
    async with aclosing(source.pieces()) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0 or not await connection.send(call, piece):
                break
        else:
            if left == 0:
                return
            raise ValueError("the request body is shorter than was announced")
    if left < 0:
        raise ValueError("the request body is longer than was announced")
