"""A look at a request body without parsing it: which model, streamed or not, and where to splice.

Agent requests are 40 to 115 KB; a full parse costs twice what this look does and most of it would be thrown away.  The body
is cut into its top-level members, each still the bytes that arrived (RFC 8259 values, syntax checked), and only the
few members that routing needs are read.
"""

from __future__ import annotations

import json  # noqa: TID251 - the one parser that tells of repeated names, for bodies that may have some
import re
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
    """What a wire's Struct of known members has at least; its types are what is checked."""

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
    """Cut *body* into members and check those that *types*, a decoder of a wire's known members, names.

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
_SEARCH: Final = 4 * 1024 * 1024  # bytes that may be gone over in search of names; parsing once is cheaper than more


def _without_bulk(members: Mapping[str, Raw]) -> bytes:
    """The small members alone, and of the big ones only whether they are arrays or objects: no second look at 80 KB."""
    parts = []
    for name, raw in members.items():
        value = memoryview(raw)
        if len(value) < 256 or name == "model":
            parts.append(b"%b:%b" % (msgspec.json.encode(name), bytes(raw)))
        elif value[0] != 0x22:  # strings have no types inside
            parts.append(b"%b:%b" % (msgspec.json.encode(name), b"[]" if value[0] == 0x5B else b"{}"))
        else:
            parts.append(b'%b:""' % msgspec.json.encode(name))
    return b"{" + b",".join(parts) + b"}"


def _wrong_type(error: msgspec.ValidationError) -> OmniError:
    """``Expected `str`, got `int` - at `$.model``` -> our words, with the member named."""
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
    """Refuse a member given twice (RFC 8259 section 4 leaves its meaning open, so two readers may differ).

    Nothing is shorter than the members with compact separators, so a body of that length has no room for another; one of the
    length that Python's separators make is put together again and compared.  Only other layouts need a closer look.
    """
    count = len(members)
    plain = 3 * count
    for name, raw in members.items():
        plain += len(name) + len(memoryview(raw))
    size = len(body)
    if size == plain + count + 1 or (size == plain + 3 * count and body == _spaced(members)):
        return
    escaped = b"\\u00" in body or b"\\/" in body  # perhaps a name written in another way
    if not escaped and count * size <= _SEARCH and all(body.count(b'"%b"' % key.encode()) == 1 for key in members):
        return
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        seen: set[str] = set()
        twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        return {}

    # The outermost object is reported last.  Numbers stay text: Python has a limit of digits, JSON has none.
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
    """The body with the members in *changes* (JSON text) replaced or added, None removing one; the rest as it arrived."""
    raw, members = found.raw, found.members
    model = changes.get("model")
    if len(changes) == 1 and model is not None and (head := _MODEL_FIRST.match(raw)):
        return head[1] + model + raw[head.end(1) + len(memoryview(members["model"])) :]
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
    """*found* as if the client had sent other members; see :func:`patch`."""
    twin = copy(found)
    twin.raw = patch(found, changes)
    merged = {**found.members, **{name: Raw(value) for name, value in changes.items() if value is not None}}
    twin.members = {name: value for name, value in merged.items() if changes.get(name, b"") is not None}
    return twin
