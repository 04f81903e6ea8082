"""Idempotency: a call repeated with the same key gets the answer of the first.

Only complete, successful answers are kept, in memory, for a few seconds.  A repetition during the first call waits for it;
if the first call fails or its client disconnects, the next waiting call takes its place.
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
BYTES: Final = 32 * 1024 * 1024  # of all answers kept
LARGEST: Final = 1024 * 1024  # a longer answer is given only to calls that already wait for it
# Read from the request itself: a request id that the gateway generates is not a key.
IDEMPOTENCY_KEY: Final = b"idempotency-key"
REQUEST_ID: Final = b"x-request-id"


class Replay(NamedTuple):
    """A whole answer, unchanged."""

    status: int
    body: bytes


def replay_key(request: Request, key_id: str) -> bytes | None:
    """A hash of what identifies a call: caller's key, path, idempotency key and body; None without an idempotency key."""
    value = request.header(IDEMPOTENCY_KEY) or request.header(REQUEST_ID)
    if not value:
        return None
    key = sha256()
    for part in (key_id.encode(), request.path.encode(), value):
        key.update(b"%d:%b" % (len(part), part))
    key.update(request.body)
    return key.digest()


class Ticket:
    """Held by the first of several identical calls.  ``keep`` a successful answer; always ``close`` the ticket."""

    __slots__ = ("_key", "_replays", "answer", "over")

    def __init__(self, replays: Replays, key: bytes) -> None:
        self._replays = replays
        self._key = key
        self.answer: Replay | None = None
        self.over = asyncio.Event()

    def keep(self, status: int, body: bytes) -> None:
        self.answer = Replay(status, body)

    def close(self) -> None:
        """Let the waiting calls go on."""
        self._replays.settle(self._key, self.answer)
        self.over.set()


class Replays:
    """Calls with a key: those in progress, and the answers of those that ended within the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: dict[bytes, Ticket] = {}
        self._kept: OrderedDict[bytes, tuple[Replay, float]] = OrderedDict()  # in order of expiry
        self._bytes = 0
        self._timer: Timer | None = None

    @property
    def active(self) -> int:
        """The number of known keys."""
        return len(self._kept.keys() | self._first.keys())

    async def claim(self, key: bytes) -> Ticket | Replay:
        """The answer for *key*, after waiting for a call in progress; or a ticket, if the caller is the first."""
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
        """End the first call and keep its answer; see ``Ticket.close``."""
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
