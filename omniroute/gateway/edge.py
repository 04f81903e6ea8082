"""The checks that every request of both planes passes before a handler sees it.

In order: request id, IP filter, ``Host`` (against DNS rebinding), route, ``Origin`` and ``Sec-Fetch-Site`` (a web page must
not spend the owner's keys) with CORS, method, overload and shutdown.  A path that is not in the route table is 404.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol
from weakref import ref

import msgspec

from ..errors import wire_words
from ..proto.exchange import Exchange, Refusal, Request
from ..proto.headers import Headers
from ..proto.routes import RouteTable
from ..settings import ip_literal
from .ip_filter import TrustedProxies
from .live import Live
from .snapshot import Snapshot

_JSON: Final = (b"content-type", b"application/json")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WRONG_HOST: Final = "Host not allowed: use 127.0.0.1 or localhost, or name this host in BASE_URL"
_EXPOSED: Final = (
    b"x-request-id, x-omniroute-route, x-omniroute-dropped, x-omniroute-cache, x-omniroute-idempotent, "
    b"x-omniroute-session-id, x-omniroute-budget-warning, x-omniroute-estimated, x-omniroute-progress, retry-after"
)
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN: Final = frozenset({b"cross-site", b"same-site"})  # W3C Fetch Metadata; another port is the same site
_MOST_HOSTS: Final = 256
_LONGEST_HOST: Final = 256
_PLAIN_ERRORS: Final = (
    *("/api/chat", "/api/generate", "/api/embed", "/api/tags", "/api/show", "/api/version", "/api/ps"),
    *("/v1/api/", "/api/v1/api/"),
)
_CODINGS: Final = frozenset({b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress", b"x-compress"})
_FORWARDING: Final = frozenset({b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip"})
_ID_CHARS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:")


class Row(Protocol):
    """What the edge needs of a route of either plane."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body_limit(self) -> int | None: ...
    @property
    def stream_body(self) -> bool: ...


class Plane(NamedTuple):
    """The routes of one plane and their handler.

    ``body_limit`` applies to rows without their own; ``gateway`` marks the data plane.
    """

    rows: Iterable[Row]
    serve: Callable[[Exchange], Coroutine[Any, Any, None]]
    body_limit: int
    gateway: bool


class Entry(NamedTuple):
    """One row of the combined route table, with its plane."""

    method: str
    path: str
    body_limit: int
    stream_body: bool
    row: Row
    plane: Plane


class Admitted(NamedTuple):
    """The cached result of :meth:`Edge.admit` for equal heads (``Request.known``), valid for one snapshot."""

    snapshot: ref[Snapshot]  # an idle connection must not keep an old one
    entry: Entry
    params: dict[str, str]


class RequestIds:
    """Generates texts in the form of a UUIDv4: a random prefix and a counter, so they are unique but not unguessable.

    Random bytes for each id would need a system call, which costs more than everything else about it.
    """

    def __init__(self) -> None:
        random = os.urandom(10).hex()
        self._front = f"{random[:8]}-{random[8:12]}-4{random[12:15]}-a{random[15:18]}-"
        self._count = int(random[18:], 16) << 32

    def next(self) -> str:
        self._count += 1
        return f"{self._front}{self._count:012x}"


