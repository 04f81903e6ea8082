"""Back-pressure: a bounded queue of bytes between a socket's callbacks and a coroutine.

Above the high-water mark the source is paused.  The consumer takes everything at once, so the source resumes when the queue
is empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class ByteQueue:
    """A queue from one producer in callbacks to one consumer with ``async for``.

    ``put``, ``end`` and ``fail`` never block.  What was put before ``end`` or ``fail`` is still delivered, in order.
    """

    __slots__ = ("_ended", "_error", "_high", "_pause", "_paused", "_pieces", "_resume", "_size", "_waiter")

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None], high: int) -> None:
        self._pause = pause
        self._resume = resume
        self._high = high
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def paused(self) -> bool:
        """Whether the source is paused."""
        return self._paused

    def put(self, data: bytes) -> None:
        """Add *data*; ignored after :meth:`end`."""
        if self._ended or not data:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._high and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self) -> None:
        """Mark the end; the consumer's iteration stops after what has arrived."""
        self._ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """End with *error*, which is raised to the consumer after what has arrived.  Ignored after :meth:`end`."""
        if not self._ended:
            self._error = error
            self.end()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> ByteQueue:
        return self

    async def __anext__(self) -> bytes:
        """Everything that has arrived, as one piece.  Raises the error given to :meth:`fail`."""
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._resume()
        return data
