"""Authentication of provider calls: the header fields that carry a key.

Everything here is pure, so the gateway computes it once per connection and snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ..errors import OmniError
from ..proto.headers import Headers
from .providers import Provider

_AUTH: Final[Mapping[str, tuple[bytes, bytes]]] = {  # scheme -> field name and the prefix of the key
    "bearer": (b"authorization", b"Bearer "),
    "optional-bearer": (b"authorization", b"Bearer "),
    "token": (b"authorization", b"Token "),
    "raw": (b"authorization", b""),
    "x-api-key": (b"x-api-key", b""),
    "x-goog-api-key": (b"x-goog-api-key", b""),
    "api-key": (b"api-key", b""),
}


def needs_secret(provider: Provider) -> bool:
    """Whether calls without a key are certain to fail.  A user's own endpoint may need no key."""
    return not provider.node and provider.auth not in ("none", "optional-bearer")


def auth_headers(provider: Provider, secret: str) -> Headers:
    """The header fields that carry *secret* in the provider's scheme; none without a secret or a scheme.

    Raises ``OmniError("invalid_request")`` when the key is not printable ASCII; its message does not contain the key.
    """
    secret = secret.strip()
    if not secret or provider.auth == "none":
        return []
    if not (secret.isascii() and secret.isprintable()):
        raise OmniError("invalid_request", "The API key contains characters that cannot be sent", param="apiKey")
    name, before = _AUTH[provider.auth]
    return [(name, before + secret.encode("ascii"))]


def with_login(provider: Provider, auth_type: str) -> Provider:
    """The provider with the scheme for an account of *auth_type*: OAuth access tokens are bearer tokens (RFC 6750)."""
    if auth_type != "oauth" or provider.auth in ("bearer", "optional-bearer", "none"):
        return provider
    return msgspec.structs.replace(provider, auth="bearer")


def call_headers(provider: Provider, secret: str) -> Headers:
    """The provider's static header fields, then its authentication fields.  Raises as :func:`auth_headers`."""
    fixed = [(name.encode("ascii"), value.encode("ascii")) for name, value in provider.headers]
    return fixed + auth_headers(provider, secret)
