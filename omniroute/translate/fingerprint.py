"""Which conversation a request belongs to, told from how it begins.

Agents send the whole conversation again with each turn, so its beginning (system prompt, first words of the user, tools)
names it.  The body may be a hundred times as large as that, so it is not parsed: the first user turn is found by its role
and read alone, and of what is long only its length, its beginning and its end count.
"""

from __future__ import annotations

import json  # noqa: TID251 - the one parser that reads one value and leaves the rest alone
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec import Raw

ENDS: Final = 1024  # bytes of each end that count
_LONGEST_TURN: Final = 16 * 1024
_USER: Final = b'"user"'
_NOTHING: Final = b""


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
    parts = [_ends(memoryview(members.get(name, _NOTHING))) for name in (*places.system, "tools")]
    turns = memoryview(members.get(places.turns, _NOTHING))
    start, end = _first_user_turn(bytes(turns))
    parts += (_ends(turns[:start]), _ends(turns[start:end]))
    return Fingerprint(sha256(b"\0".join(parts)).hexdigest(), bytes(turns[end : end + 64]).lstrip()[:1] == b",")


def _ends(part: memoryview) -> bytes:
    if len(part) <= 2 * ENDS:
        return bytes(part)
    return b"%d:" % len(part) + bytes(part[:ENDS]) + bytes(part[-ENDS:])


_one = json.JSONDecoder().raw_decode


def _first_user_turn(raw: bytes) -> tuple[int, int]:
    """Where the first turn with the user's role begins and ends in a JSON array of turns; a prompt of one string is one."""
    at = raw.find(_USER)
    if raw[:1] != b"[" or at < 0:
        return 0, len(raw)
    start = max(1, raw.rfind(b"{", 0, at))
    text = raw[start : start + _LONGEST_TURN].decode("latin-1")  # one character a byte
    try:
        return start, start + _one(text)[1]
    except (ValueError, RecursionError):
        return start, min(len(raw), start + _LONGEST_TURN)
