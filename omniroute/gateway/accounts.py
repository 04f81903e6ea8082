"""Selects the accounts of a provider for one call: which to try, in which order, and why others are passed over.

The selection never awaits, so two calls cannot choose from the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .live import Live
from .render import printable
from .resolve import Route
from .retry import span_text
from .snapshot import Connection, GatewaySettings, Snapshot

Accounts = tuple[Connection, ...]


class Blocked(NamedTuple):
    """An account that was passed over, until when (Unix seconds), and why; ``reason`` is a text for people."""

    account: Connection
    until: float
    kind: str  # "cooling" or "model locked"
    reason: str


class Choice(NamedTuple):
    """The accounts to try, in order, and those passed over."""

    free: Accounts
    blocked: tuple[Blocked, ...]


def choose(snapshot: Snapshot, live: Live, route: Route, prefer: str = "") -> Choice:
    """Order the provider's accounts by the configured strategy; the account with the id *prefer* goes first if it is free.

    In the snapshot they are sorted by priority, and among equals the newest first.
    """
    accounts = snapshot.connections.get(route.provider.id, ())
    blocked: tuple[Blocked, ...] = ()
    if not live.health.calm:
        accounts, blocked = _sift(accounts, live, route.kept_as)
    order = ORDERS.get(snapshot.settings.fallback_strategy)
    if order is not None and len(accounts) > 1:
        accounts = order(accounts, live, snapshot.settings)
    if prefer and any(account.id == prefer for account in accounts):
        accounts = tuple(sorted(accounts, key=lambda account: account.id != prefer))
    return Choice(accounts, blocked)


def _sift(accounts: Accounts, live: Live, model: str) -> tuple[Accounts, tuple[Blocked, ...]]:
    free: list[Connection] = []
    blocked: list[Blocked] = []
    for account in accounts:
        if (block := live.health.block(account.id, model)) is None:
            free.append(account)
        else:
            blocked.append(Blocked(account, *block))
    return tuple(free), tuple(blocked)


def _round_robin(accounts: Accounts, live: Live, settings: GatewaySettings) -> Accounts:
    """Stay with the last used account for ``sticky_limit`` calls, then move to the least recently used one."""
    uses = live.uses
    oldest_first = _least_used(accounts, live, settings)
    newest = oldest_first[-1]
    last = uses.of(newest.id)
    if 0 < last.times < settings.sticky_limit:
        return newest, *oldest_first[:-1]
    return oldest_first


def _least_used(accounts: Accounts, live: Live, settings: GatewaySettings) -> Accounts:
    """Accounts never used come first, by priority; then the least recently used."""
    of = live.uses.of
    return tuple(sorted(accounts, key=lambda account: of(account.id)[:2]))


def _two_choices(accounts: Accounts, live: Live, settings: GatewaySettings) -> Accounts:
    """The better of two random accounts goes first: fewer calls in flight, then no last error.  The rest by priority."""
    pair = accounts if len(accounts) == 2 else tuple(live.dice.sample(accounts, 2))
    loads = {account.id: 0 for account in pair}
    for (_, _, id), count in live.in_flight.items():
        if id in loads:
            loads[id] += count
    first = min(pair, key=lambda account: (loads[account.id], live.health.view(account.id).last_error is not None))
    return first, *(account for account in accounts if account is not first)


def _random(accounts: Accounts, live: Live, settings: GatewaySettings) -> Accounts:
    return tuple(live.dice.sample(accounts, len(accounts)))


ORDERS: Final[dict[str, Callable[[Accounts, Live, GatewaySettings], Accounts]]] = {
    "round-robin": _round_robin,
    "p2c": _two_choices,
    "random": _random,
    "least-used": _least_used,
}
"""The strategies that change the order; fill-first and cost-optimized keep the order by priority."""
COUNTED: Final = frozenset({"round-robin", "least-used"})  # strategies that depend on the last use


def skipped_text(blocked: tuple[Blocked, ...], now: float) -> str:
    """The part of ``X-OmniRoute-Route`` for *blocked*: ``; skipped=work (cooling 12s), home (model locked 3s)``, or ""."""
    if not blocked:
        return ""
    names = (f"{printable(one.account.name)} ({one.kind} {span_text(one.until - now)})" for one in blocked)
    return f"; skipped={', '.join(names)}"
