"""The gateway owner's system prompt, put in front of the client's own, on the client's wire.

Each wire has one place for it; the rest of the body stays as it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Raw

from .peek import Peek, edited

SKIP: Final = "_skipSystemPrompt"
_ROLES: Final = ("system", "developer")
_turns: Final = msgspec.json.Decoder(list[Raw])
_object: Final = msgspec.json.Decoder(dict[str, Raw])
_encode: Final = msgspec.json.encode
Members = Mapping[str, Raw]
Changes = dict[str, bytes | None]


def with_prompt(wire: str, found: Peek, prompt: str) -> Peek:
    """Return *found* with *prompt* first, unless the client opted out; the member it opted out with is removed.

    A part of the body in a wrong shape is left alone; the translation or the vendor will report it.
    """
    changes: Changes = {}
    skip = found.members.get(SKIP)
    if skip is not None:
        changes[SKIP] = None
    if prompt and (skip is None or bytes(skip) != b"true"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            changes |= _PLACES[wire](found.members, prompt)
    return edited(found, changes) if changes else found


def _joined(prompt: str, raw: Raw | None) -> bytes:
    """Put *prompt* in front of a string or a list of text blocks."""
    said = bytes(raw) if raw is not None else b"null"
    if said[:1] == b"[":
        return _encode([{"type": "text", "text": prompt}, *_turns.decode(said)])
    text = msgspec.json.decode(said, type=str | None)
    return _encode(f"{prompt}\n\n{text}" if text else prompt)


def _in_messages(members: Members, prompt: str) -> Changes:
    """Put *prompt* into the first system or developer message, or a new one."""
    turns: list[Any] = list(_turns.decode(members.get("messages", b"[]")))
    for number, raw in enumerate(turns):
        turn = _object.decode(raw)
        if msgspec.json.decode(turn.get("role", b"null")) in _ROLES:
            turns[number] = {**turn, "content": Raw(_joined(prompt, turn.get("content")))}
            break
    else:
        turns.insert(0, {"role": "system", "content": prompt})
    return {"messages": _encode(turns)}


def _in(name: str) -> Callable[[Members, str], Changes]:
    return lambda members, prompt: {name: _joined(prompt, members.get(name))}


def _in_contents(members: Members, prompt: str) -> Changes:
    """Put *prompt* into Gemini's system instruction, a content of parts or a bare string, under either spelling."""
    name = "system_instruction" if "system_instruction" in members else "systemInstruction"
    raw = members.get(name)
    part = {"text": prompt}
    if raw is None or bytes(raw) == b"null":
        return {name: _encode({"parts": [part]})}
    if bytes(raw)[:1] == b'"':
        return {name: _encode({"parts": [part, {"text": raw}]})}
    content = _object.decode(raw)
    parts = bytes(content.get("parts", b"[]"))
    after = _turns.decode(parts) if parts[:1] == b"[" else [Raw(parts)]
    return {name: _encode({**content, "parts": [part, *after]})}


_PLACES: Final[Mapping[str, Callable[[Members, str], Changes]]] = {
    "openai-chat": _in_messages,
    "openai-responses": _in("instructions"),
    "anthropic": _in("system"),
    "gemini": _in_contents,
    "ollama": _in_messages,
    "ollama-generate": _in("system"),
}
