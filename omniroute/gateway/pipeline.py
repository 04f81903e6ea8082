"""The steps of a chat request: :func:`run`.

This module does not depend on the wire formats; they are in the tables of ``translate/formats.py``.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..translate.events import Failure
from ..translate.formats import RELAYS
from ..translate.max_tokens import capped
from ..translate.peek import Peek, peek
from . import front, spend
from .attempt import attempt
from .fallback import place
from .job import ChatJob, Gateway, Line
from .plan import Plan, make_plan
from .recall import recall, wanted
from .sessions import SESSION_FIELDS, mark_of
from .shape import prompted
from .snapshot import GatewaySettings, Snapshot


def serve(gateway: Gateway, exchange: Exchange, line: Line) -> Coroutine[Any, Any, None]:
    """Serve one chat request."""
    return front.serve(gateway, ChatJob(exchange, line, gateway.clock.monotonic()), run)


async def run(gateway: Gateway, job: ChatJob) -> Failure | None:
    """Answer the client.  Returns the Failure if that was not possible; nothing has been sent then."""
    snapshot = gateway.live.snapshot
    front.admit(gateway, job)
    if gateway.guard.before and (refusal := inspect(gateway, job)) is not None:
        return refusal
    job.peek = found = look(job, snapshot.settings)
    job.requested, job.stream, job.read_at = found.model, found.stream, gateway.clock.monotonic()
    plan = make_plan(gateway, snapshot, job, job.line.only)
    job.planned_at = gateway.clock.monotonic()
    check_request(job, found)
    job.checked_at = gateway.clock.monotonic()
    if plan.max_tokens is not None:
        modern = "max_completion_tokens" in plan.routes[0].quirks if plan.routes else False
        job.cap = plan.max_tokens
        job.peek = found = capped(job.wire, found, job.cap, modern=modern)
    spend.reserve(gateway, job, plan)
    if not job.stream:
        job.cache = b"MISS"
        if wanted(gateway, job) and await recall(gateway, job, plan):
            return None
    job.placed_at = gateway.clock.monotonic()
    if gateway.leisure.allows(job.began) or session_matters(snapshot, job, plan):
        return await in_session(gateway, job, found, plan)
    return await place(gateway, job, plan, attempt)


def session_matters(snapshot: Snapshot, job: ChatJob, plan: Plan) -> bool:
    """Whether to look up the session: a provider has several accounts, or the client sent a session id."""
    for route in plan.routes:
        if len(snapshot.connections.get(route.provider.id, ())) > 1:
            return True
    request = job.exchange.request
    named: bool | None = request.known.get("session")
    if named is None:
        named = request.known["session"] = not request.named().keys().isdisjoint(SESSION_FIELDS)
    return named


async def in_session(gateway: Gateway, job: ChatJob, found: Peek, plan: Plan) -> Failure | None:
    """Place the call, preferring the account that served this session last, and remember the one that serves it now."""
    sessions = gateway.live.sessions
    where = job.combo or (plan.routes[0].provider.id if plan.routes else "")
    mark = mark_of(job.exchange.request.named(), job.wire, job.requested, where, found.members)
    job.prefer, job.session = sessions.prefer(mark), mark.id if mark.named else ""
    try:
        return await place(gateway, job, plan, attempt)
    finally:
        sessions.touch(mark, job.account.id if job.account is not None and job.status == 200 else "")
        if gateway.guard.warns:
            gateway.guard.note(job.exchange.request.id, job.exchange.request.body)


def inspect(gateway: Gateway, job: ChatJob) -> Failure | None:
    """Apply the input guard: redact personal data, and return a Failure if the request is blocked."""
    request = job.exchange.request
    request.body, failure = gateway.guard.check(job.format, job.wire, request.body, request.id)
    return failure


def look(job: ChatJob, settings: GatewaySettings) -> Peek:
    """The members of the body, with the model from the path and the owner's system prompt applied."""
    found = peek(job.exchange.request.body, RELAYS[job.wire].members)
    if job.line.model:
        found.model, found.stream = job.line.model, job.line.stream
    return prompted(settings, job.wire, found)


def check_request(job: ChatJob, found: Peek) -> None:
    """Check that required members are present.  Raises ``OmniError("invalid_request")``."""
    for name in RELAYS[job.wire].required:
        if name not in found.members:
            raise OmniError("invalid_request", f"Missing '{name}'", param=name)
