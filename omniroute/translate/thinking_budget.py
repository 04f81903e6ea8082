"""The thinking budget, if the gateway's owner sets it instead of the client.

On the same wire the request's members are replaced; across wires, ``Ask.reasoning``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from typing import Final

from msgspec import Raw, Struct

from .anthropic_render import LEAST_TOP_P
from .conversation import Ask, Reasoning, Text
from .emulation import effort_of
from .jsonio import ABSENT, FLOAT, INT, ITEMS, OBJECT, encode
from .max_tokens import FEWEST_THOUGHTS
from .openai_chat_request import DIALECTS, EFFORT
from .peek import Peek, edited

MOST: Final = 131_072
ROOM: Final = 1024  # tokens left for the answer itself, where the output limit is raised above the budget
EFFORT_BUDGETS: Final = {"none": 0, "low": 1024, "medium": 10_240, "high": MOST}
_LONG_TALK, _MANY_TOOLS, _LONG_MESSAGE = 10, 3, 2000
_WORDS: Final = ("claude", "o1", "o3", "o4", "gemini", "thinking")
Members = Mapping[str, Raw]
Changes = dict[str, bytes | None]


class ThinkingRule(Struct, frozen=True):
    """The owner's setting: ``passthrough`` changes nothing, ``auto`` leaves it to the vendor, other modes set a budget."""

    mode: str = "passthrough"
    budget: int = 10_240  # tokens, for ``custom``
    effort: str = "medium"  # for ``adaptive``: none, low, medium, high


def thinks(model: str, abilities: frozenset[str]) -> bool:
    """Whether the model is known to think or, if nothing is known about it, is named like one that does."""
    name = model.lower()
    return "reasoning" in abilities or (not abilities and any(word in name for word in _WORDS))


def tokens_for(rule: ThinkingRule, ask: Callable[[], Ask]) -> int:
    """Return the budget in tokens, 0 = do not think.  *ask* is called only if the budget depends on the request's size."""
    if rule.mode != "adaptive":
        return rule.budget
    request = ask()
    last = next((turn for turn in reversed(request.turns) if turn.role == "user"), None)
    said = sum(len(block.text) for block in last.blocks if isinstance(block, Text)) if last is not None else 0
    factor = 1 + 0.5 * (len(request.turns) > _LONG_TALK) + 0.5 * (len(request.tools) > _MANY_TOOLS)
    factor += 0.3 * (said > _LONG_MESSAGE)
    return min(math.ceil(EFFORT_BUDGETS[rule.effort] * factor), MOST)


# -- across wires


def ask_without(ask: Ask) -> Ask:
    """Return *ask* without its thinking settings."""
    return _with(ask, None)


def ask_with(ask: Ask, tokens: int, known: bool) -> Ask:
    """Return *ask* with a budget.  *known*: the model is known to think, so set one even if the client did not ask."""
    if ask.reasoning is None and not known:
        return ask
    wish = Reasoning(enabled=True, budget=tokens, effort=effort_of(tokens)) if tokens else Reasoning(enabled=False)
    if tokens and ask.reasoning is not None:
        wish.show = ask.reasoning.show
    return _with(ask, wish)


def _with(ask: Ask, wish: Reasoning | None) -> Ask:
    twin = copy(ask)
    twin.reasoning = wish
    twin.extra = {name: value for name, value in ask.extra.items() if name not in (EFFORT, *DIALECTS)}
    return twin


# -- the same wire


def peek_without(wire: str, found: Peek) -> Peek:
    """Return *found* without its thinking settings."""
    changes: Changes = {name: None for name in _NAMES.get(wire, ()) if name in found.members}
    if wire == "gemini" and (config := _config(found.members)) is not None:
        name, values = config
        changes[name] = encode(_plain(values))
    return edited(found, changes) if changes else found


def peek_with(wire: str, found: Peek, tokens: int, known: bool) -> Peek:
    """Return *found* with a budget; see :func:`ask_with`."""
    changes = _SET[wire](found.members, tokens, known)
    return edited(found, changes) if changes else found


_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "openai-chat": (EFFORT, *DIALECTS),
    "openai-responses": ("reasoning",),
    "anthropic": ("thinking",),
    "ollama": ("think",),
    "ollama-generate": ("think",),
}


def _chat(members: Members, tokens: int, known: bool) -> Changes:
    """Replace efforts only where the client sent one: many vendors of this wire refuse unknown members."""
    changes: Changes = {}
    for name in ("reasoning_effort", "reasoning"):
        if name in members:
            effort = effort_of(tokens)
            value = encode(effort if name == "reasoning_effort" else {"effort": effort})
            changes[name] = value if tokens else None
    if "thinking" in members:
        changes["thinking"] = encode(_anthropic_wish(tokens))
    return changes


def _responses(members: Members, tokens: int, known: bool) -> Changes:
    given = OBJECT.get(members.get("reasoning", ABSENT))
    if given is None:
        return {}
    return {"reasoning": encode({**given, "effort": effort_of(tokens)}) if tokens else None}


def _anthropic(members: Members, tokens: int, known: bool) -> Changes:
    """Set a budget below ``max_tokens``; where thinking is forbidden, keep what the client sent."""
    if not (known or "thinking" in members) or (tokens and _forbids_thinking(members)):
        return {}
    changes: Changes = {"thinking": encode(_anthropic_wish(tokens))}
    if tokens:
        budget = max(tokens, FEWEST_THOUGHTS)
        most = INT.get(members.get("max_tokens", ABSENT))
        if most is not None and most <= budget:
            changes["max_tokens"] = encode(budget + max(most, ROOM))
        top_p = FLOAT.get(members.get("top_p", ABSENT))
        refused = ("temperature", "top_k", *(("top_p",) if top_p is not None and top_p < LEAST_TOP_P else ()))
        changes |= {name: None for name in refused if name in members}
    return changes


def _forbids_thinking(members: Members) -> bool:
    """Whether a tool is forced or the client has begun the answer (Anthropic, "Extended thinking")."""
    choice = OBJECT.get(members.get("tool_choice", ABSENT)) or {}
    if bytes(choice.get("type", b"")) in (b'"any"', b'"tool"'):
        return True
    turns = ITEMS.get(members.get("messages", ABSENT))
    last = OBJECT.get(turns[-1]) if turns else None
    return last is not None and bytes(last.get("role", b"")) == b'"assistant"'


def _anthropic_wish(tokens: int) -> dict[str, object]:
    return {"type": "enabled", "budget_tokens": max(tokens, FEWEST_THOUGHTS)} if tokens else {"type": "disabled"}


def _gemini(members: Members, tokens: int, known: bool) -> Changes:
    config = _config(members)
    name, values = config if config is not None else ("generationConfig", {})
    if not (known or len(_plain(values)) < len(values)):
        return {}
    return {name: encode({**_plain(values), "thinkingConfig": {"thinkingBudget": tokens}})}


def _ollama(members: Members, tokens: int, known: bool) -> Changes:
    return {"think": b"true" if tokens else b"false"} if "think" in members else {}


_SET: Final[Mapping[str, Callable[[Members, int, bool], Changes]]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "ollama-generate": _ollama,
}


def _config(members: Members) -> tuple[str, dict[str, Raw]] | None:
    for name in ("generationConfig", "generation_config"):
        if (values := OBJECT.get(members.get(name, ABSENT))) is not None:
            return name, values
    return None


def _plain(values: Mapping[str, Raw]) -> dict[str, Raw]:
    return {name: value for name, value in values.items() if name not in ("thinkingConfig", "thinking_config")}
