"""Images and audio: operations with uploaded files, with files or streams as responses, or with several requests.

Accounts, cooldowns, fallback and records work as for every call; the differences between vendors are in ``media/``.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from ..errors import OmniError
from ..media import images, speech, transcriptions
from ..media.codec import Codec, Refused, Sent
from ..media.codecs import CODECS
from ..media.forms import Form, media_type
from ..media.operations import (
    IMAGE_EDITS,
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    MediaOperation,
    missing_model,
    not_served,
)
from ..proto.exchange import Exchange
from ..proto.headers import Headers, get
from ..translate.events import Failure
from ..upstream.call import Call
from ..upstream.request import Body, Template
from . import front, media_stream, pictures, render
from .answer import head
from .blame import says
from .fallback import place
from .job import Gateway
from .media import MediaJob, body_of, deliver, door, mark, plan_of, refused, reported, understood
from .resolve import Route
from .snapshot import Connection
from .spool import Spool, receive

Work = Callable[[Gateway, "FileJob"], Awaitable[Failure | None]]
STEPS_SECONDS: Final = 120.0  # time limit for a vendor's asynchronous job
_ERROR_BODY: Final = 1024 * 1024
_PASSING: Final = frozenset({429, 500, 502, 503, 504})  # statuses after which polling goes on


class FileJob(MediaJob):
    """One call; ``spool`` holds the uploaded files."""

    __slots__ = ("spool",)

    def __init__(self, exchange: Exchange, row: MediaOperation, began: float, only: str = "") -> None:
        super().__init__(exchange, row, began, only=only)
        self.spool: Spool | None = None


def _serve(gateway: Gateway, exchange: Exchange, row: MediaOperation, work: Work) -> Coroutine[Any, Any, None]:
    job = FileJob(exchange, row, gateway.clock.monotonic(), exchange.request.params.get("provider", ""))

    async def admitted(gateway: Gateway, job: FileJob) -> Failure | None:
        front.admit(gateway, job)
        return await work(gateway, job)

    return front.serve(gateway, job, admitted)


# -- the operations


def generate(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Generate images from a prompt."""

    async def work(gateway: Gateway, job: FileJob) -> Failure | None:
        job.ask = ask = images.read_ask(body_of(gateway, job))
        job.stream = ask.stream
        return await place(gateway, job, plan_of(gateway, job, ask.found.model), attempt)

    return _serve(gateway, exchange, IMAGES, work)


