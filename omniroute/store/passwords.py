"""Password hashes: scrypt with the parameters in the text, ``scrypt:<N>:<r>:<p>:<salt hex>:<hash hex>``.

N 2^14, r 8, p 5 is one of the settings OWASP's password storage sheet gives as equal in strength (16 MiB, a fraction of a
second): run both functions in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import secrets
from typing import Any, Final

_N, _R, _P = 1 << 14, 8, 5
_SCHEME: Final = "scrypt"
_MAX_MEMORY: Final = 256 << 20  # bytes; bounds what a stored text can make us spend


def hash(text: str) -> str:
    """A hash with a new salt."""
    salt = secrets.token_bytes(16)
    return f"{_SCHEME}:{_N}:{_R}:{_P}:{salt.hex()}:{_derive(text, salt, _N, _R, _P).hex()}"


def verify(text: str, stored: str) -> bool:
    """Whether *stored* was made from *text*; false for anything that cannot be read.

    An imported bcrypt hash (``$2…``) verifies only where a ``bcrypt`` module is installed.
    """
    if stored.startswith("$2"):
        return _verify_bcrypt(text, stored)
    try:
        scheme, n, r, p, salt, expected = stored.split(":")
        if scheme != _SCHEME:
            return False
        return hmac.compare_digest(_derive(text, bytes.fromhex(salt), int(n), int(r), int(p)), bytes.fromhex(expected))
    except ValueError:
        return False


def _derive(text: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(text.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)


def _verify_bcrypt(text: str, stored: str) -> bool:
    try:
        bcrypt: Any = importlib.import_module("bcrypt")
        return bool(bcrypt.checkpw(text.encode()[:72], stored.encode()))  # bcrypt itself looks at 72 bytes only
    except (ImportError, ValueError):
        return False
