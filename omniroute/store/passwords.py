"""Password hashes: scrypt (RFC 7914), stored as ``scrypt:<N>:<r>:<p>:<salt hex>:<hash hex>``.

N 2^14, r 8, p 5 is one of the equivalent settings of OWASP's Password Storage Cheat Sheet.  A hash takes 16 MiB and a
fraction of a second, so call both functions in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import secrets
import warnings
from typing import Any, Final

from ..errors import OmniError

_N, _R, _P = 1 << 14, 8, 5
_SCHEME: Final = "scrypt"
_BCRYPT_SETTING: Final = 29  # characters: version, cost and salt
_UNCHECKED: Final = (
    "Server misconfigured: the stored password has a bcrypt hash, which cannot be checked here."
    " Install the Python package bcrypt, restart and log in again."
)
_MAX_MEMORY: Final = 256 << 20  # bytes; bounds the memory that the parameters in a stored hash can demand


def hash(text: str) -> str:
    """Hash *text* with a new salt."""
    salt = secrets.token_bytes(16)
    return f"{_SCHEME}:{_N}:{_R}:{_P}:{salt.hex()}:{_derive(text, salt, _N, _R, _P).hex()}"


def verify(text: str, stored: str) -> bool:
    """Whether *stored* is a hash of *text*; False for a malformed hash.

    An imported bcrypt hash (``$2…``) needs the package ``bcrypt``, or a C library whose ``crypt()`` supports it.  Raises
    OmniError ``internal`` without either.
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
    except ImportError:
        return _verify_by_libc(text, stored)
    try:
        return bool(bcrypt.checkpw(text.encode()[:72], stored.encode()))  # bcrypt uses only the first 72 bytes
    except ValueError:
        return False


def _verify_by_libc(text: str, stored: str) -> bool:
    setting = stored[:_BCRYPT_SETTING]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # crypt is deprecated, and absent from Python 3.13 on
            crypt: Any = importlib.import_module("crypt")
        made = crypt.crypt(text, stored)
    except ValueError:  # *text* contains a NUL
        return False
    except (ImportError, OSError):
        made = None
    if not made or not made.startswith(setting):
        raise OmniError("internal", _UNCHECKED)
    return hmac.compare_digest(made.encode(), stored.encode())
