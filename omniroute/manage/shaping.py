"""Settings that change requests: the thinking budget and the system prompt."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Struct

from ..translate.thinking_budget import EFFORT_BUDGETS, MOST
from .bodies import given_json
from .call import Call, Reply, one_at_a_time
from .refusals import refused

MODES: Final = ("auto", "passthrough", "custom", "adaptive")
THINKING: Final[dict[str, Any]] = {"mode": "passthrough", "customBudget": 10_240, "effortLevel": "medium"}
PROMPT: Final[dict[str, Any]] = {"enabled": False, "prompt": ""}
_LONGEST_PROMPT: Final = 100_000


class ThinkingBody(Struct, rename="camel"):
    mode: Any = UNSET
    custom_budget: Any = UNSET
    effort_level: Any = UNSET


class Thinking(Struct, rename="camel"):
    mode: str
    custom_budget: int
    effort_level: str


class PromptBody(Struct):
    prompt: Any = UNSET
    enabled: Any = UNSET


class Prompt(Struct):
    enabled: bool
    prompt: str


async def read_thinking(call: Call) -> Reply:
    """Return the rule for thinking budgets; ``customBudget`` in tokens."""
    return Reply(200, THINKING | await _stored(call, "thinkingBudget", THINKING))


async def write_thinking(call: Call) -> Reply:
    """Replace the rule; fields that are not sent get their defaults."""
    given = {name: value for name, value in given_json(call.body).items() if value is not None}
    mode, budget, effort = (given.get(name, default) for name, default in THINKING.items())
    if mode not in MODES:
        raise refused(400, f"Invalid mode. Must be one of: {', '.join(MODES)}")
    if not isinstance(budget, int) or isinstance(budget, bool) or not 0 <= budget <= MOST:
        raise refused(400, f"customBudget must be between 0 and {MOST}")
    if effort not in tuple(EFFORT_BUDGETS):
        raise refused(400, f"Invalid effortLevel. Must be one of: {', '.join(EFFORT_BUDGETS)}")
    rule = dict(zip(THINKING, (mode, budget, effort), strict=True))
    await call.store.config.set_many({"thinkingBudget": rule})
    await call.audit("settings.thinking_budget", None, rule)
    return Reply(200, rule)


async def read_prompt(call: Call) -> Reply:
    """Return the system prompt that is added to all requests, and whether it is."""
    return Reply(200, PROMPT | await _stored(call, "systemPrompt", PROMPT))


@one_at_a_time
async def write_prompt(call: Call) -> Reply:
    """Set the given fields; the others stay."""
    given = given_json(call.body)
    if not isinstance(given.get("prompt", ""), str):
        raise refused(400, "prompt must be a string")
    if not isinstance(given.get("enabled", False), bool):
        raise refused(400, "enabled must be a boolean")
    if len(given.get("prompt", "")) > _LONGEST_PROMPT:
        raise refused(400, f"prompt must be at most {_LONGEST_PROMPT} characters")
    prompt = PROMPT | await _stored(call, "systemPrompt", PROMPT) | given
    await call.store.config.set_many({"systemPrompt": prompt})
    await call.audit("settings.system_prompt", None, {"enabled": prompt["enabled"], "characters": len(prompt["prompt"])})
    return Reply(200, prompt)


async def _stored(call: Call, name: str, known: dict[str, Any]) -> dict[str, Any]:
    stored = await call.store.config.get(name)
    return {key: value for key, value in stored.items() if key in known} if isinstance(stored, dict) else {}
