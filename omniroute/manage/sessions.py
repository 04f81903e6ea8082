"""Login sessions as signed cookies: JWT (RFC 7519) with HS256 (RFC 7518 section 3.2).

Only this algorithm is accepted, and a header that says nothing else, so a token cannot choose how it is verified.  A token
carries an id and an epoch: logging out revokes the id; a new password increments the epoch, which ends every session.
A script that signs its own token with ``JWT_SECRET`` may omit both: the signature is then the id, and the epoch the first.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal

import msgspec
from msgspec import Struct

COOKIE = "auth_token"
LIFETIME = 30 * 86400.0
"""Seconds."""
RENEW_BELOW = 7 * 86400.0
_MAX_TOKEN = 1024


class Session(Struct, frozen=True):
    """The claims of one login; ``exp`` is Unix seconds."""

    authenticated: bool
    exp: float
    jti: str = ""
    epoch: int = 0


class _Header(Struct, forbid_unknown_fields=True):
    alg: Literal["HS256"]
    typ: Literal["JWT"] = "JWT"


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


_HEADER = _b64(b'{"alg":"HS256","typ":"JWT"}')


def _signature(secret: bytes, signed: bytes) -> bytes:
    return _b64(hmac.digest(secret, signed, hashlib.sha256))


def new(now: float, epoch: int) -> Session:
    """Return a new session, valid for :data:`LIFETIME`."""
    return Session(True, int(now + LIFETIME), secrets.token_urlsafe(16), epoch)


def encode(session: Session, secret: bytes) -> str:
    """Return the signed token of *session*."""
    signed = _HEADER + b"." + _b64(msgspec.json.encode(session))
    return (signed + b"." + _signature(secret, signed)).decode()


def decode(token: str, secret: bytes, now: float) -> Session | None:
    """Return the session of *token*; None if it is malformed, forged or expired."""
    if len(token) > _MAX_TOKEN or not token.isascii():
        return None
    signed, _, signature = token.encode().rpartition(b".")
    header, _, claims = signed.partition(b".")
    if not hmac.compare_digest(_signature(secret, signed), signature):
        return None
    try:
        msgspec.json.decode(_unb64(header), type=_Header)
        session = msgspec.json.decode(_unb64(claims), type=Session)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return None
    if not session.authenticated or session.exp <= now:
        return None
    return session if session.jti else msgspec.structs.replace(session, jti=signature.decode())


def cookie(token: str, secure: bool) -> bytes:
    """Return the ``Set-Cookie`` value that begins a session."""
    return f"{COOKIE}={token}; Path=/; Max-Age={int(LIFETIME)}; HttpOnly; SameSite=Lax{_tail(secure)}".encode()


def expired_cookie(secure: bool) -> bytes:
    """Return the ``Set-Cookie`` value that ends a session."""
    past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"
    return f"{COOKIE}=; Path=/; {past}; HttpOnly; SameSite=Lax{_tail(secure)}".encode()


def _tail(secure: bool) -> str:
    return "; Secure" if secure else ""


def tokens(cookie_fields: list[bytes]) -> list[str]:
    """Return the values of our cookie in the ``Cookie`` fields; a client may send several (RFC 6265 section 5.4)."""
    found = []
    for pair in b";".join(cookie_fields).decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and value:
            found.append(value.strip('"'))
    return found[:4]
