"""Gateway keys: where clients send them, how they are looked up, and what they allow."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import parse_qsl

from ..errors import OmniError
from ..proto.exchange import Request
from ..upstream.providers import Provider
from .snapshot import GatewayKey, Snapshot

_KEY_FIELDS: Final = (b"x-api-key", b"x-goog-api-key")


def presented_key(request: Request) -> str:
    """The text in ``Authorization: Bearer``, ``x-api-key``, ``x-goog-api-key`` or ``?key=``, in that order; "" if none.

    ``?key=`` is accepted only on Gemini's paths, whose clients need it, because URLs end up in logs.
    """
    text: str | None = request.known.get("key")
    if text is None:
        text = request.known["key"] = _read_key(request)
    return text


def _read_key(request: Request) -> str:
    named = request.named()
    if (value := named.get(b"authorization")) is not None:
        scheme, _, token = value.partition(b" ")
        if scheme.lower() == b"bearer" and (token := token.strip()):
            return token.decode("latin-1")
    for name in _KEY_FIELDS:
        if found := named.get(name, b"").strip():
            return found.decode("latin-1")
    if "key=" in request.query and getattr(request.route, "wire", "") == "gemini":
        return dict(parse_qsl(request.query)).get("key", "")
    return ""


def digest(secret: bytes, text: str) -> bytes:
    """The keyed hash under which a key is stored and found (HMAC-SHA256)."""
    return hmac.digest(secret, text.encode("utf-8", "surrogateescape"), "sha256")


def find(snapshot: Snapshot, text: str) -> GatewayKey | None:
    """The key with this text.  The lookup compares keyed hashes, so its timing reveals nothing about the text."""
    return snapshot.keys.get(digest(snapshot.key_secret, text)) if text else None


class Keyring:
    """A cache of keys by their text, which saves a hash per request.  It is cleared when the snapshot changes.

    Only valid texts are cached, so guesses cannot fill it.  A dictionary lookup also hashes the text, so its timing reveals
    no part of a key.
    """

    __slots__ = ("_known", "_snapshot")

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._known: dict[str, GatewayKey] = {}

    def find(self, snapshot: Snapshot, text: str) -> GatewayKey | None:
        """As :func:`find`."""
        if snapshot is not self._snapshot:
            self._snapshot, self._known = snapshot, {}
        key = self._known.get(text)
        if key is None and (key := find(snapshot, text)) is not None:
            self._known[text] = key
        return key


def authenticate(
    snapshot: Snapshot, request: Request, now: float, *, required: bool, keyring: Keyring | None = None
) -> GatewayKey | None:
    """The caller's key, or None for an anonymous caller if *required* is false.

    An unknown key is an error only if one is required, because many agents always send some text.  Raises ``OmniError``:
    ``unauthenticated`` for a missing, unknown or expired key, ``forbidden`` for one without the scope ``inference``.
    """
    text = presented_key(request)
    key = (keyring.find(snapshot, text) if keyring is not None else find(snapshot, text)) if text else None
    if key is not None and key.expires_at is not None and key.expires_at <= now:
        raise OmniError("unauthenticated", "API key has expired: create a new one with 'omniroute keys create'")
    if key is not None and "inference" not in key.scopes:
        raise OmniError("forbidden", "This API key lacks the scope 'inference'", code="permission_denied")
    if key is None and required:
        raise OmniError("unauthenticated", "Invalid API key" if text else "Missing API key")
    return key


def check_model(key: GatewayKey | None, requested: str, provider: Provider, model: str) -> None:
    """Raises ``OmniError("forbidden")`` when *key* is restricted to models and none of this model's names is among them."""
    if key is None or not key.allowed_models:
        return
    if not model_allowed(key.allowed_models, requested, f"{provider.alias}/{model}", f"{provider.id}/{model}"):
        raise _not_allowed(requested)


def check_name(key: GatewayKey | None, name: str, requested: str) -> None:
    """The same for what has only a *name*: a combo, or a model that does not exist."""
    if key is not None and not model_allowed(key.allowed_models, name):
        raise _not_allowed(requested)


def _not_allowed(requested: str) -> OmniError:
    return OmniError("forbidden", f'Model "{requested}" is not allowed for this API key', param="model")


def model_allowed(patterns: tuple[str, ...], *names: str) -> bool:
    """Whether one of *names* matches one of *patterns* (``*`` stands for any text), or there are no patterns."""
    return not patterns or any(_matches(pattern, name) for pattern in patterns for name in names)


def _matches(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name
    first, *rest = pattern.split("*")
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    last = rest[-1]
    return name.endswith(last) and len(name) - len(last) >= at
