"""Trying the accounts of one provider in turn: :func:`try_accounts`.

An ``attempt`` is one call to one account, for chat or any other operation.  This module does everything around it: choosing
the account, waiting for rate limits, judging failures, and reporting to client and log.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from ..proto.transport import TransportError
from ..translate.events import Failure
from ..translate.format import BadAnswer
from . import accounts, proxied, render, retry
from .blame import blame, breaks, profile_of, transport_failure, without_secret
from .health import CLOSED_SECONDS
from .job import Gateway, Job
from .limiter import Lane, rules_of
from .resolve import Route
from .retry import Retry
from .snapshot import Connection

Attempt = Callable[[Gateway, Any, Route, Connection], Awaitable[Failure | None]]
"""One call to one account.  None: the client has been answered; a Failure: nothing has been sent to it."""

BREAKER_OPEN: Final = "breaker_open"  # code of the Failure, for combos; clients get that of its status
_REFUSED: Final = frozenset({401, 403})
_IS_ERROR: Final = re.compile(r"[45][0-9][0-9]")  # an account's error code can be set through the API
_NO_CAPACITY: Final = frozenset({429, 503})


def try_accounts(gateway: Gateway, job: Job, route: Route, attempt: Attempt) -> Awaitable[Failure | None]:
    """Try the provider's accounts until one answers.

    None: the client has been answered.  Otherwise returns the last failure, and nothing has been sent; ``job.final`` is then
    set if the request itself is at fault, so that other providers need not be tried.
    """
    job.route = route
    if gateway.live.breakers.calm:
        return _walk(gateway, job, route, attempt)
    return _past_breaker(gateway, job, route, attempt)


async def _past_breaker(gateway: Gateway, job: Job, route: Route, attempt: Attempt) -> Failure | None:
    breakers, provider = gateway.live.breakers, route.provider
    wait = breakers.enter(provider.id, profile_of(gateway, route), job)
    if wait is not None:
        name = provider.prefix or provider.id
        job.trail += f"; skipped={name} (breaker open {retry.span_text(wait)})"
        wait = max(1.0, wait)
        text = f"Provider {name} circuit breaker is open (reset after {retry.span_text(wait)})"
        return Failure(503, text, code=BREAKER_OPEN, retry_after=wait)
    heard, before = False, job.attempts
    try:
        failure = await _walk(gateway, job, route, attempt)
        heard = job.attempts > before
        return failure
    finally:
        breakers.leave(provider.id, job, heard=heard)


async def _walk(gateway: Gateway, job: Job, route: Route, attempt: Attempt) -> Failure | None:
    live = gateway.live
    choice = accounts.choose(live.snapshot, live, route, job.prefer)
    if choice.blocked:
        job.trail += accounts.skipped_text(choice.blocked, gateway.clock.time())
    if not choice.free:
        return _nothing_free(gateway, route, choice)
    if live.health.shut and (failure := _model_closed(gateway, job, route)) is not None:
        return failure
    total = job.attempts + len(choice.free) + job.ahead
    left = list(choice.free)
    failures: list[Failure] = []
    held: Failure | None = None
    while left:
        lane: Lane | None = None
        if live.limiter.lanes or left[0].rate_limit_protection:
            account, lane = await _queue(gateway, job, route, left)
            if lane is None:
                held = _limited(gateway, account)
                continue
        else:
            account = left.pop(0)
        if (failures or lane is not None) and live.health.blocked_until(account.id, route.kept_as) is not None:
            if lane is not None:  # its cooldown began while this call waited
                live.limiter.leave(lane)
            continue
        failure = await _once(gateway, job, route, account, attempt, total, lane)
        if failure is None or job.final:
            return failure
        job.trail += f"; failed={job.label} ({failure.status})"
        failures.append(failure)
    if failures:
        for _ in filter(breaks, failures):
            live.breakers.fail(route.provider.id, profile_of(gateway, route))
        _close_model(gateway, route, failures)
        return failures[-1]
    again = accounts.choose(live.snapshot, live, route)
    return held if held is not None and again.free else _nothing_free(gateway, route, again)


async def _queue(gateway: Gateway, job: Job, route: Route, left: list[Connection]) -> tuple[Connection, Lane | None]:
    """Remove the account that is free soonest from *left* and wait for a slot at it; None if that would take too long."""
    live = gateway.live
    at = live.limiter.pick(left)
    if at:
        job.trail += _held_text(gateway, left[:at])
    account = left.pop(at)
    rules = rules_of(account, live.snapshot.settings.rate_defaults, render.provider_profile(route.provider))
    lane = await live.limiter.enter(account, rules, gateway.limits.rate_limit_wait)
    if lane is None:
        job.trail += _held_text(gateway, (account,))
    return account, lane


def _held_text(gateway: Gateway, held: Iterable[Connection]) -> str:
    wait = gateway.live.limiter.wait
    names = (f"{render.printable(account.name)} (rate limit {retry.span_text(wait(account.id))})" for account in held)
    return f"; skipped={', '.join(names)}"


async def _once(
    gateway: Gateway, job: Job, route: Route, account: Connection, attempt: Attempt, total: int, lane: Lane | None
) -> Failure | None:
    live = gateway.live
    job.account = account
    job.attempts += 1
    job.label = render.label(route.provider, account)
    job.notes = f"{job.label}; attempt={job.attempts}/{total}{job.trail}"
    target = (route.provider.id, route.model, account.id)
    network = False
    if live.snapshot.settings.fallback_strategy in accounts.COUNTED:
        live.uses.note(route.provider.id, account.id)
    live.begin(target)
    began = gateway.clock.monotonic() if account.proxy is not None else 0.0
    try:
        if live.tokens.due(account):
            job.account = account = await live.tokens.ensure(account)
        failure = await attempt(gateway, job, route, account)
        refused = failure is not None and failure.status in _REFUSED and account.refreshable
        if refused and (renewed := await live.tokens.renew(account)) is not None:
            job.account = account = renewed
            failure = await attempt(gateway, job, route, account)
    except TransportError as error:
        failure, network = transport_failure(error), True
    except BadAnswer as error:
        failure = Failure(502, f"Invalid JSON response from provider: it could not be read: {error}")
    finally:
        live.finish(target)
        if lane is not None:
            live.limiter.leave(lane)
    if account.proxy is not None:
        proxied.note(gateway, job, route, account, began, failure)
    if failure is not None:
        failure = without_secret(failure, account.secret)
        id = job.exchange.request.id
        job.final = blame(gateway, route, account, failure, network=network, count=False, request_id=id) is Retry.NONE
        return failure
    if job.failure is None:
        live.health.succeed(account.id, route.provider.id, route.kept_as)
        if not live.breakers.calm:
            live.breakers.succeed(route.provider.id)
    return None


def _nothing_free(gateway: Gateway, route: Route, choice: accounts.Choice) -> Failure:
    """The failure when no account is available: there is none, or all are in cooldown."""
    if not choice.blocked:
        name = route.provider.prefix or route.provider.id
        why = gateway.live.snapshot.without_account(route.provider.id)
        return Failure(400, f"No credentials for provider: {name}{why}", code="bad_request", param="model")
    health, now = gateway.live.health, gateway.clock.time()
    first = min(choice.blocked, key=lambda blocked: blocked.until)
    until = max(first.until, health.closed_until(route.provider.id, route.kept_as) or 0.0)
    wait = max(1.0, until - now)
    status, reason = _last_words(gateway, first, route.kept_as)
    label = f"{route.provider.prefix or route.provider.alias}/{route.model}"
    return Failure(status, f"[{label}] {reason} (reset after {retry.span_text(wait)})", retry_after=wait)


def _last_words(gateway: Gateway, blocked: accounts.Blocked, model: str) -> tuple[int, str]:
    """The status and message of the failure that blocked the account."""
    health = gateway.live.health
    if blocked.kind == "model locked" and (lock := health.lock(blocked.account.id, model)) is not None:
        status, reason = lock.status, lock.message
    else:
        state = health.view(blocked.account.id)
        code = state.error_code or ""
        status = int(code) if _IS_ERROR.fullmatch(code) else 0
        reason = state.last_error or ""
    return status or 503, reason or "temporarily unavailable (cooldown)"


def _limited(gateway: Gateway, account: Connection) -> Failure:
    """The failure when rate limiting would delay a call for too long.  It does not count against the account."""
    wait = max(1.0, gateway.live.limiter.wait(account.id))
    message = f"Rate limit of account '{account.name}' reached (reset after {retry.span_text(wait)})"
    return Failure(429, message, code="rate_limit_exceeded", retry_after=wait)


def _model_closed(gateway: Gateway, job: Job, route: Route) -> Failure | None:
    """The failure when the model is in cooldown at all of the provider's accounts, else None."""
    until = gateway.live.health.closed_until(route.provider.id, route.kept_as)
    if until is None:
        return None
    wait = max(1.0, until - gateway.clock.time())
    label = f"{route.provider.prefix or route.provider.alias}/{route.model}"
    job.trail += f"; skipped={render.printable(label)} (unavailable {retry.span_text(wait)})"
    return Failure(503, f"Model {label} is temporarily unavailable (cooldown)", retry_after=wait)


def _close_model(gateway: Gateway, route: Route, failures: list[Failure]) -> None:
    """Start a cooldown of the model when every account of the provider has failed for lack of capacity.

    A shorter wait that one of them asked for takes precedence over the default.
    """
    live = gateway.live
    if len(failures) < len(live.snapshot.connections.get(route.provider.id, ())):
        return
    if all(failure.status in _NO_CAPACITY for failure in failures):
        wait = min(CLOSED_SECONDS if failure.retry_after is None else failure.retry_after for failure in failures)
        live.health.close_model(route.provider.id, route.kept_as, gateway.clock.time() + min(wait, CLOSED_SECONDS))
