"""One HTTP call to an origin: pooled connections, deadlines, one second chance, the answer whole or as it comes.

:meth:`Client.fetch` is one await for a whole answer; :meth:`Client.open` returns at the head, after which the
:class:`Call` is read to its end or attached to callbacks.  No redirect is followed, no coding asked for, no cookie kept.
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
_JOIN: Final = 16 * 1024  # a body up to here is copied behind its head: one buffer is cheaper to send than two


class Source(NamedTuple):
    """A body too large to be held: *size* bytes, made anew for each sending.

    ``pieces`` yields exactly that many; what it raises ends the call and comes out of it.
    """

    size: int
    pieces: Callable[[], AsyncGenerator[bytes, None]]


Body = Data | Sequence[Data] | Source


class _Push:
    """The sink of an attached call: its callbacks, with nothing in between."""

    __slots__ = ("on_data", "on_end", "on_error")

    def __init__(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], on_error: Callable[[TransportError], None]
    ) -> None:
        self.on_data = on_data
        self.on_end = on_end
        self.on_error = on_error

    def on_head(self, status: int, headers: Headers) -> None: ...


class Call:
    """An answer whose head has arrived.

    It is then the owner's to end: :meth:`read`, or :meth:`attach` until an ending is called, or :meth:`cancel`.  Until the
    owner says which, ``stream_buffer`` bytes are kept at most; then the origin is paused.
    """

    __slots__ = (
        "_cancelled", "_connection", "_ended", "_error", "_limit", "_pieces", "_push", "_size", "_waiter", "_whole",
        "headers", "status",
    )  # fmt: skip

    def __init__(self, connection: H1Connection, waiter: asyncio.Future[None], whole: bool, limit: int) -> None:
        self.status = 0
        self.headers: Headers = []
        self._connection = connection
        self._waiter = waiter
        self._whole = whole  # the waiter waits for the end, not for the head
        self._limit = limit  # bytes of the whole, or bytes that may wait to be asked for
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

        Raises :class:`TransportError`: ``too_large`` beyond *limit* bytes, ``timeout`` after ``stream_idle_timeout`` of
        silence, ``truncated``, ``reset``, ``protocol``, and ``cancelled`` after :meth:`cancel`.
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
        """The body bytes that have arrived and were not taken yet."""
        pieces, self._pieces = self._pieces, []
        self._size = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def attach(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], on_error: Callable[[TransportError], None]
    ) -> None:
        """Push the rest of the body: what has arrived at once, then each read from within the protocol's own callback.

        One of *on_end* and *on_error* is called last, perhaps before this returns, unless :meth:`cancel` comes first.
        Silence is the caller's to watch (:attr:`last_activity`).
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
        """Let the origin wait; nothing more is read until :meth:`resume`."""
        if self._connection.sink is (self._push or self):
            self._connection.pause()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        if self._connection.sink is (self._push or self):
            self._connection.resume()

    def cancel(self) -> None:
        """Close the connection at once, unless the answer is complete.  No callback is called any more."""
        self._cancelled = True
        self._connection.cancel(self._push or self)
        self._push = None  # its callbacks are often methods of our owner: a circle that would wait for the collector
        if not self._ended and self._error is None:
            self._error = TransportError("cancelled")
            if self._whole and not self._waiter.done():
                self._waiter.set_exception(self._error)

    # -- ResponseSink, until attach()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
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
    """Request line and Host field: the same for most calls."""
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
    """A request but for its body: what stays the same from call to call is checked and put into bytes once."""

    origin: Origin
    method: str
    head: bytes  # request line and fields, each with its CRLF


def template(origin: Origin, method: str, path: bytes, headers: Headers) -> Template:
    """Framing fields in *headers* are left out; ours are added with the body.

    Raises :class:`TransportError` ``protocol`` when a field or the path could be read as more than itself (a line break,
    NUL, a space in the path).
    """
    return Template(origin, method, _start(origin, method, path) + b"\r\n" + _lines(headers))


def _lines(headers: Headers) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in headers if field[0] not in _OURS]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
        raise TransportError("protocol", "a request header field holds a line break or NUL")
    return block


