"""Turns upstream errors into ``Failure`` values and applies their consequences to the account that was used."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from ..proto.headers import Headers, get
from ..proto.transport import TransportError
from ..translate.events import Failure
from ..translate.formats import FORMATS
from ..upstream.providers import Provider
from . import ratelimit_headers, render, retry
from .job import Gateway
from .resolve import Route
from .retry import Retry
from .snapshot import Connection, Snapshot

_log = logging.getLogger("omniroute.gateway")
_BREAKING: Final = frozenset({500, 502, 503, 504, 529})  # statuses that concern the provider, not an account
_NOT_HERE: Final = frozenset({403, 501})  # may mean that the model does not support the operation; not the account's fault
_MONEY: Final = ("quota", "billing", "credit", "balance")
_LAST_STATUS: Final = 599
_LONGEST: Final = 16 * 1024  # characters of an error message that are kept; some vendors repeat the whole request in it
_SECRET_LENGTH: Final = 8  # shorter ones ("ollama", "none") are words, not secrets


def says(fields: Headers, word: bytes) -> bool:
    """Whether the Content-Type contains *word*."""
    kind = get(fields, b"content-type")
    return kind is not None and (word in kind or word in kind.lower())


def upstream_failure(gateway: Gateway, wire: str, status: int, received: Headers, body: bytes) -> Failure:
    """The failure in an error response in *wire*; ``retry_after`` is the wait that the response asks for, in seconds."""
    if status < 400:
        return Failure(502, f"The provider answered with a redirect ({status}), which is never followed")
    if status > _LAST_STATUS:
        status = 502  # an invalid status counts as a 5xx (RFC 9110 section 15)
    failure = FORMATS[wire].decode_error(status, body)
    failure.status, failure.wire, failure.headers = status, wire, render.answer_fields(received)
    failure.message = failure.message[:_LONGEST]
    failure.raw = body if _says_something(wire, body) else None
    hint = retry.retry_hint(received, failure.message, gateway.clock.time())
    failure.retry_after = hint if hint is not None else failure.retry_after
    if failure.retry_after is None and status == 429:
        failure.retry_after = ratelimit_headers.reset_hint(received, gateway.clock.time())
    return failure


def _says_something(wire: str, body: bytes) -> bool:
    """Whether an error body is a JSON object that can be passed on as it is.

    Compatible servers also send HTML pages, plain texts and numbers; for those an error in the wire's format is made.
    """
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if wire == "gemini" and isinstance(said, list) and said:
        said = said[0]
    return isinstance(said, dict) and any(said.values())


def transport_failure(error: TransportError) -> Failure:
    """The failure for a call without a complete response: 504 after a timeout, else 502."""
    late = error.reason in ("timeout", "connect_timeout")
    return Failure(504 if late else 502, f"The provider could not be reached: {error}")


def without_secret(failure: Failure, secret: str) -> Failure:
    """Remove the account's key from *failure*: some upstreams repeat it, and errors go to logs, records and clients."""
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
    """The account's key as bytes; empty when it is too short to be a secret."""
    return account.secret.encode() if len(account.secret) >= _SECRET_LENGTH else b""


def breaks(failure: Failure) -> bool:
    """Whether *failure* concerns the provider, and not an account or the request."""
    return failure.status in _BREAKING and not failure.slip


def blame(
    gateway: Gateway,
    route: Route,
    account: Connection,
    failure: Failure,
    *,
    network: bool = False,
    count: bool = True,
    request_id: str = "",
) -> Retry:
    """Record *failure* for the account and return where another attempt may go.

    ``network``: there was no response, the status is ours.  ``count``: record it for the provider's circuit breaker too.
    """
    live, provider = gateway.live, route.provider
    known = not _replaced(live.snapshot, account)
    if known:
        live.limiter.learn(account.id, failure.headers)
    if failure.slip:
        return Retry.NEXT_ACCOUNT
    verdict = retry.judge(0 if network else failure.status, failure.message, route.model)
    if verdict.rule is None or not known:
        return verdict.retry
    rule, words = verdict.rule, failure.message[:_LONGEST]  # an error within a stream is not truncated yet
    if failure.retry_after is None:  # an error within a stream or a success response has no header fields
        failure.retry_after = retry.retry_hint([], words, gateway.clock.time())
    if route.aside and failure.status in _NOT_HERE and not any(word in failure.message.lower() for word in _MONEY):
        rule = rule._replace(scope="model")
    live.health.fail(
        account.id,
        provider.id,
        route.kept_as,
        rule,
        status=failure.status,
        message=failure.message,
        hint=failure.retry_after,
        profile=profile_of(gateway, route, account),
    )
    if count and breaks(failure):
        live.breakers.fail(provider.id, profile_of(gateway, route))
    if failure.status == 429 and account.rate_limit_protection:
        live.limiter.refused(account.id, failure.retry_after)
    if rule.scope == "account":
        live.limiter.dismiss(account.id)
    about = {"request_id": request_id}
    _log.warning("%s/%s failed: %s %s", provider.id, account.id, failure.status, words, extra=about)
    return verdict.retry


def _replaced(snapshot: Snapshot, account: Connection) -> bool:
    """Whether the account has been deleted since the call began, or has got another key or address, which has not failed."""
    group = snapshot.connections.get(account.provider, ())
    now = next((other for other in group if other.id == account.id), None)
    if now is None:
        return True
    return account.auth_type == "apikey" and (now.secret, now.base_url) != (account.secret, account.base_url)


def profile_of(gateway: Gateway, route: Route, account: Connection | None = None) -> retry.Profile:
    """The current resilience profile of *account*; without one, that of the provider as a whole."""
    snapshot = gateway.live.snapshot
    return retry.profile_of(snapshot.settings.profiles, profile_name(snapshot, route.provider, account))


def profile_name(snapshot: Snapshot, provider: Provider, account: Connection | None = None) -> str:
    """The name of *account*'s resilience profile, or of the provider's: that of logins if all of its accounts are logins."""
    name = render.provider_profile(provider)
    accounts = (account,) if account is not None else snapshot.connections.get(provider.id, ())
    logins = accounts and all(one.auth_type != "apikey" for one in accounts)
    return "oauth" if name == "apikey" and logins else name
