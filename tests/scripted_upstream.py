"""An HTTP/1.1 upstream on loopback that follows a script, even one that breaks the protocol.

::

    go = asyncio.Event()
    script = [Answer(503), Answer(pieces=[b"data: 1\n\n", go, b"data: 2\n\n", RESET], framing="chunked")]
    async with ScriptedUpstream(*script) as upstream:
        ...                                # call upstream.origin (or .url), then look at upstream.requests
        await upstream.requests[0].gone.wait()

Each request takes the next step of the script, on whatever connection it arrives; the last step is repeated.  A step is an
:class:`Answer`, :class:`Raw` bytes, or a function from the :class:`Seen` request to one of these.

Its ``pieces`` are processed in order: ``bytes`` are written (one chunk each, if chunked), an ``asyncio.Event`` is waited
for, and ``RESET`` (RST), ``CLOSE`` (FIN) and ``HANG`` (nothing more, until the client leaves) end the connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from omniroute.proto.transport import Origin


class End(Enum):
    RESET = "reset"
    CLOSE = "close"
    HANG = "hang"


RESET, CLOSE, HANG = End
Piece = bytes | asyncio.Event | End


@dataclass
class Answer:
    """A valid HTTP answer.

    ``length``: the declared length, if it should differ from that of *pieces*; ``early``: sent before the request's body is
    read.
    """

    status: int = 200
    pieces: Sequence[Piece] = ()
    headers: Sequence[tuple[str, str]] = ()
    framing: Literal["length", "chunked", "close"] = "length"
    length: int | None = None
    early: bool = False

    def head(self) -> bytes:
        fields = [f"{name}: {value}" for name, value in self.headers]
        if self.framing == "chunked":
            fields.append("transfer-encoding: chunked")
        elif self.framing == "length":
            length = sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))
            fields.append(f"content-length: {length if self.length is None else self.length}")
        return "\r\n".join([f"HTTP/1.1 {self.status} Scripted", *fields, "", ""]).encode()

    def frame(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" else piece

    def tail(self) -> bytes:
        return b"0\r\n\r\n" if self.framing == "chunked" else b""


@dataclass
class Raw:
    """A whole answer as bytes, including its head."""

    pieces: Sequence[Piece] = ()
    framing: Literal["raw"] = "raw"
    early: bool = False

    def head(self) -> bytes:
        return b""

    def frame(self, piece: bytes) -> bytes:
        return piece

    def tail(self) -> bytes:
        return b""


@dataclass
class Seen:
    """A received request.  ``connection`` counts from 0; ``gone`` is set when the client has closed that connection."""

    method: str
    path: str
    headers: dict[str, str]
    connection: int
    gone: asyncio.Event
    body: bytes = b""


Step = Answer | Raw | Callable[[Seen], "Answer | Raw"]


class ScriptedUpstream:
    """``origin`` and ``url``: its address; ``requests``: those received; ``connections``: how many were accepted so far."""

    def __init__(self, *script: Step, tls: ssl.SSLContext | None = None) -> None:
        self.script: list[Step] = list(script) or [Answer()]
        self.requests: list[Seen] = []
        self.connections = 0
        self.open: set[_Connection] = set()
        self._arrived = asyncio.Condition()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def origin(self) -> Origin:
        return Origin("https" if self._tls else "http", "127.0.0.1", self.port)

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://127.0.0.1:{self.port}"

    async def arrived(self, count: int) -> Seen:
        """Wait until *count* requests have arrived; return the last of them."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def take(self, seen: Seen) -> Answer | Raw:
        step = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(seen)
        async with self._arrived:
            self._arrived.notify_all()
        return step(seen) if callable(step) else step

    async def __aenter__(self) -> ScriptedUpstream:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and drop every connection; entering again listens on the same port."""
        assert self._server is not None
        self._server.close()
        tasks = [connection.task for connection in self.open if connection.task is not None]
        for connection in list(self.open):
            connection.drop()
        if tasks:
            await asyncio.wait(tasks)


@dataclass(eq=False)
class _Connection(asyncio.Protocol):
    upstream: ScriptedUpstream
    number: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.number = self.upstream.connections
        self.upstream.connections += 1
        self.upstream.open.add(self)
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        self.task = asyncio.get_running_loop().create_task(self.serve())

    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream.open.discard(self)
        if not self.gone.is_set():
            self.reader.feed_eof()
            self.gone.set()

    def drop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        self.transport.abort()

    async def serve(self) -> None:
        try:
            while not self.gone.is_set() and await self.exchange():
                pass
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            self.transport.close()

    async def exchange(self) -> bool:
        line, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        method, path, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        seen = Seen(method, path, headers, self.number, self.gone)
        length = int(headers.get("content-length", "0"))
        step = self.upstream.script[min(len(self.upstream.requests), len(self.upstream.script) - 1)]
        early = getattr(step, "early", False)
        if not early:
            seen.body = await self.reader.readexactly(length)
        goes_on = await self.give(await self.upstream.take(seen))
        if early and goes_on:
            seen.body = await self.reader.readexactly(length)
        return goes_on

    async def give(self, answer: Answer | Raw) -> bool:
        """Write *answer*; return whether the connection stays open."""
        self.transport.write(answer.head())
        for piece in answer.pieces:
            if isinstance(piece, bytes):
                self.transport.write(answer.frame(piece))
            elif isinstance(piece, asyncio.Event):
                await piece.wait()
            elif piece is HANG:
                await self.gone.wait()
                return False
            else:
                self.finish(piece)
                return False
        self.transport.write(answer.tail())
        return answer.framing != "close"

    def finish(self, end: End) -> None:
        if end is RESET:
            sock: socket.socket = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()
