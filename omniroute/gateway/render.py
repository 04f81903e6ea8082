"""Requests to upstreams, and header fields of responses to clients.  No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Raw

from ..errors import OmniError, wire_words
from ..proto.exchange import Request
from ..proto.headers import Headers
from ..proto.transport import Origin
from ..translate.conversation import Ask
from ..translate.events import Failure
from ..translate.format import Target
from ..translate.formats import FORMATS, RELAYS
from ..translate.peek import Peek
from ..upstream.base_url import base_url_of
from ..upstream.credentials import call_headers, with_login
from ..upstream.endpoints import CHAT_OPERATION, Endpoint, endpoint
from ..upstream.providers import Provider
from ..upstream.request import Template, template
from .resolve import Route
from .snapshot import Connection, Snapshot

JSON_TYPE: Final = (b"content-type", b"application/json")
ACCEPT_JSON: Final = (b"accept", b"application/json")
ACCEPT_STREAM: Final = (b"accept", b"text/event-stream")


class Door(NamedTuple):
    """The constant part of chat requests to one account: heads for whole and for streamed answers."""

    whole: Template
    stream: Template
    fields: frozenset[bytes]  # names of the fields in the templates


class Doors:
    """A cache of doors by connection, wire and model; it is cleared with each new snapshot."""

    _MOST: Final = 4096

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._doors: dict[tuple[str, str, str, str], Door] = {}

    def find(self, snapshot: Snapshot, route: Route, account: Connection) -> Door:
        if snapshot is not self._snapshot:
            self._snapshot, self._doors = snapshot, {}
        key = (account.id, account.secret, route.wire, route.model)  # with the secret: a call may still hold an older token
        door = self._doors.get(key)
        if door is None:
            if len(self._doors) >= self._MOST:
                self._doors.clear()
            door = self._doors[key] = _open(route, account)
        return door


def _open(route: Route, account: Connection) -> Door:
    provider = route.provider
    base = base_url_of(provider, account.base_url, account.data)
    operation = CHAT_OPERATION[route.wire]
    plain = endpoint(provider, base, operation, route.model, wire=route.wire)
    stream = endpoint(provider, base, operation, route.model, stream=True, wire=route.wire)
    fields = [JSON_TYPE, *call_headers(with_login(provider, account.auth_type), account.secret)]
    return Door(
        template(origin_of(plain, account), "POST", plain.path, [*fields, ACCEPT_JSON]),
        template(origin_of(stream, account), "POST", stream.path, [*fields, ACCEPT_STREAM]),
        frozenset(name for name, _ in fields),
    )


def origin_of(place: Endpoint, account: Connection) -> Origin:
    """The origin of requests to *account*, with its proxy if it has one."""
    return Origin(place.scheme, place.host, place.port, account.proxy.proxy if account.proxy is not None else None)


def label(provider: Provider, account: Connection) -> str:
    """``provider/account``, encoded for a header field."""
    return f"{provider.prefix or provider.id}/{printable(account.name)}"


@lru_cache(maxsize=4096)
def printable(name: str) -> str:
    """A name chosen by a user, encoded for a header field."""
    return quote(name, safe=" @.-_")


Watch = Callable[[bytes], None]


class Prepared(NamedTuple):
    """A request body for one target.  ``names`` maps tool names as sent to the client's own."""

    body: bytes
    dropped: tuple[str, ...]
    names: dict[str, str]
    strip_usage: bool
    watch: Watch | None = None  # called with response data on the same wire


def same_wire(found: Peek, route: Route, wire: str, dropped: tuple[str, ...] = (), watch: Watch | None = None) -> Prepared:
    """The client's own body with the model's name replaced."""
    body, strip = RELAYS[wire].prepare(found, route.model, route.quirks)
    return Prepared(body, dropped, {}, strip, watch)


STREAMED: Final = "; answered as a stream"  # for X-OmniRoute-Route
_STREAMS_ONLY: Final = re.compile(
    r"\bstream\W+must be (set to )?`?true|\bonly supports? stream|\brequires? stream(ing)?\b|enable the stream parameter",
    re.IGNORECASE,
)
_members: Final = msgspec.json.Decoder(dict[str, Raw])
_ON: Final = Raw(b"true")
_WITH_USAGE: Final = Raw(b'{"include_usage":true}')


def streams_only(failure: Failure) -> bool:
    """Whether an upstream refused a request because it answers with streams alone; the wording differs between vendors."""
    return failure.status == 400 and _STREAMS_ONLY.search(failure.message) is not None


def as_stream(route: Route, body: bytes) -> bytes:
    """*body* with streaming requested; in Gemini's wire the path determines that, so *body* is unchanged."""
    if route.wire == "gemini":
        return body
    members = _members.decode(body) | {"stream": _ON}
    if route.wire == "openai-chat" and "no_stream_options" not in route.quirks:
        members["stream_options"] = _WITH_USAGE
    return msgspec.json.encode(members)


def translated(ask: Ask, route: Route, cap: int | None = None) -> Prepared:
    """The request encoded in the target's wire format.  *cap*: a policy's limit for the answer, in tokens."""
    known = route.provider.models.get(route.model)
    most = known.max_output if known is not None else 0
    target = Target(
        route.model,
        most if cap is None else min(most or cap, cap),
        route.quirks,
        known.abilities if known is not None else frozenset(),
    )
    rendered = FORMATS[route.wire].encode_request(ask, target)
    return Prepared(rendered.body, rendered.dropped, rendered.names, False)


class FieldFilter:
    """Selects header fields by prefixes of their names.  Other names are remembered, which saves most comparisons."""

    __slots__ = ("_others", "_starts")
    _MOST: Final = 512

    def __init__(self, *starts: bytes) -> None:
        self._starts = starts
        self._others: set[bytes] = set()

    def of(self, fields: Headers) -> Headers:
        """The *fields* whose names have one of the prefixes."""
        others = self._others
        return [field for field in fields if field[0] not in others and self._begins(field[0])]

    def _begins(self, name: bytes) -> bool:
        if name.startswith(self._starts):
            return True
        if len(self._others) < self._MOST:
            self._others.add(name)
        return False


# Fields of the wire format are relayed on the same wire, fields about limits and retries always to the client.
WIRE_FIELDS: Final = FieldFilter(b"anthropic-", b"openai-")
_answer = FieldFilter(b"x-ratelimit-", b"anthropic-", b"openai-", b"request-id", b"retry-after", b"x-should-retry")


def wire_fields(door: Door, request: Request) -> Headers:
    """The client's header fields that belong to the wire format, except those that the account sets itself."""
    sent: Headers | None = request.known.get("wire")
    if sent is None:
        sent = request.known["wire"] = WIRE_FIELDS.of(request.headers)
    return [field for field in sent if field[0] not in door.fields] if sent else sent


def answer_fields(received: Headers) -> Headers:
    """The upstream's header fields that are meant for the client."""
    return _answer.of(received)


def provider_profile(provider: Provider) -> str:
    """The name of the provider's resilience profile."""
    if provider.local:
        return "local"
    return "apikey" if provider.auth_type == "apikey" else "oauth"


def told(failure: Failure) -> str:
    """The message of a failure; an upstream's message is prefixed with its status."""
    return f"[{failure.status}]: {failure.message}" if failure.wire else failure.message


def failure_of(error: OmniError) -> Failure:
    """An error of the gateway itself as a Failure."""
    return Failure(
        error.status,
        error.message,
        code=error.code or wire_words(error.status).openai_code,
        param=error.param,
        retry_after=error.retry_after,
    )
