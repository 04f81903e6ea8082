"""One HTTP call to an origin: pooled connections, deadlines, one second chance, the answer whole or as it comes.

:meth:`Client.fetch` is one await for a whole answer; :meth:`Client.open` returns at the head, after which the
:class:`Call` is read to its end or attached to callbacks.  No redirect is followed, no coding asked for, no cookie kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf
from typing import Final

from ..clock import Clock
from ..proto.dial import dial
from ..proto.h1_client import H1Connection, Origin, ResponseSink, TransportError
from ..proto.headers import Headers
from ..settings import Limits
from .pool import Pool

Data = bytes | memoryview
Body = Data | Sequence[Data]

_OURS: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"upgrade", b"expect"})
_BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
_PORTS: Final = {"http": 80, "https": 443}
_JOIN: Final = 16 * 1024  # a body up to here is copied behind its head: one buffer is cheaper to send than two


class Call:
    """An answer whose head has arrived.

    It is then the owner's to end: :meth:`read`, :meth:`attach` until one of the endings is called, or :meth:`cancel`.
    ``stream_buffer`` bytes wait here at most until the owner says which; then the origin is paused.
    """

    __slots__ = ("_connection", "_ended", "_error", "_limit", "_pieces", "_sink", "_size", "_waiter", "_whole", "headers", "status")

    def __init__(self, whole: bool, limit: int) -> None:
        self.status = 0
        self.headers: Headers = []
        self._whole = whole  # whether the waiter waits for the end, or for the head
        self._limit = limit  # bytes of the whole, or bytes that wait to be asked for
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._connection: H1Connection | None = None
        self._sink: ResponseSink = self
