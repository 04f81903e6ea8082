"""How several wires express what they lack (``emulate`` in :mod:`.fidelity`): always in the same words."""

from __future__ import annotations

import re
from typing import Any, Final

from .jsonio import compact

# the arguments of a function that replaces a custom tool, whose input is free text
TEXT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
FOLLOWED: Final = "See the following user message."  # the text of a tool result that has only media

_BUDGETS: Final = ((1024, "low"), (10_240, "medium"))  # largest budget -> effort; above: high
_ERROR: Final = re.compile(r"\W*error", re.IGNORECASE)


def effort_of(tokens: int) -> str:
    """Return the effort that corresponds to a thinking budget."""
    return next((effort for most, effort in _BUDGETS if tokens <= most), "high")


def json_instruction(schema: bytes | None) -> str:
    """Return what the system prompt says where the wire or the model cannot be held to JSON."""
    if schema is None:
        return "Answer only with a single valid JSON object, without any other text and without code fences."
    return (
        "Answer only with a JSON value that conforms to the following JSON Schema, "
        f"without any other text and without code fences.\n{compact(schema).decode()}"
    )


def reminder(text: str) -> str:
    """Return the text of a system message in mid-conversation, marked for its place in a user message."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def as_error(text: str) -> str:
    """Return a tool result's text so that it says itself that the tool failed."""
    return text if _ERROR.match(text) else f"Error: {text}"
