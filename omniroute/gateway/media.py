"""Calls beside chat whose answers are whole: the client's body -> an ask -> one vendor's format -> the client's form.

Everything around an attempt (accounts, cooldowns, fallback, records) is that of chat; what differs is in the tables of
``media/``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from ..errors import OmniError
from ..media import embeddings, moderations, rerank
from ..media.codec import UNREADABLE, Got, Mark, Refused, Sent
from ..media.codecs import CODECS
from ..media.operations import EMBEDDINGS, MODERATIONS, RERANK, MediaOperation
from ..proto.exchange import Exchange
from ..proto.headers import Headers
from ..translate.events import Failure
from ..translate.format import BadAnswer
from ..translate.formats import FORMATS
from ..translate.openai_chat_error import error_in
from ..upstream.credentials import base_url_of, call_headers, media_endpoint, with_login
from ..upstream.providers import serves
from ..upstream.send import Template, template
from . import front, media_plan, render, spend
from .answer import respond
from .blame import upstream_failure
from .fallback import place
from .job import Gateway, Job
from .plan import Plan
from .resolve import Route
from .snapshot import Connection

A = TypeVar("A")
T = TypeVar("T")
Handler = Callable[[Gateway, Exchange, Any], Coroutine[Any, Any, None]]
Decode = Callable[[bytes], Any]
"""A client's body -> an ask, which has at least ``model``.  Raises ``OmniError``."""

_CHAT_WIRE: Final = "openai-chat"  # whose errors most vendors, and nearly all clients of these operations, speak


class MediaJob(Job):
    """One call of a media operation: its row, and what its body says once decoded."""

    __slots__ = ("ask", "only", "row")

    def __init__(
        self, exchange: Exchange, row: MediaOperation, began: float, *, wire: str = _CHAT_WIRE, only: str = ""
    ) -> None:
        super().__init__(exchange, wire, began, row.name)
        self.row = row
        self.only = only  # the provider of a dedicated route
        self.ask: Any = None


def serve(
    gateway: Gateway, exchange: Exchange, row: MediaOperation, decode: Decode, *, wire: str = _CHAT_WIRE
) -> Coroutine[Any, Any, None]:
    """Answer one call with a JSON body; ``{provider}`` in the path restricts it."""
    only = exchange.request.params.get("provider", "")
    job = MediaJob(exchange, row, gateway.clock.monotonic(), wire=wire, only=only)

    async def work(gateway: Gateway, job: MediaJob) -> Failure | None:
        front.admit(gateway, job)
        job.ask = decode(body_of(gateway, job))
        return await place(gateway, job, plan_of(gateway, job, job.ask.model), attempt)

    return front.serve(gateway, job, work)


def body_of(gateway: Gateway, job: MediaJob) -> bytes:
    """The client's JSON body, without personal data where the settings say so.  Raises ``OmniError``."""
    request = job.exchange.request
    request.body = gateway.guard.redacted(request.body, request.id)
    return request.body


