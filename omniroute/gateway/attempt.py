"""One attempt of a chat call: one upstream call for one account, whose response is passed on to the client.

:func:`attempt` prepares the request; ``attempt_whole`` and ``attempt_stream`` send it and answer the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from ..proto.headers import Headers
from ..translate.conversation import Ask
from ..translate.events import Failure
from ..translate.max_tokens import capped
from ..translate.peek import Peek
from ..translate.thinking_budget import ThinkingRule
from . import render, shape, signatures
from .attempt_stream import answer_stream
from .attempt_whole import answer_whole
from .job import ChatJob, Gateway
from .resolve import Route
from .snapshot import Connection

QUICK_BODY: Final = 1024 * 1024  # bytes; a body up to this size is always translated within a fraction of a second


def attempt(gateway: Gateway, job: ChatJob, route: Route, account: Connection) -> Coroutine[Any, Any, Failure | None]:
    """Call the upstream with one account.  None: the client has been answered.  Else nothing has been sent to it."""
    found = job.peek
    assert found is not None
    snapshot = gateway.live.snapshot
    door = gateway.doors.find(snapshot, route, account)
    rule = snapshot.settings.thinking
    if route.wire != job.wire:
        if len(job.exchange.request.body) > QUICK_BODY:
            return _send_large(gateway, job, route, door, found, rule)
        return _send(gateway, job, route, door, _translated(job, route, found, rule), [])
    if rule.mode != "passthrough":
        found = shape.peek_for(rule, job.wire, found, route, partial(read_ask, job, found))
        if job.cap is not None:  # the limit holds for the owner's reasoning budget too
            found = capped(job.wire, found, job.cap)
    known = gateway.live.signatures
    watch = signatures.watcher(known, job.wire, found, route, account)
    found, dropped = signatures.keep_own(known, job.wire, found, route, account)
    prepared = render.same_wire(found, route, job.wire, dropped, watch)
    extra = render.wire_fields(door, job.exchange.request)
    if watch is None:  # this wire has no signatures
        return _send(gateway, job, route, door, prepared, extra)
    return _signed(gateway, job, route, account, door, found, prepared, extra)


def _translated(job: ChatJob, route: Route, found: Peek, rule: ThinkingRule) -> render.Prepared:
    """The request in the format of *route*, with the owner's rule for reasoning applied."""
    return render.translated(shape.ask_for(rule, read_ask(job, found), route), route, job.cap)


async def _send_large(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, found: Peek, rule: ThinkingRule
) -> Failure | None:
    """Translate in a thread, because a body of very many messages takes seconds, and send."""
    try:
        prepared = await asyncio.to_thread(_translated, job, route, found, rule)
    except asyncio.CancelledError:
        job.attempts -= 1  # nothing was sent, so nothing is charged
        raise
    return await _send(gateway, job, route, door, prepared, [])


async def _signed(
    gateway: Gateway, job: ChatJob, route: Route, account: Connection, door: render.Door, found: Peek,
    prepared: render.Prepared, extra: Headers,
) -> Failure | None:  # fmt: skip
    """Send *prepared*; if the upstream rejects the request's signatures, send it once more without them."""
    failure = await _send(gateway, job, route, door, prepared, extra)
    if failure is None or not signatures.complains(failure):
        return failure
    if (bare := signatures.without_any(job.wire, found, route)) is None:
        return failure
    job.notes += signatures.RESENT
    prepared = render.same_wire(bare.found, route, job.wire, (*prepared.dropped, *bare.dropped), prepared.watch)
    failure = await _send(gateway, job, route, door, prepared, extra)
    if failure is None:
        signatures.remember_refusal(gateway.live.signatures, job.wire, found, route, account)
    return failure


def _send(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers
) -> Coroutine[Any, Any, Failure | None]:
    assert job.peek is not None
    job.dropped = tuple(dict.fromkeys(prepared.dropped)) if prepared.dropped else ()
    send = answer_stream if job.peek.stream else answer_whole
    return send(gateway, job, route, door, prepared, extra)


def read_ask(job: ChatJob, found: Peek) -> Ask:
    """The request as an ``Ask``, decoded once for all attempts."""
    ask = job.ask
    if ask is None:
        ask = job.format.decode_request(found.raw)
        ask.model, ask.stream = found.model, found.stream
        job.ask = ask  # only now that it is complete, as a thread may be doing this
    return ask
