"""One call to a combo: its models one after the other until one answers (routing semantics section 4.2).

The accounts of each model, their cooldowns and what a failure means are ``walk.ask``'s; here is what lies between models:
how long one may take to its first byte, whether it is asked again, and what the client is told when none could answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from ..errors import OmniError, wire_words
from ..proto.h1_client import TransportError
from ..translate.events import Failure
from ..upstream.credentials import base_url_of, beside
from . import render
from .answer import nobody
from .blame import profile_of
from .combos import Config, config_of
from .job import Gateway, Job
from .plan import Plan, Target
from .resolve import Route
from .retry import span_text
from .snapshot import Combo, Connection
from .walk import BREAKER_OPEN, Attempt, ask

AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_TURNS_AWAY: Final = frozenset({429, 502, 503, 504})
ALL_OPEN: Final = "All providers temporarily unavailable (circuit breakers open)"
NONE_FREE: Final = "All combo models unavailable"


class Late(Exception):
    """The model's time to its first byte is over."""


@dataclass(slots=True)
class Tally:
    """What the models asked so far have said."""

    first: Failure | None = None  # of those that were really asked
    last: Failure | None = None
    asked: int = 0
    passed_over: int = 0
    open: int = 0  # passed over because the provider's breaker is open
    wait: float | None = None  # seconds until the earliest may be asked again
    route: Route | None = None  # the last that was asked, for the books
    account: Connection | None = None

    def add(self, failure: Failure, job: Job, asked: bool) -> None:
        if failure.retry_after is not None:
            self.wait = failure.retry_after if self.wait is None else min(self.wait, failure.retry_after)
        if not asked:
            self.passed_over += 1
            self.open += failure.code == BREAKER_OPEN
            return
        self.asked += 1
        self.first, self.last = self.first or failure, failure
        self.route, self.account = job.route, job.account

    def verdict(self) -> Failure:
        """What the client is told: the first status, the last words, the earliest time to come back."""
        if self.first is None or self.last is None:
            message = ALL_OPEN if self.open and self.open == self.passed_over else NONE_FREE
            return Failure(503, message, code=wire_words(503).openai_code, retry_after=self.wait)
        if self.first is self.last:
            self.first.retry_after = self.wait
            return self.first
        last = self.last
        message = f"[{last.status}]: {last.message}" if last.wire else last.message
        return Failure(self.first.status, message, code=wire_words(self.first.status).openai_code, retry_after=self.wait)


async def place(gateway: Gateway, job: Job, plan: Plan, combo: Combo, attempt: Attempt) -> Failure | None:
    """None: the client has been answered.  Else why not, with nothing sent."""
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
            tally.add(failure, job, job.attempts > before)
            if job.final:
                return failure
        job.route, job.account = tally.route or job.route, tally.account
        job.notes = nobody(job)
        return tally.verdict()
    finally:
        if answered or failure is not None:
            _count(gateway, job, combo, answered, tally.asked)


async def _model(gateway: Gateway, job: Job, combo: Combo, target: Target, route: Route, attempt: Attempt) -> Failure | None:
    """One model, in the number of calls that a round-robin combo lets it have at a time."""
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


async def _timed(
    gateway: Gateway, job: Job, combo: Combo, target: Target, route: Route, config: Config, attempt: Attempt
) -> Failure | None:
    """One model, asked for as long as it may take to its first byte."""
    combos = gateway.live.combos
    began, asked = gateway.clock.monotonic(), False
    said: list[Failure] = []
    failure: Failure | None

    def noted(gateway: Gateway, job: Job, route: Route, account: Connection) -> Awaitable[Failure | None]:
        nonlocal asked
        if config.metrics and not asked:
            combos.began(combo.name, target.name, gateway.clock.time())
        asked = True
        return attempt(gateway, job, route, account)

    try:
        failure = await within(gateway, job, config.timeout, _tries(gateway, job, route, config, noted, said))
    except Late:
        if not said:  # else it was the wait for another try that was cut short
            job.trail += f"; failed={job.label} (nothing in {span_text(config.timeout)})"
            gateway.live.breakers.fail(route.provider.id, profile_of(gateway, route))
        failure = said[-1] if said else Failure(504, f"{target.name} sent nothing for {config.timeout:g} seconds")
        job.final = job.exchange.started
    if config.metrics and asked:
        latency = (job.first_byte if failure is None and job.first_byte else gateway.clock.monotonic()) - began
        combos.ended(combo.name, target.name, ok=failure is None, latency_ms=latency * 1000)
    return failure


async def _tries(
    gateway: Gateway, job: Job, route: Route, config: Config, attempt: Attempt, said: list[Failure]
) -> Failure | None:
    """The model, and the same once more while that may help."""
    for left in range(config.retries, -1, -1):
        before = job.attempts
        failure = await ask(gateway, job, route, attempt)
        if failure is None or job.final or not left:
            return failure
        said.append(failure)
        if job.attempts == before or failure.status not in AGAIN or resting(gateway, route):
            return failure
        await gateway.clock.sleep(config.retry_delay)
    raise AssertionError("unreachable")


async def within(gateway: Gateway, job: Job, seconds: float, work: Awaitable[Failure | None]) -> Failure | None:
    """*work*, unless nothing was sent to the client within *seconds*: then it is cancelled and :class:`Late` raised.

    A cancellation from elsewhere (the client has left) stays one.
    """
    task = asyncio.current_task()
    assert task is not None
    late = False

    def expire() -> None:
        nonlocal late
        if not (job.exchange.started or job.exchange.gone):
            late = True
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
    if late:  # the cancellation was overtaken by the answer
        task.uncancel()
    return failure


def resting(gateway: Gateway, route: Route) -> bool:
    """No account of the provider may be asked for the model now."""
    live = gateway.live
    if live.health.closed_until(route.provider.id, route.model) is not None:
        return True
    accounts = live.snapshot.connections.get(route.provider.id, ())
    return all(live.health.blocked_until(account.id, route.model) is not None for account in accounts)


async def reachable(gateway: Gateway, route: Route, seconds: float) -> bool:
    """Whether a provider that has failed since its last success takes connections; of others it is not asked."""
    live = gateway.live
    if live.breakers.calm or not live.breakers.view(route.provider.id).failures or resting(gateway, route):
        return True
    if live.breakers.wait(route.provider.id) > 0:
        return True  # that it is not asked has a better reason
    account = live.snapshot.connections[route.provider.id][0]
    try:
        base = base_url_of(route.provider, account.base_url, account.data)
        if base:
            await gateway.client.reach(render.origin_of(beside(base, "/"), account), seconds)
    except TransportError:
        return False
    except OmniError:
        return True  # the account is not fit for use: the call itself will say how
    return True


def skip(job: Job, name: str, reason: str) -> None:
    """Note for ``X-OmniRoute-Route`` that a target was passed over."""
    job.trail += f"; skipped={quoted(name)} ({render.printable(reason)})"


def quoted(name: str) -> str:
    """The name of a model or combo, fit for a header field."""
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
