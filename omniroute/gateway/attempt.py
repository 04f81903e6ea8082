"""One attempt of a chat call: one upstream call for one account, whose response is passed on to the client.

:func:`attempt` returns None once the client has been answered, and a ``Failure`` as long as nothing has been sent to it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from ..proto.headers import Headers, get
from ..proto.ndjson import NDJSONReader
from ..proto.sse import SSEReader
from ..translate.collect import collect
from ..translate.conversation import Ask
from ..translate.events import CUT, Event, Failure, Finish, Start
from ..translate.fidelity import Lost
from ..translate.format import BadAnswer, Format, Stamp, StreamEncoder
from ..translate.formats import ARRAY_ENCODERS, ARRAY_TAPS, FORMATS, RELAYS
from ..translate.max_tokens import capped
from ..translate.peek import Peek
from ..translate.pii import Redactor
from ..translate.relay import Pipe
from ..translate.think import ThinkSplitter
from ..translate.thinking_budget import ThinkingRule
from ..upstream.call import Call
from . import progress, render, shape, signatures
from .answer import head, respond
from .blame import blame, says, secret_bytes, upstream_failure, without_secret
from .estimate import tokens_of
from .job import ChatJob, Gateway
from .resolve import Route
from .snapshot import Connection
from .stream import PING, StreamRelay
from .translation import Reader, Translation, Undecided

ERROR_BODY: Final = 1024 * 1024
QUICK_BODY: Final = 1024 * 1024  # bytes; a body up to this size is always translated within a fraction of a second
# The first text of an answer, and whether it begins with <think> or with a part of that tag (a piece can end within it).
_SAYS: Final = re.compile(rb'"content":\s*"[^"]')
_THINKS: Final = re.compile(rb'"content":\s*"(?:\\n|\s)*(?:<|\\u003[cC])(?:think|(?:t(?:h(?:in?)?)?)?")')


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
    send = _stream if job.peek.stream else _whole
    return send(gateway, job, route, door, prepared, extra)


def read_ask(job: ChatJob, found: Peek) -> Ask:
    """The request as an ``Ask``, decoded once for all attempts."""
    ask = job.ask
    if ask is None:
        ask = job.format.decode_request(found.raw)
        ask.model, ask.stream = found.model, found.stream
        job.ask = ask  # only now that it is complete, as a thread may be doing this
    return ask


async def _whole(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers
) -> Failure | None:
    limit, ends = gateway.limits.answer_bytes, ENDS[route.wire]
    call = await gateway.client.whole_as(door.whole, prepared.body, extra=extra, limit=limit, ends=ends)
    if call.status >= 300:
        refusal = upstream_failure(gateway, route.wire, call.status, call.headers, call.take())
        if not render.streams_only(refusal):
            return refusal
        job.notes += render.STREAMED
        asked = render.as_stream(route, prepared.body)
        call = await gateway.client.whole_as(door.stream, asked, extra=extra, limit=limit, ends=ends)
        if call.status >= 300:
            return upstream_failure(gateway, route.wire, call.status, call.headers, call.take())
    received, body = call.headers, call.take()
    assert job.account is not None
    fields = render.answer_fields(received)  # including those about rate limits
    if fields:
        gateway.live.limiter.learn(job.account.id, fields)
    if prepared.watch is not None:
        prepared.watch(body)
    if _is_stream(received) and body.lstrip()[:1] != b"{":  # some report an error as JSON all the same
        try:
            events = fold(route.wire, body)
        except BadAnswer as error:
            return Failure(502, f"Invalid SSE response for non-streaming request: it could not be read: {error}")
        if isinstance(last := events[-1], Failure) and last.message == CUT:
            return Failure(502, f"Invalid SSE response for non-streaming request: {CUT}")
        return _answer_events(gateway, job, route, prepared, received, events)
    if route.wire != job.wire:
        return _answer_events(gateway, job, route, prepared, received, FORMATS[route.wire].decode_answer(body))
    job.upstream_model, job.usage = RELAYS[job.wire].usage(body)
    if job.usage is None and (failure := _without_usage(job, body)) is not None:
        return failure
    if b"think" in body and one_choice(job) and thinks_aloud(body):
        return _answer_events(gateway, job, route, prepared, received, FORMATS[route.wire].decode_answer(body))
    if gateway.guard.answers:
        body = gateway.guard.answer(body, job.exchange.request.id)
    respond(gateway, job, call.status, [render.JSON_TYPE, *fields], body)
    return None


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


async def _stream(
    gateway: Gateway, job: ChatJob, route: Route, door: render.Door, prepared: render.Prepared, extra: Headers
) -> Failure | None:
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
            return _answer_events(gateway, job, route, prepared, call.headers, events)
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


def client_encoder(job: ChatJob, mark: Stamp) -> StreamEncoder:
    """The encoder of the client's stream; Gemini has a second form, one JSON array."""
    return ARRAY_ENCODERS[job.wire](mark) if job.line.array else job.format.stream_encoder(mark)


