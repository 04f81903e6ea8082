"""Answers from memory instead of a provider: first replays of repeated calls, then the cache.

This happens after access is checked, and regardless of whether a provider is available.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..clock import iso
from ..translate.collect import Answer, collect
from ..translate.conversation import Refusal, Text, Thinking
from ..translate.events import Usage
from ..translate.format import BadAnswer
from . import cache_key, render
from .answer import respond
from .cache import LARGEST, Cached
from .job import ChatJob, Gateway
from .live import Live
from .plan import Plan
from .replay import IDEMPOTENCY_KEY, REQUEST_ID, Replay, Ticket, replay_key

NO_CACHE: Final = b"x-omniroute-no-cache"
REPLAYED: Final = (b"x-omniroute-idempotent", b"true")
_WHOLE: Final = frozenset({"stop", "tool_calls"})  # finish reasons of complete answers
# wire -> (member with the answer's id, prefix of such ids, member with its time)
_IDENTITY: Final = {
    "openai-chat": ("id", "chatcmpl-", "created"),
    "openai-responses": ("id", "resp_", "created_at"),
    "anthropic": ("id", "msg_", ""),
    "gemini": ("responseId", "", ""),
    "ollama": ("", "", "created_at"),
    "ollama-generate": ("", "", "created_at"),
}
_ID_START: Final = re.compile(rb'"([a-z]+[-_])')
_members = msgspec.json.Decoder(dict[str, Raw])


def wanted(gateway: Gateway, job: ChatJob) -> bool:
    """Whether the answer may come from memory.  A cheap check: most calls have neither a key nor temperature 0."""
    named = job.exchange.request.named()
    if IDEMPOTENCY_KEY in named or REQUEST_ID in named:
        return True
    cache, found = gateway.live.cache, job.peek
    if not cache.on or found is None or not (cache.limits.implicit or cache_key.may_be(job.wire, found.members)):
        return False
    return cache_key.cacheable(job.wire, found, implicit=cache.limits.implicit)


async def recall(gateway: Gateway, job: ChatJob, plan: Plan) -> bool:
    """Answer from memory and return True; or else arrange for the answer to be kept and return False."""
    live = gateway.live
    ticket: Ticket | None = None
    if (key := replay_key(job.exchange.request, _key_id(job))) is not None:
        found = await live.replays.claim(key)
        if isinstance(found, Replay):
            _replay(gateway, job, found)
            return True
        ticket = found
    job.keeper = keeper = Keeper(live, ticket)  # closed at the end of the call, and with it the ticket
    if (signature := _signature(gateway, job, plan)) is None:
        return False
    if (cached := await live.cache.find(signature, private=_private(job))) is not None:
        _hit(gateway, job, plan, cached)
        return True
    keeper.signature = signature
    return False


class Keeper:
    """Stores the answer of a call for replays and in the cache.  ``close`` it when the call is over."""

    __slots__ = ("_live", "_ticket", "signature")

    def __init__(self, live: Live, ticket: Ticket | None) -> None:
        self._live = live
        self._ticket = ticket
        self.signature = ""

    def keep(self, job: ChatJob, status: int, body: bytes) -> None:
        if status != 200:
            return
        if self._ticket is not None:
            self._ticket.keep(status, body)
        if self.signature and len(body) <= LARGEST and worth_keeping(answer := _decode(job, body)):
            usage = job.usage or answer.usage or Usage()
            tokens = (usage.input or 0) + (usage.output or 0)
            self._live.cache.put(self.signature, job.requested, body, tokens, private=_private(job))

    def close(self) -> None:
        if self._ticket is not None:
            self._ticket.close()


def worth_keeping(answer: Answer) -> bool:
    """Whether an answer is complete and has content other than thinking and refusals."""
    if answer.failure is not None or answer.finish is None or answer.finish.reason not in _WHOLE:
        return False
    return any(not isinstance(block, (Thinking, Refusal)) and not _empty(block) for block in answer.blocks)


def _empty(block: object) -> bool:
    return isinstance(block, Text) and not block.text


def _decode(job: ChatJob, body: bytes) -> Answer:
    try:
        return collect(job.format.decode_answer(body))
    except BadAnswer:
        return Answer()


def _key_id(job: ChatJob) -> str:
    return job.key.id if job.key is not None else ""


def _private(job: ChatJob) -> bool:
    return job.key is not None and job.key.no_log


def _signature(gateway: Gateway, job: ChatJob, plan: Plan) -> str | None:
    found, cache = job.peek, gateway.live.cache
    assert found is not None
    request = job.exchange.request
    if not cache.on or not cache_key.cacheable(job.wire, found, implicit=cache.limits.implicit):
        return None
    if (request.header(NO_CACHE) or b"").strip().lower() in (b"true", b"1"):
        return None
    tenant = "" if cache.limits.shared else _key_id(job)
    rule = gateway.live.snapshot.settings.thinking  # changes the request before it is sent
    parts = (tenant, job.wire, _kept_by_vendor(job, plan), job.requested, plan.combo, rule, _targets(gateway, plan))
    fields = render.WIRE_FIELDS.of(request.headers)  # sent upstream, and may change the answer
    return cache_key.signature(found, parts, fields)


def _targets(gateway: Gateway, plan: Plan) -> list[Any]:
    """The possible targets, sorted: their order varies between calls, but must not change the cache key."""
    connections = gateway.live.snapshot.connections
    return sorted(
        [
            route.provider.id,
            route.provider.base_url,
            route.model,
            route.wire,
            *sorted({account.base_url for account in connections.get(route.provider.id, ())}),
        ]
        for route in plan.routes
    )


def _replay(gateway: Gateway, job: ChatJob, found: Replay) -> None:
    job.replayed = True
    job.notes = f"{_whom(job)}; replayed"
    respond(gateway, job, found.status, [render.JSON_TYPE, REPLAYED], found.body)


def _hit(gateway: Gateway, job: ChatJob, plan: Plan, cached: Cached) -> None:
    """Answer from the cache.  Usage and cost are 0: they were counted when the provider answered."""
    job.cache = b"HIT"
    job.notes = f"{_whom(job)}; cache=hit"
    job.usage = Usage(input=0, output=0)
    body = cached.body if _kept_by_vendor(job, plan) else renewed(job.wire, cached.body, gateway.clock.time())
    if plan.combo is not None:
        job.route = None  # the route chosen for this call is not the one that gave the answer
    respond(gateway, job, 200, [render.JSON_TYPE], body)


def _whom(job: ChatJob) -> str:
    if job.combo or job.route is None:
        return render.printable(job.combo or job.requested)
    return job.route.provider.prefix or job.route.provider.id


def _kept_by_vendor(job: ChatJob, plan: Plan) -> bool:
    """Whether the vendor stores the response under its id, which later requests refer to; such an id must not change."""
    assert job.peek is not None
    if job.wire != "openai-responses" or all(route.wire != job.wire for route in plan.routes):
        return False
    return bytes(job.peek.members.get("store", b"true")) != b"false"


def renewed(wire: str, body: bytes, now: float) -> bytes:
    """The cached answer with a new id and the current time."""
    members = _members.decode(body)
    name, start, when = _IDENTITY[wire]
    if name in members:
        if start and (own := _ID_START.match(bytes(members[name]))):
            start = own[1].decode()
        members[name] = Raw(b'"%b%b"' % (start.encode(), os.urandom(12).hex().encode()))
    if when in members:
        text = bytes(members[when]).startswith(b'"')
        members[when] = Raw(msgspec.json.encode(iso(now) if text else int(now)))
    return msgspec.json.encode(members)
