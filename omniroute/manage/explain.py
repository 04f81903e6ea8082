"""``POST /api/explain``: how a request would be routed, without sending it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ..gateway.explain import Explanation
from ..gateway.explain import explain as told
from ..gateway.snapshot import GatewayKey
from .call import Call, Reply
from .refusals import Invalid, existing

_Text = Annotated[str, Meta(max_length=512)]
Operation = Literal[
    "chat", "embeddings", "images", "image_edits", "transcriptions", "translations", "speech", "rerank", "moderations"
]


class ExplainBody(Struct, rename="camel"):
    """``provider``: as in ``/v1/providers/{provider}/…``; ``apiKeyId``: explain for that gateway key."""

    model: _Text = ""
    provider: _Text = ""
    operation: Operation = "chat"
    api_key_id: _Text | None = None


async def explain(call: Call) -> Reply:
    """Return how a call would be routed now, without sending it.  400 without a model, 404 for an unknown key."""
    body: ExplainBody = call.body
    if not body.model:
        raise Invalid(("model", "Model is required"))
    gateway = call.services.gateway
    assert gateway is not None
    key = _key(call, body.api_key_id)
    found: Explanation = told(gateway, body.model, operation=body.operation, only=body.provider, key=key)
    return Reply(200, found)


def _key(call: Call, wanted: str | None) -> GatewayKey | None:
    if wanted is None:
        return None
    return existing(next((key for key in call.snapshot.keys.values() if key.id == wanted), None), "Key")
