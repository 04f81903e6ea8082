"""The semantic cache: complete answers to deterministic requests, given again to equal requests.

It has two tiers: memory, and behind it an :class:`Archive` that outlives the process.  Answers to no-log keys never reach
the archive; they have a small, short-lived :class:`Shelf` of their own, which only such keys read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

from ..clock import Clock
from ..settings import CacheLimits

LARGEST: Final = 1024 * 1024  # bytes of one answer
_BYTES: Final = 64 * 1024 * 1024
_PRIVATE_BYTES: Final = 2 * 1024 * 1024


class Cached(Struct, frozen=True):
    """One answer in the client's wire.  ``model`` is as the client named it; times are Unix seconds."""

    model: str
    body: bytes
    tokens: int  # prompt and completion tokens, saved by each use
    created: float
    expires: float


Wanted = Callable[[str, Cached], bool]
"""A predicate on signature and answer."""


class Archive(Protocol):
    """The second tier; only ``find`` awaits."""

    async def find(self, signature: str) -> Cached | None: ...

    def put(self, signature: str, answer: Cached) -> None: ...

    def count(self, signature: str) -> None:
        """Count one more use of the answer, in whichever tier it was found."""
        ...


class Shelf:
    """Answers by signature, limited in number and bytes; evicts the least recently used and never returns expired ones."""

    def __init__(self, clock: Clock, most: int, most_bytes: int) -> None:
        self.most, self.most_bytes = most, most_bytes
        self.bytes = self.hits = self.misses = self.evictions = 0
        self._clock = clock
        self._answers: OrderedDict[str, Cached] = OrderedDict()

    def __len__(self) -> int:
        self.drop(self._expired)
        return len(self._answers)

    def get(self, signature: str) -> Cached | None:
        found = self._answers.get(signature)
        if found is not None and self._expired(signature, found):
            self._remove(signature)
            found = None
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(signature)
        return found

    def put(self, signature: str, answer: Cached) -> None:
        self._remove(signature)
        self._answers[signature] = answer
        self.bytes += len(answer.body)
        while len(self._answers) > self.most or self.bytes > self.most_bytes:
            self._remove(next(iter(self._answers)))
            self.evictions += 1

    def drop(self, wanted: Wanted) -> set[str]:
        """Remove the answers for which *wanted* is true; returns their signatures."""
        found = {signature for signature, answer in self._answers.items() if wanted(signature, answer)}
        for signature in found:
            self._remove(signature)
        return found

    def clear(self) -> None:
        """Remove everything and reset the counters."""
        self._answers.clear()
        self.bytes = self.hits = self.misses = self.evictions = 0

    def _expired(self, _: str, answer: Cached) -> bool:
        return answer.expires <= self._clock.time()

    def _remove(self, signature: str) -> None:
        if (answer := self._answers.pop(signature, None)) is not None:
            self.bytes -= len(answer.body)


class Cache:
    """Both tiers, and counters since the start.  A limit of 0 entries or 0 seconds turns the cache off."""

    def __init__(self, clock: Clock, limits: CacheLimits | None = None, archive: Archive | None = None) -> None:
        self.limits = limits or CacheLimits()
        self.shelf = Shelf(clock, self.limits.entries, _BYTES)
        self.private = Shelf(clock, self.limits.private_entries, _PRIVATE_BYTES)
        self.hits = self.misses = self.tokens_saved = 0
        self._clock = clock
        self._archive = archive
        self._forgotten = 0  # the number of calls of forget()

    @property
    def on(self) -> bool:
        return self.limits.entries > 0 and self.limits.ttl > 0

    async def find(self, signature: str, *, private: bool) -> Cached | None:
        """The answer to the request with this *signature*, or None; *private* looks only on the shelf for no-log keys."""
        found = await self._find(signature, private)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self.tokens_saved += found.tokens
        return found

    async def _find(self, signature: str, private: bool) -> Cached | None:
        if private:
            return self.private.get(signature)
        found = self.shelf.get(signature)
        if self._archive is None:
            return found
        if found is None:
            before = self._forgotten
            found = await self._archive.find(signature)
            if found is not None and before == self._forgotten:  # else it may have been removed meanwhile
                self.shelf.put(signature, found)
        if found is not None:
            self._archive.count(signature)
        return found

    def put(self, signature: str, model: str, body: bytes, tokens: int, *, private: bool) -> None:
        """Store an answer, unless it is larger than :data:`LARGEST`; *private*: only on the shelf for no-log keys."""
        seconds = self.limits.private_ttl if private else self.limits.ttl
        if len(body) > LARGEST or seconds <= 0:
            return
        now = self._clock.time()
        answer = Cached(model, body, tokens, now, now + seconds)
        if private:
            self.private.put(signature, answer)
            return
        self.shelf.put(signature, answer)
        if self._archive is not None:
            self._archive.put(signature, answer)

    def forget(self, wanted: Wanted) -> set[str]:
        """Remove the answers for which *wanted* is true from memory, not from the archive; returns their signatures."""
        self._forgotten += 1
        return self.shelf.drop(wanted) | self.private.drop(wanted)
