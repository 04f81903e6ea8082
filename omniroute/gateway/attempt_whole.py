"""A chat attempt whose client wants a complete answer: one upstream call, read to its end."""

from __future__ import annotations

from ..proto.headers import Headers
from ..translate.collect import collect
from ..translate.events import CUT, Failure
from ..translate.format import BadAnswer
from ..translate.formats import FORMATS, RELAYS
from ..upstream.call import Call
from . import render
from .answer import respond
from .answer_events import answer_events
from .blame import upstream_failure
from .estimate import tokens_of
from .fold import ENDS, fold, is_stream
from .job import ChatJob, Gateway
from .resolve import Route
from .think_tags import one_choice, thinks_aloud


async def answer_whole(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers
) -> Failure | None:
    """Send *prepared* and answer the client.  None: it has been answered.  Else nothing has been sent to it."""
    limit, ends = gateway.limits.answer_bytes, ENDS[route.wire]
    call = await gateway.client.whole_as(door.whole, prepared.body, extra=extra, limit=limit, ends=ends)
    if call.status >= 300:
        again = await _as_stream(gateway, job, route, door, prepared, extra, call)
        if isinstance(again, Failure):
            return again
        call = again
    received, body = call.headers, call.take()
    assert job.account is not None
    fields = render.answer_fields(received)  # including those about rate limits
    if fields:
        gateway.live.limiter.learn(job.account.id, fields)
    if prepared.watch is not None:
        prepared.watch(body)
    if is_stream(received) and body.lstrip()[:1] != b"{":  # some report an error as JSON all the same
        return _from_stream(gateway, job, route, prepared, received, body)
    if route.wire != job.wire:
        return answer_events(gateway, job, route, prepared, received, FORMATS[route.wire].decode_answer(body))
    job.upstream_model, job.usage = RELAYS[job.wire].usage(body)
    if job.usage is None and (failure := _without_usage(job, body)) is not None:
        return failure
    if (b"think" in body or b"thought" in body) and one_choice(job) and thinks_aloud(body):
        return answer_events(gateway, job, route, prepared, received, FORMATS[route.wire].decode_answer(body))
    if gateway.guard.answers:
        body = gateway.guard.answer(body, job.exchange.request.id)
    respond(gateway, job, call.status, [render.JSON_TYPE, *fields], body)
    return None


async def _as_stream(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers, refused: Call
) -> Call | Failure:
    """Send *prepared* once more as a request for a stream, if *refused* says that this is the only way; else its failure."""
    refusal = upstream_failure(gateway, route.wire, refused.status, refused.headers, refused.take())
    if not render.streams_only(refusal):
        return refusal
    job.notes += render.STREAMED
    body = render.as_stream(route, prepared.body)
    limit, ends = gateway.limits.answer_bytes, ENDS[route.wire]
    call = await gateway.client.whole_as(door.stream, body, extra=extra, limit=limit, ends=ends)
    if call.status >= 300:
        return upstream_failure(gateway, route.wire, call.status, call.headers, call.take())
    return call


def _from_stream(
    gateway: Gateway, job: ChatJob, route: Route, prepared: render.Prepared, received: Headers, body: bytes
) -> Failure | None:
    """Answer from the stream in *body*, the whole of it."""
    try:
        events = fold(route.wire, body)
    except BadAnswer as error:
        return Failure(502, f"Invalid SSE response for non-streaming request: it could not be read: {error}")
    if isinstance(last := events[-1], Failure) and last.message == CUT:
        return Failure(502, f"Invalid SSE response for non-streaming request: {CUT}")
    return answer_events(gateway, job, route, prepared, received, events)


def _without_usage(job: ChatJob, body: bytes) -> Failure | None:
    """Estimate the tokens of a response without usage; if it names no model either, return the error it may hold."""
    try:
        answer = collect(FORMATS[job.wire].decode_answer(body))
    except BadAnswer:
        if job.upstream_model:
            return None
        raise
    if answer.failure is not None and not job.upstream_model:
        return answer.failure
    job.pieces = tokens_of(answer.blocks)
    return None
