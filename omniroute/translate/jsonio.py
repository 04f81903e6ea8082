"""JSON for the codecs: typed reads whose errors blame the client or the upstream, and values that stay unparsed.

A request is read in layers: :func:`members` splits an object into raw slices, a :class:`Shape` reads one slice into a type.
A slice that no shape reads is never parsed, so it can neither fail nor change.  Errors name the field with a dotted path
(``messages.0.content``).  The interpreter's recursion limit bounds nesting; msgspec honours it even for skipped values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw

from ..errors import OmniError
from .format import BadAnswer

T = TypeVar("T")

_AT: Final = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_PAIR: Final = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE: Final = re.compile(rb"\\(?:" + _PAIR + rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)
_INDEX: Final = re.compile(r"\[(\d+|\.\.\.)\]")

encode: Final = msgspec.json.Encoder().encode
ABSENT: Final = Raw()  # the default of a member that is kept unparsed
_NULL: Final = Raw(b"null")
_LF, _CR = b"\n\r"  # as numbers, which are found faster than bytes


def bad(param: str, message: str) -> OmniError:
    """Return the error for a client's mistake at the dotted path *param* (``""`` = the body as a whole)."""
    return OmniError("invalid_request", message, param=param or None)


def missing(param: str) -> OmniError:
    """Return the error for a required member that a client left out."""
    return bad(param, f"Missing required parameter: '{param}'.")


def present(raw: Raw) -> bool:
    """Whether the member is there and not null."""
    return len(raw) > 0 and raw != _NULL


def bytes_or_none(raw: Raw) -> bytes | None:
    """Return a value that is only passed on; None if the member is not present."""
    return bytes(raw) if present(raw) else None


def join(path: str, tail: str | int) -> str:
    """Dotted paths: ``join("messages.0", "content")``."""
    return f"{path}.{tail}" if path else str(tail)


class Shape(Generic[T]):
    """A compiled reader of one type from JSON bytes."""

    def __init__(self, type_: Any) -> None:
        self._decode: Any = msgspec.json.Decoder(type_).decode

    def read(self, raw: bytes | Raw, path: str = "") -> T:
        """Read what a *client* sent at *path*.  Raises ``OmniError("invalid_request")`` naming the field."""
        try:
            value: T = self._decode(raw)
            return value
        except msgspec.ValidationError as error:
            raise _wrong_type(str(error), path) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            if (whole := mended(raw)) is not None:
                return self.read(whole, path)
            raise bad(path, "Invalid JSON body") from None
        except RecursionError:
            raise bad(path, "JSON is nested too deeply") from None

    def answer(self, raw: bytes | Raw) -> T:
        """Read what an *upstream* sent.  Raises :class:`BadAnswer`."""
        try:
            value: T = self._decode(raw)
            return value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if (whole := mended(raw)) is not None:
                return self.answer(whole)
            raise BadAnswer(str(error)) from None

    def get(self, raw: bytes | Raw) -> T | None:
        """Return the value, or None if it has another shape: for data that need not be understood."""
        try:
            value: T = self._decode(raw)
            return value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.get(whole) if (whole := mended(raw)) is not None else None


# shapes that most codecs need
STRING: Final[Shape[str]] = Shape(str)
STRINGS: Final[Shape[list[str]]] = Shape(list[str])
STRING_OR_STRINGS: Final[Shape[str | list[str]]] = Shape(str | list[str])
STRING_OR_ITEMS: Final[Shape[str | list[Raw]]] = Shape(str | list[Raw])
BOOL: Final[Shape[bool]] = Shape(bool)
INT: Final[Shape[int]] = Shape(int)
FLOAT: Final[Shape[float]] = Shape(float)
OBJECT: Final[Shape[dict[str, Raw]]] = Shape(dict[str, Raw])  # its members unparsed
VALUES: Final[Shape[dict[str, Any]]] = Shape(dict[str, Any])  # the same, parsed
ITEMS: Final[Shape[list[Raw]]] = Shape(list[Raw])
ANY: Final[Shape[Any]] = Shape(Any)
_VALID: Final[Shape[Raw]] = Shape(Raw)


def mended(raw: bytes | Raw) -> bytes | None:
    """Return *raw* with U+FFFD in place of each unpaired surrogate; None if there is none.

    JavaScript writes one where it cuts an emoji in two (RFC 8259 section 8.2).  msgspec refuses it, so this is called only
    after reading has failed.
    """
    data = bytes(raw)
    if b"\\ud" not in data and b"\\uD" not in data:
        return None
    whole = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)
    return None if whole == data else whole


def is_utf8(data: bytes) -> bool:
    """Whether *data* is UTF-8.  Unparsed values need this check, since broken text in them would be passed on."""
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def check_text(data: bytes) -> None:
    """Raise BadAnswer unless *data* is UTF-8."""
    if not is_utf8(data):
        raise BadAnswer("not UTF-8")


def members(raw: bytes | Raw, path: str = "") -> dict[str, Raw]:
    """Return the members of a client's JSON object as raw slices, without ``null`` ones (they mean "not said").

    A body, whose path is "", must be UTF-8 as a whole, since unparsed slices would hide broken text.
    """
    if not path:
        try:
            str(memoryview(raw), "utf-8")
        except UnicodeDecodeError:
            raise bad(path, "Invalid JSON body: not UTF-8") from None
    given = OBJECT.read(raw, path)
    if _NULL in given.values():
        return {name: value for name, value in given.items() if value != _NULL}
    return given


def decode_object(raw: bytes | Raw, path: str = "") -> dict[str, Any]:
    """Return a client's JSON object as plain Python values."""
    value = ANY.read(raw, path)
    if not isinstance(value, dict):
        raise bad(path, f"Expected `object`, got `{type(value).__name__}`")
    return value


def compact(raw: bytes | Raw) -> bytes:
    """Return the same JSON on one line, for an SSE ``data`` field.  Raises BadAnswer if it is not JSON."""
    data = bytes(raw)
    if _LF not in data and _CR not in data:
        return data
    try:
        return msgspec.json.format(data, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(str(error)) from None


def joined(arrays: Iterable[bytes]) -> bytes:
    """Return one JSON array, on one line, of the items of several."""
    items = (compact(array)[1:-1].strip() for array in arrays)
    return b"[" + b",".join([some for some in items if some]) + b"]"


def is_json(text: str | bytes) -> bool:
    """Whether *text* is one complete JSON value."""
    return _VALID.get(text.encode() if isinstance(text, str) else text) is not None


def _wrong_type(text: str, path: str) -> OmniError:
    match = _AT.match(text)
    assert match is not None
    what, where = match[1], match[2] or ""
    full = (path + _INDEX.sub(r".\1", where).replace("...", "*")).lstrip(".")
    if absent := _MISSING.match(what):
        return missing(join(full, absent[1]))
    if not full:
        return bad(full, f"Invalid request body: {what}.")
    return bad(full, f"Invalid value for '{full}': {what[:1].lower()}{what[1:]}.")
