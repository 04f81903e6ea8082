"""Gateway keys.  A key's full text is shown once, in the answer that creates it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import iso, parse_iso
from ..store.keys import DEFAULT_SCOPES, KeyRow
from ..store.publish import expiry
from .bodies import Name, given
from .call import Call, Message, Reply, whole
from .refusals import Invalid, existing, refused

Scope = Literal["inference", "manage"]
Scopes = Annotated[list[Scope], Meta(min_length=1)]
Models = Annotated[list[Annotated[str, Meta(min_length=1, max_length=300)]], Meta(max_length=1000)]
_TEXTS: Final = {"allowedModels": "allowedModels must be an array", "allowedModels.*": "Each model ID must be a string"}


class KeyBody(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = _TEXTS
    name: Name | None = None
    label: Name | None = None
    allowed_models: Models = []
    no_log: bool = False
    scopes: Scopes | None = None
    expires_at: str | None = None


class KeyChange(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = _TEXTS
    allowed_models: Models | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    no_log: bool | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET


class KeyView(Struct, rename="camel", kw_only=True):
    """A key with its text masked."""

    id: str
    name: str
    key: str
    machine_id: str
    allowed_models: list[str]
    no_log: bool
    scopes: list[str]
    is_active: bool
    expires_at: str | None
    created_at: str


class KeyList(Struct):
    keys: list[KeyView]
    total: int


class NewKey(Struct, rename="camel", kw_only=True):
    key: str
    name: str
    id: str
    machine_id: str
    allowed_models: list[str]
    no_log: bool
    scopes: list[str]
    expires_at: str | None


class KeyChanged(Struct, rename="camel", kw_only=True):
    message: str
    allowed_models: list[str]
    no_log: bool
    scopes: list[str]
    name: str
    expires_at: str | None


def _view(call: Call, row: KeyRow) -> KeyView:
    ends = expiry(row.expires_at)
    return KeyView(
        id=row.id,
        name=row.name,
        key=row.masked,
        machine_id=row.machine_id,
        allowed_models=row.allowed_models,
        no_log=row.no_log or row.id in call.services.settings.no_log_key_ids,
        scopes=row.scopes,
        is_active=ends is None or ends > call.now,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


async def list_keys(call: Call) -> Reply:
    """Return the keys, masked, from ``?offset=``, at most ``?limit=``; ``total`` counts all of them."""
    rows = await call.store.keys.list()
    start = whole(call.query.get("offset"), 0, 0, len(rows))
    end = start + whole(call.query.get("limit"), len(rows), 0, len(rows))
    return Reply(200, KeyList([_view(call, row) for row in rows[start:end]], len(rows)))


async def read(call: Call) -> Reply:
    """Return one key, masked and unwrapped.  404 for an unknown id."""
    row = existing(await call.store.keys.get(call.params["id"]), "Key")
    return Reply(200, _view(call, row))


async def create(call: Call) -> Reply:
    """Make a key.  Its text is in this answer and nowhere else."""
    body: KeyBody = call.body
    name = body.name or body.label
    if name is None:
        raise Invalid(("name", "Name is required"))
    row, text = await call.store.keys.create(
        name.strip(),
        allowed_models=body.allowed_models,
        no_log=body.no_log,
        scopes=_distinct(body.scopes or DEFAULT_SCOPES),
        expires_at=_moment(body.expires_at),
    )
    await call.audit("key.create", row.id, {"name": row.name, "scopes": row.scopes})
    made = NewKey(
        key=text, name=row.name, id=row.id, machine_id=row.machine_id, allowed_models=row.allowed_models,
        no_log=row.no_log, scopes=row.scopes, expires_at=row.expires_at,
    )  # fmt: skip
    return Reply(201, made)


async def change(call: Call) -> Reply:
    """Set the given fields of a key, from the next request on.  404 for an unknown id."""
    changes = given(call.body)
    if not changes:
        raise Invalid(("allowedModels", _TEXTS["allowedModels"]))
    if "expires_at" in changes:
        changes["expires_at"] = _moment(changes["expires_at"])
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    if "scopes" in changes:
        changes["scopes"] = _distinct(changes["scopes"])
    row = existing(await call.store.keys.update(call.params["id"], **changes), "Key")
    await call.audit("key.update", row.id, {"changed": sorted(changes)})
    shown = _view(call, row)
    return Reply(200, KeyChanged(
        message="Permissions updated successfully", allowed_models=shown.allowed_models, no_log=shown.no_log,
        scopes=shown.scopes, name=shown.name, expires_at=shown.expires_at,
    ))  # fmt: skip


async def delete(call: Call) -> Reply:
    """Revoke a key at once; its budget goes with it.  404 for an unknown id."""
    if not await call.store.keys.delete(call.params["id"]):
        raise refused(404, "Key not found")
    await call.audit("key.delete", call.params["id"])
    return Reply(200, Message("Key deleted successfully"))


def _distinct(scopes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(scopes))


def _moment(text: str | None) -> str | None:
    """Normalise a time."""
    if not text:
        return None
    try:
        return iso(parse_iso(text))
    except (ValueError, OverflowError):
        raise Invalid(("expiresAt", "Invalid ISO 8601 date-time")) from None
