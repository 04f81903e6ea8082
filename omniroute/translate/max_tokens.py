"""The output token limit: where each wire's request says it, and how the gateway lowers it on the client's own wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Raw

from .jsonio import ABSENT, INT, OBJECT, encode
from .peek import Peek, edited

_LARGEST: Final = 1 << 53  # larger limits are read as this one, so that a price can be computed
FEWEST_THOUGHTS: Final = 1024  # Anthropic's smallest thinking budget, which must be below ``max_tokens``


class Place(NamedTuple):
    """The members that may hold the limit, the preferred one first; ``inside``: names of the object that holds them."""

    names: tuple[str, ...]
    inside: tuple[str, ...] = ()
    copies: str = ""  # the member that says how many answers are wanted


_PLACES: Final[Mapping[str, Place]] = {
    "openai-chat": Place(("max_tokens", "max_completion_tokens"), copies="n"),
    "openai-responses": Place(("max_output_tokens",)),
    "anthropic": Place(("max_tokens",)),
    "gemini": Place(("maxOutputTokens", "max_output_tokens"), ("generationConfig", "generation_config"), "candidateCount"),
    "ollama": Place(("num_predict",), ("options",)),
    "ollama-generate": Place(("num_predict",), ("options",)),
}


def wanted(wire: str, members: Mapping[str, Raw]) -> tuple[int | None, int]:
    """Return the client's output limit in tokens (None: it sets none), and how many answers it wants."""
    place = _PLACES[wire]
    if place.inside:
        members = _container(place, members)[1]
    limits = [limit for name in place.names if (limit := _count(members.get(name))) is not None]
    return max(limits, default=None), _count(members.get(place.copies)) or 1


def capped(wire: str, found: Peek, most: int, *, modern: bool = False) -> Peek:
    """Return *found* limited to *most* tokens.  ``modern``: if it has no limit, add it under OpenAI's newer name."""
    place = _PLACES[wire]
    if not place.inside:
        changes = _changes(place, found.members, most, modern)
        if wire == "anthropic" and changes:
            changes |= _thinking(found.members, most)
        return edited(found, changes) if changes else found
    name, inner = _container(place, found.members)
    if not (changes := _changes(place, inner, most, modern)):
        return found
    merged = {**inner, **{key: Raw(value) for key, value in changes.items()}}
    return edited(found, {name: encode(merged)})


def _changes(place: Place, members: Mapping[str, Raw], most: int, modern: bool) -> dict[str, bytes]:
    given = {name: limit for name in place.names if (limit := _count(members.get(name))) is not None}
    if not given:
        return {place.names[-1 if modern else 0]: encode(most)}
    return {name: encode(most) for name, limit in given.items() if limit > most}


def _thinking(members: Mapping[str, Raw], most: int) -> dict[str, bytes]:
    """Lower a thinking budget that is not below the limit to half the limit, or switch thinking off."""
    wish = OBJECT.get(members.get("thinking", ABSENT)) or {}
    budget = _count(wish.get("budget_tokens"))
    if budget is None or budget < most:
        return {}
    if most <= FEWEST_THOUGHTS:
        return {"thinking": b'{"type":"disabled"}'}
    return {"thinking": encode({**wish, "budget_tokens": max(FEWEST_THOUGHTS, most // 2)})}


def _container(place: Place, members: Mapping[str, Raw]) -> tuple[str, dict[str, Raw]]:
    name = next((name for name in place.inside if name in members), place.inside[0])
    return name, OBJECT.get(members.get(name, ABSENT)) or {}


def _count(raw: Raw | None) -> int | None:
    """Read a positive number; None for anything else, such as Ollama's -1 (no limit)."""
    value = INT.get(raw) if raw is not None else None
    return min(value, _LARGEST) if value is not None and value > 0 else None
