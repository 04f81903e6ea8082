"""OAuth tokens of the accounts: refreshing them, the periodic sweep over idle accounts, and their health."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from ..clock import Clock, iso, unix_time
from ..errors import OmniError
from ..gateway.health import Health
from ..gateway.live import Live
from ..gateway.tokens import REAUTH
from ..store.connections import ConnectionRow
from ..store.store import Store
from ..upstream.oauth import SPENT, Grant, Refused
from ..upstream.token_endpoint import TokenEndpoint

_log = logging.getLogger("omniroute.manage")
FAILED: Final = "token_refresh_failed"
SWEEP_SECONDS: Final = 60.0
DEFAULT_MINUTES: Final = 60  # between two checks of one account
_SOURCE: Final = "oauth"


class TokenKeeper:
    """Refreshes tokens and stores them.  :meth:`refresh` is the ``refresher`` of ``gateway.tokens.Tokens``."""

    def __init__(self, store: Store, live: Live, clock: Clock, endpoint: TokenEndpoint) -> None:
        self.last_check_at: float | None = None  # Unix seconds
        self._store = store
        self._live = live
        self._clock = clock
        self._endpoint = endpoint

    async def refresh(self, connection_id: str) -> None:
        """Refresh the tokens of one account, store and publish them.

        Raises OmniError ``upstream_auth`` with the code ``reauth_required`` if only a new login helps, else
        ``token_refresh_failed``; ``not_found`` if there is no such account.
        """
        row = await self._store.connections.get(connection_id)
        if row is None:
            raise OmniError("not_found", "Connection not found")
        token = await self._store.connections.refresh_token(row.id)
        try:
            grant = await self._renewed(row, token)
        except Refused as error:
            code = REAUTH if error.error in SPENT else FAILED
            text = f"Token refresh failed: {error.description}"
            if code == REAUTH:
                text = f"{text.rstrip('.')}. Log in again"
            self._live.health.tested(row.id, ok=False, message=text, kind=code, source=_SOURCE)
            self._store.connections.mark(row.id, {"last_health_check_at": self._clock.time()})
            raise OmniError("upstream_auth", text, code=code) from None
        if await self._store.connections.refresh_token(row.id) != token:
            return  # the user has logged in meanwhile; those tokens are newer
        now = self._clock.time()
        if await self._store.connections.update(row.id, **token_columns(grant, now), last_health_check_at=now) is None:
            raise OmniError("not_found", "Connection not found")
        recover(self._live.health, row.id)

    async def _renewed(self, row: ConnectionRow, token: str) -> Grant:
        if not row.refreshable or not token:
            raise Refused("invalid_grant", "there is no refresh token")
        client = await self._store.oauth_clients.get(row.provider)
        if missing := [name for name in client.missing if name != "authorizeUrl"]:
            raise Refused("unauthorized_client", f"the OAuth client is not configured ({', '.join(missing)} missing)")
        return await self._endpoint.refresh(client, token, row.id)

    async def watch(self) -> None:
        """Sweep every minute, forever."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:  # noqa: BLE001 - one failed sweep must not end the loop
                _log.exception("the round over the tokens failed")

    async def sweep(self) -> int:
        """Refresh the tokens of the accounts that are due; return how many were."""
        tokens, due = self._live.tokens, 0
        for row in await self._store.connections.list(is_active=True):
            if not is_due(row, self._clock.time()) or tokens.paused(row.id):
                continue
            due += 1
            try:
                await tokens.refresh(row.id)
            except OmniError:
                continue  # refresh() has recorded it in the account's health
        self.last_check_at = self._clock.time()
        return due


def is_due(row: ConnectionRow, now: float) -> bool:
    """Whether the sweep must refresh the token: it expires soon, or ``healthCheckInterval`` minutes have passed.

    An interval of 0 exempts the account from the sweep.
    """
    minutes = DEFAULT_MINUTES if row.health_check_interval is None else row.health_check_interval
    if not row.refreshable or minutes <= 0:
        return False
    seen = unix_time(row.last_health_check_at) or unix_time(row.updated_at) or 0.0
    return seen + minutes * 60 <= now or row.renew_at <= now


def token_columns(grant: Grant, now: float) -> dict[str, Any]:
    """Return the columns that a grant changes in a connection; refresh token and scope stay if the grant has none."""
    end = grant.expires_at if grant.expires_in is None else now + grant.expires_in
    ends = None if end is None else iso(end)
    said = {
        "refresh_token": grant.refresh_token,
        "id_token": grant.id_token,
        "token_type": grant.token_type,
        "scope": grant.scope,
    }
    return {
        "access_token": grant.access_token,
        "expires_in": grant.expires_in,
        "expires_at": ends,
        "token_expires_at": ends,
        **{name: value for name, value in said.items() if value},
    }


def recover(health: Health, connection_id: str) -> None:
    """Clear failures that the old tokens caused, now that there are new ones; a rate limit stays."""
    state = health.view(connection_id)
    if state.last_error_source == _SOURCE or state.error_code in ("401", "403"):
        health.tested(connection_id, ok=True)


class TokenHealth(Struct, rename="camel"):
    """The reply of ``GET /api/token-health``; it counts active OAuth accounts."""

    total: int
    healthy: int
    errored: int
    warning: int
    last_check_at: str | None
    status: str  # healthy, warning, error


def report(rows: Iterable[ConnectionRow], health: Health, now: float, last_check_at: float | None) -> TokenHealth:
    """Count the accounts by state: *errored* need user action; *warning* expire soon or have a temporary failure."""
    states = [_state(row, health, now) for row in rows if row.is_active and row.auth_type == "oauth"]
    errored, warning = states.count("error"), states.count("warning")
    return TokenHealth(
        total=len(states),
        healthy=len(states) - errored - warning,
        errored=errored,
        warning=warning,
        last_check_at=None if last_check_at is None else iso(last_check_at),
        status="error" if errored else "warning" if warning else "healthy",
    )


def _state(row: ConnectionRow, health: Health, now: float) -> str:
    ends, known = row.ends_at, health.view(row.id)
    status = known.test_status if known.test_status != "unknown" else row.test_status
    if status == "error" or (ends is not None and ends <= now and not row.refreshable):
        return "error"
    late = ends is not None and min(row.renew_at, ends - 300) <= now
    return "warning" if late or status == "unavailable" else "healthy"
