"""The control plane: answers routed exchanges.

``access check → body check → handler → JSON``.  Every failure gets one of the documented error bodies.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..errors import KINDS, OmniError
from ..gateway.answer import CHALLENGE
from ..proto.exchange import Exchange, Request
from ..proto.headers import Headers
from .access import authorize
from .bodies import decode
from .call import Call, ErrorForm, FileBody, Reply, Route, Services, log
from .download import send_file
from .refusals import Invalid

_JSON: Headers = [(b"content-type", b"application/json")]
_SAFE: Headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_FORM_TYPES = (b"application/x-www-form-urlencoded", b"multipart/", b"text/")
_MOST_QUERY_FIELDS = 100


class ControlPlane:
    """Answers the exchanges whose ``request.route`` is a row of ``MANAGE_ROUTES`` or wraps one as its ``row``."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def handle(self, exchange: Exchange) -> None:
        """Answer the exchange; raises nothing but cancellation."""
        request = exchange.request
        route = getattr(request.route, "row", request.route)
        assert isinstance(route, Route)
        try:
            reply = await self._answer(exchange, route)
        except OmniError as error:
            what = (request.method, request.path, error.message)
            log.log(_level(error), "%s %s: %s", *what, extra={"request_id": request.id})
            reply = render_error(error, request.id, route.errors, coded=route.access == "M")
        except Exception as error:  # noqa: BLE001 - the last resort, so that the client gets an answer
            what = (request.method, request.path, type(error).__name__)
            log.exception("%s %s failed (%s)", *what, extra={"request_id": request.id})
            error_body = {"message": route.failure, "type": "server_error"} if route.errors == "typed" else route.failure
            reply = Reply(500, {"error": error_body, "correlation_id": request.id})
        if isinstance(reply.body, FileBody):
            await send_file(exchange, reply.body, complete(exchange, reply.headers))
        else:
            send(exchange, reply)

    async def _answer(self, exchange: Exchange, route: Route) -> Reply:
        request = exchange.request
        if self.services.live.draining and request.path.startswith("/api/"):
            raise OmniError("draining", "Server is shutting down", code="SERVICE_UNAVAILABLE", retry_after=1)
        call = Call(exchange, self.services, _query(request))
        call.actor = await authorize(call, route.access)
        if request.body and not route.stream_body:
            _check_media_type(request)
        if route.request is not None:
            call.body = decode(request.body, route.request)
        return await route.handler(call)


def send(exchange: Exchange, reply: Reply) -> None:
    """Encode and send a reply; if it sets its own ``cache-control``, that is kept."""
    if isinstance(reply.body, bytes):
        exchange.respond(reply.status, complete(exchange, reply.headers), reply.body)
    else:
        exchange.respond(reply.status, complete(exchange, _JSON + reply.headers), msgspec.json.encode(reply.body))


def complete(exchange: Exchange, headers: Headers) -> Headers:
    """Return *headers* with those that every answer of this plane has."""
    names = {name for name, _ in headers}
    return [*headers, *(pair for pair in _SAFE if pair[0] not in names), *exchange.request.reply_headers]


def render_error(error: OmniError, request_id: str, form: ErrorForm = "", coded: bool = False) -> Reply:
    """Return the error reply: with fields, with code and correlation id, with type (and fields), or with just the text.

    With *coded*, typed errors also have a code and a correlation id.
    """
    body: Any
    if form == "typed":
        named = {"code": error.code, "correlation_id": request_id} if error.code and coded else {}
        said = {"details": _details(error)} if isinstance(error, Invalid) else {}
        body = {"error": {"message": error.message, "type": _typed(error), **named, **said}}
    elif error.status == 400 and (isinstance(error, Invalid) or error.param is not None):
        body = {"error": {"message": "Invalid request", "details": _details(error)}}
    elif error.code and form != "text":
        body = {"error": {"code": error.code, "message": error.message, "correlation_id": request_id}}
    else:
        body = {"error": error.message}
    headers: Headers = [CHALLENGE] if error.status == 401 else []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))))
    return Reply(error.status, body, headers)


def _details(error: OmniError) -> list[dict[str, Any]]:
    """Return each invalid field with its message."""
    pairs = error.details if isinstance(error, Invalid) else ((error.param, error.message),)
    return [{"field": field, "message": message} for field, message in pairs]


def _typed(error: OmniError) -> str:
    if error.status in (401, 403):
        return "invalid_api_key"
    if error.status >= 500:
        return "server_error"
    return "validation_error" if isinstance(error, Invalid) else "invalid_request"


def _query(request: Request) -> dict[str, str]:
    """Return the first value of each name in the query."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError:
        raise Invalid(("query", "Too many query parameters")) from None
    return dict(reversed(pairs))


def _check_media_type(request: Request) -> None:
    """Refuse the media types that a web page can send to another site without a preflight request (CSRF).

    ``curl -d`` sends a form type too; it is recognised by having neither a cookie nor an ``Origin``.
    """
    media = (request.header(b"content-type") or b"").strip().lower()
    browser = request.header(b"origin") is not None or request.header(b"cookie") is not None
    if browser and media.startswith(_FORM_TYPES):
        raise OmniError("invalid_request", "Content-Type must be application/json", status=415)


def _level(error: OmniError) -> int:
    return {"debug": 10, "info": 20, "warning": 30, "error": 40}[KINDS[error.kind].level]
