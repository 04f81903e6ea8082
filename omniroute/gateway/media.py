"""Operations other than chat without streams or files: client body -> ask -> vendor's format -> client's format.

Accounts, cooldowns, fallback and records work as for chat; what differs is in the tables of ``media/``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

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
from ..upstream.base_url import base_url_of
from ..upstream.credentials import call_headers, with_login
from ..upstream.endpoints import media_endpoint
from ..upstream.providers import serves
from ..upstream.request import Template, template
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
"""A client's body -> an ask with at least the attribute ``model``.  Raises ``OmniError``."""

_CHAT_WIRE: Final = "openai-chat"  # its error format is that of most vendors and clients of these operations


class MediaJob(Job):
    """One call of a media operation; ``ask`` is its decoded body."""

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
    """Answer one call with a JSON body; ``{provider}`` in the path restricts it to that provider."""
    only = exchange.request.params.get("provider", "")
    job = MediaJob(exchange, row, gateway.clock.monotonic(), wire=wire, only=only)

    async def work(gateway: Gateway, job: MediaJob) -> Failure | None:
        front.admit(gateway, job)
        job.ask = decode(body_of(gateway, job))
        return await place(gateway, job, plan_of(gateway, job, job.ask.model), attempt)

    return front.serve(gateway, job, work)


def body_of(gateway: Gateway, job: MediaJob) -> bytes:
    """The client's JSON body, with personal data redacted if the settings say so.  Raises ``OmniError``."""
    request = job.exchange.request
    request.body = gateway.guard.redacted(request.body, request.id)
    return request.body


def handler(row: MediaOperation, decode: Decode, wire: str = _CHAT_WIRE) -> Handler:
    """A handler for the route table."""

    def handle(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
        return serve(gateway, exchange, row, decode, wire=wire)

    return handle


embed: Final = handler(EMBEDDINGS, embeddings.decode_openai)
embed_native: Final = handler(EMBEDDINGS, embeddings.decode_ollama, "ollama")
embed_legacy: Final = handler(EMBEDDINGS, embeddings.decode_ollama_legacy, "ollama")


def embed_content(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Gemini's ``embedContent``, with the model in the path."""
    return _embed_gemini(gateway, exchange, batch=False)


def embed_contents(gateway: Gateway, exchange: Exchange, route: object) -> Coroutine[Any, Any, None]:
    """Gemini's ``batchEmbedContents``: several requests at once."""
    return _embed_gemini(gateway, exchange, batch=True)


def _embed_gemini(gateway: Gateway, exchange: Exchange, *, batch: bool) -> Coroutine[Any, Any, None]:
    decode = partial(embeddings.decode_gemini, model=exchange.request.params["model"], batch=batch)
    return serve(gateway, exchange, EMBEDDINGS, decode, wire="gemini")


rank: Final = handler(RERANK, rerank.decode)
moderate: Final = handler(MODERATIONS, moderations.decode)


def plan_of(gateway: Gateway, job: MediaJob, model: str) -> Plan:
    """The plan of a call for *model*; its possible cost is reserved.  Raises ``OmniError``."""
    job.requested = model or job.row.default_model
    plan = media_plan.plan(gateway, job.row, job, job.only)
    spend.reserve(gateway, job, plan)
    return plan


async def attempt(gateway: Gateway, job: MediaJob, route: Route, account: Connection) -> Failure | None:
    """One call to one account.  None: the client has been answered; a Failure: nothing has been sent to it."""
    codec = CODECS[job.row.name][route.wire]
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
    """Answer the client, and record the usage."""
    job.usage, job.upstream_model = got.usage, got.model
    job.units = got.units
    fields: Headers = [(b"content-type", got.content_type), *render.answer_fields(received)]
    if got.usage is not None and got.usage.estimated:
        fields.append((b"x-omniroute-estimated", b"true"))
    respond(gateway, job, 200, fields, got.body)


def door(
    operation: str, route: Route, account: Connection, sent: Sent, *more: tuple[bytes, bytes], method: str = "POST"
) -> Template:
    """The head of a request to *account* for *operation*: address, authentication, the fields of *sent*, then *more*."""
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
    """A vendor's error as a Failure.  Its body is relayed unchanged only if both sides have the same wire format."""
    wire = route.wire if route.wire in FORMATS else _CHAT_WIRE
    failure = upstream_failure(gateway, wire, status, received, body)
    if wire == _CHAT_WIRE and route.wire != "openai":
        failure.raw = None
    return failure


def understood(read: Callable[[bytes, Any, A], T], body: bytes, ask: Any, more: A) -> T:
    """The result of a codec's *read* or *follow*.

    Raises ``Refused`` for an error with a success status, ``BadAnswer`` for any other unusable response.
    """
    try:
        return read(body, ask, more)
    except BadAnswer:
        if (failure := reported(body)) is None:
            raise
        raise Refused(failure.status, failure.message) from None


def reported(body: bytes) -> Failure | None:
    """The error in a response with a success status, None if there is none."""
    try:
        said = error_in(msgspec.json.decode(body))
    except UNREADABLE:
        return None
    return said and Failure(said.status, said.message)


def mark(gateway: Gateway, job: Job, route: Route) -> Mark:
    """The gateway's own values for the response.  The model is named as the client did or ``provider/model``."""
    label = route.provider.prefix or route.provider.id
    model = job.requested if "/" in job.requested or job.wire != _CHAT_WIRE else f"{label}/{route.model}"
    return Mark(model, int(gateway.clock.time()), job.exchange.request.id.replace("-", ""))
