"""Combos: one name for several models, and the order in which a call tries them.  Pure.

A :class:`Lineup` is a combo with its nested combos expanded and every model resolved; it is kept as long as its snapshot.
:func:`order` sorts its members for one call, according to the combo's strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf
from random import Random
from typing import Any, Final, NamedTuple

from ..errors import OmniError
from .resolve import LONGEST_NAME, Route, find_combo, resolve
from .snapshot import Combo, Snapshot

DEFAULTS: Final[dict[str, Any]] = {
    "maxRetries": 1,
    "retryDelayMs": 2000,
    "timeoutMs": 120_000,
    "concurrencyPerModel": 3,
    "queueTimeoutMs": 30_000,
    "healthCheckEnabled": True,
    "healthCheckTimeoutMs": 3000,
    "maxComboDepth": 3,
    "trackMetrics": True,
}
RANGES: Final[dict[str, tuple[int, int]]] = {  # of the numbers in DEFAULTS; the other settings are booleans
    "maxRetries": (0, 10),
    "retryDelayMs": (0, 60_000),
    "timeoutMs": (1000, 600_000),
    "concurrencyPerModel": (1, 20),
    "queueTimeoutMs": (1000, 120_000),
    "healthCheckTimeoutMs": (100, 30_000),
    "maxComboDepth": (1, 10),
}
MOST_MEMBERS: Final = 1000  # of a combo, including those of nested combos


class Config(NamedTuple):
    """How a combo tries one model.  Times are in seconds."""

    retries: int
    retry_delay: float
    timeout: float  # for one model, to its first byte
    concurrency: int  # calls of one model at a time
    queue_timeout: float
    health_check: bool
    health_check_timeout: float
    depth: int
    metrics: bool


class Member(NamedTuple):
    """One model of a combo, by its name there.  If it cannot be used, ``route`` is None and ``barred`` says why."""

    name: str
    route: Route | None
    barred: str = ""


class Group(NamedTuple):
    """The members for one entry of a combo: one model, or all models of a nested combo."""

    weight: float
    members: tuple[Member, ...]


class Lineup(NamedTuple):
    """An expanded combo, without the entries that have no members."""

    combo: Combo
    groups: tuple[Group, ...]

    @property
    def members(self) -> list[Member]:
        return [member for group in self.groups for member in group.members]


class Pick(NamedTuple):
    """A member in the order of one call, and the reason for its place."""

    member: Member
    why: str


class Standing(NamedTuple):
    """What the order of a call depends on, apart from the combo itself.

    ``turn`` is the number of earlier calls to the combo, ``used`` its requests by model.  ``health`` is 0 to 100, higher is
    better.
    """

    dice: Random
    turn: int = 0
    used: Mapping[str, int] = {}
    health: Callable[[Route], float] = lambda route: 100.0


def config_of(snapshot: Snapshot, combo: Combo, provider: str = "") -> Config:
    """The settings for one provider's models in *combo*: defaults, global, per provider, per combo; later ones win."""
    settings = snapshot.settings
    values = dict(DEFAULTS)
    for layer in (settings.combo_defaults, settings.provider_overrides.get(provider, {}), combo.config):
        values.update(layer)
    return Config(
        retries=int(values["maxRetries"]),
        retry_delay=values["retryDelayMs"] / 1000,
        timeout=values["timeoutMs"] / 1000,
        concurrency=int(values["concurrencyPerModel"]),
        queue_timeout=values["queueTimeoutMs"] / 1000,
        health_check=values["healthCheckEnabled"],
        health_check_timeout=values["healthCheckTimeoutMs"] / 1000,
        depth=values["maxComboDepth"],
        metrics=values["trackMetrics"],
    )


