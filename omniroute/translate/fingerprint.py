"""Which conversation a request belongs to, told from how it begins.

Agents send the whole conversation again with each turn, so its beginning (system prompt, first words of the user, tools)
names it.  Only the beginning is read: the body of a long conversation is a hundred times as large.
"""

from __future__ import annotations

import json  # noqa: TID251 - the one parser that reads one value and leaves the rest alone
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from msgspec import Raw

READ_BYTES: Final = 64 * 1024  # of each part; what begins alike for longer than that counts as the same
_TOOL_BYTES: Final = 4 * 1024  # longer lists of tools are known by their beginning
_SYSTEM_ROLES: Final = ("system", "developer")


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
    """``digest`` names the conversation; ``continued``: the model has spoken in it already."""

    digest: str
    continued: bool


def fingerprint(wire: str, members: Mapping[str, Raw]) -> Fingerprint:
    """The fingerprint of a request in *wire*, from the top-level *members* of its body."""
    places = _PLACES[wire]
    mark = sha256()
    for name in places.system:
        mark.update(_beginning(members.get(name)))
    first, continued = _first_turns(_beginning(members.get(places.turns)))
    mark.update(b"\0" + first)
    mark.update(b"\0" + _beginning(members.get("tools"))[:_TOOL_BYTES])
    return Fingerprint(mark.hexdigest(), continued)


def _beginning(raw: Raw | None) -> bytes:
    return b"" if raw is None else bytes(memoryview(raw)[:READ_BYTES])


def _first_turns(raw: bytes) -> tuple[bytes, bool]:
    """The turns up to the first of the user, and whether more follow.  A prompt may also be one string."""
    if raw[:1] != b"[":
        return raw, False
    text = raw.decode("utf-8", "ignore")
    said: list[str] = []
    after_user = False
    for turn, source in _items(text):
        if after_user:
            return "\n".join(said).encode(), True
        role = turn.get("role") if isinstance(turn, dict) else None
        said.append(source)
        after_user = role not in _SYSTEM_ROLES
    return "\n".join(said).encode() or raw, False


_one = json.JSONDecoder().raw_decode


def _items(text: str) -> Iterator[tuple[Any, str]]:
    """The items of a JSON array with their text, as far as they are whole."""
    at = 1
    while True:
        while text[at : at + 1] in (" ", "\n", "\r", "\t", ","):
            at += 1
        try:
            item, end = _one(text, at)
        except (ValueError, RecursionError):
            return
        yield item, text[at:end]
        at = end
