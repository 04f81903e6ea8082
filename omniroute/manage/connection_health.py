"""The health of stored connections: as the data plane keeps it, sent by a client, or cleared when its cause is gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from ..clock import unix_time
from ..gateway.health import AccountHealth, Health
from ..gateway.live import Live
from ..store.connections import ConnectionRow
from .call import Call

_FRESH: Final = {
    "test_status": "unknown", "last_error": None, "last_error_at": None, "last_error_type": None, "last_error_source": None,
    "error_code": None, "backoff_level": 0, "rate_limited_until": None, "last_tested": None,
}  # fmt: skip


def health_of(row: ConnectionRow) -> AccountHealth:
    """Return the stored health of a connection in the data plane's form."""
    return AccountHealth(
        test_status=row.test_status,
        last_error=row.last_error,
        last_error_at=unix_time(row.last_error_at),
        last_error_type=row.last_error_type,
        last_error_source=row.last_error_source,
        error_code=row.error_code,
        backoff_level=row.backoff_level,
        rate_limited_until=unix_time(row.rate_limited_until),
    )


def apply_sent(health: Health, row: ConnectionRow, sent: Collection[str]) -> None:
    """Apply the *sent* columns of *row* in memory, where the other ones are newer, if known at all."""
    state, known = health_of(row), health.view(row.id)
    if known != AccountHealth():
        for name in AccountHealth.__struct_fields__:
            if name not in sent:
                setattr(state, name, getattr(known, name))
    health.restore(row.id, state)


async def start_afresh(call: Call, row: ConnectionRow, *, moved: bool = False, **health: Any) -> ConnectionRow:
    """Reset the health, in memory and in the row, after new credentials or (*moved*) another address.

    *health* are the health columns that were sent with the change.
    """
    live = call.live
    live.forget(row.id)
    if moved:
        _reopen(live, row.provider)
    row = await call.store.connections.update(row.id, **{**_FRESH, **health}) or row
    live.health.restore(row.id, health_of(row))
    return row


def clear_failures(live: Live, row: ConnectionRow) -> None:
    """Clear the failures of an account that calls now reach in another way, and those of its provider."""
    live.health.clear(row.id)
    _reopen(live, row.provider)


def _reopen(live: Live, provider: str) -> None:
    live.breakers.succeed(provider)
    live.health.reopen(provider)
