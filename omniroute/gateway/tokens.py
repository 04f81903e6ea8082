"""Access tokens that end: renewed before a call that would come too late, and once after a 401.

How a token is renewed is the control plane's business (:attr:`Tokens.refresher`).  Here: when, and that all calls which want
the same token renewed share one renewal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..clock import Clock
from ..errors import OmniError
from ..tasks import spawn
from .snapshot import Connection, Snapshot

_log = logging.getLogger("omniroute.gateway")
REAUTH: Final = "reauth_required"  # OmniError.code: only a new login helps
_PAUSE: Final = 60.0  # seconds after a renewal that failed
_LONG_PAUSE: Final = 3600.0  # after one that the server refused for good
_FRESH: Final = 30.0  # a token this young that is refused was not too old

Refresher = Callable[[str], Awaitable[None]]
"""Renew the tokens of a connection and publish them.  Raises OmniError; its code may be :data:`REAUTH`."""


class Tokens:
    """Renewals of all accounts; owned by the event loop, so no locks.  ``snapshot`` gives the one in force."""

    def __init__(self, clock: Clock, snapshot: Callable[[], Snapshot]) -> None:
        self.refresher: Refresher | None = None
        self._clock = clock
        self._snapshot = snapshot
        self._running: dict[str, asyncio.Task[OmniError | None]] = {}
        self._renewed: dict[str, float] = {}  # connection id -> when, Unix seconds
        self._paused: dict[str, float] = {}  # connection id -> until when nobody tries by itself

    def due(self, connection: Connection) -> bool:
        """Whether :meth:`ensure` has to be called before this account is."""
        return connection.renew_at <= self._clock.time()

    async def ensure(self, connection: Connection) -> Connection:
        """The account with a token good enough for a call; as it was when renewal fails.  Never raises."""
        current = self._current(connection)
        if current.secret != connection.secret or not self.due(current):
            return current  # somebody else's renewal came first
        return await self._try(current) or current

    async def renew(self, connection: Connection) -> Connection | None:
        """After a 401: the account with another token than the refused one, or None when there is none to be had."""
        current = self._current(connection)
        if current.secret != connection.secret:
            return current
        if self._clock.time() < self._renewed.get(connection.id, 0.0) + _FRESH:
            return None
        return await self._try(current)

    async def refresh(self, connection_id: str) -> None:
        """Renew now; whoever asks while it runs shares it.  Raises OmniError.

        A caller that is cancelled does not take the renewal with it: the server may have rotated the token already.
        """
        task = self._running.get(connection_id)
        if task is None:
            task = self._running[connection_id] = spawn(self._run(connection_id), f"token {connection_id}")
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    async def finish(self, seconds: float) -> None:
        """Wait up to *seconds* for the renewals that run: a token that the server has rotated must still be stored."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=seconds)

    def paused(self, connection_id: str) -> bool:
        """A renewal failed not long ago."""
        return self._clock.time() < self._paused.get(connection_id, 0.0)

    def forget(self, connection_id: str) -> None:
        """The account has new tokens from elsewhere, or is gone."""
        self._renewed.pop(connection_id, None)
        self._paused.pop(connection_id, None)

    async def _try(self, connection: Connection) -> Connection | None:
        if not connection.refreshable or self.refresher is None or self.paused(connection.id):
            return None
        try:
            await self.refresh(connection.id)
        except OmniError:
            return None
        current = self._current(connection)
        return current if current.secret != connection.secret else None

    async def _run(self, connection_id: str) -> OmniError | None:
        try:
            assert self.refresher is not None
            await self.refresher(connection_id)
        except OmniError as error:
            _log.warning("the token of account %s was not renewed: %s", connection_id, error.message)
            pause = _LONG_PAUSE if error.code == REAUTH else _PAUSE
            self._paused[connection_id] = self._clock.time() + pause
            return error
        except Exception:  # noqa: BLE001 - many wait for this task, and each has to get an answer
            _log.exception("the token of account %s was not renewed", connection_id)
            self._paused[connection_id] = self._clock.time() + _PAUSE
            return OmniError("internal", "The token could not be renewed: see the log")
        else:
            self._renewed[connection_id] = self._clock.time()
            self._paused.pop(connection_id, None)
            return None
        finally:
            del self._running[connection_id]

    def _current(self, connection: Connection) -> Connection:
        """The account as it is now; as it was when it is gone."""
        group = self._snapshot().connections.get(connection.provider, ())
        return next((other for other in group if other.id == connection.id), connection)
