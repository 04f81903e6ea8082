"""Model aliases: short names for ``provider/model``."""

from __future__ import annotations

from msgspec import Struct

from .bodies import Text200
from .call import Call, Reply, Success, one_at_a_time
from .refusals import Invalid, refused


class AliasBody(Struct):
    model: Text200 = ""
    alias: Text200 = ""


class AliasList(Struct):
    aliases: dict[str, str]


class AliasSet(Struct):
    success: bool
    model: str
    alias: str


async def list_aliases(call: Call) -> Reply:
    """Return ``{"aliases": {alias: "provider/model"}}``."""
    return Reply(200, AliasList(await call.store.aliases.list()))


async def write(call: Call) -> Reply:
    """PUT and POST: create the alias, or change its model."""
    model, alias = _named(call.body)
    return await _store(call, model, alias)


@one_at_a_time
async def claim(call: Call) -> Reply:
    """``PUT /api/models``: create the alias, unless it belongs to another model."""
    model, alias = _named(call.body)
    if (await call.store.aliases.list()).get(alias, model) != model:
        raise refused(400, "Alias already in use")
    return await _store(call, model, alias)


async def delete(call: Call) -> Reply:
    """Remove the alias in ``?alias=``; one that does not exist is no error.  400 without the parameter."""
    alias = call.query.get("alias", "")
    if not alias:
        raise refused(400, "Alias required")
    if await call.store.aliases.delete(alias):
        await call.audit("alias.delete", alias)
    return Reply(200, Success())


async def _store(call: Call, model: str, alias: str) -> Reply:
    await call.store.aliases.set(alias, model)
    await call.audit("alias.update", alias, {"model": model})
    return Reply(200, AliasSet(True, model, alias))


def _named(body: AliasBody) -> tuple[str, str]:
    model, alias = body.model.strip(), body.alias.strip()
    if not model or not alias:
        raise refused(400, "Model and alias required")
    if "/" in alias:  # a name with "/" is read as provider/model and never looked up as an alias
        raise Invalid(("alias", "Alias must not contain '/'"))
    if model == alias:
        raise Invalid(("alias", "Alias must differ from the model"))
    return model, alias
