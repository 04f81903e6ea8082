"""The record of a finished call."""

from __future__ import annotations

from ..translate.events import Usage
from .cost import cost
from .job import Gateway, Job
from .live import Timing
from .recorder import RecordedExchange
from .usage import CallRecord


def record(gateway: Gateway, job: Job) -> CallRecord:
    """What the log keeps of the call.  Counts that no one reported are estimated and marked so."""
    request, route, account, key = job.exchange.request, job.route, job.account, job.key
    now = gateway.clock.monotonic()
    usage = job.usage
    if usage is None and job.units is None and job.status in (200, 499) and job.attempts:
        usage = Usage(input=len(request.body) // 4, output=job.pieces, estimated=True)
    duration = (now - job.began) * 1000
    first_byte = None if job.first_byte is None else (job.first_byte - job.began) * 1000
    if route is not None and job.attempts:
        gateway.live.recent.append(
            Timing(now, route.provider.id, job.status, duration, job.began, job.read_at, job.placed_at, job.first_byte)
        )
    row = CallRecord(
        id=request.id,
        at=gateway.clock.time() - (now - job.began),
        method=request.method,
        path=request.path,
        status=job.status,
        provider=route.provider.id if route is not None else "",
        model=route.model if route is not None else job.requested,
        requested_model=job.requested,
        connection_id=account.id if account is not None else "",
        account=account.name if account is not None else "",
        key_id=key.id if key is not None else "",
        key_name=key.name if key is not None else "",
        source_format=job.wire,
        target_format=route.wire if route is not None else "",
        stream=job.stream,
        duration_ms=duration,
        first_byte_ms=first_byte,
        tokens_in=usage.input if usage is not None else None,
        tokens_out=usage.output if usage is not None else None,
        tokens_cache_read=usage.cache_read if usage is not None else None,
        tokens_cache_write=usage.cache_write if usage is not None else None,
        tokens_reasoning=usage.reasoning if usage is not None else None,
        estimated=usage is not None and usage.estimated,
        cost=0.0 if job.cache == b"HIT" else cost(usage, route.price, job.units) if route is not None else None,
        error=job.failure.message[:500] if job.failure is not None else "",
        attempts=job.attempts,
        route=job.notes,
        combo=job.combo,
    )
    if isinstance(job.exchange, RecordedExchange) and not (key is not None and key.no_log):
        row.request_body = request.body
        row.response_body, row.response_size = bytes(job.exchange.kept), job.exchange.size
    return row
