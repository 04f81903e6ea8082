from __future__ import annotations

from fakes_scrypt import cheap_scrypt, real_scrypt

__all__ = ["cheap_scrypt", "real_scrypt"]
