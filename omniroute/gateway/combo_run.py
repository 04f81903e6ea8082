"""Runs one call to a combo: tries its models one after the other until one answers.

``walk.try_accounts`` handles the accounts of a model, their cooldowns and the meaning of failures.  This module handles what
lies between models: the time that one may take to its first byte, retries, and the error for the client when none answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ..errors import OmniError, wire_words
from ..proto.transport import Origin, TransportError
from ..translate.events import Failure
from ..upstream.base_url import base_url_of
from ..upstream.endpoints import beside
from . import render
from .answer import nobody
from .blame import profile_of
from .combos import Config, config_of
from .job import Gateway, Job
from .plan import Plan, Target
from .resolve import Route
from .retry import span_text
from .snapshot import Combo, Connection
from .walk import BREAKER_OPEN, Attempt, try_accounts

AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_TURNS_AWAY: Final = frozenset({429, 502, 503, 504})
ALL_OPEN: Final = "All providers temporarily unavailable (circuit breakers open)"
NONE_FREE: Final = "All combo models unavailable"


class Late(Exception):
    """The model's time to its first byte has expired."""


@dataclass(slots=True)
class Tally:
    """The failures of the models tried so far."""

    first: Failure | None = None  # of the models that were called, not passed over
    last: Failure | None = None
    called: int = 0
    passed_over: int = 0
    open: int = 0  # passed over because the provider's breaker is open
    wait: float | None = None  # seconds until the first of them may be called again
    route: Route | None = None  # the last one that was called, for the usage record
    account: Connection | None = None

    def add(self, failure: Failure, job: Job, called: bool) -> None:
        if failure.retry_after is not None:
            self.wait = failure.retry_after if self.wait is None else min(self.wait, failure.retry_after)
        if not called:
            self.passed_over += 1
            self.open += failure.code == BREAKER_OPEN
            return
        self.called += 1
        self.first, self.last = self.first or failure, failure
        self.route, self.account = job.route, job.account

    def verdict(self) -> Failure:
        """The failure for the client: the status of the first, the message of the last, the shortest wait."""
        if self.first is None or self.last is None:
            message = ALL_OPEN if self.open and self.open == self.passed_over else NONE_FREE
            return Failure(503, message, code=wire_words(503).openai_code, retry_after=self.wait)
        if self.first is self.last:
            self.first.retry_after = self.wait
            return self.first
        message = render.told(self.last)
        return Failure(self.first.status, message, code=wire_words(self.first.status).openai_code, retry_after=self.wait)


async def place(gateway: Gateway, job: Job, plan: Plan, combo: Combo, attempt: Attempt) -> Failure | None:
    """Try the models of *plan* in order.  None: the client has been answered.  Else nothing has been sent to it."""
    job.combo = combo.name
    job.trail += f"; combo={quoted(combo.name)}"
    job.ahead = len(plan.routes)
    tally = Tally()
    answered = False
    failure: Failure | None = None
    try:
        for target in plan.targets:
            if target.route is None:
                skip(job, target.name, target.barred)
                continue
            job.ahead -= 1
            job.final, job.failure = False, None
            before = job.attempts
            failure = await _model(gateway, job, combo, target, target.route, attempt)
            if failure is None:
                answered = True
                return None
            if not gateway.live.snapshot.connections.get(target.route.provider.id):  # every other reason is noted already
                skip(job, target.name, "no account")
            tally.add(failure, job, job.attempts > before)
            if job.final:
                return failure
        job.route, job.account = tally.route or job.route, tally.account
        job.notes = nobody(job)
        return tally.verdict()
    finally:
        if answered or failure is not None:
            _count(gateway, job, combo, answered, tally.called)


async def _model(gateway: Gateway, job: Job, combo: Combo, target: Target, route: Route, attempt: Attempt) -> Failure | None:
    """Try one model; in a round-robin combo, within its limit of concurrent calls."""
    config = config_of(gateway.live.snapshot, combo, route.provider.id)
    if config.health_check and not await reachable(gateway, route, config.health_check_timeout):
        skip(job, target.name, "unreachable")
        return Failure(503, f"{target.name} cannot be reached")
    if combo.strategy != "round-robin" or resting(gateway, route):
        return await _timed(gateway, job, combo, target, route, config, attempt)
    with gateway.live.combos.gate(target.name) as gate:
        if not await gate.enter(gateway.clock, config.concurrency, config.queue_timeout):
            skip(job, target.name, "busy")
            return Failure(503, f"{target.name} is busy")
        try:
            failure = await _timed(gateway, job, combo, target, route, config, attempt)
            if failure is not None and failure.status in _TURNS_AWAY and resting(gateway, route):
                gate.turn_away()
            return failure
        finally:
            gate.leave()


@dataclass(slots=True)
class Turn:
    """One model's turn: an :data:`Attempt` that records whether the model was called and with what result."""

    attempt: Attempt
    on_called: Callable[[], None]  # called when the model is called for the first time
    called: bool = False
    late: bool = False  # the time has expired
    hung: bool = False  # an attempt had sent the request by then; else the call waited for a slot or for the next try
    unsent: bool = False  # an attempt was still translating the request by then
    said: list[Failure] = field(default_factory=list)  # of earlier tries, except the last permitted one

    async def __call__(self, gateway: Gateway, job: Job, route: Route, account: Connection) -> Failure | None:
        if not self.called:
            self.on_called()
        self.called, attempts = True, job.attempts
        try:
            return await self.attempt(gateway, job, route, account)
        except asyncio.CancelledError:
            self.unsent = self.late and job.attempts < attempts  # it does not count what it has not sent
            self.hung = self.late and not self.unsent
            if self.hung:  # counted here, before the call ends, so that a breaker's probe that hangs counts as failed
                gateway.live.breakers.fail(route.provider.id, profile_of(gateway, route))
            raise


