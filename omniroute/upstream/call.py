"""A call to an origin: the response, from its head to its end.  Its states::

    HEAD -the head-> BODY -read()-> WHOLE -the end-> ENDED
    BODY -the end-> ENDED
    HEAD, BODY, WHOLE -error-> FAILED
    any but ENDED -cancel()-> CANCELLED

A caller that wants the whole body at once begins in WHOLE.  After :meth:`Call.attach` the rest of the body goes past this
object to its owner, and the state stays as it is until :meth:`Call.cancel`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from math import inf

from ..proto.h1_client import H1Connection
from ..proto.headers import Headers
from ..proto.transport import TransportError

Ends = Callable[[Headers], Callable[[bytes], bool] | None]
"""Makes, from a response's header fields, a function that tells after each piece of its body whether it is complete.

None if HTTP framing determines the end, as usual.
"""


class _Push:
    """The sink of an attached call: the owner's callbacks as direct attributes."""

    __slots__ = ("on_data", "on_end", "on_error")

    def __init__(
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None], on_error: Callable[[TransportError], None]
    ) -> None:
        self.on_data = on_data
        self.on_end = on_end
        self.on_error = on_error

    def on_head(self, status: int, headers: Headers) -> None: ...


class State(IntEnum):
    HEAD = 0  # the caller waits for the head
    BODY = 1  # the head has arrived
    WHOLE = 2  # the caller waits for the end of the body
    ENDED = 3  # the response is complete
    FAILED = 4  # it will not be completed
    CANCELLED = 5  # nobody wants it


_HEAD, _BODY, _WHOLE, _ENDED, _FAILED, _CANCELLED = State  # a global lookup is faster than an enum attribute


class Call:
    """A response whose head has arrived.

    The owner must finish it: with :meth:`read`, with :meth:`attach` until ``on_end`` or ``on_error`` is called, or with
    :meth:`cancel`.  Until then about ``stream_buffer`` bytes are buffered before reading from the origin is paused.
    """

    __slots__ = (
        "_connection", "_ends", "_error", "_limit", "_pieces", "_push", "_size", "_state", "_waiter",
        "headers", "is_complete", "status",
    )  # fmt: skip

    def __init__(
        self, connection: H1Connection, waiter: asyncio.Future[None], whole: bool, limit: int, ends: Ends | None = None
    ) -> None:
        self.status = 0
        self.headers: Headers = []
        self._connection = connection
        self._waiter = waiter
        self._state = _WHOLE if whole else _HEAD
        self._limit = limit  # bytes: in WHOLE of the whole body, else the buffer size above which reading is paused
        self._ends = ends
        self.is_complete: Callable[[bytes], bool] | None = None  # as *ends* returned it
        self._pieces: list[bytes] = []
        self._size = 0
        self._error: TransportError | None = None  # in FAILED and CANCELLED
        self._push: _Push | None = None  # once attached, the sink in place of this object, which then hears nothing

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
        if self._state is _BODY:
            self._state, self._limit = _WHOLE, limit
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
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None], on_error: Callable[[TransportError], None]
    ) -> None:
        """Deliver the rest of the body to callbacks: buffered bytes at once, then each read, directly from the protocol.

        Exactly one of *on_end*, with the last bytes, and *on_error* is called last, perhaps before this returns, unless
        :meth:`cancel` is called first.  No idle timeout applies any more: the caller has to watch :attr:`last_activity`.
        """
        connection = self._connection
        self._push = push = _Push(on_data, on_end, on_error)
        if connection.sink is self:
            connection.sink = push
            connection.watch_silence(inf)
            connection.resume()
        if self._state is _ENDED:
            on_end(self.take())
            return
        if self._pieces:
            on_data(self.take())
        if self._state is _FAILED and self._error is not None:
            on_error(self._error)

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
        self._connection.cancel(self._push or self)
        self._push = None  # breaks a reference cycle, as the callbacks are often bound methods of the owner
        if self._state is not _ENDED:
            self._state = _CANCELLED
            if self._error is None:
                self._error = TransportError("cancelled")
            if not self._waiter.done():
                self._waiter.set_exception(self._error)

    # -- ResponseSink, until attach()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        if self._ends is not None:
            self.is_complete = self._ends(headers)
        if self._state is _HEAD:
            self._state = _BODY
            if not self._waiter.done():
                self._waiter.set_result(None)

    def on_data(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._limit:
            if self._state is not _WHOLE:
                self._connection.pause()
            else:
                self._connection.cancel(self)
                self.on_error(TransportError("too_large", "the answer is larger than its limit"))
        elif self.is_complete is not None and not self._waiter.done() and self.is_complete(data):
            self._waiter.set_result(None)  # not closed here: the body's end is often in the same read, so it may be reused

    def on_end(self, rest: bytes) -> None:
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            if self._state is _WHOLE and self._size > self._limit:
                self.on_error(TransportError("too_large", "the answer is larger than its limit"))
                return
        self._state = _ENDED
        if not self._waiter.done():
            self._waiter.set_result(None)

    def on_error(self, error: TransportError) -> None:
        self._state = _FAILED
        self._error = error
        if not self._waiter.done():
            self._waiter.set_exception(error)
