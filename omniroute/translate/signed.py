"""Reasoning signatures: where they stand in requests and answers, and how to remove them from a request.

Anthropic signs thinking blocks and encrypts withheld ones, OpenAI's Responses return ``encrypted_content``, Gemini sets
``thoughtSignature`` on parts.  Each is valid only for the account, model and effort that made it.  The caller decides which
of them must go; this module only finds them, and removes them from a request without touching anything else.

History is *closed* before the last user message.  What follows is the open turn, a tool loop in progress, whose reasoning
the vendors want back.  Without it Anthropic's manual thinking mode must be switched off ("Extended thinking", *Tool use with
thinking*), and a Gemini call gets the value that the vendor documents for a missing signature ("Thought signatures").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from .fidelity import Lost
from .format import Target
from .gemini_history import SKIP_SIGNATURE
from .gemini_traits import Traits
from .peek import Peek

Judge = Callable[[bytes, bool], bool]
"""(signature, whether it stands in closed history) -> whether to remove it."""

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_encode: Final = msgspec.json.encode
_list: Final = msgspec.json.Decoder(list[Raw]).decode
_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_string: Final = msgspec.json.Decoder(str).decode

# -- finding

_COLON: Final = re.compile(rb'\s*:\s*"')
_LITERAL: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')
_REDACTED: Final = re.compile(
    rb'"redacted_thinking"\s*,\s*"data"\s*:\s*"([^"\\]*)"|"data"\s*:\s*"([^"\\]*)"\s*,\s*"type"\s*:\s*"redacted_thinking"'
)
_REDACTED_WORD: Final = b'"redacted_thinking"'
# Inside a JSON string quotes are escaped, so these never match in a text.
MARKS: Final[dict[str, tuple[bytes, ...]]] = {
    "anthropic": (b'"signature"', _REDACTED_WORD),
    "openai-responses": (b'"encrypted_content"',),
    "gemini": (b'"thoughtSignature"', b'"thought_signature"'),
}


def has_marks(wire: str, data: bytes) -> bool:
    """Whether *data* may hold signatures of *wire*.  Cheap, since it does not parse."""
    return any(mark in data for mark in MARKS.get(wire, ()))


def found_in(wire: str, data: bytes) -> list[bytes]:
    """Return the signatures in whole JSON texts or SSE events of *wire*, in no particular order.  Never raises."""
    found: list[bytes] = []
    for mark in MARKS.get(wire, ()):
        at = data.find(mark)
        if at >= 0 and mark is _REDACTED_WORD:
            found += (one or other for one, other in _REDACTED.findall(data))
            continue
        while at >= 0:
            at += len(mark)
            if (colon := _COLON.match(data, at)) is not None:
                literal, at = _literal(data, colon.end())
                found.append(_plain(literal))
            at = data.find(mark, at)
    return [signature for signature in found if signature]


def _literal(data: bytes, start: int) -> tuple[bytes, int]:
    """Return (the literal from *start* to its closing quote, the offset of the quote); an empty literal if there is none."""
    end = data.find(b'"', start)
    if end >= 0 and data.find(b"\\", start, end) >= 0:  # this quote may be escaped
        whole = _LITERAL.match(data, start)
        end = whole.end() if whole is not None and whole.end() < len(data) else -1
    return (data[start:end], end) if end >= 0 else (b"", len(data))


def _plain(literal: bytes) -> bytes:
    """Decode a JSON string literal given without its quotes; some vendors escape ``=`` and ``/``."""
    if b"\\" not in literal:
        return literal
    try:
        return _string(b'"' + literal + b'"').encode()
    except (*_UNREADABLE, UnicodeEncodeError):
        return b""


# -- removing


class Stripped(NamedTuple):
    """``changes``: top-level members of the request, None = remove; ``dropped``: names for ``X-OmniRoute-Dropped``."""

    changes: dict[str, bytes | None]
    dropped: tuple[str, ...]


class _Wire(NamedTuple):
    member: str
    opens: Callable[[Raw], bool]  # whether the user begins a new turn with this item
    clean: Callable[[Raw, Callable[[bytes], bool], bool, _Scope], Raw | None]  # None: drop the whole item


class _Scope(NamedTuple):
    """What matters about the request around a message."""

    target: Target
    stored: bool


def history(wire: str, found: Peek) -> bytes:
    """Return the only member of a request that can hold signatures, so that system prompt and tools are not searched."""
    rules = _WIRES.get(wire)
    return bytes(found.members.get(rules.member, b"")) if rules is not None else b""


def strip(wire: str, found: Peek, judge: Judge, target: Target) -> Stripped | None:
    """Remove the signatures that *judge* condemns.  None: nothing had to change, or the request cannot be read."""
    rules = _WIRES.get(wire)
    if rules is None or (raw := found.members.get(rules.member)) is None:
        return None
    scope = _Scope(target, bytes(found.members.get("store", b"")) != b"false")
    try:
        said = _list(raw)
        start = next((n for n in range(len(said) - 1, -1, -1) if rules.opens(said[n])), 0)
        kept, opened, changed = [], False, False
        for number, one in enumerate(said):
            closed = number < start
            new = rules.clean(one, lambda signature, closed=closed: judge(signature, closed), closed, scope)  # type: ignore[misc]
            if new is not one:
                changed, opened = True, opened or not closed
            if new is not None:
                kept.append(new)
    except _UNREADABLE:
        return None
    if not changed:
        return None
    changes: dict[str, bytes | None] = {rules.member: _array(kept)}
    bare = _without_thinking(found.members) if opened and wire == "anthropic" else {}
    return Stripped({**changes, **bare}, (Lost.THINKING_SIGNATURE, *((Lost.REASONING,) if bare else ())))


def _array(values: list[Raw]) -> bytes:
    return b"[" + b",".join(map(bytes, values)) + b"]"


def _joined(members: Mapping[str, Any]) -> Raw:
    return Raw(b"{" + b",".join(_encode(name) + b":" + bytes(value) for name, value in members.items()) + b"}")


# -- anthropic


class _Typed(Struct):
    type: str = ""
    role: str = ""
    signature: str | None = None
    data: Raw = Raw(b"")


_typed: Final = msgspec.json.Decoder(_Typed).decode


def _opens_message(raw: Raw) -> bool:
    message = _object(raw)
    if _string(message.get("role", b'""')) != "user":
        return False
    content = message.get("content", Raw(b'""'))
    return bytes(content)[:1] != b"[" or all(_typed(block).type != "tool_result" for block in _list(content))


def _clean_message(raw: Raw, condemned: Callable[[bytes], bool], closed: bool, scope: _Scope) -> Raw | None:
    if not has_marks("anthropic", bytes(raw)):
        return raw
    message = _object(raw)
    content = message.get("content", Raw(b'""'))
    if bytes(content)[:1] != b"[":
        return raw
    blocks = _list(content)
    kept = [block for block in blocks if not _condemned_block(block, condemned)]
    if len(kept) == len(blocks):
        return raw
    return _joined({**message, "content": _array(kept)}) if kept else None


def _condemned_block(raw: Raw, condemned: Callable[[bytes], bool]) -> bool:
    block = _typed(raw)
    if block.type == "thinking" and block.signature:
        return condemned(block.signature.encode())
    return block.type == "redacted_thinking" and condemned(_string(block.data).encode())


def _without_thinking(members: Mapping[str, Raw]) -> dict[str, bytes | None]:
    """Switch manual thinking off, since it demands a signed block in an open turn, and with it edits that need thinking."""
    thinking = members.get("thinking")
    if thinking is None or _typed(thinking).type != "enabled":
        return {}
    edits = b"clear_thinking" in bytes(members.get("context_management", b""))
    return {"thinking": None, **({"context_management": None} if edits else {})}


# -- openai-responses


class _Item(Struct):
    type: str = "message"
    role: str = ""
    encrypted_content: str | None = None
    summary: list[Raw] | None = None
    content: Raw = Raw(b"null")


_item: Final = msgspec.json.Decoder(_Item).decode


class _Kind(Struct):
    type: str = "message"
    role: str = ""


_kind: Final = msgspec.json.Decoder(_Kind).decode


def _opens_item(raw: Raw) -> bool:
    item = _kind(raw)
    return item.type == "message" and item.role == "user"


def _clean_item(raw: Raw, condemned: Callable[[bytes], bool], closed: bool, scope: _Scope) -> Raw | None:
    """Clean a reasoning item, or drop one without summary.  Unless stored, its id goes too: the vendor could not find it."""
    if _kind(raw).type != "reasoning":
        return raw
    item = _item(raw)
    if not item.encrypted_content or not condemned(item.encrypted_content.encode()):
        return raw
    if not item.summary and bytes(item.content) in (b"null", b"[]"):
        return None
    gone = ("encrypted_content",) if scope.stored else ("encrypted_content", "id")
    return _joined({name: value for name, value in _object(raw).items() if name not in gone})


# -- gemini

_SIGNATURES: Final = ("thoughtSignature", "thought_signature")
_CALLS: Final = ("functionCall", "function_call")
_RESULTS: Final = ("functionResponse", "function_response")


def _parts(content: Mapping[str, Raw]) -> list[dict[str, Raw]]:
    parts = content.get("parts", Raw(b"[]"))
    return [_object(part) for part in _list(parts)] if bytes(parts)[:1] == b"[" else [_object(parts)]


def _opens_content(raw: Raw) -> bool:
    content = _object(raw)
    if _string(content.get("role", b'"user"')) != "user":
        return False
    return not any(name in part for part in _parts(content) for name in _RESULTS)


def _clean_content(raw: Raw, condemned: Callable[[bytes], bool], closed: bool, scope: _Scope) -> Raw | None:
    if not has_marks("gemini", bytes(raw)):
        return raw
    content = _object(raw)
    word = None if closed or not Traits(scope.target).signatures else SKIP_SIGNATURE
    before = _parts(content)
    after = [_clean_part(part, condemned, word) for part in before]
    if all(one is other for one, other in zip(before, after, strict=True)):
        return raw
    kept = [_joined(new) for old, new in zip(before, after, strict=True) if new is old or not _says_nothing(new)]
    return _joined({**content, "parts": _array(kept)}) if kept else None


def _clean_part(part: dict[str, Raw], condemned: Callable[[bytes], bool], word: str | None) -> dict[str, Raw]:
    name = next((name for name in _SIGNATURES if name in part), "")
    signature = _string(part[name]) if name else ""
    if not signature or signature == SKIP_SIGNATURE or not condemned(signature.encode()):
        return part
    if word is not None and any(call in part for call in _CALLS):
        return {**part, name: Raw(_encode(word))}
    return {member: value for member, value in part.items() if member != name}


def _says_nothing(part: Mapping[str, Raw]) -> bool:
    return part.keys() <= {"text", "thought"} and bytes(part.get("text", b'""')) == b'""'


_WIRES: Final[dict[str, _Wire]] = {
    "anthropic": _Wire("messages", _opens_message, _clean_message),
    "openai-responses": _Wire("input", _opens_item, _clean_item),
    "gemini": _Wire("contents", _opens_content, _clean_content),
}
