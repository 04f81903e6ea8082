"""What went wrong upstream, in the words of ``Failure``, and what it means for the account that was asked."""

from __future__ import annotations

import logging
from typing import Final

from ..errors import Retry
from ..proto.h1_client import TransportError
from ..proto.headers import Headers, get
from ..translate.events import Failure
from ..translate.formats import FORMATS
from . import render, retry
from .job import Gateway
from .resolve import Route
from .snapshot import Connection

_log = logging.getLogger("omniroute.gateway")
_SECRET_LENGTH: Final = 8  # shorter ones ("ollama", "none") are words, not secrets


def says(fields: Headers, word: bytes) -> bool:
    """Whether the content type has *word* in it."""
    kind = get(fields, b"content-type")
    return kind is not None and (word in kind or word in kind.lower())


def upstream_failure(gateway: Gateway, wire: str, status: int, received: Headers, body: bytes) -> Failure:
    """What an error answer in *wire* says, with the time it asks us to wait."""
    if status < 400:
        return Failure(502, f"The provider answered with a redirect ({status}), which is never followed")
    failure = FORMATS[wire].decode_error(status, body)
    failure.status, failure.wire, failure.headers = status, wire, render.answer_fields(received)
    failure.raw = body if says(received, b"json") or body[:1] in (b"{", b"[") else None
    hint = retry.retry_hint(received, failure.message, gateway.clock.time())
    failure.retry_after = hint if hint is not None else failure.retry_after
    return failure


def transport_failure(error: TransportError) -> Failure:
    """No whole answer came."""
    late = error.reason in ("timeout", "connect_timeout")
    return Failure(504 if late else 502, f"The provider could not be reached: {error}")


def without_secret(failure: Failure, secret: str) -> Failure:
    """*failure* without the account's key: some upstreams repeat it, and errors go to logs, records and clients."""
    if len(secret) < _SECRET_LENGTH:
        return failure
    raw = secret.encode()
    failure.message = failure.message.replace(secret, "[key]")
    if failure.raw is not None:
        failure.raw = failure.raw.replace(raw.replace(b"/", b"\\/"), b"[key]").replace(raw, b"[key]")
    failure.headers = [(name, value.replace(raw, b"[key]")) for name, value in failure.headers]
    failure.type, failure.code = failure.type.replace(secret, "[key]"), failure.code.replace(secret, "[key]")
    return failure


def secret_bytes(account: Connection) -> bytes:
    """The account's key as it would stand in a stream; empty when it is no secret."""
    return account.secret.encode() if len(account.secret) >= _SECRET_LENGTH else b""


def blame(gateway: Gateway, route: Route, account: Connection, failure: Failure) -> Retry:
    """Mark the account for *failure* and say whether another may be tried."""
    verdict = retry.judge(failure.status, failure.message)
    if verdict.rule is not None:
        gateway.live.health.fail(
            account.id,
            route.provider.id,
            route.model,
            verdict.rule,
            status=failure.status,
            message=failure.message,
            hint=failure.retry_after,
            profile=render.provider_profile(route.provider),
        )
        _log.warning("%s/%s failed: %s %s", route.provider.id, account.id, failure.status, failure.message)
    return verdict.retry
