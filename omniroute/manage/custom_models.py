"""Models that the user adds to a provider."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ..store.custom_models import CustomModel
from .call import Call, Reply, one_at_a_time
from .refusals import refused

_Text = Annotated[str, Meta(max_length=300)]


class CustomModelBody(Struct, rename="camel"):
    provider: _Text = ""
    model_id: _Text = ""
    model_name: _Text | None = None
    source: _Text = "manual"


class CustomModels(Struct):
    """A list for one provider, or lists by provider id."""

    models: list[CustomModel] | dict[str, list[CustomModel]]


class OneCustomModel(Struct):
    model: CustomModel


class Removed(Struct):
    removed: bool


async def list_models(call: Call) -> Reply:
    """Return a list for one provider; without the filter, lists by provider id."""
    if provider := call.query.get("provider"):
        return Reply(200, CustomModels(await call.store.custom_models.list(call.provider_id(provider))))
    return Reply(200, CustomModels(await call.store.custom_models.all()))


@one_at_a_time
async def add(call: Call) -> Reply:
    """Add a model to a provider; one with the same id is returned as it is.  400 for an unknown provider."""
    body: CustomModelBody = call.body
    model_id = body.model_id.strip()
    if not body.provider.strip() or not model_id:
        raise refused(400, "provider and modelId are required")
    provider = call.provider_id(body.provider.strip())
    if provider not in call.snapshot.providers:
        raise refused(400, f"Unknown provider: {body.provider.strip()}")
    model = await call.store.custom_models.add(provider, model_id, (body.model_name or "").strip(), body.source or "manual")
    await call.audit("model.add", f"{provider}/{model.id}", {"source": model.source})
    return Reply(200, OneCustomModel(model))


async def delete(call: Call) -> Reply:
    """Remove ``?model=`` from ``?provider=``'s own models and return whether it was there.  400 without both."""
    provider, model = call.query.get("provider", ""), call.query.get("model", "")
    if not provider or not model:
        raise refused(400, "provider and model are required")
    provider = call.provider_id(provider)
    removed = await call.store.custom_models.delete(provider, model)
    if removed:
        await call.audit("model.delete", f"{provider}/{model}")
    return Reply(200, Removed(removed))
