"""Access classes: who may call a management route.

This is the only place that decides; the result is an :class:`Actor` or an error.  Passwords and keys are compared by hash or
in constant time, and proxy headers never make a caller *more* trusted.
"""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address

from ..errors import OmniError
from ..gateway.auth import find
from ..gateway.snapshot import GatewayKey
from .call import Access, Actor, Call
from .gateway_login import find_session, has_password, login_required

_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip")


async def authorize(call: Call, access: Access) -> Actor:
    """Return the caller.  Raises ``OmniError`` 401 or 403."""
    if access == "B":
        return _require_key(call)
    if access == "S":
        return _require_sync_token(call)
    actor = await identify(call)
    if access == "P" or actor.known:
        return actor
    if access == "M" and await open_to(call):
        return actor
    if _find_key(call) is not None:
        raise OmniError("forbidden", "Invalid management token")
    raise unauthenticated()


async def identify(call: Call) -> Actor:
    """Return the caller by session cookie, ``manage`` key or local token; anonymous if none is valid."""
    session = await find_session(call)
    if session is not None:
        return Actor("admin", session)
    key = _find_key(call)
    if key is not None and "manage" in key.scopes:
        return Actor(f"apikey:{key.id}")
    token = call.services.local_token
    if token and is_local(call) and compare_digest(_key_text(call).encode("latin-1"), token.encode()):
        return Actor("system")
    return Actor()


async def open_to(call: Call) -> bool:
    """Whether management needs no login: it is off, or there is no password yet and the caller is on this machine."""
    if not await login_required(call.services):
        return True
    return not await has_password(call.services) and is_local(call)


def is_local(call: Call) -> bool:
    """Whether the peer is loopback and the request not forwarded: behind a reverse proxy every caller looks local."""
    try:
        peer = ip_address(call.ip.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return (mapped or peer).is_loopback and not any(call.request.header(name) for name in _FORWARDED)


def unauthenticated() -> OmniError:
    """The 401 of every management route."""
    return OmniError("unauthenticated", "Authentication required", code="AUTH_001")


def _require_key(call: Call) -> Actor:
    key = _find_key(call)
    if key is not None:
        return Actor(f"apikey:{key.id}")
    raise OmniError("unauthenticated", "Invalid API key" if _key_text(call) else "Missing API key")


def _require_sync_token(call: Call) -> Actor:
    peer = call.services.peer
    if peer is not None and peer.admits(_key_text(call)):
        return Actor("peer")
    raise OmniError("unauthenticated", "Invalid sync token")


def _key_text(call: Call) -> str:
    """Return the key in ``Authorization: Bearer``, else in ``x-api-key``; never from the URL, which ends up in logs."""
    scheme, _, text = (call.request.header(b"authorization") or b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return (call.request.header(b"x-api-key") or b"").decode("latin-1").strip()


def _find_key(call: Call) -> GatewayKey | None:
    text = _key_text(call)
    if not text:
        return None
    key = find(call.snapshot, text)
    return key if key is not None and (key.expires_at is None or key.expires_at > call.now) else None
