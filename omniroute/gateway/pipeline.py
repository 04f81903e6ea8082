"""The way of a chat request, on one screen: :func:`run`.

Fallback is the loop in ``run`` and nothing else; the first byte to the client is the point of no return.  Nothing here knows
which wire a client or a provider speaks: that is in the tables of ``translate/formats.py``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ..errors import OmniError, Retry
from ..proto.exchange import Exchange
from ..translate.events import Failure
from ..translate.formats import RELAYS
from ..translate.peek import peek
from . import accounts, auth, render, retry
from .answer import refuse
from .attempt import attempt, blame
from .job import Gateway, Job, Line
from .record import record
from .resolve import Route, no_credentials
from .snapshot import Snapshot

_log = logging.getLogger("omniroute.gateway")
CLIENT_GONE: Final = 499


async def serve(gateway: Gateway, exchange: Exchange, line: Line) -> None:
    """Answer one chat request; always answers, always records."""
    job = Job(exchange, line, gateway.clock.monotonic())
    gateway.live.running += 1
    # on_gone stays unset, so a client that leaves cancels this task, and with it the call upstream
    try:
        failure = await run(gateway, job)
        if failure is not None:
            refuse(gateway, job, failure)
    except OmniError as error:
        refuse(gateway, job, render.failure_of(error))
    except asyncio.CancelledError:
        if not exchange.gone:
            raise
        if not job.complete:  # many clients close as soon as they have read the last event
            job.status = CLIENT_GONE
            job.failure = Failure(CLIENT_GONE, "The client closed the connection")
    except Exception:  # noqa: BLE001 - the last line of defence: whatever it is, the client gets an answer
        _log.exception("request %s failed", exchange.request.id)
        refuse(gateway, job, Failure(500, "Internal error: see the log for this request id"))
    finally:
        gateway.live.running -= 1
        gateway.live.on_record(record(gateway, job))


async def run(gateway: Gateway, job: Job) -> Failure | None:
    """Answer the client, or say why not (nothing has been sent then)."""
    live, request = gateway.live, job.exchange.request
    snapshot = live.snapshot
    job.key = auth.authenticate(
        snapshot, request, gateway.clock.time(), required=gateway.require_key, keyring=gateway.keyring
    )
    job.peek = found = peek(request.body, RELAYS[job.wire].members)
    if job.line.model:
        found.model, found.stream = job.line.model, job.line.stream
    job.requested = found.model
    route = job.route = gateway.routes.resolve(snapshot, found.model, job.line.only)
    check_request(job, route)
    choice = accounts.choose(snapshot, live, route)
    if not choice.free:
        return nothing_free(gateway, snapshot, route, choice)
    failure: Failure | None = None
    total = len(choice.free)
    skipped = render.skipped_text(choice.blocked, gateway.clock.time()) if choice.blocked else ""
    for account in choice.free:
        if failure is not None and live.health.blocked_until(account.id, route.model) is not None:
            continue
        job.account = account
        job.attempts += 1
        door = gateway.doors.find(snapshot, route, account)
        job.notes = f"{door.label}; attempt={job.attempts}/{total}{skipped}"
        failure = await attempt(gateway, job, route, account, door)
        if failure is None:
            if job.failure is None:
                live.health.succeed(account.id, route.model)
            return None
        if blame(gateway, route, account, failure) is Retry.NONE:
            return failure
        skipped += f"; failed={door.label} ({failure.status})"
    return failure


def check_request(job: Job, route: Route) -> None:
    """What must hold before anything is sent."""
    assert job.peek is not None
    auth.check_model(job.key, job.requested, route.provider, route.model)
    for name in RELAYS[job.wire].required:
        if name not in job.peek.members:
            raise OmniError("invalid_request", f"Missing '{name}'", param=name)


def nothing_free(gateway: Gateway, snapshot: Snapshot, route: Route, choice: accounts.Choice) -> Failure:
    """No account can be asked: none is there, or all are cooling."""
    if not choice.blocked:
        raise no_credentials(route.provider.prefix or route.provider.id)
    wait = max(1.0, min(until for _, until in choice.blocked) - gateway.clock.time())
    state = gateway.live.health.view(min(choice.blocked, key=lambda pair: pair[1])[0].id)
    status = int(state.error_code) if state.error_code and state.error_code.isdigit() else 503
    reason = state.last_error or "temporarily unavailable (cooldown)"
    label = f"{route.provider.prefix or route.provider.alias}/{route.model}"
    return Failure(status, f"[{label}] {reason} (reset after {retry.span_text(wait)})", retry_after=wait)
