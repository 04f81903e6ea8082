"""The record of a finished call."""

from __future__ import annotations

from typing import Final

from ..translate.events import Usage
from .cost import cost
from .job import Gateway, Job
from .live import Timing
from .recorder import RecordedExchange
from .render import told
from .usage import CallRecord

_NOTHING: Final = Usage()


def record(gateway: Gateway, job: Job) -> CallRecord:
    """The record of a finished call.  Token counts that the upstream did not report are estimated and marked so."""
    request, route, account, key = job.exchange.request, job.route, job.account, job.key
    now = gateway.clock.monotonic()
    usage = job.usage.plausible() if job.usage is not None else None
    if usage is None and job.units is None and job.attempts and (job.pieces or job.status in (200, 499)):
        usage = Usage(input=len(request.body) // 4, output=job.pieces, estimated=True)
    duration = (now - job.began) * 1000
    first_byte = None if job.first_byte is None else (job.first_byte - job.began) * 1000
    if route is not None and job.attempts:
        moments = (job.began, job.read_at, job.planned_at, job.checked_at, job.placed_at, job.first_byte)
        gateway.live.recent.append(Timing(now, route.provider.id, job.status, duration, *moments, job.stream))
    counts = usage if usage is not None else _NOTHING
    row = CallRecord(  # positional, in the order of its fields: keywords take nine times as long
        request.id,
        gateway.clock.time() - (now - job.began),
        request.method,
        request.path,
        job.status,
        route.provider.id if route is not None else "",
        route.model if route is not None else job.requested,
        job.requested,
        account.id if account is not None else "",
        account.name if account is not None else "",
        key.id if key is not None else "",
        key.name if key is not None else "",
        job.wire,
        route.wire if route is not None else "",
        job.stream,
        duration,
        first_byte,
        counts.input,
        counts.output,
        counts.cache_read,
        counts.cache_write,
        counts.reasoning,
        counts.estimated,
        0.0 if job.cache == b"HIT" else cost(usage, route.price, job.units) if route is not None else None,
        told(job.failure)[:500] if job.failure is not None else "",
        job.attempts,
        job.notes,
        job.combo,
    )
    if isinstance(job.exchange, RecordedExchange) and not (key is not None and key.no_log):
        row.request_body = request.body
        row.response_body, row.response_size = bytes(job.exchange.kept), job.exchange.size
    return row
