"""Responses to the client that are not streams: complete answers and errors."""

from __future__ import annotations

from typing import Final

from ..errors import wire_words
from ..proto.headers import Headers
from ..translate.events import Failure
from . import render, retry
from .job import Gateway, Job
from .walk import BREAKER_OPEN

# A route with many accounts is long, and some clients and proxies refuse a field or head of more than 8 or even 4 KiB.
_FIELD_BYTES: Final = 2048
CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="OmniRoute"')  # required with a 401 by RFC 9110 section 15.5.2


def challenge(status: int) -> Headers:
    """The header fields that an error response of our own needs for its *status*."""
    return [CHALLENGE] if status == 401 else []


def head(job: Job, fields: Headers) -> Headers:
    """The header fields of a response: request id, CORS, *fields*, and the ``X-OmniRoute-…`` fields of *job*."""
    out = [*job.exchange.request.reply_headers, *fields]
    if job.notes:
        out.append((b"x-omniroute-route", _field(job.notes)))
    if job.cache:
        out.append((b"x-omniroute-cache", job.cache))
    if job.reservation is not None and job.reservation.warning:
        out.append((b"x-omniroute-budget-warning", job.reservation.warning.encode("ascii")))
    if job.session:
        out.append((b"x-omniroute-session-id", job.session.encode()))
    if job.dropped:
        out.append((b"x-omniroute-dropped", _field(", ".join(job.dropped))))
    return out


def _same_wait(millis: bytes, failure: Failure) -> bool:
    """Whether *millis* agrees with our own ``Retry-After``: clients that get both use the milliseconds."""
    seconds = retry.retry_hint([(b"retry-after-ms", millis)], "", 0.0)
    wait = failure.retry_after
    return seconds is not None and wait is not None and retry.whole_seconds(seconds) == retry.whole_seconds(wait)


def _field(text: str) -> bytes:
    """*text* as the value of a header field, truncated if it is long."""
    shown = text if len(text) <= _FIELD_BYTES else text[: _FIELD_BYTES - 3] + "..."
    return shown.encode("latin-1", "replace")


def respond(gateway: Gateway, job: Job, status: int, fields: Headers, body: bytes) -> None:
    """Send a complete response, and note it in *job* and for replay."""
    job.status = status
    job.first_byte = gateway.clock.monotonic()
    if job.keeper is not None:
        job.keeper.keep(job, status, body)
    job.exchange.respond(status, head(job, fields), body)


def refuse(gateway: Gateway, job: Job, failure: Failure) -> None:
    """Send *failure* as an error in the client's wire; an upstream's error body is passed on if it has the same wire."""
    job.failure = failure
    job.notes = job.notes or nobody(job)
    exchange = job.exchange
    if exchange.started:
        exchange.abort()
        job.status = job.status or failure.status
        return
    fields: Headers = [render.JSON_TYPE]
    if not failure.wire:
        fields += challenge(failure.status)
    if failure.retry_after is not None:
        fields.append((b"retry-after", b"%d" % retry.whole_seconds(failure.retry_after)))
    if failure.wire == job.wire:
        fields += [field for field in failure.headers if field[0] not in (b"retry-after", b"retry-after-ms")]
        fields += [field for field in failure.headers if field[0] == b"retry-after-ms" and _same_wait(field[1], failure)]
    raw = failure.raw if failure.wire == job.wire else None
    body = raw if raw is not None else job.format.encode_error(_told(failure))
    respond(gateway, job, failure.status, fields, body)


def nobody(job: Job) -> str:
    """The ``X-OmniRoute-Route`` of a call that got no answer: which accounts were tried or passed over."""
    return f"none; attempt={job.attempts}/{job.attempts}{job.trail}"


def _told(failure: Failure) -> Failure:
    """*failure* as clients see it: an upstream's message has its status in front, and every failure has a code."""
    code = "" if failure.code == BREAKER_OPEN else failure.code
    return Failure(
        failure.status,
        render.told(failure),
        failure.type,
        code or wire_words(failure.status).openai_code,
        failure.param,
        failure.retry_after,
    )
