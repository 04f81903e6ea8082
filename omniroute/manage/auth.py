"""Login, logout and whether a login is needed."""

from __future__ import annotations

import sqlite3
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import OmniError
from . import gateway_login
from .access import unauthenticated
from .call import Call, Reply, Success
from .refusals import Invalid, refused
from .sessions import expired_cookie


class LoginBody(Struct, rename="camel"):
    password: Annotated[str, Meta(min_length=1, max_length=200)]


class RequireLoginBody(Struct, rename="camel"):
    TEXTS: ClassVar = {"password": "Password must be at least 4 characters"}
    require_login: bool | UnsetType = UNSET
    password: Annotated[str, Meta(min_length=4, max_length=200)] | UnsetType | None = UNSET


class LoginStatus(Struct):
    authenticated: bool


class LoginNeeded(Struct, rename="camel"):
    require_login: bool
    has_password: bool = False
    setup_complete: bool = False


async def login(call: Call) -> Reply:
    """Begin a session: ``Set-Cookie: auth_token``.  401 for a wrong password, 403 when none is set, 429 while locked out."""
    body: LoginBody = call.body
    if not await gateway_login.has_password(call.services):
        text = "No password configured. Complete onboarding first."
        return Reply(403, {"error": text, "needsSetup": True})
    epoch = await gateway_login.current_epoch(call.services)
    if not await gateway_login.try_password(call, body.password):
        await call.audit("auth.login.failed", "admin")
        raise refused(401, "Invalid password")
    if call.actor.session is not None:
        await gateway_login.revoke(call, call.actor.session)
    await call.store.audit.append("auth.login.success", "admin", "admin", None, call.ip)
    return Reply(200, Success(), [gateway_login.begin_session(call, epoch)])


async def logout(call: Call) -> Reply:
    """End the caller's session, if there is one, and clear the cookie."""
    if call.actor.session is not None:
        await gateway_login.revoke(call, call.actor.session)
        await call.audit("auth.logout", "admin")
    return Reply(200, Success(), [(b"set-cookie", expired_cookie(gateway_login.secure_request(call)))])


async def status(call: Call) -> Reply:
    """Return whether the caller is logged in or sent a key that may manage; never 401."""
    return Reply(200, LoginStatus(call.actor.known))


async def read_require_login(call: Call) -> Reply:
    """Say whether a login is needed.  Must not fail, since the login page depends on it."""
    try:
        has_password = await gateway_login.has_password(call.services)
        done = has_password or await call.store.config.get("setupComplete", False) is True
        return Reply(200, LoginNeeded(await gateway_login.login_required(call.services), has_password, done))
    except (OmniError, sqlite3.Error):
        return Reply(200, LoginNeeded(True))


async def write_require_login(call: Call) -> Reply:
    """Switch the login on or off.  Before there is a password only this machine may, afterwards only a logged-in caller.

    While the login is off anyone may use the switch, but an unknown caller cannot replace the password.
    """
    body: RequireLoginBody = call.body
    if body.require_login is UNSET and not body.password:
        raise Invalid(("", "No valid fields to update"))
    headers = []
    if body.password:
        if not call.actor.known and await gateway_login.has_password(call.services):
            raise unauthenticated()
        epoch = await gateway_login.set_password(call.services, body.password)
        if call.actor.session is not None:
            headers.append(gateway_login.begin_session(call, epoch))
    if body.require_login is not UNSET:
        await call.store.config.set_many({"requireLogin": body.require_login})
    changed = {"requireLogin": body.require_login, "password": bool(body.password)}
    await call.audit("settings.require-login", None, {k: v for k, v in changed.items() if v is not UNSET})
    return Reply(200, Success(), headers)
