"""The data plane's in-memory copy of database content: loaded at start, and again after a restore.

Some state is kept, because it is not from the database or describes this process: the providers' reported limits, answers
kept for repeated calls, active conversations, failed logins, the counters of metrics and telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..clock import unix_time
from ..gateway.live import Live
from ..gateway.snapshot import Snapshot
from ..store.connections import ConnectionRow
from ..store.store import Store
from .connection_health import health_of


async def load(store: Store, live: Live) -> None:
    """Replace what *live* knows of accounts, providers and spending with what is stored.

    Everything is read before anything is changed, so no request sees a mixture.
    """
    rows = await store.connections.list()
    breakers, locks = await store.trouble.breakers(), await store.trouble.locks()
    async with store.usage.held() as waiting:
        spent = await store.budgets.spent(waiting)
        live.budgets.restore(spent)
    for kept in (live.health, live.breakers, live.uses):
        kept.empty()
    for row in rows:
        _load_account(live, row)
    for name, breaker in breakers.items():
        live.breakers.restore(name, breaker)
    for lock in locks:
        live.health.restore_lock(lock)


async def reload(store: Store, live: Live, before: Snapshot) -> None:
    """Reload after the database was replaced; *before* is the snapshot of the old one."""
    await load(store, live)
    live.cache.forget(lambda _signature, _answer: True)
    old = _secrets(before)
    for id, secret in _secrets(store.snapshot).items():
        if old.get(id, secret) != secret:  # the credential changed: what its vendor reported was about the old one
            live.limiter.forget(id)
            live.tokens.forget(id)
    known: Mapping[str, object] = {**store.snapshot.combos, **dict.fromkeys(store.snapshot.inactive_combos)}
    for name in live.combos.metrics().keys() - known.keys():
        live.combos.forget(name)


def _load_account(live: Live, row: ConnectionRow) -> None:
    live.health.restore(row.id, health_of(row))
    if (used := unix_time(row.last_used_at)) is not None:
        live.uses.restore(row.provider, row.id, used, row.consecutive_use_count)


def _secrets(snapshot: Snapshot) -> dict[str, str]:
    return {account.id: account.secret for group in snapshot.connections.values() for account in group}