class Edge:
    """The :class:`~omniroute.proto.exchange.Application` that the listener calls.

    ``hosts``: names allowed in ``Host`` in addition to those of loopback; IPv6 addresses are in brackets.  ``*`` allows any
    IP address but no name, because DNS rebinding (a page whose name resolves to our address) needs a name.
    """

    def __init__(
        self,
        planes: Sequence[Plane],
        live: Live,
        *,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        in_flight: int = 2000,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self._table = RouteTable(
            Entry(row.method, row.path, row.body_limit or plane.body_limit, row.stream_body, row, plane)
            for plane in planes
            for row in plane.rows
        )
        self._planes: dict[type, Plane] = {type(row): plane for plane in planes for row in plane.rows}
        self._live = live
        self._ids = RequestIds()
        self._hosts = _LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._any_address = "*" in self._hosts
        self._origins = frozenset(map(_origin, origins))
        self._limit = in_flight
        self._trusted = TrustedProxies(trusted_proxies) or None
        self._known_hosts: dict[bytes, bool] = {}

    def admit(self, request: Request) -> Entry:
        """Route the head, or refuse it.  See ``Application.admit``."""
        before: Admitted | None = request.known.get("admitted")
        if before is not None and before.snapshot() is self._live.snapshot:
            return self._admit_again(request, before)
        named = request.named()
        host, origin, site = named.get(b"host"), named.get(b"origin"), named.get(b"sec-fetch-site")
        sent_id = named.get(b"x-request-id")
        request.id = (_client_id(sent_id) if sent_id is not None else "") or self._ids.next()
        request.reply_headers = [(b"x-request-id", request.id.encode())]
        if self._trusted is not None:
            request.peer = self._trusted.client(request.peer, _forwarding(request))
        if (gate := self._live.snapshot.ip_filter) is not None and (
            reason := gate.refusal(request.peer, self._live.clock.time())
        ):
            raise Refusal(403, [*request.reply_headers, _JSON], msgspec.json.encode({"error": reason}))
        if not self._host_known(host):
            raise self._refusal(request, 403, _WRONG_HOST, "host_not_allowed")
        found = self._table.find(request.path)
        if origin is not None or site is not None:
            self._check_origin(request, host or b"", origin, site, found[0] if found is not None else {})
        if found is None:
            if request.path == "*":  # only with OPTIONS: the server as a whole (RFC 9110 section 9.3.7)
                raise Refusal(204, [*request.reply_headers, (b"allow", _METHODS)])
            method = "GET" if request.method == "HEAD" else request.method  # their fields are the same
            raise self._refusal(request, 404, f"Not found: {method} {request.path[:200]}", "not_found")
        methods, request.params = found
        entry = methods.get(request.method) or (methods.get("GET") if request.method == "HEAD" else None)
        if entry is None:
            raise self._no_method(request, methods)
        if entry.plane.gateway and (self._live.draining or self._live.running >= self._limit):
            raise self._busy(request)
        if b"content-encoding" in named and request.method not in _SAFE:
            self._check_coding(request, named[b"content-encoding"])
        request.route = entry.row
        if origin is None and sent_id is None and gate is None and self._trusted is None:
            request.known["admitted"] = Admitted(ref(self._live.snapshot), entry, request.params)
        return entry

    def _admit_again(self, request: Request, before: Admitted) -> Entry:
        """Admit a head equal to an admitted one; only overload and shutdown have to be checked again."""
        request.id = self._ids.next()
        request.reply_headers = [(b"x-request-id", request.id.encode())]
        entry = before.entry
        if entry.plane.gateway and (self._live.draining or self._live.running >= self._limit):
            raise self._busy(request)
        request.params = before.params
        request.route = entry.row
        return entry

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Pass the exchange to its plane.  Returns the plane's own coroutine, which saves one per request."""
        return self._planes[type(exchange.request.route)].serve(exchange)

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        """Header fields and body of a response that the HTTP server itself sends.  See ``Application.refuse``."""
        code = wire_words(status).openai_code or "bad_request"
        named = request.reply_headers if request is not None else [(b"x-request-id", self._ids.next().encode())]
        return [*named, _JSON], error_body(request, status, message, code)

    def _host_known(self, host: bytes | None) -> bool:
        if host is None:
            return True
        known = self._known_hosts.get(host)
        if known is None:
            text = host.decode("latin-1").lower()
            name = text if text.endswith("]") else text.rpartition(":")[0] or text
            known = name in self._hosts or (self._any_address and ip_literal(name) != "")
            if len(self._known_hosts) < _MOST_HOSTS and len(host) <= _LONGEST_HOST:
                self._known_hosts[host] = known
        return known

    def _check_origin(
        self, request: Request, host: bytes, origin: bytes | None, site: bytes | None, methods: dict[str, Entry]
    ) -> None:
        """Refuse browser requests from other sites, unless their origin is listed; add the CORS fields for those listed.

        Following a link from another site is permitted, loading us as an image or a script is not.  ``*`` lists every origin
        for the data plane only: no website may manage the gateway of its visitor.
        """
        if origin is None:
            if site in _FOREIGN and (
                request.method not in _SAFE or request.header(b"sec-fetch-mode") not in (None, b"navigate")
            ):
                raise self._refusal(request, 403, "Origin not allowed", "origin_not_allowed")
            return
        text = _origin(origin.decode("latin-1"))
        listed = self._origins.union(map(_origin, self._live.snapshot.settings.cors_origins))
        if text in listed or ("*" in listed and any(entry.plane.gateway for entry in methods.values())):
            asked = request.header(b"access-control-request-headers")
            request.reply_headers += [
                (b"access-control-allow-origin", origin),
                (b"vary", b"Origin"),
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", asked or b"authorization, content-type, x-api-key, x-goog-api-key"),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        elif text not in (f"http://{host.decode('latin-1').lower()}", f"https://{host.decode('latin-1').lower()}"):
            raise self._refusal(request, 403, "Origin not allowed", "origin_not_allowed")

    def _check_coding(self, request: Request, coding: bytes) -> None:
        """Refuse a compressed body with 415 instead of a JSON error.  Unknown words in the field are common, and ignored."""
        if coding.lower() in _CODINGS:
            message = f"Content-Encoding {coding.decode()} is not supported: send the body uncompressed"
            headers = [*request.reply_headers, (b"accept-encoding", b"identity"), _JSON]  # RFC 9110 section 12.5.3
            raise Refusal(415, headers, error_body(request, 415, message, "unsupported_content_encoding"))

    def _no_method(self, request: Request, methods: dict[str, Entry]) -> Refusal:
        allow = (b"allow", RouteTable.allow(methods).encode())
        if request.method == "OPTIONS":
            return Refusal(204, [*request.reply_headers, allow])
        return Refusal(405, [*request.reply_headers, allow, _JSON], b'{"error":"Method not allowed"}')

    def _busy(self, request: Request) -> Refusal:
        message = "Server is shutting down" if self._live.draining else "Too many requests in flight"
        headers = [*request.reply_headers, (b"retry-after", b"1"), _JSON]
        return Refusal(503, headers, error_body(request, 503, message, "service_unavailable"))

    def _refusal(self, request: Request, status: int, message: str, code: str) -> Refusal:
        return Refusal(status, [*request.reply_headers, _JSON], error_body(request, status, message, code))


def _origin(text: str) -> str:
    """*text* normalised to the form that browsers send (RFC 6454 section 6)."""
    return text.lower().rstrip("/")


def _forwarding(request: Request) -> dict[bytes, str]:
    """The fields of a reverse proxy about its client; repeated ones are joined as a list (RFC 9110 section 5.3)."""
    found: dict[bytes, str] = {}
    for name, value in request.headers:
        if name in _FORWARDING:
            text = value.decode("latin-1")
            found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _client_id(sent: bytes) -> str:
    """The client's own request id if it is safe to echo and log, else ""."""
    if not sent or len(sent) > 128 or not _ID_CHARS.issuperset(sent):
        return ""
    return sent.decode()


def error_body(request: Request | None, status: int, message: str, code: str) -> bytes:
    """An error body in the format that belongs to the path: Anthropic, Gemini, Ollama, or else OpenAI."""
    words = wire_words(status)
    path = request.path if request is not None else ""
    error: dict[str, object] = {"message": message, "type": words.openai_type, "code": code}
    if "/messages" in path and "/api/auth" not in path:
        return msgspec.json.encode({"type": "error", "error": {**error, "type": words.anthropic_type}})
    if "v1beta" in path:
        return msgspec.json.encode({"error": {"code": status, "message": message, "status": words.gemini_status}})
    if path.startswith(_PLAIN_ERRORS):
        return msgspec.json.encode({"error": message})
    return msgspec.json.encode({"error": error})
