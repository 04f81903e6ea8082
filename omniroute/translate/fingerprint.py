"""Which conversation a request belongs to, recognised by how the conversation begins.

Agents send the whole conversation again with each turn, so its beginning (system prompt, tools, first user turn) identifies
it.  The body may be a hundred times as large, so it is not parsed: the first user turn ends at the next ``"role"``, and a
long part contributes only its length, its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Raw

ENDS: Final = 1024  # bytes of a long part's beginning, and of its end, that are hashed
_USER: Final = b'"user"'
_ROLE: Final = b'"role"'
_BETWEEN: Final = b" \t\r\n,{}[]"  # what may stand between the content of a turn and the role of the next
_NOTHING: Final = Raw()


class _Places(NamedTuple):
    """The members that hold the system prompt and the turns."""

    system: tuple[str, ...]
    turns: str


_PLACES: Final[Mapping[str, _Places]] = {
    "openai-chat": _Places((), "messages"),
    "openai-responses": _Places(("instructions",), "input"),
    "anthropic": _Places(("system",), "messages"),
    "gemini": _Places(("systemInstruction", "system_instruction"), "contents"),
    "ollama": _Places((), "messages"),
    "ollama-generate": _Places(("system",), "prompt"),
}


class Fingerprint(NamedTuple):
    """``digest`` identifies the conversation within this process; ``continued``: the model has already answered in it."""

    digest: int
    continued: bool


def fingerprint(wire: str, members: Mapping[str, Raw]) -> Fingerprint:
    """The fingerprint of a request in *wire*, from the top-level *members* of its body."""
    system, name = _PLACES[wire]
    turns = bytes(members.get(name, _NOTHING))
    parts = [_ends(bytes(members[part])) for part in (*system, "tools") if part in members]
    at = turns.find(_USER)
    if at < 0:  # a prompt of one string, or turns without roles
        return Fingerprint(hash((_ends(turns), *parts)), False)
    end = turns.find(_ROLE, at + 6)
    first = turns[:end] if end > 0 else turns
    return Fingerprint(hash((_ends(first.rstrip(_BETWEEN)), *parts)), end > 0)


def _ends(part: bytes) -> bytes:
    return part if len(part) <= 2 * ENDS else b"%d:%b%b" % (len(part), part[:ENDS], part[-ENDS:])
