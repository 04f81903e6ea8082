"""The last use of each account and the length of its run of uses, for the strategies round-robin and least-used.

Kept in memory; changes are passed to ``on_change`` in batches, not once per request.  Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ..clock import Clock, Timer

SAVE_SECONDS: Final = 5.0


class Use(NamedTuple):
    """The last use of one account.  ``turn`` orders uses that have the same time."""

    at: float = 0.0
    turn: int = 0
    times: int = 0  # in a row


NEVER: Final = Use()


class Uses:
    """The last use of each account."""

    def __init__(self, clock: Clock, on_change: Callable[[str, Use], None] | None = None) -> None:
        self._clock = clock
        self._uses: dict[str, Use] = {}
        self._last: dict[str, str] = {}  # provider id -> the account used last
        self._unsaved: set[str] = set()
        self._timer: Timer | None = None
        self._turn = 0
        self.on_change = on_change

    def of(self, connection_id: str) -> Use:
        """The account's last use; :data:`NEVER` when there was none."""
        return self._uses.get(connection_id, NEVER)

    def note(self, provider: str, connection_id: str) -> None:
        """Note that the account is used now."""
        self._turn += 1
        times = self.of(connection_id).times + 1 if self._last.get(provider) == connection_id else 1
        self._last[provider] = connection_id
        self._uses[connection_id] = Use(self._clock.time(), self._turn, times)
        self._unsaved.add(connection_id)
        if self._timer is None and self.on_change is not None:
            self._timer = self._clock.call_later(SAVE_SECONDS, self.save)

    def save(self) -> None:
        """Pass the changes since the last call to ``on_change``."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        unsaved, self._unsaved = self._unsaved, set()
        if self.on_change is not None:
            for connection_id in unsaved:
                self.on_change(connection_id, self._uses[connection_id])

    def restore(self, provider: str, connection_id: str, at: float, times: int) -> None:
        """Restore a use stored by an earlier process."""
        self._uses[connection_id] = Use(at, 0, times)
        last = self._last.get(provider)
        if last is None or self._uses[last].at < at:
            self._last[provider] = connection_id

    def empty(self) -> None:
        """Forget everything without calling ``on_change``, because the stored data was replaced."""
        self._uses.clear()
        self._last.clear()
        self._unsaved.clear()

    def forget(self, connection_id: str) -> None:
        """Forget a deleted connection."""
        self._uses.pop(connection_id, None)
        self._unsaved.discard(connection_id)
        for provider in [provider for provider, last in self._last.items() if last == connection_id]:
            del self._last[provider]
