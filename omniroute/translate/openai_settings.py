"""Settings of a request that are written alike on both OpenAI wires."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from msgspec import Raw

from .conversation import Ask, Reasoning
from .emulation import effort_of
from .fidelity import Losses, Lost
from .jsonio import ANY
from .openai_chat_error import OPENAI_WIRES

_USER_LIMIT: Final = 64  # characters


def effort_for(said: Reasoning, own: bool, lost: Losses) -> str | None:
    """Return the effort; "none" switches thinking off, None leaves it to the model.  *own*: said on the same wire."""
    effort = said.effort
    if effort is None and said.budget is not None and said.enabled is not False:
        effort = effort_of(said.budget) if said.budget > 0 else "none"
        lost.add(Lost.REASONING_BUDGET)
    elif said.enabled is False:
        effort = "none"
    elif effort is None and said.enabled and not (said.adaptive or own):
        effort = "medium"  # some models do not think unless an effort is given
    return "xhigh" if effort == "max" and not own else effort  # few providers know "max"


def forget_sampling(body: dict[str, Any], lost: Losses) -> None:
    """Remove what models that think refuse."""
    lost.add(Lost.TEMPERATURE, body.pop("temperature", None) is not None)
    lost.add(Lost.TOP_P, body.pop("top_p", None) is not None)


def user_id(user: str, own: bool, lost: Losses) -> str:
    """Return the end user's id, replaced by a hash if it is longer than the API accepts."""
    if own or len(user) <= _USER_LIMIT:
        return user
    lost.add(Lost.USER)
    return sha256(user.encode("utf-8", "replace")).hexdigest()


def accepts_strictly(schema: bytes | None) -> bool:
    """Whether a strict function may have *schema*: closed objects without optional members.  Other vendors allow these."""
    value = ANY.get(schema) if schema is not None else None
    return isinstance(value, dict) and _complete(value)


def _complete(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_complete, value))
    if not isinstance(value, dict):
        return True
    if value.get("type") == "object" or "properties" in value:
        given, required = value.get("properties", {}), value.get("required", [])
        listed = isinstance(given, dict) and isinstance(required, list) and all(name in required for name in given)
        if not listed or value.get("additionalProperties") is not False:
            return False
    return all(map(_complete, value.values()))


def write_metadata(body: dict[str, Any], ask: Ask, lost: Losses) -> None:
    if ask.metadata is not None and ask.wire in OPENAI_WIRES:
        body["metadata"] = Raw(ask.metadata)
    lost.add(Lost.METADATA, ask.metadata is not None and ask.wire not in OPENAI_WIRES)
