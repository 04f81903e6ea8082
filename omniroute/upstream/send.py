"""The HTTP client: pooled connections, timeouts, one retry after a stale connection.

:meth:`Client.fetch` returns a whole response.  :meth:`Client.open` returns a :class:`Call` once the head has arrived; its
body is then read to the end or delivered to callbacks.  The client follows no redirects, requests no content coding and
keeps no cookies.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from ..clock import Clock
from ..proto.dial import dial
from ..proto.h1_client import H1Connection
from ..proto.headers import Headers
from ..proto.transport import Origin, TransportError, forwards
from ..settings import Limits
from .call import Call, Ends
from .pool import Pool
from .request import Body, Data, Source, Template, request_pieces, template

Whole = tuple[int, Headers, bytes]

_PROXY_LOGIN: Final = 407  # Proxy Authentication Required


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
    :func:`..proto.addresses.allowed`; ``permits``, if given, decides in place of that function.
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
    ) -> Coroutine[Any, Any, Call]:
        """Send a request; returns when the head of the final response has arrived.

        *headers* have lower-case names; framing fields are replaced.  Raises :class:`TransportError`.  Cancelling the caller
        closes the connection.
        """
        return self.open_as(template(origin, method, path, headers), body)

    def open_as(self, form: Template, body: Body = b"", *, extra: Headers = NO_FIELDS) -> Coroutine[Any, Any, Call]:
        """As :meth:`open`, with a prepared head to which the *extra* fields are added."""
        source = body if type(body) is Source else None
        return self._perform(form, request_pieces(form, extra, body), source, whole=False, limit=self._limits.stream_buffer)

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
        pieces = request_pieces(form, extra, body)
        return self._perform(form, pieces, source, whole=True, limit=limit, times=times, ends=ends)

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
        source: Source | None,
        *,
        whole: bool,
        limit: int,
        times: Times = NO_TIMES,
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
                if call.is_complete is not None:
                    call.cancel()  # its origin may never end the body
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
