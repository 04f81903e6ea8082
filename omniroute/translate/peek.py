"""A look at a request body without parsing it: which model, streamed or not, and where to splice.

Agent requests are 40 to 115 KB; a full parse costs twice what this look does and most of it would be thrown away.  The body
is cut into its top-level members, each still the bytes that arrived (RFC 8259 values, syntax checked), and only the
few members that routing needs are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import OmniError

_members = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)
_usage_wish = msgspec.json.Decoder(dict[str, Raw])

# The first byte of a JSON value tells its type (RFC 8259 section 3).
_TYPE_OF: Final = {
    **dict.fromkeys(b"-0123456789", "number"),
    ord('"'): "string",
    ord("{"): "object",
    ord("["): "array",
    ord("t"): "boolean",
    ord("f"): "boolean",
    ord("n"): "null",
}

_MODEL_FIRST: Final = re.compile(rb'(\{\s*"model"\s*:\s*)"')


class Peek:
    """The members of one body.  ``raw`` is the body as sent."""

    __slots__ = ("include_usage", "members", "model", "raw", "stream")

    def __init__(self, raw: bytes, members: dict[str, Raw]) -> None:
        self.raw = raw
        self.members = members
        self.model = ""
        self.stream = False
        self.include_usage = False


def peek(body: bytes, types: Mapping[str, str]) -> Peek:
    """Cut *body* into members and check those in *types* (member -> JSON type, ``"a|b"`` for either; null always passes).

    Raises ``OmniError("invalid_request")`` with ``param`` naming the member.
    """
    try:
        members = _members.decode(body)
    except msgspec.ValidationError:
        raise OmniError("invalid_request", "Invalid JSON body: the body must be a JSON object", param="body") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise OmniError("invalid_request", f"Invalid JSON body: {_reason(error)}", param="body") from None
    if not body.isascii():
        _check_utf8(body)
    _check_duplicates(body, members)
    found = Peek(body, members)
    for name, value in members.items():
        expected = types.get(name)
        if expected is not None:
            actual = _TYPE_OF[memoryview(value)[0]]
            if actual != "null" and actual not in expected:
                raise OmniError("invalid_request", f"Invalid '{name}': expected {_or(expected)}, got {actual}", param=name)
    found.model = text_member(members, "model")
    stream = members.get("stream")
    found.stream = stream is not None and bytes(stream) == b"true"
    if found.stream and (options := members.get("stream_options")) is not None:
        found.include_usage = _wants_usage(bytes(options))
    return found


def _or(expected: str) -> str:
    return " or ".join(f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in expected.split("|"))


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).removeprefix("JSON is malformed: ") or "malformed"


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        message = f"Invalid JSON body: not valid UTF-8 at byte {error.start}"
        raise OmniError("invalid_request", message, param="body") from None


def _check_duplicates(body: bytes, members: dict[str, Raw]) -> None:
    """Refuse a member given twice (RFC 8259 section 4 leaves its meaning open, so two readers may differ).

    The lengths of compact and of Python-style separators are known in advance; only other layouts need a closer look.
    """
    count = len(members)
    plain = sum([len(key) + len(memoryview(value)) for key, value in members.items()]) + 3 * count
    size = len(body)
    if size in (plain + count + 1, plain + 3 * count) or all(body.count(b'"%b"' % key.encode()) == 1 for key in members):
        return
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        seen: set[str] = set()
        twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        return dict(pairs)

    json.loads(body, object_pairs_hook=note)
    if twice:
        raise OmniError("invalid_request", f"Invalid JSON body: '{twice[0]}' is given twice", param=twice[0])


def text_member(members: Mapping[str, Raw], name: str) -> str:
    """The text of a string member; "" when absent or null."""
    raw = members.get(name)
    if raw is None or bytes(raw) == b"null":
        return ""
    try:
        return _text.decode(raw)
    except msgspec.MsgspecError:
        raise OmniError("invalid_request", f"Invalid '{name}': expected a string", param=name) from None


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
    parts[0] = b"{" + parts[0][1:]
    return b"".join([*parts, b"}"])


def _key(name: str) -> bytes:
    return b"," + msgspec.json.encode(name) + b":"
