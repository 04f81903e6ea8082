"""Renewal of expiring access tokens: before a call when a token is about to expire, and once after a 401.

The control plane implements the renewal itself (:attr:`Tokens.refresher`).  This module decides when, and lets all calls
that need the same token share one renewal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from ..clock import Clock
from ..errors import OmniError
from ..tasks import spawn
from .snapshot import Connection, Snapshot

_log = logging.getLogger("omniroute.gateway")
REAUTH: Final = "reauth_required"  # OmniError.code: only a new login helps
_PAUSE: Final = 60.0  # seconds without a new attempt after a failed renewal
_LONG_PAUSE: Final = 3600.0  # the same after a permanent refusal by the server
_FRESH: Final = 30.0  # seconds; a 401 for a token newer than this is not due to its age

Refresher = Callable[[str], Awaitable[None]]
"""Renew the tokens of a connection and publish them.  Raises OmniError; its code may be :data:`REAUTH`."""


class Tokens:
    """Renewals of all accounts.  Used only in the event loop, so without locks.  ``snapshot`` returns the current one."""

    def __init__(self, clock: Clock, snapshot: Callable[[], Snapshot]) -> None:
        self.refresher: Refresher | None = None
        self._clock = clock
        self._snapshot = snapshot
        self._running: dict[str, asyncio.Task[OmniError | None]] = {}
        self._renewed: dict[str, float] = {}  # connection id -> when, monotonic seconds
        self._paused: dict[str, float] = {}  # connection id -> end of the pause in automatic renewals, monotonic seconds

    def due(self, connection: Connection) -> bool:
        """Whether :meth:`ensure` has to be called before a call to this account."""
        return connection.renew_at <= self._clock.time()

    async def ensure(self, connection: Connection) -> Connection:
        """The account with a renewed token; unchanged when renewal fails.  Never raises."""
        current = self._current(connection)
        if current.secret != connection.secret or not self.due(current):
            return current  # already renewed by another call
        return await self._try(current) or current

    async def renew(self, connection: Connection) -> Connection | None:
        """After a 401: the account with another token than the refused one, None when there is none."""
        current = self._current(connection)
        if current.secret != connection.secret:
            return current
        if self._clock.monotonic() < self._renewed.get(connection.id, -inf) + _FRESH:
            return None
        return await self._try(current)

    async def refresh(self, connection_id: str) -> None:
        """Renew now, or join a renewal in progress.  Raises OmniError.

        Cancelling the caller does not cancel the renewal, because the server may already have rotated the token.
        """
        task = self._running.get(connection_id)
        if task is None:
            task = self._running[connection_id] = spawn(self._run(connection_id), f"token {connection_id}")
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    async def finish(self, seconds: float) -> None:
        """Wait up to *seconds* for renewals in progress: a token that the server has rotated must still be stored."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=seconds)

    def paused(self, connection_id: str) -> bool:
        """Whether automatic renewal pauses, because one failed recently."""
        return self._clock.monotonic() < self._paused.get(connection_id, -inf)

    def forget(self, connection_id: str) -> None:
        """Forget an account that was deleted or got new tokens by a login."""
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
            self._paused[connection_id] = self._clock.monotonic() + pause
            return error
        except Exception:  # noqa: BLE001 - several callers wait for this task, and each needs a result
            _log.exception("the token of account %s was not renewed", connection_id)
            self._paused[connection_id] = self._clock.monotonic() + _PAUSE
            return OmniError("internal", "The token could not be renewed: see the log")
        else:
            self._renewed[connection_id] = self._clock.monotonic()
            self._paused.pop(connection_id, None)
            return None
        finally:
            del self._running[connection_id]

    def _current(self, connection: Connection) -> Connection:
        """The account in the current snapshot; *connection* itself if it was deleted."""
        group = self._snapshot().connections.get(connection.provider, ())
        return next((other for other in group if other.id == connection.id), connection)
