"""Token counting: by the upstream if it counts tokens in the client's wire, otherwise by an estimate.

An estimate is marked by ``"estimated": true`` in the body and ``X-OmniRoute-Estimated: true`` in the head.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..proto.headers import Headers
from ..proto.transport import TransportError
from ..translate.formats import FORMATS, RELAYS
from ..translate.peek import Peek, peek
from ..upstream.base_url import base_url_of
from ..upstream.credentials import call_headers, with_login
from ..upstream.endpoints import PATHS, Endpoint, endpoint
from ..upstream.send import Times
from . import accounts, auth, render
from .answer import challenge
from .estimate import estimate
from .job import Gateway
from .plan import first_route
from .resolve import Route
from .shape import prompted
from .snapshot import Connection

PATIENCE: Final = 15.0  # seconds; short, because clients wait for the count before they send the request
_MOST: Final = 64 * 1024  # bytes of an upstream's response
_MODEL: Final = "model"  # a path parameter, in Gemini's wire only


async def serve(gateway: Gateway, exchange: Exchange, row: Any) -> None:
    """Respond with the token count in the row's wire."""
    request = exchange.request
    fields = [*request.reply_headers, render.JSON_TYPE]
    form = FORMATS[row.wire]
    try:
        snapshot = gateway.live.snapshot
        key = auth.authenticate(
            snapshot, request, gateway.clock.time(), required=gateway.require_key, keyring=gateway.keyring
        )
        found = peek(gateway.guard.redacted(request.body, request.id), RELAYS[row.wire].members)
        if _MODEL in request.params:  # countTokens takes only contents, or a whole request in another member
            found.model = request.params[_MODEL]
        else:
            found = prompted(snapshot.settings, row.wire, found)
        route = first_route(gateway, snapshot, key, found.model)
        counted = await _upstream(gateway, exchange, found, route, row.wire)
        if counted is not None:
            exchange.respond(200, fields, counted)
            return
        tokens = estimate(form.decode_request(_unwrapped(found)))
    except OmniError as error:
        exchange.respond(error.status, [*fields, *challenge(error.status)], form.encode_error(render.failure_of(error)))
        return
    name = "totalTokens" if _MODEL in request.params else "input_tokens"
    fields.append((b"x-omniroute-estimated", b"true"))
    exchange.respond(200, fields, msgspec.json.encode({name: tokens, "estimated": True}))


async def _upstream(gateway: Gateway, exchange: Exchange, found: Peek, route: Route, wire: str) -> bytes | None:
    """The upstream's response with its count; None if it does not count in *wire* or the call fails."""
    if route.wire != wire or "count_tokens" not in PATHS[wire]:
        return None
    choice = accounts.choose(gateway.live.snapshot, gateway.live, route)
    if not choice.free:
        return None
    account = choice.free[0]
    place, own = _door(route, account)
    names = {name for name, _ in own}
    extra = [field for field in render.WIRE_FIELDS.of(exchange.request.headers) if field[0] not in names]
    body, _ = RELAYS[wire].prepare(found, route.model, route.quirks)
    wait = min(PATIENCE, gateway.limits.first_byte_timeout)
    try:
        status, _, answer = await gateway.client.fetch(
            render.origin_of(place, account),
            "POST",
            place.path,
            [render.JSON_TYPE, *own, *extra],
            body,
            limit=_MOST,
            times=Times(first_byte=wait, idle=wait),
        )
    except TransportError:
        return None
    return answer if status == 200 and answer.lstrip()[:1] == b"{" else None


def _door(route: Route, account: Connection) -> tuple[Endpoint, Headers]:
    base = base_url_of(route.provider, account.base_url, account.data)
    place = endpoint(route.provider, base, "count_tokens", route.model, wire=route.wire)
    return place, call_headers(with_login(route.provider, account.auth_type), account.secret)


def _unwrapped(found: Peek) -> bytes:
    """The request to count: Gemini's ``countTokens`` may have it in ``generateContentRequest``."""
    inner = found.members.get("generateContentRequest")
    return bytes(inner) if inner is not None else found.raw