def handler(row: MediaOperation, decode: Decode, wire: str = _CHAT_WIRE) -> Handler:
    """A row of the route table."""

    def handle(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
        return serve(gateway, exchange, row, decode, wire=wire)

    return handle


embed: Final = handler(EMBEDDINGS, embeddings.decode_openai)
embed_native: Final = handler(EMBEDDINGS, embeddings.decode_ollama, "ollama")
embed_legacy: Final = handler(EMBEDDINGS, embeddings.decode_ollama_legacy, "ollama")


def embed_content(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Gemini's way, the model in the path."""
    return _embed_gemini(gateway, exchange, batch=False)


def embed_contents(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """The same for several requests at once."""
    return _embed_gemini(gateway, exchange, batch=True)


def _embed_gemini(gateway: Gateway, exchange: Exchange, *, batch: bool) -> Coroutine[Any, Any, None]:
    decode = partial(embeddings.decode_gemini, model=exchange.request.params["model"], batch=batch)
    return serve(gateway, exchange, EMBEDDINGS, decode, wire="gemini")


rank: Final = handler(RERANK, rerank.decode)
moderate: Final = handler(MODERATIONS, moderations.decode)


def plan_of(gateway: Gateway, job: MediaJob, model: str) -> Plan:
    """Where a call for *model* may go; what it may cost is reserved.  Raises ``OmniError``."""
    job.requested = model or job.row.default_model
    plan = media_plan.plan(gateway, job.row, job, job.only)
    spend.reserve(gateway, job, plan)
    return plan


async def attempt(gateway: Gateway, job: MediaJob, route: Route, account: Connection) -> Failure | None:
    """One call to one account.  None: the client has been answered; else nothing has been sent."""
    codec = CODECS[job.row.name].get(route.wire)
    if codec is None:
        raise OmniError("not_supported", f"{route.provider.name}: the format '{route.wire}' is not known")
    sent = codec.render(job.ask, route.model)
    job.dropped = sent.dropped
    assert isinstance(sent.body, bytes)
    form = door(job.row.name, route, account, sent)
    call = await gateway.client.whole_as(form, sent.body, limit=gateway.limits.answer_bytes)
    gateway.live.limiter.learn(account.id, call.headers)
    status, received, body = call.status, call.headers, call.take()
    if status >= 300:
        return refused(gateway, route, status, received, body)
    try:
        got = understood(codec.read, body, job.ask, mark(gateway, job, route))
    except Refused as error:
        return Failure(error.status, error.message)
    deliver(gateway, job, got, received)
    return None


def deliver(gateway: Gateway, job: MediaJob, got: Got, received: Headers) -> None:
    """Answer the client, and note for the books what was used."""
    job.usage, job.upstream_model = got.usage, got.model
    job.units = got.units
    fields: Headers = [(b"content-type", got.content_type), *render.answer_fields(received)]
    if got.usage is not None and got.usage.estimated:
        fields.append((b"x-omniroute-estimated", b"true"))
    respond(gateway, job, 200, fields, got.body)


def door(
    operation: str, route: Route, account: Connection, sent: Sent, *more: tuple[bytes, bytes], method: str = "POST"
) -> Template:
    """How *account* is reached for *operation*: address, authentication and the fields of *sent*, then *more*."""
    provider = route.provider
    served = serves(provider, operation)
    assert served is not None
    base = base_url_of(provider, account.base_url, account.data)
    own = bool(account.base_url or account.data.get("baseUrl"))
    place = media_endpoint(provider, base, own, operation, route.model, served, sent.path)
    proof = call_headers(with_login(provider, account.auth_type), account.secret)
    fields: Headers = [(b"content-type", sent.content_type), *proof, render.ACCEPT_JSON]
    if any(name == b"accept" for name, _ in sent.headers):
        fields.pop()
    return template(render.origin_of(place, account), method, place.path, [*fields, *sent.headers, *more])


def refused(gateway: Gateway, route: Route, status: int, received: Headers, body: bytes) -> Failure:
    """What a vendor's error says; its body reaches the client as it is only where both speak the same wire."""
    wire = route.wire if route.wire in FORMATS else _CHAT_WIRE
    failure = upstream_failure(gateway, wire, status, received, body)
    if wire == _CHAT_WIRE and route.wire != "openai":
        failure.raw = None
    return failure


def understood(read: Callable[[bytes, Any, A], T], body: bytes, ask: Any, more: A) -> T:
    """What *read*, of a codec, makes of an answer.

    Raises ``Refused`` for an error that came with a good status, ``BadAnswer`` for what is neither.
    """
    try:
        return read(body, ask, more)
    except BadAnswer:
        if (failure := reported(body)) is None:
            raise
        raise Refused(failure.status, failure.message) from None


def reported(body: bytes) -> Failure | None:
    """The error that an answer with a good status has in place of what was asked for, if it has one."""
    try:
        said = error_in(msgspec.json.decode(body))
    except UNREADABLE:
        return None
    return said and Failure(said.status, said.message)


def mark(gateway: Gateway, job: Job, route: Route) -> Mark:
    """What the answer says that no upstream knows.  The model is named ``provider/model``, as clients name it."""
    label = route.provider.prefix or route.provider.id
    model = job.requested if "/" in job.requested or job.wire != _CHAT_WIRE else f"{label}/{route.model}"
    return Mark(model, int(gateway.clock.time()), job.exchange.request.id.replace("-", ""))
