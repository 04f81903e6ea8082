"""The accounts of one provider, one after the other: :func:`ask`.

Whatever a call is about (chat, embeddings, …), its ``attempt`` is one call to one account; here is everything around that:
which account, what its failure means, and what the client and the log are told of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import Retry
from ..proto.h1_client import TransportError
from ..translate.events import Failure
from ..translate.format import BadAnswer
from . import accounts, render, retry
from .blame import blame, transport_failure, without_secret
from .job import Gateway, Job
from .resolve import Route
from .snapshot import Connection, Snapshot

Attempt = Callable[[Gateway, Any, Route, Connection], Awaitable[Failure | None]]
"""One call to one account.  None: the client has been answered; a Failure: nothing has been sent."""


async def ask(gateway: Gateway, job: Job, route: Route, attempt: Attempt) -> Failure | None:
    """Try the provider's accounts until one answers.

    None: the client has been answered.  Else the last failure, with nothing sent; ``job.final`` then says that the request
    itself is to blame, so that no other provider would do better.
    """
    live = gateway.live
    snapshot = live.snapshot
    job.route = route
    choice = accounts.choose(snapshot, live, route)
    if choice.blocked:
        job.trail += render.skipped_text(choice.blocked, gateway.clock.time())
    if not choice.free:
        return nothing_free(gateway, snapshot, route, choice)
    failure: Failure | None = None
    total = job.attempts + len(choice.free)
    for account in choice.free:
        if failure is not None and live.health.blocked_until(account.id, route.model) is not None:
            continue
        failure = await _once(gateway, job, route, account, attempt, total)
        if failure is None:
            return None
        if blame(gateway, route, account, failure) is Retry.NONE:
            job.final = True
            return failure
        job.trail += f"; failed={job.label} ({failure.status})"
    return failure


async def _once(
    gateway: Gateway, job: Job, route: Route, account: Connection, attempt: Attempt, total: int
) -> Failure | None:
    live = gateway.live
    job.account = account
    job.attempts += 1
    job.label = render.label(route.provider, account)
    job.notes = f"{job.label}; attempt={job.attempts}/{total}{job.trail}"
    target = (route.provider.id, route.model, account.id)
    live.begin(target)
    try:
        failure = await attempt(gateway, job, route, account)
    except TransportError as error:
        failure = transport_failure(error)
    except BadAnswer as error:
        failure = Failure(502, f"The provider's answer could not be read: {error}")
    finally:
        live.finish(target)
    if failure is not None:
        return without_secret(failure, account.secret)
    if job.failure is None:
        live.health.succeed(account.id, route.model)
    return None


def nothing_free(gateway: Gateway, snapshot: Snapshot, route: Route, choice: accounts.Choice) -> Failure:
    """No account can be asked: none is there, or all are cooling."""
    if not choice.blocked:
        name = route.provider.prefix or route.provider.id
        return Failure(400, f"No credentials for provider: {name}", code="bad_request", param="model")
    wait = max(1.0, min(until for _, until in choice.blocked) - gateway.clock.time())
    state = gateway.live.health.view(min(choice.blocked, key=lambda pair: pair[1])[0].id)
    status = int(state.error_code) if state.error_code and state.error_code.isdigit() else 503
    reason = state.last_error or "temporarily unavailable (cooldown)"
    label = f"{route.provider.prefix or route.provider.alias}/{route.model}"
    return Failure(status, f"[{label}] {reason} (reset after {retry.span_text(wait)})", retry_after=wait)
