"""The control of the measurements: the least that a relay in Python can do.

It parses each request (every header field included) and each answer, keeps a LIFO pool of upstream connections and forwards
bytes as they arrive: each piece read is written at once; nothing is copied, inspected, logged or timed.  OmniRoute's cost is
stated as a multiple of this, measured on the same machine at the same time, because microseconds differ between machines.

It is a fair control: both directions go through httptools, so it knows where messages end and which connections can be
reused, and if an upstream connection dies, the client's connection is closed.  It has no limits, deadlines or back-pressure.

``python -m bench.bare_relay --port 0 --upstream PORT`` prints the port it listens on.
"""

from __future__ import annotations

import argparse
import asyncio

import httptools
import uvloop


class Relay:
    """The connection pool, and the upstream's address."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.idle: list[Upstream] = []

    async def connect(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, upstream = await loop.create_connection(lambda: Upstream(self), "127.0.0.1", self.upstream)
        except OSError:
            client.transport.abort()
            return
        client.attach(upstream)


class Client(asyncio.Protocol):
    """The client's side."""

    transport: asyncio.Transport

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._parser = httptools.HttpRequestParser(self)
        self._upstream: Upstream | None = None
        self._waiting: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()
            return
        if self._upstream is not None:
            self._upstream.transport.write(data)
        elif self._relay.idle:
            self._upstream = upstream = self._relay.idle.pop()
            upstream.client = self
            upstream.transport.write(data)
        else:
            self._waiting.append(data)
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._relay.connect(self))

    def attach(self, upstream: Upstream) -> None:
        self._connecting = None
        if self.transport.is_closing():
            self._relay.idle.append(upstream)
            return
        self._upstream = upstream
        upstream.client = self
        upstream.transport.writelines(self._waiting)
        self._waiting = []

    def release(self) -> None:
        self._upstream = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None:
            self._upstream.client = None
            self._upstream.transport.abort()


class Upstream(asyncio.Protocol):
    """The provider's side."""

    transport: asyncio.Transport

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._parser = httptools.HttpResponseParser(self)
        self._complete = False
        self.client: Client | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._complete = True

    def data_received(self, data: bytes) -> None:
        client = self.client
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()
            return
        if client is None:
            return
        client.transport.write(data)
        if self._complete:
            self._complete = False
            self.client = None
            client.release()
            self._relay.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self.client.release()
            self.client.transport.abort()
        elif self in self._relay.idle:
            self._relay.idle.remove(self)


async def serve(port: int, upstream: int) -> None:
    relay = Relay(upstream)
    server = await asyncio.get_running_loop().create_server(lambda: Client(relay), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--upstream", type=int, required=True)
    given = options.parse_args()
    uvloop.run(serve(given.port, given.upstream))


if __name__ == "__main__":
    main()
