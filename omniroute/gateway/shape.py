"""Changes to requests by the owner's settings: a system prompt for all requests, and limits on reasoning."""

from __future__ import annotations

from collections.abc import Callable

from ..translate.conversation import Ask
from ..translate.peek import Peek
from ..translate.system_prompt import SKIP, with_prompt
from ..translate.thinking_budget import (
    ThinkingRule,
    ask_with,
    ask_without,
    peek_with,
    peek_without,
    thinks,
    tokens_for,
)
from .resolve import Route
from .snapshot import GatewaySettings


def prompted(settings: GatewaySettings, wire: str, found: Peek) -> Peek:
    """*found* with the owner's system prompt added."""
    if settings.system_prompt or SKIP in found.members:
        return with_prompt(wire, found, settings.system_prompt)
    return found


def peek_for(rule: ThinkingRule, wire: str, found: Peek, route: Route, decode: Callable[[], Ask]) -> Peek:
    """*found* with the reasoning rule applied, for *route* on the same wire; *decode* returns the same request decoded."""
    if rule.mode == "passthrough":
        return found
    if rule.mode == "auto":
        return peek_without(wire, found)
    return peek_with(wire, found, tokens_for(rule, decode), _thinks(route))


def ask_for(rule: ThinkingRule, ask: Ask, route: Route) -> Ask:
    """*ask* with the reasoning rule applied, for *route* on another wire."""
    if rule.mode == "passthrough":
        return ask
    if rule.mode == "auto":
        return ask_without(ask)
    return ask_with(ask, tokens_for(rule, lambda: ask), _thinks(route))


def _thinks(route: Route) -> bool:
    known = route.provider.models.get(route.model)
    return thinks(route.model, known.abilities if known is not None else frozenset())
