"""The way of a chat request, on one screen: :func:`run`.

Nothing here knows which wire a client or a provider speaks: that is in the tables of ``translate/formats.py``.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..translate.events import Failure
from ..translate.formats import RELAYS
from ..translate.peek import Peek, peek
from . import front
from .attempt import attempt
from .fallback import place
from .job import ChatJob, Gateway, Line
from .plan import make_plan


def serve(gateway: Gateway, exchange: Exchange, line: Line) -> Coroutine[Any, Any, None]:
    """Answer one chat request."""
    return front.serve(gateway, ChatJob(exchange, line, gateway.clock.monotonic()), run)


async def run(gateway: Gateway, job: ChatJob) -> Failure | None:
    """Answer the client, or say why not (nothing has been sent then)."""
    snapshot = gateway.live.snapshot
    front.admit(gateway, job)
    job.peek = found = look(job)
    job.requested, job.stream = found.model, found.stream
    plan = make_plan(gateway, snapshot, job, job.line.only)
    check_request(job, found)
    return await place(gateway, job, plan, attempt)


def look(job: ChatJob) -> Peek:
    """The body as far as routing needs it, and what the path says instead."""
    found = peek(job.exchange.request.body, RELAYS[job.wire].members)
    if job.line.model:
        found.model, found.stream = job.line.model, job.line.stream
    return found


def check_request(job: ChatJob, found: Peek) -> None:
    """What must hold before anything is sent."""
    for name in RELAYS[job.wire].required:
        if name not in found.members:
            raise OmniError("invalid_request", f"Missing '{name}'", param=name)