def reader_for(source: Format) -> Reader:
    """A reader that splits a stream of this format into events or lines."""
    return SSEReader() if source.framing == "sse" else NDJSONReader()


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


def one_choice(job: ChatJob) -> bool:
    """Whether this is an OpenAI chat call for one choice: only there can ``<think>`` text become a field of its own."""
    return job.wire == "openai-chat" and not several_choices(job)


def several_choices(job: ChatJob) -> bool:
    """Whether the client asked for more than one choice (``n``)."""
    assert job.peek is not None
    return job.wire == "openai-chat" and bytes(job.peek.members.get("n", b"1")) not in (b"1", b"null")


def thinks_aloud(body: bytes) -> bool:
    """Whether a chat answer, or the part that has arrived, begins with ``<think>``; clients expect that text elsewhere."""
    first = _SAYS.search(body)
    return first is not None and _THINKS.match(body, first.start()) is not None


def _is_stream(received: Headers) -> bool:
    """Whether the upstream sent a stream where the client wants a complete answer."""
    kind = get(received, b"content-type")
    if kind is None or b"/json" in kind:
        return False
    kind = kind.lower()
    return b"/json" not in kind and (b"event-stream" in kind or b"ndjson" in kind)


class _Ending:
    """Finds the end of such a stream by its events, because the connection may stay open after it."""

    def __init__(self, source: Format) -> None:
        self._reader = reader_for(source)
        self._decoder = source.stream_decoder()

    def reached(self, data: bytes) -> bool:
        """Whether *data*, the next bytes, contains the end, or is malformed, so that no end will be found."""
        try:
            pairs = self._reader.feed(data)
            return any(isinstance(e, (Finish, Failure)) for name, piece in pairs for e in self._decoder.feed(name, piece))
        except (ValueError, BadAnswer):
            return True


def _ends(source: Format, received: Headers) -> Callable[[bytes], bool] | None:
    return _Ending(source).reached if _is_stream(received) else None


ENDS: Final = {wire: partial(_ends, source) for wire, source in FORMATS.items()}


def fold(wire: str, body: bytes) -> list[Event]:
    """Decode a whole stream into its events.  Raises ``BadAnswer``."""
    source = FORMATS[wire]
    reader = reader_for(source)
    decoder = source.stream_decoder()
    events: list[Event] = []
    try:
        for name, data in (*reader.feed(body), *reader.finish()):
            events += decoder.feed(name, data)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    events += decoder.eof()
    return events


def _answer_events(
    gateway: Gateway, job: ChatJob, route: Route, prepared: render.Prepared, received: Headers, events: list[Event]
) -> Failure | None:
    """Answer from decoded events, streamed or not as the client asked.  Returns a failure that they contain, if any."""
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


def stream_fields(job: ChatJob) -> Headers:
    """The header fields of the client's stream."""
    kind = render.JSON_TYPE if job.line.array else (b"content-type", job.format.stream_type)
    return [kind, (b"cache-control", b"no-cache")]
