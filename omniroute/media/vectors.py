"""Conversion between the two encodings of vectors: JSON arrays of numbers, and base64 of little-endian 32-bit floats."""

from __future__ import annotations

import binascii
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from ..translate.format import BadAnswer
from .codec import UNREADABLE

_numbers: Final = msgspec.json.Decoder(list[float])
_text: Final = msgspec.json.Decoder(str)
_UNREADABLE: Final = (*UNREADABLE, OverflowError)


def is_text(raw: bytes | Raw) -> bool:
    """Whether a vector is encoded as base64."""
    return bytes(memoryview(raw)[:1]) == b'"'


def as_floats(raw: Raw) -> bytes:
    """A vector of either encoding as a JSON array.  Raises BadAnswer."""
    if not is_text(raw):
        if bytes(memoryview(raw)[:1]) != b"[":
            raise BadAnswer("an embedding is not a list of numbers")
        return bytes(raw)
    try:
        data = b64decode(_text.decode(raw), validate=True)
        vector = array("f", data)
    except (*_UNREADABLE, binascii.Error, ValueError) as error:
        raise BadAnswer(f"an embedding is not base64 of 32-bit floats: {error}") from None
    if sys.byteorder == "big":
        vector.byteswap()
    return msgspec.json.encode(vector.tolist())


def as_base64(raw: Raw) -> bytes:
    """A vector of either encoding as a JSON string of base64.  Raises BadAnswer."""
    if is_text(raw):
        return bytes(raw)
    try:
        return b'"%b"' % b64encode(packed(_numbers.decode(raw)))
    except _UNREADABLE as error:
        raise BadAnswer(f"an embedding is not a list of numbers: {error}") from None


def packed(numbers: Sequence[float]) -> bytes:
    """*numbers* as little-endian 32-bit floats."""
    vector = array("f", numbers)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()