async def _timed(
    gateway: Gateway, job: Job, combo: Combo, target: Target, route: Route, config: Config, attempt: Attempt
) -> Failure | None:
    """Try one model within its time to the first byte."""
    combos, clock = gateway.live.combos, gateway.clock
    began = clock.monotonic()
    failure: Failure | None

    def on_called() -> None:
        if config.metrics:
            combos.began(combo.name, target.name, clock.time())

    def on_late() -> None:
        turn.late = True

    turn = Turn(attempt, on_called)
    try:
        failure = await within(gateway, job, config.timeout, _tries(gateway, job, route, config, turn), on_late)
    except Late:
        failure = _too_late(job, target, turn, config.timeout)
        job.final = job.exchange.started
    if config.metrics and turn.called:
        latency = (job.first_byte if failure is None and job.first_byte else clock.monotonic()) - began
        combos.ended(combo.name, target.name, ok=failure is None, latency_ms=latency * 1000)
    return failure


def _too_late(job: Job, target: Target, turn: Turn, seconds: float) -> Failure:
    """The failure of a model whose time has expired: that of its last try if there was one, else 504."""
    if turn.hung:
        job.trail += f"; failed={job.label} (nothing in {span_text(seconds)})"
    elif turn.unsent:
        skip(job, target.name, f"not translated in {span_text(seconds)}")
    elif not turn.said:
        skip(job, target.name, f"no free account in {span_text(seconds)}")
    return turn.said[-1] if turn.said else Failure(504, f"{target.name} sent nothing for {seconds:g} seconds")


async def _tries(gateway: Gateway, job: Job, route: Route, config: Config, turn: Turn) -> Failure | None:
    """Try the model, and again up to ``config.retries`` times while a retry may help."""
    left = config.retries
    while True:
        before = job.attempts
        failure = await try_accounts(gateway, job, route, turn)
        if failure is None or job.final or not left:
            return failure
        turn.said.append(failure)
        if job.attempts == before or failure.status not in AGAIN or resting(gateway, route):
            return failure
        left -= 1
        await gateway.clock.sleep(config.retry_delay)


async def within(
    gateway: Gateway, job: Job, seconds: float, work: Awaitable[Failure | None], on_late: Callable[[], None]
) -> Failure | None:
    """Await *work*.  If nothing was sent to the client within *seconds*, call *on_late*, cancel and raise :class:`Late`.

    A cancellation from elsewhere (the client has left) is passed on.
    """
    task = asyncio.current_task()
    assert task is not None
    late = False

    def expire() -> None:
        nonlocal late
        if not (job.exchange.started or job.exchange.gone):
            late = True
            on_late()
            task.cancel()

    timer = gateway.clock.call_later(seconds, expire)
    try:
        failure = await work
    except asyncio.CancelledError:
        if late and task.uncancel() == 0 and not job.exchange.gone:
            raise Late from None
        raise
    finally:
        timer.cancel()
    if late:  # work ended before the cancellation arrived
        task.uncancel()
    return failure


def resting(gateway: Gateway, route: Route) -> bool:
    """Whether no account of the provider may be used for the model now."""
    live = gateway.live
    if live.health.closed_until(route.provider.id, route.kept_as) is not None:
        return True
    accounts = live.snapshot.connections.get(route.provider.id, ())
    return all(live.health.blocked_until(account.id, route.kept_as) is not None for account in accounts)


async def reachable(gateway: Gateway, route: Route, seconds: float) -> bool:
    """Whether the provider accepts connections.  Tested only if it has failed since its last success; else True.

    Also True if its accounts have different servers: one that cannot be reached says nothing about the others.
    """
    live = gateway.live
    if live.breakers.calm or not live.breakers.view(route.provider.id).failures or resting(gateway, route):
        return True
    if live.breakers.wait(route.provider.id) > 0:
        return True  # the open breaker is the better reason for passing it over
    try:
        places = {_place(route, account) for account in live.snapshot.connections[route.provider.id]}
        if len(places) == 1 and (place := places.pop()) is not None:
            await gateway.client.reach(place, seconds)
    except TransportError:
        return False
    except OmniError:
        return True  # the account is misconfigured; the call itself reports how
    return True


def _place(route: Route, account: Connection) -> Origin | None:
    base = base_url_of(route.provider, account.base_url, account.data)
    return render.origin_of(beside(base, "/"), account) if base else None


def skip(job: Job, name: str, reason: str) -> None:
    """Note for ``X-OmniRoute-Route`` that a target is passed over."""
    job.trail += f"; skipped={quoted(name)} ({render.printable(reason)})"


def quoted(name: str) -> str:
    """The name of a model or combo, made safe for a header field."""
    return "/".join(map(render.printable, name.split("/")))


def _count(gateway: Gateway, job: Job, combo: Combo, ok: bool, fallbacks: int) -> None:
    if not config_of(gateway.live.snapshot, combo).metrics:
        return
    now = gateway.clock.monotonic()
    latency = (job.first_byte if ok and job.first_byte else now) - job.began
    gateway.live.combos.finished(
        combo.name,
        combo.strategy,
        gateway.clock.time(),
        ok=ok,
        fallbacks=fallbacks if ok else max(0, fallbacks - 1),
        latency_ms=latency * 1000,
    )