def sound(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in *config* that are known and within their ranges; the others are dropped."""
    return {key: value for key, value in config.items() if key in DEFAULTS and _fits(key, value)}


def _fits(key: str, value: object) -> bool:
    if key not in RANGES:
        return isinstance(value, bool)
    low, high = RANGES[key]
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


class Lineups:
    """A cache of lineups by name, cleared when the snapshot changes."""

    __slots__ = ("_known", "_snapshot")
    _MOST: Final = 4096

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._known: dict[str, Lineup | None] = {}

    def find(self, snapshot: Snapshot, name: str) -> Lineup | None:
        """The combo called *name*, directly or through aliases, as a lineup; None if there is none."""
        if snapshot is not self._snapshot:
            self._snapshot, self._known = snapshot, {}
        if name in self._known:
            return self._known[name]
        combo = find_combo(snapshot, name)
        lineup = make_lineup(snapshot, combo) if combo is not None else None
        if len(self._known) < self._MOST and len(name) <= LONGEST_NAME:
            self._known[name] = lineup
        return lineup


def make_lineup(snapshot: Snapshot, combo: Combo) -> Lineup:
    """Expand *combo* and resolve every model.  Nested combos in a cycle or too deep contribute no members."""
    depth = config_of(snapshot, combo).depth
    room = [MOST_MEMBERS]
    groups = []
    for entry in combo.entries:
        members = tuple(_expand(snapshot, entry.model, (combo.name,), depth, room))
        if members:
            groups.append(Group(entry.weight, members))
    return Lineup(combo, tuple(groups))


def _expand(snapshot: Snapshot, name: str, path: tuple[str, ...], depth: int, room: list[int]) -> Iterator[Member]:
    if room[0] <= 0:
        return
    room[0] -= 1
    nested = find_combo(snapshot, name)
    if nested is None and name in snapshot.inactive_combos:
        yield Member(name, None, "inactive")
    elif nested is None:
        yield _member(snapshot, name)
    elif nested.name not in path and len(path) <= depth:
        for entry in nested.entries:
            yield from _expand(snapshot, entry.model, (*path, nested.name), depth, room)


def _member(snapshot: Snapshot, name: str) -> Member:
    try:
        return Member(name, resolve(snapshot, name))
    except OmniError as error:
        return Member(name, None, error.message)


# -- the strategies


def order(lineup: Lineup, standing: Standing) -> list[Pick]:
    """The members of *lineup* in the order in which this call tries them, each with the reason."""
    return _ORDERS.get(lineup.combo.strategy, _priority)(lineup, standing)


def _priority(lineup: Lineup, _: Standing) -> list[Pick]:
    members = lineup.members
    return [Pick(member, f"priority {place} of {len(members)}") for place, member in enumerate(members, 1)]


def _weighted(lineup: Lineup, standing: Standing) -> list[Pick]:
    groups = lineup.groups
    if not groups:
        return []
    weights = [group.weight for group in groups]
    total = sum(weights)
    if total > 0:
        drawn = standing.dice.choices(range(len(groups)), weights)[0]
        odds = f"weight {weights[drawn]:g} of {total:g}"
    else:
        drawn = standing.dice.randrange(len(groups))
        odds = f"1 of {len(groups)}, no weights"
    rest = sorted((n for n in range(len(groups)) if n != drawn), key=lambda n: -weights[n])
    first = [Pick(member, f"weighted draw ({odds})") for member in groups[drawn].members]
    return first + [Pick(member, f"weight {weights[n]:g}") for n in rest for member in groups[n].members]


def _round_robin(lineup: Lineup, standing: Standing) -> list[Pick]:
    members = lineup.members
    size = len(members)
    places = [(standing.turn + step) % size for step in range(size)]
    return [Pick(members[place], f"round-robin position {place + 1} of {size}") for place in places]


def _random(lineup: Lineup, standing: Standing) -> list[Pick]:
    members = lineup.members
    standing.dice.shuffle(members)  # Fisher-Yates
    return [Pick(member, "random order") for member in members]


def _least_used(lineup: Lineup, standing: Standing) -> list[Pick]:
    used = standing.used
    members = sorted(lineup.members, key=lambda member: used.get(member.name, 0))
    return [Pick(member, f"used {used.get(member.name, 0)} times") for member in members]


def _cost_optimized(lineup: Lineup, _: Standing) -> list[Pick]:
    members = sorted(lineup.members, key=_costs)
    return [Pick(member, _price_text(member)) for member in members]


def _costs(member: Member) -> tuple[float, float]:
    price = member.route.price if member.route is not None else None
    if price is None:
        return inf, inf
    return (inf if price.input is None else price.input), (inf if price.output is None else price.output)


def _price_text(member: Member) -> str:
    price, _ = _costs(member)
    return "unknown price" if price == inf else f"input price {price:g} $ per million tokens"


def _p2c(lineup: Lineup, standing: Standing) -> list[Pick]:
    members = lineup.members
    able = [place for place, member in enumerate(members) if member.route is not None]
    if len(able) < 2:
        return _priority(lineup, standing)
    pair = standing.dice.sample(able, 2)
    scores = [standing.health(route) for place in pair if (route := members[place].route) is not None]
    better = pair[0] if scores[0] >= scores[1] else pair[1]
    rest = [Pick(member, "list order") for place, member in enumerate(members) if place != better]
    return [Pick(members[better], f"the better of two (health {max(scores):g} and {min(scores):g})"), *rest]


_ORDERS: Final[dict[str, Callable[[Lineup, Standing], list[Pick]]]] = {
    "priority": _priority,
    "fill-first": _priority,
    "weighted": _weighted,
    "round-robin": _round_robin,
    "random": _random,
    "least-used": _least_used,
    "cost-optimized": _cost_optimized,
    "p2c": _p2c,
}
STRATEGIES: Final = tuple(_ORDERS)