def edit(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Edit images by a prompt; the request is a form, or JSON with URLs."""
    return _serve(gateway, exchange, IMAGE_EDITS, _changed("edits"))


def vary(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Generate variations of an image."""
    return _serve(gateway, exchange, IMAGE_EDITS, _changed("variations"))


def _changed(verb: str) -> Work:
    async def work(gateway: Gateway, job: FileJob) -> Failure | None:
        kind = (job.exchange.request.header(b"content-type") or b"").lower()
        if verb == "edits" and b"json" in kind:
            body = await _whole(job.exchange, gateway.limits.gateway_body)
            job.ask = images.read_edit(gateway.guard.redacted(body, job.exchange.request.id))
            job.stream = job.ask.stream
            return await place(gateway, job, plan_of(gateway, job, job.ask.found.model), attempt)
        with Spool() as job.spool:
            form = await _form(gateway, job, job.spool)
            job.ask = images.read_form(form, verb, _boundary(job))
            job.stream = job.ask.stream
            return await place(gateway, job, plan_of(gateway, job, form.first("model") or ""), _attempt_edit)

    return work


async def _attempt_edit(gateway: Gateway, job: FileJob, route: Route, account: Connection) -> Failure | None:
    codec = CODECS[job.row.name][route.wire]
    if not codec.form and not job.ask.pictures:
        if job.ask.verb != "edits":
            row = job.row._replace(endpoint="image variation")
            raise not_served(row, route.provider.id, f"{route.provider.id}/{route.model}")
        job.ask = job.ask._replace(pictures=await _inlined(job, gateway.limits.gateway_body))
    return await attempt(gateway, job, route, account)


async def _inlined(job: FileJob, limit: int) -> tuple[images.Picture, ...]:
    """The images of a form as ``data:`` URLs, for vendors that do not accept forms.  Raises ``OmniError`` 413."""
    found = images.pictures_of(job.ask.form)
    if sum(file.size for file in found) > limit:
        raise OmniError("too_large", "The images are too large for this provider", param="image")
    assert job.spool is not None
    urls = []
    for file in found:
        content = b"".join([piece async for piece in job.spool.pieces(file.offset, file.size)])
        text = base64.b64encode(content).decode("ascii")
        kind = media_type(file) if file.content_type.startswith("image/") else images.mime_of(text)
        urls.append(images.Picture(f"data:{kind};base64,{text}"))
    return tuple(urls)


def transcribe(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Transcribe audio."""
    return _serve(gateway, exchange, TRANSCRIPTIONS, _heard("transcribe"))


def translate(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Translate audio into English text."""
    return _serve(gateway, exchange, TRANSLATIONS, _heard("translate"))


def _heard(task: str) -> Work:
    async def work(gateway: Gateway, job: FileJob) -> Failure | None:
        with Spool() as job.spool:
            form = await _form(gateway, job, job.spool)
            if not (model := form.first("model")):
                raise missing_model()
            job.ask = transcriptions.read_ask(form, task, _boundary(job))
            job.stream = job.ask.stream
            return await place(gateway, job, plan_of(gateway, job, model), attempt)

    return work


def speak(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Generate speech from text."""

    async def work(gateway: Gateway, job: FileJob) -> Failure | None:
        job.ask = ask = speech.read_ask(body_of(gateway, job))
        job.stream = True
        return await place(gateway, job, plan_of(gateway, job, ask.found.model), attempt)

    return _serve(gateway, exchange, SPEECH, work)


def _boundary(job: FileJob) -> str:
    """The boundary of the form sent upstream: made from the request id, so it is unlikely to occur in a file."""
    return f"omniroute-{job.exchange.request.id}"[:70]


async def _form(gateway: Gateway, job: FileJob, spool: Spool) -> Form:
    """The client's form, with personal data in its fields redacted if the settings say so.  Raises ``OmniError``."""
    form = await receive(job.exchange, spool)
    return form._replace(fields=gateway.guard.fields(form.fields, job.exchange.request.id))


async def _whole(exchange: Exchange, limit: int) -> bytes:
    body = bytearray()
    async for chunk in exchange.chunks():
        body += chunk
        if len(body) > limit:
            raise OmniError("too_large", "Request body too large")
    return bytes(body)


# -- one call to one account


async def attempt(gateway: Gateway, job: FileJob, route: Route, account: Connection) -> Failure | None:
    """One call to one account.  None: the client has been answered; a Failure: nothing has been sent to it."""
    codec = CODECS[job.row.name][route.wire]
    sent = codec.render(job.ask, route.model)
    job.dropped = sent.dropped
    form = door(job.row.name, route, account, sent)
    body: Body = sent.body if isinstance(sent.body, bytes) else _source(job, sent)
    try:
        if codec.raw or job.stream:
            return await _streamed(gateway, job, route, account, codec, form, body)
        call = await gateway.client.whole_as(form, body, limit=gateway.limits.answer_bytes)
        return await _read(gateway, job, route, account, codec, call, call.take())
    except Refused as error:
        return Failure(error.status, error.message)


def _source(job: FileJob, sent: Sent) -> Body:
    assert job.spool is not None
    assert not isinstance(sent.body, bytes)
    return job.spool.source(sent.body)


async def _streamed(
    gateway: Gateway, job: FileJob, route: Route, account: Connection, codec: Codec, form: Template, body: Body
) -> Failure | None:
    """A call whose response is relayed as it arrives if it is an audio file or server-sent events, else read whole.

    Returns as :func:`attempt`.
    """
    call = await gateway.client.open_as(form, body)
    try:
        if call.status >= 300:
            return refused(gateway, route, call.status, call.headers, await call.read(_ERROR_BODY))
        events = says(call.headers, b"event-stream")
        if not events and (not codec.raw or says(call.headers, b"json")):
            return await _read(gateway, job, route, account, codec, call, await call.read(gateway.limits.answer_bytes))
        if not events and says(call.headers, b"text/"):
            return Failure(502, "The provider answered with text instead of audio")  # some proxies send a page with 200
        job.units = job.ask.units
        kind = get(call.headers, b"content-type") or b""
        if not events and not kind.startswith(b"audio/"):
            kind = codec.read(b"", job.ask, mark(gateway, job, route)).content_type
        fields: Headers = [(b"content-type", kind), *render.answer_fields(call.headers)]
        failure = await media_stream.relay(gateway, job, route, call, head(job, fields), events=events)
        if failure is not None:
            job.units = None  # a failed attempt is not billed
        return failure
    finally:
        call.cancel()


async def _read(
    gateway: Gateway, job: FileJob, route: Route, account: Connection, codec: Codec, call: Call, body: bytes
) -> Failure | None:
    """Read a whole response, or the first of several, and answer the client.  Returns as :func:`attempt`."""
    if call.status >= 300:
        return refused(gateway, route, call.status, call.headers, body)
    if codec.raw:
        return reported(body) or Failure(502, "The provider answered with JSON instead of audio")
    last = await _follow(gateway, job, route, account, codec, body) if codec.follow is not None else body
    if isinstance(last, Failure):
        return last
    got = understood(codec.read, last, job.ask, mark(gateway, job, route))
    if got.urls:
        job.usage, job.units = got.usage, got.units  # billed by the vendor, even if fetching the images fails
        home = door(job.row.name, route, account, Sent(b"")).origin
        choose = gateway.live.snapshot.outbound.choose
        way = partial(choose, route.provider, account.provider, account.id)
        got = got._replace(body=images.inline(got.body, await pictures.fetch_all(gateway, got.urls, home, way)))
    deliver(gateway, job, got, call.headers)
    return None


async def _follow(
    gateway: Gateway, job: FileJob, route: Route, account: Connection, codec: Codec, body: bytes
) -> bytes | Failure:
    """Send the codec's next requests, until one returns the final body or fails.

    Raises ``OmniError`` 504 when that takes too long: the vendor's job still runs, so no other account is tried.
    """
    assert codec.follow is not None
    clock = gateway.clock
    due = clock.monotonic() + STEPS_SECONDS
    while (step := understood(codec.follow, body, job.ask, route.model)) is not None:
        form = door(job.row.name, route, account, Sent(step.body, path=step.path), method=step.method)
        while True:
            if clock.monotonic() + step.wait > due:
                raise OmniError("upstream_timeout", f"The provider was not ready within {STEPS_SECONDS:g} seconds")
            if step.wait:
                await clock.sleep(step.wait)
            call = await gateway.client.whole_as(form, step.body, limit=gateway.limits.answer_bytes)
            if not (step.wait and call.status in _PASSING):
                break
        body = call.take()
        if call.status >= 300:
            return refused(gateway, route, call.status, call.headers, body)
    return body
