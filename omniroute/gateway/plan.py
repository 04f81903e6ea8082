"""The targets of a call and the order in which they are tried.

Pure except for random numbers and the round-robin counter: snapshot and live state in, a :class:`Plan` out.  Nothing is sent
yet, so a plan can also be explained without being executed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import OmniError
from . import auth
from .budgets import Purse
from .combos import Lineup, Standing, order
from .job import Job
from .live import Live
from .policies import Policy, check_name, refusal, rule
from .resolve import Route
from .snapshot import Combo, GatewayKey, Snapshot

CHAIN = "fallback chain"


class Routes(Protocol):
    """As ``RouteCache``: finds the route of a name."""

    def resolve(self, snapshot: Snapshot, name: str, only: str) -> Route:
        """The route of *name*.  Raises ``OmniError``."""
        ...


class Combos(Protocol):
    """As ``Lineups``: finds the combo of a name."""

    def find(self, snapshot: Snapshot, name: str) -> Lineup | None:
        """The lineup of *name*; None if it is not a combo."""
        ...


class Planner(Protocol):
    """What a plan is made with: the ``Gateway``, or for other operations than chat its live state and names of their own."""

    @property
    def live(self) -> Live: ...

    @property
    def routes(self) -> Routes: ...

    @property
    def lineups(self) -> Combos: ...


class Target(NamedTuple):
    """One model of a plan, with the reason for its place.  Without a route it cannot be used; ``barred`` says why."""

    name: str
    why: str
    route: Route | None
    barred: str = ""


class Plan(NamedTuple):
    """The routes to try, in order.

    ``targets`` gives the reasons, and includes targets that cannot be used; it is empty for a plain call to one provider.
    ``combo`` is the requested one; ``max_tokens`` and ``purses`` are limits from policies.
    """

    routes: tuple[Route, ...]
    targets: tuple[Target, ...] = ()
    combo: Combo | None = None
    max_tokens: int | None = None
    purses: tuple[Purse, ...] = ()

    @property
    def candidates(self) -> tuple[Target, ...]:
        """The targets; those of a plain call are made from its routes."""
        return self.targets or tuple(Target(_name(route), route.via, route) for route in self.routes)


def make_plan(planner: Planner, snapshot: Snapshot, job: Job, only: str = "", *, dry: bool = False) -> Plan:
    """The plan for ``job.requested``; *only* restricts it to one provider.  ``dry``: it is only explained, not executed.

    Raises ``OmniError`` when the name cannot be resolved, or the caller's key or a policy forbids it.
    """
    if not snapshot.policies:
        return _plan(planner, snapshot, job, only, dry)
    if not dry:
        check_name(snapshot.policies, _key_id(job.key), job.requested)
    return _ruled(snapshot, job, _plan(planner, snapshot, job, only, dry), dry)


def _ruled(snapshot: Snapshot, job: Job, plan: Plan, dry: bool) -> Plan:
    """The plan with policies applied: forbidden targets lose their route, preferred ones come first."""
    targets = plan.candidates
    ruling = rule(snapshot.policies, _key_id(job.key), job.requested, [target.route for target in targets])
    ruled = tuple(_under(targets[place], ruling.barred[place]) for place in ruling.order)
    routes = tuple(target.route for target in ruled if target.route is not None)
    by = next((by for by in ruling.barred if by is not None), None)
    if by is not None and not routes and not dry:
        raise refusal(by, job.requested)
    job.route = routes[0] if routes else job.route
    if ruling.wants_price and any(route.price is None for route in routes):
        job.trail += "; price=unknown"
    told = ruled if plan.targets or by is not None else ()
    return plan._replace(routes=routes, targets=told, max_tokens=ruling.max_tokens, purses=ruling.purses)


def _under(target: Target, policy: Policy | None) -> Target:
    return target if policy is None else target._replace(route=None, barred=f"policy {policy.name}")


def _key_id(key: GatewayKey | None) -> str:
    return key.id if key is not None else ""


def _plan(planner: Planner, snapshot: Snapshot, job: Job, only: str, dry: bool) -> Plan:
    if snapshot.combos and not only:
        lineup = planner.lineups.find(snapshot, job.requested)
        if lineup is not None:
            return _combo_plan(planner.live, snapshot, job, lineup, dry)
    job.route = route = _resolve(planner, snapshot, job.key, job.requested, only)
    if snapshot.chains and not only:
        targets = _chain(planner, snapshot, job.requested, route)
        if len(targets) > 1:
            return Plan(tuple(target.route for target in targets if target.route is not None), targets)
    return Plan((route,))


def _resolve(planner: Planner, snapshot: Snapshot, key: GatewayKey | None, name: str, only: str = "") -> Route:
    """The route of *name*.  Raises ``OmniError``; "forbidden" comes first, so a restricted key learns no more than that."""
    try:
        route = planner.routes.resolve(snapshot, name, only)
    except OmniError:
        auth.check_name(key, name, name)
        raise
    auth.check_model(key, name, route.provider, route.model)
    return route


def first_route(planner: Planner, snapshot: Snapshot, key: GatewayKey | None, name: str) -> Route:
    """The route of *name*; for a combo, that of the first usable model in its list.  Raises ``OmniError``."""
    lineup = planner.lineups.find(snapshot, name) if snapshot.combos else None
    if lineup is None:
        route = _resolve(planner, snapshot, key, name)
        return _first(snapshot, key, name, (route,)) or route
    auth.check_name(key, lineup.combo.name, name)
    routes = tuple(member.route for member in lineup.members if member.route is not None)
    if (first := _first(snapshot, key, name, routes)) is not None:
        return first
    raise OmniError("invalid_request", f"Combo '{lineup.combo.name}' has no model that can be used", param="model")


def _first(snapshot: Snapshot, key: GatewayKey | None, name: str, routes: tuple[Route, ...]) -> Route | None:
    """The first route that policies allow.  Raises ``OmniError("forbidden")`` when they allow none."""
    if not snapshot.policies or not routes:
        return routes[0] if routes else None
    barred = rule(snapshot.policies, _key_id(key), name, routes).barred
    for route, by in zip(routes, barred, strict=True):
        if by is None:
            return route
    assert barred[0] is not None
    raise refusal(barred[0], name)


def _combo_plan(live: Live, snapshot: Snapshot, job: Job, lineup: Lineup, dry: bool) -> Plan:
    combo = lineup.combo
    auth.check_name(job.key, combo.name, job.requested)
    standing = Standing(
        live.dice,
        live.combos.turn(combo.name, peek=dry) if combo.strategy == "round-robin" else 0,
        live.combos.used(combo.name) if combo.strategy == "least-used" else {},
        lambda route: health_of(snapshot, live, route),
    )
    picks = order(lineup, standing)
    targets = tuple(Target(pick.member.name, pick.why, pick.member.route, pick.member.barred) for pick in picks)
    routes = tuple(target.route for target in targets if target.route is not None)
    job.combo = combo.name
    job.route = routes[0] if routes else None
    return Plan(routes, targets, combo)


def _chain(planner: Planner, snapshot: Snapshot, requested: str, route: Route) -> tuple[Target, ...]:
    """The route itself, then its model's fallback chain: the same model at other providers.  () without a chain."""
    model = next((name for name in (requested, route.model, _name(route)) if name in snapshot.chains), None)
    if model is None:
        return ()
    targets = [Target(_name(route), route.via, route)]
    tried = {route.provider.id}
    for provider_id in snapshot.chains[model]:
        if provider_id in tried:
            continue
        tried.add(provider_id)
        name = f"{provider_id}/{route.model}"
        try:
            targets.append(Target(name, CHAIN, planner.routes.resolve(snapshot, name, "")))
        except OmniError as error:
            targets.append(Target(name, CHAIN, None, error.message))
    return tuple(targets)


def _name(route: Route) -> str:
    return f"{route.provider.prefix or route.provider.alias or route.provider.id}/{route.model}"


def health_of(snapshot: Snapshot, live: Live, route: Route) -> float:
    """The health score of the provider's best account, at most 100; 0 without accounts."""
    scores = [0.0]
    for account in snapshot.connections.get(route.provider.id, ()):
        state = live.health.view(account.id)
        cooling = live.health.blocked_until(account.id, route.kept_as) is not None
        scores.append(100.0 - 10 * state.backoff_level - 20 * (state.last_error is not None) - 30 * cooling)
    return max(scores)
