"""Fallback chains: which providers take over a model."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from .bodies import decode_if_sent
from .call import Call, Reply
from .refusals import Invalid, refused

_Model = Annotated[str, Meta(max_length=300)]


class Link(Struct):
    """One provider, by id or prefix; the lowest priority comes first."""

    provider: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    enabled: bool = True


class ChainBody(Struct):
    model: _Model = ""
    chain: Annotated[list[Link], Meta(max_length=100)] = []


class ModelBody(Struct):
    model: _Model = ""


class ChainSet(Struct):
    success: bool
    model: str


class ChainRemoved(Struct):
    success: bool
    removed: bool


async def read(call: Call) -> Reply:
    """Return ``{model: [{provider, priority, enabled}]}``, each chain in the order in which it is tried."""
    return Reply(200, await call.store.chains.list())


async def write(call: Call) -> Reply:
    """Set the chain of one model."""
    body: ChainBody = call.body
    model = body.model.strip()
    if not model:
        raise refused(400, "model is required")
    if not body.chain:
        raise Invalid(("chain", "chain must name at least one provider"))
    await call.store.chains.set(model, msgspec.to_builtins(body.chain))
    await call.audit("fallback-chain.update", model, {"providers": [link.provider for link in body.chain]})
    return Reply(200, ChainSet(True, model))


async def delete(call: Call) -> Reply:
    """Remove a chain; body or query name the model."""
    model = (decode_if_sent(call.request.body, ModelBody).model or call.query.get("model", "")).strip()
    if not model:
        raise refused(400, "model is required")
    removed = await call.store.chains.delete(model)
    if removed:
        await call.audit("fallback-chain.delete", model)
    return Reply(200, ChainRemoved(True, removed))
