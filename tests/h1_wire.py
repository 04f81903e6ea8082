"""A server protocol without a socket: bytes in, bytes out, and a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import h11
from fakes import FakeClock

from omniroute.proto.exchange import Exchange, Request
from omniroute.proto.h1_server import H1Server, ServerState
from omniroute.proto.headers import Headers
from omniroute.settings import Limits

Handler = Callable[[Exchange], Awaitable[None]]


class FakeSocket:
    def __init__(self) -> None:
        self.error = 0
        self.options: list[tuple[Any, ...]] = []

    def getsockopt(self, *_: int) -> int:
        return self.error

    def setsockopt(self, *option: Any) -> None:
        self.options.append(option)


class FakeTransport(asyncio.Transport):
    """Keeps what is written.  While ``stuck`` the client reads nothing, and the high-water mark applies."""

    def __init__(self, **extra: Any) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "socket": FakeSocket(), **extra})
        self.protocol: H1Server
        self.out: list[bytes] = []
        self.unsent = 0
        self.stuck = False
        self.closed = self.aborted = self.eof_written = self.reading_paused = False
        self._over = False
        self._high = self._low = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high, self._low = high or 0, low or 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: Any) -> None:
        assert not self.eof_written, "written after the end"
        if self.closed:
            return
        self.out.append(bytes(data))
        if self.stuck:
            self.unsent += len(data)
            if self.unsent > self._high and not self._over:
                self._over = True
                self.protocol.pause_writing()

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(bytes(piece) for piece in pieces))

    def take(self, size: int) -> None:
        """The client reads *size* bytes."""
        self.unsent = max(0, self.unsent - size)
        if self._over and self.unsent <= self._low:
            self._over = False
            self.protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return self.get_extra_info("ssl_object") is None

    def write_eof(self) -> None:
        self.eof_written = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Admitted(NamedTuple):
    body_limit: int = 1024 * 1024
    stream_body: bool = False


async def echo(exchange: Exchange) -> None:
    """Answer with what was understood of the request."""
    request = exchange.request
    told = f"{request.method} {request.path} {request.query} ".encode() + request.body
    exchange.respond(200, [(b"content-type", b"text/plain")], told)


class App:
    """An application whose three answers can be replaced one by one."""

    def __init__(self, handler: Handler = echo, admission: Admitted | Exception = Admitted()) -> None:  # noqa: B008
        self.handler = handler
        self.admission = admission
        self.admitted: list[Request] = []
        self.requests: list[Request] = []
        self.refused: list[int] = []

    def admit(self, request: Request) -> Admitted:
        self.admitted.append(request)
        if isinstance(self.admission, Exception):
            raise self.admission
        return self.admission

    async def handle(self, exchange: Exchange) -> None:
        self.requests.append(exchange.request)
        await self.handler(exchange)

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        self.refused.append(status)
        return [(b"content-type", b"text/plain")], message.encode()


class Held:
    """A handler that waits until the test lets it continue."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.exchanges: list[Exchange] = []
        self.go = asyncio.Event()
        self.cancelled = False
        self.told = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.exchanges.append(exchange)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if not exchange.finished:
            await echo(exchange)

    def tell(self) -> None:
        self.told += 1


class Answer(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    complete: bool = True


def read_answers(data: bytes, methods: list[str], *, closed: bool) -> list[Answer]:
    """Parse answers as a client does, including interim ones.  Raises if a byte is left over or out of place."""
    answers: list[Answer] = []
    for method in methods:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        if closed:
            client.receive_data(b"")
        for answer in _one(client):
            answers.append(answer)
            if not answer.complete:
                return answers
        data = client.trailing_data[0]
        if not data:
            break
    assert not data, data
    return answers


def _one(client: h11.Connection) -> Iterator[Answer]:
    head: h11.Response | None = None
    body = b""
    while True:
        try:
            event = client.next_event()
        except h11.RemoteProtocolError:
            event = h11.ConnectionClosed()
        match event:
            case h11.InformationalResponse():
                yield Answer(event.status_code, {}, b"")
            case h11.Response():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                yield Answer(head.status_code, dict(head.headers), body)
                return
            case _:
                if head is not None:
                    yield Answer(head.status_code, dict(head.headers), body, False)
                return


class Wire:
    """One connection to *protocol*; use inside a running event loop."""

    def __init__(
        self,
        protocol: type[H1Server] = H1Server,
        app: App | None = None,
        limits: Limits | None = None,
        state: ServerState | None = None,
        **extra: Any,
    ) -> None:
        self.clock = FakeClock()
        self.app = app or App()
        self.state = state or ServerState(self.app, limits or Limits(), self.clock)  # type: ignore[arg-type]
        self.protocol = protocol(self.state)
        self.transport = FakeTransport(**extra)
        self.transport.protocol = self.protocol
        self.protocol.connection_made(self.transport)

    def feed(self, data: bytes, size: int = 0) -> None:
        """Deliver *data*, in pieces of *size* bytes (0: whole)."""
        for at in range(0, len(data), size or len(data) or 1):
            if not self.transport.closed:
                self.protocol.data_received(data[at : at + (size or len(data))])

    async def send(self, data: bytes, size: int = 0) -> None:
        self.feed(data, size)
        await settle()

    async def end_input(self) -> None:
        """The client shuts its write side."""
        if not self.transport.closed:
            if not self.protocol.eof_received():
                self.transport.close()
            await settle()

    def lose(self) -> None:
        """Drop the connection."""
        self.transport.closed = True
        self.protocol.connection_lost(ConnectionResetError())

    @property
    def sent(self) -> bytes:
        return b"".join(self.transport.out)

    @property
    def closed(self) -> bool:
        """Whether the client sees the end of the connection."""
        return self.transport.closed or self.transport.eof_written

    def answers(self, *methods: str) -> list[Answer]:
        return read_answers(self.sent, list(methods) or ["POST"] * 50, closed=self.closed)

    def answer(self, method: str = "POST") -> Answer:
        """Parse and return the only answer."""
        answers = self.answers(method)
        assert len(answers) == 1, answers
        return answers[0]


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(8):
        await asyncio.sleep(0)
