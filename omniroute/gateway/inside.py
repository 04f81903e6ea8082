"""Chat calls that the gateway makes to itself, through the whole data plane, with the answer in memory.

Used by combo tests and evaluations.  No gateway key is needed, because the control plane has authenticated the caller.
Everything else (accounts, cooldowns, fallback, usage records) works as for any client.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from ..proto.exchange import Exchange, Request
from ..proto.headers import Headers
from ..tasks import cancel, spawn
from . import pipeline
from .job import Gateway, Line
from .recorder import recorded

PATH = "/v1/chat/completions"
WIRE = "openai-chat"


class Answer(NamedTuple):
    """The response and its duration in ``seconds``; ``status`` 0 = none within the time."""

    status: int
    headers: Headers
    body: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The decoded body; None when it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def text(self) -> str:
        """The text of the model's message; "" when there is none."""
        try:
            said = self.json["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            return ""
        return said if isinstance(said, str) else ""

    @property
    def error(self) -> str:
        """Why the call failed, as a text for people."""
        if not self.status:
            return f"No answer within {self.seconds:g} seconds"
        try:
            said = self.json["error"]["message"]
        except (KeyError, TypeError):
            return f"HTTP {self.status}"
        return said if isinstance(said, str) else f"HTTP {self.status}"


class InnerExchange(Exchange):
    """An exchange that collects the response in memory."""

    __slots__ = ("body", "headers")

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.headers: Headers = []
        self.body = bytearray()

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.start(status, headers)
        self.write(body)
        self.end()

    def start(self, status: int, headers: Headers) -> None:
        self.status, self.headers, self.started = status, [*headers], True

    def write(self, data: bytes | memoryview) -> None:
        self.body += data

    def end(self, data: bytes = b"") -> None:
        self.body += data
        self.finished = True

    def abort(self) -> None:
        self.finished = True

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in (self.request.body,):
            yield piece


async def send_chat(gateway: Gateway, body: dict[str, Any], seconds: float, *, only: str = "") -> Answer:
    """Send one chat request in OpenAI's format and wait at most *seconds* for the response.

    *only* is the id of a provider to which the call is restricted: no alias, no combo, no fallback chain.
    """
    request = Request("POST", PATH, "", [(b"content-type", b"application/json")], orjson.dumps(body))
    request.id = str(uuid4())
    exchange = InnerExchange(request)
    inner = copy.copy(gateway)
    inner.require_key = False
    clock = gateway.clock
    began = clock.monotonic()
    task = spawn(pipeline.serve(inner, recorded(gateway.live, exchange), Line(WIRE, only)), "inner call")
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, over.cancel)
    try:
        await asyncio.wait([task, over], return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        if not task.done():
            exchange.gone = True  # so that the call is recorded as one whose client left
            await cancel(task)
    if not exchange.finished:
        return Answer(0, [], b"", seconds)
    return Answer(exchange.status, exchange.headers, bytes(exchange.body), clock.monotonic() - began)
