"""The offline provider ``demo``: an HTTP server on loopback that repeats the last user message.

It speaks the openai-chat wire, streamed or not, so that the whole way from client to provider can be tried without a key and
without a network.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from ..clock import Clock
from ..errors import OmniError
from ..proto.exchange import Exchange, Refusal, Request
from ..proto.headers import Headers
from ..translate import openai_chat
from ..translate.collect import collect
from ..translate.conversation import Ask, Text
from ..translate.events import Event, Failure, Finish, Start, TextDelta, Usage
from ..translate.format import Stamp

_JSON: Final = (b"content-type", b"application/json")
_WORD: Final = re.compile(r"\S+\s*")
MODEL: Final = "echo"


class _Admission(NamedTuple):
    body_limit: int = 32 * 1024 * 1024
    stream_body: bool = False


class Echo:
    """The server, an :class:`~omniroute.proto.exchange.Application`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def admit(self, request: Request) -> _Admission:
        if request.path.endswith(("/chat/completions", "/models")):
            return _Admission()
        raise Refusal(404, [_JSON], openai_chat.FORMAT.encode_error(Failure(404, "Not found")))

    async def handle(self, exchange: Exchange) -> None:
        if exchange.request.path.endswith("/models"):
            body = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "demo"}]}
            exchange.respond(200, [_JSON], msgspec.json.encode(body))
            return
        try:
            ask = openai_chat.FORMAT.decode_request(exchange.request.body)
        except OmniError as error:
            failure = Failure(error.status, error.message, param=error.param)
            exchange.respond(error.status, [_JSON], openai_chat.FORMAT.encode_error(failure))
            return
        self._answer(exchange, ask)

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        return [_JSON], openai_chat.FORMAT.encode_error(Failure(status, message))

    def _answer(self, exchange: Exchange, ask: Ask) -> None:
        stamp = Stamp("demo", int(self._clock.time()), ask.model, include_usage=ask.include_usage)
        events = answer(last_words(ask))
        if not ask.stream:
            exchange.respond(200, [_JSON], openai_chat.FORMAT.encode_answer(collect(events), stamp).body)
            return
        encoder = openai_chat.FORMAT.stream_encoder(stamp)
        exchange.start(200, [(b"content-type", openai_chat.FORMAT.stream_type)])
        for event in events:
            exchange.write(encoder.feed([event]))
        exchange.write(encoder.eof())
        exchange.end()


def last_words(ask: Ask) -> str:
    """The text of the last user turn."""
    for turn in reversed(ask.turns):
        if turn.role == "user":
            return " ".join(block.text for block in turn.blocks if isinstance(block, Text))
    return ""


def answer(said: str) -> list[Event]:
    """The events of an answer that repeats *said* word by word; its usage counts words."""
    words = _WORD.findall(said) or ["…"]
    usage = Usage(input=len(words), output=len(words), total=2 * len(words))
    return [Start(model=MODEL), *map(TextDelta, words), usage, Finish("stop")]
