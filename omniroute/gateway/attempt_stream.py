"""A chat attempt whose client wants a stream: one upstream call, passed on as it arrives."""

from __future__ import annotations

from typing import Final

from ..proto.headers import Headers
from ..translate.events import Failure
from ..translate.fidelity import Lost
from ..translate.format import Stamp
from ..translate.formats import ARRAY_TAPS, FORMATS, RELAYS
from ..translate.pii import Redactor
from ..translate.relay import Pipe
from ..upstream.call import Call
from . import progress, render
from .answer import head
from .answer_events import answer_events, client_encoder, stamp, stream_fields
from .blame import blame, says, secret_bytes, upstream_failure, without_secret
from .fold import reader_for
from .job import ChatJob, Gateway
from .resolve import Route
from .stream import PING, StreamRelay
from .think_tags import one_choice, several_choices, thinks_aloud
from .translation import Translation, Undecided

ERROR_BODY: Final = 1024 * 1024  # bytes; the most that is read of an error response


async def answer_stream(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers
) -> Failure | None:
    """Send *prepared* and relay the stream.  None: the client has been answered.  Else nothing has been sent to it."""
    call = await gateway.client.open_as(door.stream, prepared.body, extra=extra)
    try:
        if call.status >= 300:
            body = await call.read(ERROR_BODY)
            return upstream_failure(gateway, route.wire, call.status, call.headers, body)
        assert job.account is not None
        gateway.live.limiter.learn(job.account.id, call.headers)
        if says(call.headers, b"json") and not says(call.headers, b"ndjson"):
            body = await call.read(gateway.limits.answer_bytes)
            if prepared.watch is not None:
                prepared.watch(body)
            events = FORMATS[route.wire].decode_answer(body)
            return answer_events(gateway, job, route, prepared, call.headers, events)
        return await _relay(gateway, job, route, prepared, call)
    finally:
        call.cancel()


async def _relay(gateway: Gateway, job: ChatJob, route: Route, prepared: render.Prepared, call: Call) -> Failure | None:
    redactor = gateway.guard.redactor(job.exchange.request.id)
    pipe = make_pipe(job, route, prepared, stamp(gateway, job, prepared), redactor)
    if redactor is not None and several_choices(job) and Lost.N not in job.dropped:  # only the first choice is redacted
        job.dropped += (Lost.N,)
    fields = head(job, stream_fields(job))
    told: progress.Progress | None = None
    if progress.wanted(job):
        pipe = told = progress.Progress(pipe, job.exchange, gateway.clock)
        fields.append(progress.FIELD)
    if route.wire == job.wire:
        fields += render.answer_fields(call.headers)
    ping = b"" if job.line.array else PING.get(job.wire, PING[job.format.framing])  # a JSON array has no room for pings
    assert job.account is not None
    secret = secret_bytes(job.account)
    relay = StreamRelay(
        job.exchange, call, pipe, fields, ping=ping, clock=gateway.clock, limits=gateway.limits, secret=secret
    )
    try:
        if (failure := await relay.commit()) is not None:
            return failure
        job.status = 200
        job.first_byte = relay.committed_at
        gateway.live.breakers.begun(route.provider.id)
        failure = await relay.finish()
        if failure is not None:
            job.failure = without_secret(failure, job.account.secret)
            blame(gateway, route, job.account, job.failure, request_id=job.exchange.request.id)
        return None
    finally:
        if told is not None:
            told.close()
        job.upstream_model, job.pieces, job.complete = pipe.model, pipe.pieces, pipe.finished
        job.usage = usage = pipe.usage
        if usage is not None and not pipe.finished and (usage.output or 0) < pipe.pieces:
            usage.output = pipe.pieces  # vendors count an answer at its end, but charge for a part of it too
            usage.estimated = True


def make_pipe(job: ChatJob, route: Route, prepared: render.Prepared, mark: Stamp, redactor: Redactor | None = None) -> Pipe:
    """The pipe for the stream: a tap on the same wire, else a translation.

    A stream on the same wire is translated too if its texts are redacted, or once it turns out to begin with ``<think>``.
    """
    source = FORMATS[route.wire]

    def translation() -> Translation:
        return Translation(reader_for(source), source.stream_decoder(), client_encoder(job, mark), redactor)

    if route.wire != job.wire or redactor is not None:
        return translation()
    if job.line.array:
        tap = ARRAY_TAPS[job.wire]()
    else:
        tap = RELAYS[job.wire].tap(lambda failure: job.format.stream_encoder(mark).fail(failure), prepared.strip_usage)
    tap.watch = prepared.watch
    return Undecided(tap, thinks_aloud, translation) if one_choice(job) else tap
