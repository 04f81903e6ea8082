"""Models that the user adds to a provider."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .call import Call, Reply
from .refusals import refused

_Text = Annotated[str, Meta(max_length=300)]


class CustomModelBody(Struct, rename="camel"):
    provider: _Text = ""
    model_id: _Text = ""
    model_name: _Text | None = None
    source: _Text = "manual"


async def list_models(call: Call) -> Reply:
    """Return a list for one provider; without the filter, lists by provider id."""
    if provider := call.query.get("provider"):
        return Reply(200, {"models": await call.store.custom_models.list(_provider_id(call, provider))})
    return Reply(200, {"models": await call.store.custom_models.all()})


async def add(call: Call) -> Reply:
    body: CustomModelBody = call.body
    model_id = body.model_id.strip()
    if not body.provider.strip() or not model_id:
        raise refused(400, "provider and modelId are required")
    provider = _provider_id(call, body.provider.strip())
    if provider not in call.services.snapshot.providers:
        raise refused(400, f"Unknown provider: {body.provider.strip()}")
    model = await call.store.custom_models.add(provider, model_id, (body.model_name or "").strip(), body.source or "manual")
    await call.audit("model.add", f"{provider}/{model.id}", {"source": model.source})
    return Reply(200, {"model": model})


async def delete(call: Call) -> Reply:
    provider, model = call.query.get("provider", ""), call.query.get("model", "")
    if not provider or not model:
        raise refused(400, "provider and model are required")
    provider = _provider_id(call, provider)
    removed = await call.store.custom_models.delete(provider, model)
    if removed:
        await call.audit("model.delete", f"{provider}/{model}")
    return Reply(200, {"removed": removed})


def _provider_id(call: Call, name: str) -> str:
    """Resolve a provider's alias or prefix to its id; an unknown name is kept, since its provider may be deleted."""
    return call.services.snapshot.prefixes.get(name, name)
