"""Token counting: by the upstream if it counts tokens in the client's wire, otherwise by an estimate.

An estimate is marked by ``"estimated": true`` in the body and ``X-OmniRoute-Estimated: true`` in the head.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..proto.h1_client import TransportError
from ..translate.conversation import Ask, Block, Media, Refusal, Text, Thinking, ToolCall, ToolResult
from ..translate.formats import FORMATS, RELAYS
from ..translate.peek import Peek, peek
from ..upstream.credentials import PATHS, base_url_of, call_headers, endpoint, with_login
from ..upstream.send import Times
from . import accounts, auth, render
from .answer import challenge
from .job import Gateway
from .plan import first_route
from .resolve import Route
from .shape import prompted
from .snapshot import Connection

CHARACTERS_A_TOKEN: Final = 4.0  # in English prose and JSON, within 25 % for every vendor's tokenizer
MEDIA_TOKENS: Final = 1500  # for an image of usual size
TURN_TOKENS: Final = 4  # overhead of each turn
PATIENCE: Final = 15.0  # seconds; short, because clients wait for the count before they send the request
_MOST: Final = 64 * 1024  # bytes of an upstream's response
_MODEL: Final = "model"  # a path parameter, in Gemini's wire only


async def serve(gateway: Gateway, exchange: Exchange, row: Any) -> None:
    """Respond with the token count in the row's wire."""
    request = exchange.request
    fields = [*request.reply_headers, render.JSON_TYPE]
    form = FORMATS[row.wire]
    try:
        snapshot = gateway.live.snapshot
        key = auth.authenticate(
            snapshot, request, gateway.clock.time(), required=gateway.require_key, keyring=gateway.keyring
        )
        found = peek(gateway.guard.redacted(request.body, request.id), RELAYS[row.wire].members)
        if _MODEL in request.params:  # countTokens takes only contents, or a whole request in another member
            found.model = request.params[_MODEL]
        else:
            found = prompted(snapshot.settings, row.wire, found)
        route = first_route(gateway, snapshot, key, found.model)
        counted = await _upstream(gateway, exchange, found, route, row.wire)
        if counted is not None:
            exchange.respond(200, fields, counted)
            return
        tokens = estimate(form.decode_request(_unwrapped(found)))
    except OmniError as error:
        exchange.respond(error.status, [*fields, *challenge(error.status)], form.encode_error(render.failure_of(error)))
        return
    name = "totalTokens" if _MODEL in request.params else "input_tokens"
    fields.append((b"x-omniroute-estimated", b"true"))
    exchange.respond(200, fields, msgspec.json.encode({name: tokens, "estimated": True}))


async def _upstream(gateway: Gateway, exchange: Exchange, found: Peek, route: Route, wire: str) -> bytes | None:
    """The upstream's response with its count; None if it does not count in *wire* or the call fails."""
    if route.wire != wire or "count_tokens" not in PATHS[wire]:
        return None
    choice = accounts.choose(gateway.live.snapshot, gateway.live, route)
    wait = min(PATIENCE, gateway.limits.first_byte_timeout)
    times = Times(first_byte=wait, idle=wait)
    for account in choice.free[:1]:
        place, headers = _door(route, account)
        body, _ = RELAYS[wire].prepare(found, route.model, route.quirks)
        sent = [field for field in exchange.request.headers if field[0].startswith((b"anthropic-",))]
        names = {name for name, _ in headers}
        extra = [field for field in sent if field[0] not in names]
        try:
            origin, fields = render.origin_of(place, account), [render.JSON_TYPE, *headers, *extra]
            status, _, answer = await gateway.client.fetch(
                origin, "POST", place.path, fields, body, limit=_MOST, times=times
            )
        except TransportError:
            return None
        if status == 200 and answer.lstrip()[:1] == b"{":
            return answer
    return None


def _door(route: Route, account: Connection) -> tuple[Any, Any]:
    base = base_url_of(route.provider, account.base_url, account.data)
    place = endpoint(route.provider, base, "count_tokens", route.model, wire=route.wire)
    return place, call_headers(with_login(route.provider, account.auth_type), account.secret)


def _unwrapped(found: Peek) -> bytes:
    """The request to count: Gemini's ``countTokens`` may have it in ``generateContentRequest``."""
    inner = found.members.get("generateContentRequest")
    return bytes(inner) if inner is not None else found.raw


def estimate(ask: Ask) -> int:
    """Estimate the prompt's tokens from its number of characters."""
    size = sum(map(_size, ask.system))
    size += sum(len(tool.name) + len(tool.description or "") + len(tool.schema or b"") for tool in ask.tools)
    frames = 0
    for turn in ask.turns:
        frames += TURN_TOKENS
        size += sum(map(_size, turn.blocks))
    return math.ceil(size / CHARACTERS_A_TOKEN) + frames


def tokens_of(blocks: Iterable[Block]) -> int:
    """Estimate the tokens of an answer's blocks from their number of characters."""
    return math.ceil(sum(map(_size, blocks)) / CHARACTERS_A_TOKEN)


def _size(block: Block) -> float:
    """The characters of a block; for media, the equivalent of its tokens in characters."""
    if isinstance(block, Text | Thinking | Refusal):
        return len(block.text)
    if isinstance(block, ToolCall):
        return len(block.name) + len(block.arguments)
    if isinstance(block, ToolResult):
        return sum(map(_size, block.blocks))
    if isinstance(block, Media):
        return len(block.text or "") or MEDIA_TOKENS * CHARACTERS_A_TOKEN
    return 0
