"""Idempotency: a call repeated under the same key is given the answer of the first (routing semantics section 8).

Only answers that are whole and good are kept, in memory, for a few seconds after they were given.  A repetition that comes
while the first call is still in flight waits for it; when that one fails or its client leaves, the next in line takes its
place, so nobody waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import Final, NamedTuple

from ..clock import Clock, Timer
from ..proto.exchange import Request

WINDOW: Final = 5.0  # seconds
MOST: Final = 1000  # answers kept
BYTES: Final = 32 * 1024 * 1024  # of all of them
LARGEST: Final = 1024 * 1024  # a longer answer goes to those who wait for it, and is forgotten
# Looked for in the request itself: the id that our edge makes for a request without one is no key.
IDEMPOTENCY_KEY: Final = b"idempotency-key"
REQUEST_ID: Final = b"x-request-id"


class Replay(NamedTuple):
    """A whole answer, word for word."""

    status: int
    body: bytes


def replay_key(request: Request, key_id: str) -> bytes | None:
    """What makes two calls the same call: the caller's key, the path, the value the client sent, and the body."""
    value = request.header(IDEMPOTENCY_KEY) or request.header(REQUEST_ID)
    if not value:
        return None
    key = sha256()
    for part in (key_id.encode(), request.path.encode(), value):
        key.update(b"%d:%b" % (len(part), part))
    key.update(request.body)
    return key.digest()


class Ticket:
    """The first of equal calls.  ``keep`` its answer if it is a good one, and ``close`` it whatever happened."""

    __slots__ = ("_key", "_replays", "answer", "over")

    def __init__(self, replays: Replays, key: bytes) -> None:
        self._replays = replays
        self._key = key
        self.answer: Replay | None = None
        self.over = asyncio.Event()

    def keep(self, status: int, body: bytes) -> None:
        self.answer = Replay(status, body)

    def close(self) -> None:
        """Let those who wait go on."""
        self._replays.settle(self._key, self.answer)
        self.over.set()


class Replays:
    """The calls in flight that have a key, and the answers of those that ended in the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: dict[bytes, Ticket] = {}
        self._kept: OrderedDict[bytes, tuple[Replay, float]] = OrderedDict()  # in the order in which they end
        self._bytes = 0
        self._timer: Timer | None = None

    @property
    def active(self) -> int:
        """How many keys are known."""
        return len(self._kept.keys() | self._first.keys())

    async def claim(self, key: bytes) -> Ticket | Replay:
        """The answer that *key* has got, after waiting for it if need be; or else a ticket: the caller is the first."""
        while True:
            if (kept := self._kept.get(key)) is not None and kept[1] > self._clock.monotonic():
                return kept[0]
            if (first := self._first.get(key)) is None:
                ticket = self._first[key] = Ticket(self, key)
                return ticket
            await first.over.wait()
            if first.answer is not None:
                return first.answer

    def settle(self, key: bytes, answer: Replay | None) -> None:
        """The first call is over; see ``Ticket.close``."""
        del self._first[key]
        if answer is None or len(answer.body) > LARGEST:
            return
        self._forget(key)
        self._kept[key] = answer, self._clock.monotonic() + WINDOW
        self._bytes += len(answer.body)
        while len(self._kept) > MOST or self._bytes > BYTES:
            self._forget(next(iter(self._kept)))
        if self._timer is None:
            self._timer = self._clock.call_later(WINDOW, self._sweep)

    def _forget(self, key: bytes) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= len(kept[0].body)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._kept:
            key, (_, until) = next(iter(self._kept.items()))
            if until > now:
                self._timer = self._clock.call_later(until - now, self._sweep)
                return
            self._forget(key)
