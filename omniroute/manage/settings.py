"""The main settings: stored values over defaults, and changing the password."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..proto.headers import Headers
from ..store.config import FIELDS, Field
from . import gateway_login
from .bodies import given_json
from .call import Call, Reply
from .refusals import refused


class WildcardAlias(Struct):
    pattern: Annotated[str, Meta(min_length=1, max_length=200)]
    target: Annotated[str, Meta(min_length=1, max_length=200)]


def _type(field: Field) -> Any:
    """Return the type that validates *field*."""
    types: dict[str, Any] = {
        "string": Annotated[str, Meta(max_length=field.high)],
        "bool": bool,
        "int": Annotated[int, Meta(ge=field.low, le=field.high)],
        "strings": list[str],
        "choice": Literal[field.choices],
        "aliases": list[WildcardAlias],
    }
    return types[field.type]


_PASSWORDS: Final[dict[str, Any]] = {
    "newPassword": Annotated[str, Meta(min_length=1, max_length=200)],
    "currentPassword": Annotated[str, Meta(max_length=200)],
}
_WRITABLE: Final = {name: _type(field) for name, field in FIELDS.items() if field.writable}
SettingsBody: Final[type[Struct]] = msgspec.defstruct(
    "SettingsBody", [(name, kind | UnsetType, UNSET) for name, kind in (_PASSWORDS | _WRITABLE).items()], module=__name__
)
_SECRET: Final = gateway_login.HIDDEN | {"oauthClients"}


async def read(call: Call) -> Reply:
    """Return the stored settings over the defaults, without the password."""
    return Reply(200, await safe_settings(call))


async def write(call: Call) -> Reply:
    """PUT and PATCH: set the given settings; the others stay."""
    changes = given_json(call.body)
    new, current = changes.pop("newPassword", ""), changes.pop("currentPassword", "")
    headers = await _change_password(call, new, current) if new else []
    if changes:
        await call.store.config.set_many(changes)
    if changes or new:
        await call.audit("settings.update", None, {"changed": sorted(changes) + (["password"] if new else [])})
    return Reply(200, await safe_settings(call), headers)


async def safe_settings(call: Call) -> dict[str, Any]:
    """Return all settings without the secret ones."""
    stored = {name: value for name, value in (await call.store.config.all()).items() if name not in _SECRET}
    has_password = await gateway_login.has_password(call.services)
    logs = call.services.settings.log_bodies
    return {"enableRequestLogs": logs, "setupComplete": has_password, **stored, "hasPassword": has_password}


async def _change_password(call: Call, new: str, current: str) -> Headers:
    """Set the password, which ends all sessions; a caller who had one gets the cookie of a new one."""
    if await gateway_login.has_password(call.services):
        if not current:
            raise refused(400, "Current password required")
        if not await gateway_login.try_password(call, current):
            raise refused(401, "Invalid current password")
    epoch = await gateway_login.set_password(call.services, new)
    return [gateway_login.begin_session(call, epoch)] if call.actor.session is not None else []
