"""Answers to the client that are made from decoded events, streamed or not as the client asked."""

from __future__ import annotations

from ..proto.headers import Headers
from ..translate.collect import collect
from ..translate.events import Event, Failure, Start
from ..translate.format import Stamp, StreamEncoder
from ..translate.formats import ARRAY_ENCODERS
from ..translate.think import ThinkSplitter
from . import progress, render
from .answer import respond
from .estimate import tokens_of
from .job import ChatJob, Gateway
from .resolve import Route


def answer_events(
    gateway: Gateway, job: ChatJob, route: Route, prepared: render.Prepared, received: Headers, events: list[Event]
) -> Failure | None:
    """Answer the client from *events*, which are a whole answer.  Returns the failure that they contain, if any."""
    events = list(ThinkSplitter().feed(events))
    if (redactor := gateway.guard.redactor(job.exchange.request.id)) is not None:
        events = list(redactor.feed(events))
    answer = collect(events)
    if answer.failure is not None:
        return answer.failure
    job.usage, job.upstream_model = answer.usage, answer.start.model
    if job.usage is None:
        job.pieces = tokens_of(answer.blocks)
    mark = stamp(gateway, job, prepared)
    extra = render.answer_fields(received) if route.wire == job.wire else []
    assert job.peek is not None
    if job.peek.stream:
        if not isinstance(events[0], Start):
            events.insert(0, Start())
        encoder = client_encoder(job, mark)
        body = encoder.feed(events) + encoder.eof()
        if progress.wanted(job):
            body = progress.ended(body, 0, gateway.clock.monotonic() - job.began)
            extra = [*extra, progress.FIELD]
        respond(gateway, job, 200, [*stream_fields(job), *extra], body)
        return None
    rendered = job.format.encode_answer(answer, mark)
    job.dropped += tuple(name for name in rendered.dropped if name not in job.dropped)
    respond(gateway, job, 200, [render.JSON_TYPE, *extra], rendered.body)
    return None


def client_encoder(job: ChatJob, mark: Stamp) -> StreamEncoder:
    """The encoder of the client's stream; Gemini has a second form, one JSON array."""
    return ARRAY_ENCODERS[job.wire](mark) if job.line.array else job.format.stream_encoder(mark)


def stamp(gateway: Gateway, job: ChatJob, prepared: render.Prepared) -> Stamp:
    """The values that an encoder needs in addition to the events."""
    found = job.peek
    assert found is not None
    return Stamp(
        id=job.exchange.request.id.replace("-", ""),
        created=int(gateway.clock.time()),
        model=job.requested,
        include_usage=found.include_usage,
        names=prepared.names,
        ask=job.ask,
    )


def stream_fields(job: ChatJob) -> Headers:
    """The header fields of the client's stream."""
    kind = render.JSON_TYPE if job.line.array else (b"content-type", job.format.stream_type)
    return [kind, (b"cache-control", b"no-cache")]
