"""The login of the gateway itself: its one password and its sessions.

Both are stored among the settings, under names that no answer ever shows (:data:`HIDDEN`).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Any, Final

from ..errors import OmniError
from ..store import passwords
from ..store.config import PASSWORD
from . import sessions
from .call import Call, Services
from .sessions import Session

EPOCH: Final = "sessionEpoch"
REVOKED: Final = "revokedSessions"
HIDDEN: Final = frozenset({PASSWORD, EPOCH, REVOKED})


async def has_password(services: Services) -> bool:
    """Whether there is a password to log in with."""
    return bool(services.settings.initial_password or await services.store.config.get(PASSWORD, None))


async def login_required(services: Services) -> bool:
    """Whether management needs a login; true unless the setting switches it off."""
    return await services.store.config.get("requireLogin", True) is not False


async def check_password(services: Services, text: str) -> bool:
    """Whether *text* is the password: by the stored hash if there is one, else by ``INITIAL_PASSWORD``.

    A hash in the imported format is replaced by one in our format after it has matched.
    """
    stored: str | None = await services.store.config.get(PASSWORD, None)
    if not stored:
        initial = services.settings.initial_password
        return bool(initial) and hmac.compare_digest(text.encode(), initial.encode())
    async with services.hashing:
        right = await asyncio.to_thread(passwords.verify, text, stored)
    if right and stored.startswith("$2"):
        hashed = await _hashed(services, text)
        async with services.editing:
            if await services.store.config.get(PASSWORD) == stored:  # not replaced by a new password meanwhile
                await services.store.config.set_many({PASSWORD: hashed})
    return right


async def try_password(call: Call, text: str) -> bool:
    """Like :func:`check_password`, but raises 429 with ``Retry-After`` while the caller's address is locked out."""
    lockout, clock = call.services.lockout, call.services.clock
    async with call.services.attempts:  # in turn: several right passwords at once must not count as failures
        if wait := lockout.begin(call.ip, clock.monotonic()):
            if lockout.first_refusal(call.ip):
                await call.audit("auth.login.locked", "admin", {"retryAfter": round(wait)})
            raise OmniError("forbidden", "Too many failed attempts. Try again later.", status=429, retry_after=wait)
        right = await check_password(call.services, text)
        if right:
            lockout.succeed(call.ip)
        return right


async def set_password(services: Services, text: str) -> int:
    """Store a new password, which ends every session; return the epoch that begins."""
    hashed = await _hashed(services, text)
    async with services.editing:
        epoch = await current_epoch(services) + 1
        await services.store.config.set_many({PASSWORD: hashed, EPOCH: epoch, REVOKED: {}, "setupComplete": True})
    return epoch


async def _hashed(services: Services, text: str) -> str:
    async with services.hashing:
        return await asyncio.to_thread(passwords.hash, text)


async def current_epoch(services: Services) -> int:
    """Return the epoch of the present password.  Read it before the password that a session is given for is checked."""
    return await services.store.config.get(EPOCH, 0) or 0


def begin_session(call: Call, epoch: int) -> tuple[bytes, bytes]:
    """Begin a session of *epoch*; return its ``Set-Cookie`` field."""
    token = sessions.encode(sessions.new(call.now, epoch), _secret(call.services))
    return b"set-cookie", sessions.cookie(token, secure_request(call))


async def find_session(call: Call) -> Session | None:
    """Return the session of the request's cookie, if it is genuine, of the current epoch and not revoked."""
    fields = [value for name, value in call.request.headers if name == b"cookie"]
    for token in sessions.tokens(fields) if fields else ():
        session = sessions.decode(token, _secret(call.services), call.now)
        if session is not None and await _in_force(call.services, session):
            return session
    return None


async def _in_force(services: Services, session: Session) -> bool:
    revoked: dict[str, Any] = await services.store.config.get(REVOKED, {}) or {}
    return session.epoch == await current_epoch(services) and session.jti not in revoked


async def revoke(call: Call, session: Session) -> None:
    """Revoke *session*, and forget revoked sessions that have expired."""
    async with call.services.editing:  # else one of two logouts at once would be lost
        revoked: dict[str, float] = await call.store.config.get(REVOKED, {}) or {}
        alive = {jti: exp for jti, exp in revoked.items() if exp > call.now}
        await call.store.config.set_many({REVOKED: {**alive, session.jti: session.exp}})


async def login_state(services: Services) -> dict[str, Any]:
    """Return the stored password, epoch and revoked sessions, for :func:`keep_ended`."""
    return {name: await services.store.config.get(name) for name in HIDDEN}


async def keep_ended(services: Services, before: Mapping[str, Any]) -> None:
    """Keep the sessions ended that had ended *before* the database was replaced; if the password is another, end all.

    Otherwise an older copy would revive sessions from before a logout or a new password.
    """
    now = await login_state(services)
    epoch = max((value for values in (before, now) if isinstance(value := values[EPOCH], int)), default=0)
    revoked: dict[str, Any] = {}
    if now[PASSWORD] != before[PASSWORD]:
        epoch += 1
    else:
        for values in (now, before):
            revoked |= values[REVOKED] if isinstance(values[REVOKED], dict) else {}
    if (epoch, revoked) != (now[EPOCH] or 0, now[REVOKED] or {}):
        await services.store.config.set_many({EPOCH: epoch, REVOKED: revoked})


def secure_request(call: Call) -> bool:
    """Whether the cookie must be marked ``Secure``."""
    forwarded = (call.request.header(b"x-forwarded-proto") or b"").split(b",")[0].strip().lower()
    return call.services.settings.auth_cookie_secure or forwarded == b"https" or call.request.scheme == "https"


def _secret(services: Services) -> bytes:
    return services.store.jwt_secret
