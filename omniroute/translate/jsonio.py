"""JSON in and out for the codecs: typed reads that blame the right side, and values that travel unparsed.

A request is read in layers: :func:`members` splits an object into raw slices, a :class:`Shape` reads one slice into a type.
What no shape is asked for is never parsed, so it can neither fail nor change.  Failures name the field with a dotted path
(``messages.0.content``).  Nesting is bounded by the interpreter's recursion limit, which msgspec honours while it skips.
"""

from __future__ import annotations

import re
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


def bad(param: str, message: str) -> OmniError:
    """The client's mistake at the dotted path *param* (``""`` = the body as a whole)."""
    return OmniError("invalid_request", message, param=param or None)


def join(path: str, tail: str | int) -> str:
    """Dotted paths: ``join("messages.0", "content")``."""
    return f"{path}.{tail}" if path else str(tail)


class Shape(Generic[T]):
    """A compiled reader of one type from JSON bytes."""

    def __init__(self, type_: Any) -> None:
        self._decode: Any = msgspec.json.Decoder(type_).decode

    def read(self, raw: bytes | Raw, path: str = "") -> T:
        """What a *client* sent at *path*.  Raises ``OmniError("invalid_request")`` that names the field."""
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
        """What an *upstream* sent.  Raises :class:`BadAnswer`."""
        try:
            value: T = self._decode(raw)
            return value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if (whole := mended(raw)) is not None:
                return self.answer(whole)
            raise BadAnswer(str(error)) from None

    def get(self, raw: bytes | Raw) -> T | None:
        """The value, or None when it has another shape: for data that is optional to understand."""
        try:
            value: T = self._decode(raw)
            return value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.get(whole) if (whole := mended(raw)) is not None else None


def mended(raw: bytes | Raw) -> bytes | None:
    """*raw* with U+FFFD for each half of a surrogate pair that stands alone; None where there is none.

    JavaScript writes one wherever it cuts an emoji in two, msgspec reads none, and UTF-8 has none (RFC 8259 section 8.2): so
    this is asked only once reading has failed.
    """
    data = bytes(raw)
    if b"\\ud" not in data and b"\\uD" not in data:
        return None
    whole = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)
    return None if whole == data else whole


def is_utf8(data: bytes) -> bool:
    """What only travels is never parsed: broken text in it would come out again."""
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def check_text(data: bytes) -> None:
    """Raise BadAnswer for what is not UTF-8."""
    if not is_utf8(data):
        raise BadAnswer("not UTF-8")


_MEMBERS: Final[Shape[dict[str, Raw]]] = Shape(dict[str, Raw])
_ANY: Final[Shape[Any]] = Shape(Any)


def members(raw: bytes | Raw, path: str = "") -> dict[str, Raw]:
    """The members of a client's JSON object as raw slices, ``null`` ones left out (*not said*)."""
    try:
        str(memoryview(raw), "utf-8")  # slices that only travel would hide broken UTF-8
    except UnicodeDecodeError:
        raise bad(path, "Invalid JSON body: not UTF-8") from None
    return {name: value for name, value in _MEMBERS.read(raw, path).items() if bytes(value) != b"null"}


def decode_object(raw: bytes | Raw, path: str = "") -> dict[str, Any]:
    """A client's JSON object as plain Python values."""
    value = _ANY.read(raw, path)
    if not isinstance(value, dict):
        raise bad(path, f"Expected `object`, got `{type(value).__name__}`")
    return value


def compact(raw: bytes | Raw) -> bytes:
    """The same JSON on one line, fit for an SSE ``data`` field.  Raises BadAnswer when it is no JSON."""
    data = bytes(raw)
    if b"\n" not in data and b"\r" not in data:
        return data
    try:
        return msgspec.json.format(data, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(str(error)) from None


def is_json(text: str | bytes) -> bool:
    """Whether *text* is one complete JSON value."""
    return _VALID.get(text.encode() if isinstance(text, str) else text) is not None


_VALID: Final[Shape[Raw]] = Shape(Raw)


def _wrong_type(text: str, path: str) -> OmniError:
    match = _AT.match(text)
    assert match is not None
    what, where = match[1], match[2] or ""
    full = (path + _INDEX.sub(r".\1", where).replace("...", "*")).lstrip(".")
    if missing := _MISSING.match(what):
        full = join(full, missing[1])
        return bad(full, f"Missing required parameter: '{full}'.")
    if not full:
        return bad(full, f"Invalid request body: {what}.")
    return bad(full, f"Invalid value for '{full}': {what[:1].lower()}{what[1:]}.")
