"""A gateway with a scripted upstream in memory: no sockets, and a fake clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from data_plane import MODEL, accounts, provider, snapshot
from fakes import FakeClock
from fakes_exchange import FakeExchange
from wires import Wire

from omniroute.gateway import auth, pipeline
from omniroute.gateway.job import ChatJob, Gateway, Line
from omniroute.gateway.live import Live
from omniroute.gateway.snapshot import GatewayKey, Snapshot
from omniroute.gateway.usage import CallRecord
from omniroute.proto.exchange import Request
from omniroute.proto.headers import Headers
from omniroute.proto.transport import TransportError
from omniroute.settings import Limits
from omniroute.upstream.call import Call
from omniroute.upstream.send import Client

JSON: Headers = [(b"content-type", b"application/json")]
SSE: Headers = [(b"content-type", b"text/event-stream")]


class FakeCall:
    """An answer whose head has arrived; the test pushes the rest."""

    def __init__(self, clock: FakeClock, status: int = 200, headers: Headers = SSE, body: bytes = b"") -> None:
        self.clock = clock
        self.status, self.headers, self.body = status, headers, body
        self.last_activity = clock.monotonic()
        self.paused = self.cancelled = False
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[bytes], None] | None = None
        self._on_error: Callable[[TransportError], None] | None = None

    def attach(
        self, on_data: Callable[[bytes], None], on_end: Callable[[bytes], None], on_error: Callable[[TransportError], None]
    ) -> None:
        self._on_data, self._on_end, self._on_error = on_data, on_end, on_error
        if self.body:
            on_data(self.body)

    async def read(self, limit: int) -> bytes:
        return self.body

    def push(self, *pieces: bytes) -> None:
        assert self._on_data is not None
        for piece in pieces:
            self.last_activity = self.clock.monotonic()
            if not self.cancelled:
                self._on_data(piece)

    def end(self, rest: bytes = b"") -> None:
        assert self._on_end is not None
        self._on_end(rest)

    def fail(self, error: TransportError) -> None:
        assert self._on_error is not None
        self._on_error(error)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def cancel(self) -> None:
        self.cancelled = True


Reply = tuple[int, Headers, bytes] | BaseException


class FakeClient:
    """Answers from ``replies``, repeating the last one; ``sent`` holds the body of each request."""

    def __init__(self, clock: FakeClock, replies: Sequence[Reply] = ()) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.sent: list[bytes] = []
        self.extra: list[Headers] = []

    def _next(self, body: bytes, extra: Headers) -> tuple[int, Headers, bytes]:
        reply = self.replies[min(len(self.sent), len(self.replies) - 1)]
        self.sent.append(body)
        self.extra.append(extra)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def whole_as(self, template: Any, body: bytes, *, extra: Headers, limit: int, ends: Any = None) -> Call:
        status, headers, raw = self._next(body, extra)
        call = FakeCall(self.clock, status, headers, raw)
        call.take = lambda: raw  # type: ignore[attr-defined]
        return cast(Call, call)

    async def reach(self, origin: Any, seconds: float) -> None:
        """Do nothing: every origin counts as reachable."""

    async def open_as(self, template: Any, body: bytes, *, extra: Headers) -> Call:
        status, headers, raw = self._next(body, extra)
        call = FakeCall(self.clock, status, headers, raw)
        if raw:
            call.attach = lambda on_data, on_end, on_error: on_end(raw)  # type: ignore[method-assign, assignment]
        return cast(Call, call)


class FakeGateway(Gateway):
    """``records`` are the finished calls, ``upstream`` the script."""

    upstream: FakeClient
    records: list[CallRecord]
    hands: FakeClock


def fake_gateway(state: Snapshot, *replies: Reply, limits: Limits | None = None, require_key: bool = False) -> FakeGateway:
    """Return a gateway that serves *state* and whose upstream sends *replies*."""
    clock = FakeClock()
    records: list[CallRecord] = []
    client = FakeClient(clock, replies)
    live = Live(cast(Any, clock), state, records.append)
    made = FakeGateway(live, cast(Client, client), limits or Limits(), cast(Any, clock), require_key=require_key)
    made.upstream, made.records, made.hands = client, records, clock
    return made


def one_provider(wire: Wire, *secrets: str, **more: Any) -> Snapshot:
    """Return a snapshot with one provider that speaks *wire*, and an account for each secret."""
    return snapshot(provider(wire, **more.pop("about", {})), accounts(*(secrets or ("key-1",))), **more)


def exchange(wire: Wire, body: Any, *headers: tuple[bytes, bytes], path: str = "") -> FakeExchange:
    """Return a request on *wire*, as the edge passes it on."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request("POST", path or wire.path, "", [*JSON, *headers], raw)
    request.id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    request.reply_headers = [(b"x-request-id", request.id.encode())]
    return FakeExchange(request)


def job(wire: Wire, body: Any, began: float = 0.0) -> ChatJob:
    """Return the pipeline's state at the start of a call."""
    return ChatJob(exchange(wire, body), Line(wire.name), began)


# -- chat calls through the whole pipeline

SECRET = b"s" * 32


async def ask(
    gateway: FakeGateway, wire: Wire, body: Any = None, *headers: tuple[bytes, bytes], only: str = ""
) -> FakeExchange:
    made = exchange(wire, wire.ask(MODEL) if body is None else body, *headers)
    await pipeline.serve(gateway, made, Line(wire.name, only))
    return made


def failing(
    wire: Wire, status: int, *headers: tuple[bytes, bytes], text: str = "No"
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, [*JSON, *headers], wire.error("some_error", text)


def good(wire: Wire) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, JSON, wire.whole


def key(**more: Any) -> tuple[GatewayKey, tuple[bytes, bytes]]:
    made = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-agent"), **more)
    return made, (b"authorization", b"Bearer sk-agent")
