"""Which accounts of a provider may be tried, in which order, and why others are not."""

from __future__ import annotations

from typing import NamedTuple

from .live import Live
from .resolve import Route
from .snapshot import Connection, Snapshot


class Choice(NamedTuple):
    """The accounts to try, and those passed over with the Unix time until which they are blocked."""

    free: tuple[Connection, ...]
    blocked: tuple[tuple[Connection, float], ...]


def choose(snapshot: Snapshot, live: Live, route: Route) -> Choice:
    """Fill-first: lowest priority number first (the snapshot has them in that order), those that are cooling left out."""
    accounts = snapshot.connections.get(route.provider.id, ())
    if live.health.calm:
        return Choice(accounts, ())
    blocked_until = live.health.blocked_until
    free: list[Connection] = []
    blocked: list[tuple[Connection, float]] = []
    for account in accounts:
        until = blocked_until(account.id, route.model)
        if until is None:
            free.append(account)
        else:
            blocked.append((account, until))
    return Choice(tuple(free), tuple(blocked))
