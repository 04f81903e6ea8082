"""The second control: the gateway's protocol layers with nothing on top.

It includes what :mod:`bench.bare_relay` omits but a gateway needs: strict parsing, limits, deadlines, back-pressure, a task
per request, a retry on a dead connection.  It has no keys, routing, records or translation.  The difference to the bare
relay is thus the cost of handling HTTP carefully, the difference to OmniRoute the cost of being a gateway.

``python -m bench.proto_relay --upstream PORT`` prints the port it listens on.
"""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from omniroute.app import settle
from omniroute.clock import Clock
from omniroute.proto.exchange import Exchange, Request
from omniroute.proto.headers import Headers
from omniroute.proto.listener import Listener
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.request import template
from omniroute.upstream.send import Client

_JSON = [(b"content-type", b"application/json")]
_PATH = b"/v1/chat/completions"


class Relay:
    """Relays whole answers only."""

    body_limit = 1 << 25
    stream_body = False

    def __init__(self, upstream: int) -> None:
        self._limits = Limits()
        self._client = Client(self._limits, Clock())
        self._form = template(Origin("http", "127.0.0.1", upstream), "POST", _PATH, _JSON)

    def admit(self, request: Request) -> Relay:
        return self

    async def handle(self, exchange: Exchange) -> None:
        call = await self._client.whole_as(self._form, exchange.request.body, limit=self._limits.answer_bytes)
        exchange.respond(call.status, _JSON, call.take())

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        return [], message.encode()


async def main(upstream: int) -> None:
    listener = Listener(Relay(upstream), Limits(), Clock())
    await listener.start("127.0.0.1", 0)
    print(listener.port, flush=True)
    settle()
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--upstream", type=int, required=True)
    uvloop.run(main(arguments.parse_args().upstream))
