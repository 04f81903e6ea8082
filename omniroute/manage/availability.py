"""Which models are unavailable now, and lifting what blocks them.

A model is unavailable when no account of its provider may be used for it.  ``*`` stands for all models of a provider, when
all its accounts are cooling down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from ..clock import iso
from ..errors import OmniError
from ..gateway.resolve import resolve
from ..gateway.snapshot import Connection
from .call import Call, Reply
from .refusals import refused

ALL = "*"
_Text = Annotated[str, Meta(max_length=512)]


class AvailabilityBody(Struct):
    provider: _Text = ""
    model: _Text = ""
    action: Literal["check", "clear"] | None = None


class Block(NamedTuple):
    """Why one account may not be used; times are Unix seconds."""

    until: float
    reason: str
    since: float | None


class Unavailable(Struct, rename="camel"):
    unavailable_count: int
    models: list[dict[str, Any]]
    providers: dict[str, dict[str, Any]]


async def read(call: Call) -> Reply:
    """Return the models that cannot be used now, with milliseconds until they can, and the state of each provider."""
    models = [_gone(call, provider, model, blocks) for provider, model, blocks in _unavailable(call)]
    breakers = call.live.breakers
    providers = {id: _state(call, id, ALL) | {"breaker": breakers.view(id).state} for id in call.snapshot.connections}
    return Reply(200, Unavailable(len(models), models, providers))


async def write(call: Call) -> Reply:
    """Check one model, or clear a cooldown; *action* decides where the other fields are ambiguous."""
    body: AvailabilityBody = call.body
    if not body.model or (body.action == "clear" and not body.provider):
        raise refused(400, "provider and model are required")
    if body.action == "clear" or (body.provider and body.action is None):
        return await _clear(call, body.provider, body.model)
    name = f"{body.provider}/{body.model}" if body.provider else body.model
    providers = [_checked(call, id, model) for id, model in _targets(call, name)]
    return Reply(200, {"model": body.model, "available": any(p["available"] for p in providers), "providers": providers})


async def _clear(call: Call, provider: str, model: str) -> Reply:
    health, id = call.live.health, call.provider_id(provider)
    removed = False
    for closed in health.closed():
        if closed.provider == id and model in (closed.model, ALL):
            removed |= health.open_model(id, closed.model)
    for account in _accounts(call, id):
        removed |= health.unlock_model(account.id, model)
        if model == ALL or account.id in health.cooling():
            removed |= _block(call, account, ALL) is not None
            health.clear(account.id)
    if removed:
        await call.audit("availability.clear", f"{id}/{model}")
    return Reply(200, {"success": True, "removed": removed})


def _targets(call: Call, name: str) -> list[tuple[str, str]]:
    """Return the (provider id, model) pairs to which a request for *name* could go."""
    snapshot = call.snapshot
    try:
        route = resolve(snapshot, name)
    except OmniError:
        return [(id, name) for id in snapshot.models.get(name, ()) if _accounts(call, id)]
    others = [id for id in snapshot.models.get(name, ()) if id != route.provider.id and _accounts(call, id)]
    return [(route.provider.id, route.model), *((id, name) for id in others)]


def _checked(call: Call, provider: str, model: str) -> dict[str, Any]:
    blocks = _blocks(call, provider, model)
    first = min(blocks, key=lambda block: block.until) if blocks else None
    state = {"provider": provider, **_state(call, provider, model), "reason": None, "retryAfter": None}
    if state["available"]:
        return state
    if not state["accounts"]:
        return {**state, "reason": f"No active connection{call.snapshot.without_account(provider)}"}
    if provider in call.snapshot.settings.blocked_providers:
        return {**state, "reason": "Provider is blocked"}
    if first is None or state["accountsAvailable"]:
        wait = math.ceil(call.live.breakers.wait(provider))
        return {**state, "reason": "Circuit breaker is open", "retryAfter": wait}
    return {**state, "reason": first.reason, "retryAfter": math.ceil(first.until - call.now)}


def _state(call: Call, provider: str, model: str) -> dict[str, Any]:
    accounts = len(_accounts(call, provider))
    free = accounts - len(_blocks(call, provider, model))
    blocked = provider in call.snapshot.settings.blocked_providers
    open = call.live.breakers.wait(provider) > 0
    return {"available": free > 0 and not blocked and not open, "accounts": accounts, "accountsAvailable": free}


def _unavailable(call: Call) -> Iterator[tuple[str, str, list[Block]]]:
    locked: dict[str, set[str]] = {}
    health = call.live.health
    for provider, model in (
        *((lock.provider, lock.model) for lock in health.locks()),
        *((closed.provider, closed.model) for closed in health.closed()),
    ):
        locked.setdefault(provider, set()).add(model)
    for provider, accounts in call.snapshot.connections.items():
        for model in (ALL, *sorted(locked.get(provider, ()))):
            blocks = _blocks(call, provider, model)
            if blocks and len(blocks) == len(accounts):
                yield provider, model, blocks
                if model == ALL:
                    break


def _gone(call: Call, provider: str, model: str, blocks: list[Block]) -> dict[str, Any]:
    first = min(blocks, key=lambda block: block.until)
    return {
        "provider": provider,
        "model": model,
        "reason": first.reason,
        "remainingMs": max(0, round((first.until - call.now) * 1000)),
        "unavailableSince": None if first.since is None else iso(first.since),
    }


def _blocks(call: Call, provider: str, model: str) -> list[Block]:
    found = (_block(call, account, model) for account in _accounts(call, provider))
    return [block for block in found if block is not None]


def _block(call: Call, account: Connection, model: str) -> Block | None:
    """Return what blocks *account* for *model* (:data:`ALL`: for every model) the longest; None if nothing does."""
    health = call.live.health
    found = [
        Block(lock.until, lock.reason, lock.since)
        for lock in health.locks()
        if lock.connection_id == account.id and lock.model == model
    ]
    found += [
        Block(closed.until, "no account has capacity", closed.since)
        for closed in health.closed()
        if (closed.provider, closed.model) == (account.provider, model)
    ]
    state = health.view(account.id)
    if (until := state.rate_limited_until) is not None and until > call.now:
        reason = f"HTTP {state.error_code}" if state.error_code else state.last_error_type or "cooldown"
        found.append(Block(until, reason, state.last_error_at))
    return max(found, default=None, key=lambda block: block.until)


def _accounts(call: Call, provider: str) -> tuple[Connection, ...]:
    return call.snapshot.connections.get(provider, ())
