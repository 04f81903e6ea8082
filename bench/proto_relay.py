"""The second control: the gateway's own protocol layers with nothing on top.

What :mod:`bench.bare_relay` leaves out and a gateway cannot (strict heads, limits, deadlines, back-pressure, one task for
each request, a second chance on a dead connection) is in it; keys, routing, records and translation are not.  So the
difference to the bare relay is the price of speaking HTTP carefully, that to OmniRoute the price of being a gateway.

``python -m bench.proto_relay --upstream PORT`` prints the port it listens on.
"""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from omniroute.app import settle
from omniroute.clock import Clock
from omniroute.proto.exchange import Exchange, Request
from omniroute.proto.h1_client import Origin
from omniroute.proto.headers import Headers
from omniroute.proto.listener import Listener
from omniroute.settings import Limits
from omniroute.upstream.send import Client, template

_JSON = [(b"content-type", b"application/json")]
_PATH = b"/v1/chat/completions"


class Relay:
    """Whole answers only."""

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
