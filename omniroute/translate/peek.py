"""The model, the stream flag and the raw members of a request body, without parsing all of it.

Agent requests are 40 to 115 KB; a full parse costs twice as much, and most of its result would be thrown away.  The body is
cut into its top-level members, each still the bytes that arrived (syntax checked, RFC 8259), and only the few members that
routing needs are read.
"""

from __future__ import annotations

import json  # noqa: TID251 - the one parser that reports repeated names, for bodies that may have some
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from copy import copy
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw

from ..errors import OmniError

_members = msgspec.json.Decoder(dict[str, Raw])
_usage_wish = msgspec.json.Decoder(dict[str, Raw])
_MODEL_FIRST: Final = re.compile(rb'(\{\s*"model"\s*:\s*)"')
_WHERE: Final = re.compile(r"(.*) - at `\$\.?(.*)`")
_WORDS: Final = {"str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "null",
                 "array": "an array", "object": "an object"}  # fmt: skip


class Known(Protocol):
    """The minimum of a wire's Struct of known members; its types are those that :func:`peek` checks."""

    model: str | None
    stream: bool | None


class Peek:
    """The members of one body.  ``raw`` is the body as sent, ``members`` its top-level values as sent."""

    __slots__ = ("include_usage", "members", "model", "raw", "stream")

    def __init__(self, raw: bytes, members: dict[str, Raw], known: Known) -> None:
        self.raw = raw
        self.members = members
        self.model = known.model or ""
        self.stream = known.stream is True
        self.include_usage = False


def peek(body: bytes, types: msgspec.json.Decoder[Any]) -> Peek:
    """Cut *body* into members and check the types of the known ones; *types* decodes a wire's :class:`Known` Struct.

    Raises ``OmniError("invalid_request")`` with ``param`` naming the member.
    """
    try:
        members = _members.decode(body)
        if len(members) > _MOST_MEMBERS:
            raise OmniError("invalid_request", f"Invalid JSON body: more than {_MOST_MEMBERS} members", param="body")
        known = types.decode(body if len(body) < _SMALL else _without_bulk(members))
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None
    except RecursionError:
        raise OmniError("invalid_request", "Invalid JSON body: nested too deeply", param="body") from None
    except UnicodeDecodeError:
        raise _not_utf8(body) from None
    except msgspec.DecodeError:
        if body.startswith(BOM_UTF8) and not body.startswith(2 * BOM_UTF8):
            return peek(body.removeprefix(BOM_UTF8), types)  # some editors and shells write it (RFC 8259 section 8.1)
        raise OmniError("invalid_request", "Invalid JSON body", param="body") from None
    if not body.isascii() and not _is_utf8(body):
        raise _not_utf8(body)
    _check_duplicates(body, members)
    found = Peek(body, members, known)
    if found.stream and (options := members.get("stream_options")) is not None:
        found.include_usage = _wants_usage(bytes(options))
    return found


_SMALL: Final = 4096
_MOST_MEMBERS: Final = 1000
_SEARCH: Final = 4 * 1024 * 1024  # bytes searched for repeated names; beyond that a full parse is cheaper


def _without_bulk(members: Mapping[str, Raw]) -> bytes:
    """Return the object with each large value replaced by an empty one of its type, so that 80 KB are not parsed twice."""
    parts = []
    for name, raw in members.items():
        value = memoryview(raw)
        if len(value) < 256 or name == "model":
            parts.append(b"%b:%b" % (msgspec.json.encode(name), bytes(raw)))
        elif value[0] != 0x22:  # not a string
            parts.append(b"%b:%b" % (msgspec.json.encode(name), b"[]" if value[0] == 0x5B else b"{}"))
        else:
            parts.append(b'%b:""' % msgspec.json.encode(name))
    return b"{" + b",".join(parts) + b"}"


def _wrong_type(error: msgspec.ValidationError) -> OmniError:
    """Reword msgspec's ``Expected `str`, got `int` - at `$.model``` for clients, with the member as ``param``."""
    found = _WHERE.fullmatch(str(error))
    if found is None or not found[2]:
        return OmniError("invalid_request", "Invalid JSON body: the body must be a JSON object", param="body")
    text = re.sub(r"`([^`]+)`", lambda m: " or ".join(_WORDS.get(w, w) for w in m[1].split(" | ") if w != "null"), found[1])
    return OmniError("invalid_request", f"Invalid '{found[2]}': {text[0].lower()}{text[1:]}", param=found[2])


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(body: bytes) -> OmniError:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return OmniError("invalid_request", f"Invalid JSON body: not valid UTF-8 at byte {error.start}", param="body")
    return OmniError("invalid_request", "Invalid JSON body: not valid UTF-8", param="body")


def _spaced(members: Mapping[str, Raw]) -> bytes:
    """The object as Python's ``json`` writes it, when no name needs an escape."""
    return b"{%b}" % b", ".join(b'"%b": %b' % (name.encode(), raw) for name, raw in members.items())


def _check_duplicates(body: bytes, members: dict[str, Raw]) -> None:
    """Refuse a repeated member: RFC 8259 section 4 leaves its meaning open, so two readers may differ.

    A body exactly as long as its distinct members with compact separators has no room for another one.  A body as long as
    Python's default separators make it is rebuilt and compared.  Only other layouts need a search or a full parse.
    """
    count = len(members)
    plain = 3 * count + sum(map(len, members)) + sum(map(len, members.values()))
    size = len(body)
    if size == plain + count + 1 or (size == plain + 3 * count and body == _spaced(members)):
        return
    escaped = b"\\u00" in body or b"\\/" in body  # a name may be written with escapes
    if not escaped and count * size <= _SEARCH and all(body.count(b'"%b"' % key.encode()) == 1 for key in members):
        return
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        seen: set[str] = set()
        twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        return {}

    # The outermost object is reported last.  Numbers stay text: Python limits the digits of an integer, JSON does not.
    json.loads(body, object_pairs_hook=note, parse_int=str, parse_float=str)
    if twice:
        raise OmniError("invalid_request", f"Invalid JSON body: '{twice[0]}' is given twice", param=twice[0])


def _wants_usage(options: bytes) -> bool:
    try:
        wish = _usage_wish.decode(options).get("include_usage")
    except msgspec.MsgspecError:
        return False
    return wish is not None and bytes(wish) == b"true"


def patch(found: Peek, changes: Mapping[str, bytes | None]) -> bytes:
    """Return the body with the members in *changes* (JSON text) replaced or added, None removing one; the rest unchanged."""
    raw, members = found.raw, found.members
    model = changes.get("model")
    if len(changes) == 1 and model is not None and (head := _MODEL_FIRST.match(raw)):
        return head[1] + model + raw[head.end(1) + len(members["model"]) :]
    merged: dict[str, Any] = {**members, **changes}
    parts: list[Any] = []
    for name, value in merged.items():
        if value is not None:
            parts += (_key(name), value)
    if not parts:
        return b"{}"
    parts[0] = b"{" + parts[0][1:]
    return b"".join([*parts, b"}"])


def _key(name: str) -> bytes:
    return b"," + msgspec.json.encode(name) + b":"


def edited(found: Peek, changes: Mapping[str, bytes | None]) -> Peek:
    """Return *found* as if the client had sent the changed members; see :func:`patch`."""
    twin = copy(found)
    twin.raw = patch(found, changes)
    merged = {**found.members, **{name: Raw(value) for name, value in changes.items() if value is not None}}
    twin.members = {name: value for name, value in merged.items() if changes.get(name, b"") is not None}
    return twin
