"""Header fields: a list of (lower-case name, value) byte pairs, in order of arrival.

A list, not a dict: messages have ten to twenty fields, order and repetition carry meaning (RFC 9110 section 5.3), and a
scan over so few is as fast as hashing.
"""

from __future__ import annotations

import re
from typing import Final

Headers = list[tuple[bytes, bytes]]
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A method or field name (RFC 9110 section 5.6.2)."""


def get(headers: Headers, name: bytes) -> bytes | None:
    """The first value of *name* (lower-case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def get_all(headers: Headers, name: bytes) -> list[bytes]:
    """All values of *name* (lower-case), in order."""
    return [value for key, value in headers if key == name]
