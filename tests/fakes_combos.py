"""Snapshots with several providers and combos over them, and attempts that follow a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from wires import CHAT

from omniroute.gateway.job import Gateway, Job
from omniroute.gateway.resolve import Route
from omniroute.gateway.snapshot import Combo, ComboEntry, Connection, GatewaySettings, Snapshot
from omniroute.translate.events import Failure
from omniroute.upstream.providers import Model, Price, Provider

Attempt = Callable[[Gateway, Job, Route, Connection], Awaitable[Failure | None]]
Entry = str | tuple[str, float]


def combo(name: str, *entries: Entry, strategy: str = "priority", **config: Any) -> Combo:
    """A combo of models, or of (model, weight)."""
    made = (ComboEntry(entry) if isinstance(entry, str) else ComboEntry(*entry) for entry in entries)
    return Combo(f"id-{name}", name, tuple(made), strategy, config)


def world(
    *combos: Combo, providers: str = "abc", accounts: int = 1, prices: Mapping[str, Price] | None = None, **more: Any
) -> Snapshot:
    """Providers ``a``, ``b``, … with a model ``m`` and *accounts* connections each, and *combos* over them."""
    priced = prices or {}
    made = {
        id: Provider(id, id, id.upper(), CHAT.name, f"http://127.0.0.1/{id}", models={"m": Model("m", price=priced.get(id))})
        for id in providers
    }
    connections = {
        id: tuple(Connection(f"{id}{n}", id, f"acct-{n}", f"key-{id}-{n}", priority=n) for n in range(1, accounts + 1))
        for id in providers
    }
    return Snapshot(
        providers=made,
        prefixes={id: id for id in providers},
        connections=connections if accounts else {},
        default_provider="a",
        combos={made.name: made for made in combos},
        settings=more.pop("settings", GatewaySettings()),
        **more,
    )


def script(outcomes: Mapping[str, Sequence[Failure | None]], seen: list[str]) -> Attempt:
    """Return an attempt that plays its provider's outcomes, repeating the last, and adds each provider asked to *seen*."""
    turns: dict[str, int] = {}

    async def attempt(gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        id = route.provider.id
        turn = turns[id] = turns.get(id, -1) + 1
        seen.append(id)
        found = outcomes[id][min(turn, len(outcomes[id]) - 1)]
        return found if found is None else Failure(found.status, found.message, retry_after=found.retry_after)

    return attempt