def request_pieces(form: Template, extra: Headers, body: Body) -> list[Data]:
    """A request ready to be written; the body's pieces are not copied, unless they are small."""
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
    """Seconds until a connection stands, until the answer's head, between reads of its body; None takes the limits'."""

    connect: float | None = None
    first_byte: float | None = None
    idle: float | None = None


NO_TIMES: Final = Times()
NO_FIELDS: Final[Headers] = []


class Client:
    """All calls of the process.

    ``ssl_context`` replaces the system's authorities; ``allow_private`` is explained in :func:`..proto.dial.allowed`, in
    whose place ``permits`` judges addresses when it is given.
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
        self._loop: asyncio.AbstractEventLoop | None = None  # to ask for the running one is a system call
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
        """Send a request; returns when the final answer's head has arrived.

        *headers* have lower-case names and no framing fields.  Raises :class:`TransportError`.  Cancelling the caller closes
        the connection.
        """
        return self.open_as(template(origin, method, path, headers), body, times=times)

    def open_as(
        self, form: Template, body: Body = b"", *, extra: Headers = NO_FIELDS, times: Times = NO_TIMES
    ) -> Coroutine[Any, Any, Call]:
        """As :meth:`open`, with the unchanging part prepared; *extra* fields are added to it."""
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
        """Status, fields and whole body, at most *limit* bytes, in one await.  Otherwise as :meth:`open`."""
        call = await self.whole_as(template(origin, method, path, headers), body, limit=limit, times=times)
        return call.status, call.headers, call.take()

    def whole_as(
        self, form: Template, body: Body = b"", *, limit: int, extra: Headers = NO_FIELDS, times: Times = NO_TIMES
    ) -> Coroutine[Any, Any, Call]:
        """A call whose whole body, at most *limit* bytes, is there to be taken.  Otherwise as :meth:`open_as`."""
        source = body if type(body) is Source else None
        return self._perform(form, request_pieces(form, extra, body), True, limit, times, source)

    async def reach(self, origin: Origin, seconds: float) -> None:
        """Make sure that a connection to *origin* stands, within *seconds*; the next call takes it.

        Raises :class:`TransportError`.
        """
        connection = self._pool.take(origin, self._clock.monotonic()) or await self._dial(origin, seconds)
        connection.rest()

    async def close(self) -> None:
        """Close every connection; calls under way fail with ``closed``, later ones too."""
        self._closed = True
        for connection in list(self._connections):
            connection.fail(TransportError("closed", "the client was closed"))

    def stats(self) -> dict[str, int]:
        """Connections now (``open``, ``idle``) and counts since the start (``dialled``, ``reused``, ``retried``)."""
        return {
            "open": len(self._connections),
            "idle": len(self._pool),
            "dialled": self._dialled,
            "reused": self._reused,
            "retried": self._retried,
        }

    async def _perform(
        self, form: Template, pieces: list[Data], whole: bool, limit: int, times: Times, source: Source | None
    ) -> Call:
        origin = form.origin
        connection = self._pool.take(origin, self._clock.monotonic())
        if connection is not None:
            self._reused += 1
        while True:
            if connection is None:
                connection = await self._dial(origin, times.connect)
            waiter = self._future()
            call = Call(connection, waiter, whole, limit)
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
                connection = None  # it died of age, not of this request: once more on a fresh one, which is never "reused"
                self._retried += 1
            except BaseException:  # we were cancelled, or the body could not be read
                if not waiter.cancel() and not waiter.cancelled():
                    waiter.exception()
                call.cancel()
                raise
            else:
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
            raise TransportError("closed", "the connection was closed as soon as it stood")
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
    """The answer, if it is the target's: a proxy that forwards may ask for credentials in its place."""
    if call.status == _PROXY_LOGIN and forwards(origin):
        call.cancel()
        raise TransportError("proxy", f"proxy refused: {call.status}")
    return call


async def _send_body(connection: H1Connection, call: Call, source: Source) -> None:
    """Bring the body as fast as the origin takes it, and no further than it wants it."""
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
