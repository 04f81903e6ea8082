"""Explains the route of a call without making it: what would be tried, in which order, and what would be passed over.

It uses the same plan and the same selection of accounts as a real call, so it cannot differ from one.
"""

from __future__ import annotations

from msgspec import Struct

from ..media.operations import OPERATIONS
from ..proto.exchange import Exchange, Request
from ..upstream.providers import Price
from . import accounts, media_plan
from .job import Gateway, Job
from .plan import Target, make_plan
from .resolve import Route
from .snapshot import GatewayKey

CHAT = "chat"
NO_ACCOUNT = "no active account"


class AccountStep(Struct, rename="camel"):
    """One account.  ``position`` is its place among those to try, else None; ``until`` (Unix seconds) ends ``reason``."""

    connection_id: str
    name: str
    position: int | None
    reason: str | None = None
    until: float | None = None


class Step(Struct, rename="camel", kw_only=True):
    """One target.  ``why`` explains its place, ``reason`` why it would be passed over now until ``until`` (Unix seconds)."""

    position: int
    model: str
    why: str
    provider: str | None = None
    upstream_model: str | None = None
    wire: str | None = None
    available: bool
    reason: str | None = None
    until: float | None = None
    price: Price | None = None
    accounts: list[AccountStep] = []


class Explanation(Struct, rename="camel", kw_only=True):
    """The whole route.  ``first`` is the account that would be tried first, as ``provider/account``."""

    model: str
    operation: str
    combo: str | None
    strategy: str | None
    account_strategy: str
    first: str | None
    candidates: list[Step]


def explain(
    gateway: Gateway, name: str, *, operation: str = CHAT, only: str = "", key: GatewayKey | None = None
) -> Explanation:
    """What a call for the model *name* would do now.  Raises ``OmniError`` where the call would raise it."""
    job = Job(Exchange(Request("POST", "/explain")), "openai-chat", gateway.clock.monotonic(), operation)
    job.requested, job.key = name, key
    snapshot = gateway.live.snapshot
    if operation == CHAT:
        plan = make_plan(gateway, snapshot, job, only, dry=True)
    else:
        plan = media_plan.plan(gateway, OPERATIONS[operation], job, only, dry=True)
    steps = [_step(gateway, target, place) for place, target in enumerate(plan.candidates, 1)]
    return Explanation(
        model=name,
        operation=operation,
        combo=plan.combo.name if plan.combo is not None else None,
        strategy=plan.combo.strategy if plan.combo is not None else None,
        account_strategy=snapshot.settings.fallback_strategy,
        first=next((f"{s.provider}/{a.name}" for s in steps if s.available for a in s.accounts if a.position == 1), None),
        candidates=steps,
    )


def _step(gateway: Gateway, target: Target, position: int) -> Step:
    route = target.route
    if route is None:
        return Step(position=position, model=target.name, why=target.why, available=False, reason=target.barred or None)
    known = _accounts(gateway, route)
    reason, until = _obstacle(gateway, route, known)
    return Step(
        position=position,
        model=target.name,
        why=target.why,
        provider=route.provider.prefix or route.provider.id,
        upstream_model=route.model,
        wire=route.wire,
        available=reason is None,
        reason=reason,
        until=until,
        price=route.price,
        accounts=known,
    )


def _accounts(gateway: Gateway, route: Route) -> list[AccountStep]:
    """The accounts that would be tried, in order, then the others."""
    live = gateway.live
    choice = accounts.choose(live.snapshot, live, route)
    now = gateway.clock.time()
    steps = []
    for place, account in enumerate(choice.free, 1):
        wait = live.limiter.wait(account.id)
        held = f"rate limit: a call would wait {wait:.0f} s" if wait > 0 else None
        steps.append(AccountStep(account.id, account.name, place, held, now + wait if wait > 0 else None))
    passed_over = [(b.account, f"{b.kind}: {b.reason}", b.until) for b in choice.blocked]
    return steps + [AccountStep(account.id, account.name, None, why, until) for account, why, until in passed_over]


def _obstacle(gateway: Gateway, route: Route, known: list[AccountStep]) -> tuple[str | None, float | None]:
    """Why no account of the provider would be tried, and until when; (None, None) if one would."""
    live, now = gateway.live, gateway.clock.time()
    if wait := live.breakers.wait(route.provider.id):
        return "circuit breaker open", now + wait
    if not known:
        return NO_ACCOUNT + live.snapshot.without_account(route.provider.id), None
    if (until := live.health.closed_until(route.provider.id, route.kept_as)) is not None:
        return "model unavailable: every account failed", until
    if all(account.position is None for account in known):
        return "every account is cooling", min(account.until for account in known if account.until is not None)
    return None, None
