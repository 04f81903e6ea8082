from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.conversation import Ask, Reasoning, Text, Tool, Turn
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek
from omniroute.translate.thinking_budget import (
    MOST,
    ThinkingRule,
    ask_with,
    ask_without,
    peek_with,
    peek_without,
    thinks,
    tokens_for,
)


def sent(wire: str, body: dict[str, Any], tokens: int | None, known: bool = True) -> dict[str, Any]:
    found = peek(json.dumps(body).encode(), RELAYS[wire].members)
    shaped = peek_without(wire, found) if tokens is None else peek_with(wire, found, tokens, known)
    result: dict[str, Any] = json.loads(shaped.raw)
    return result


@pytest.mark.parametrize(
    ("model", "abilities", "known"),
    [
        ("claude-x", [], True),
        ("o3-mini", [], True),
        ("gpt-4o", [], False),
        ("gpt-5", ["reasoning"], True),
        ("claude-3-haiku", ["tools"], False),
        ("Qwen-Thinking", [], True),
    ],
)
def test_which_models_think(model: str, abilities: list[str], known: bool) -> None:
    assert thinks(model, frozenset(abilities)) is known


@pytest.mark.parametrize(
    ("turns", "tools", "said", "factor"),
    [(1, 0, 10, 1.0), (11, 0, 10, 1.5), (11, 4, 10, 2.0), (11, 4, 2001, 2.3), (10, 3, 2000, 1.0), (1, 0, 2001, 1.3)],
)
def test_adaptive_budgets_grow_with_the_request(turns: int, tools: int, said: int, factor: float) -> None:
    ask = Ask(turns=[Turn("user", [Text("x" * said)])] * turns, tools=[Tool(str(n)) for n in range(tools)])
    assert tokens_for(ThinkingRule("adaptive", effort="low"), lambda: ask) == -(-1024 * factor // 1)
    assert tokens_for(ThinkingRule("adaptive", effort="none"), lambda: ask) == 0
    assert tokens_for(ThinkingRule("adaptive", effort="high"), lambda: ask) == MOST
    assert tokens_for(ThinkingRule("custom", budget=7), lambda: ask) == 7


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("openai-chat", {"reasoning_effort": "high", "reasoning": {"effort": "low"}, "thinking": {"type": "enabled"}}),
        ("openai-responses", {"reasoning": {"effort": "high"}}),
        ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("ollama", {"think": True}),
    ],
)
def test_auto_leaves_thinking_to_the_vendor(wire: str, body: dict[str, Any]) -> None:
    assert sent(wire, {"model": "m", **body}, None) == {"model": "m"}


def test_auto_keeps_the_rest_of_geminis_config() -> None:
    body = {"generationConfig": {"temperature": 0, "thinkingConfig": {"thinkingBudget": 5}}}
    assert sent("gemini", body, None) == {"generationConfig": {"temperature": 0}}


@pytest.mark.parametrize(
    ("wire", "body", "tokens", "known", "after"),
    [
        ("anthropic", {"max_tokens": 9000}, 2048, True,
         {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic", {"max_tokens": 2000, "temperature": 0.5}, 2048, True,
         {"max_tokens": 4048, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic", {"max_tokens": 9000}, 5, True,
         {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("anthropic", {"thinking": {"type": "enabled"}}, 0, False, {"thinking": {"type": "disabled"}}),
        ("anthropic", {"max_tokens": 5}, 2048, False, {"max_tokens": 5}),
        ("anthropic", {"tool_choice": {"type": "any"}}, 2048, True, {"tool_choice": {"type": "any"}}),
        ("anthropic", {"top_p": 0.9, "top_k": 4}, 2048, True, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic", {"top_p": 0.97}, 2048, True, {"top_p": 0.97, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic", {"messages": [{"role": "assistant", "content": "{"}]}, 2048, True,
         {"messages": [{"role": "assistant", "content": "{"}]}),
        ("anthropic", {"messages": [{"role": "assistant", "content": "{"}]}, 0, True,
         {"messages": [{"role": "assistant", "content": "{"}], "thinking": {"type": "disabled"}}),
        ("anthropic", {"messages": [1], "top_p": None}, 2048, True,
         {"messages": [1], "top_p": None, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("openai-chat", {"reasoning_effort": "low"}, 20_000, True, {"reasoning_effort": "high"}),
        ("openai-chat", {"reasoning_effort": "low"}, 0, True, {}),
        ("openai-chat", {"x": 1}, 2048, True, {"x": 1}),
        ("openai-responses", {"reasoning": {"effort": "high", "summary": "auto"}}, 1000, True,
         {"reasoning": {"effort": "low", "summary": "auto"}}),
        ("openai-responses", {"reasoning": {"effort": "high"}}, 0, True, {}),
        ("gemini", {}, 100, True, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}}),
        ("gemini", {"generation_config": {"thinking_config": {"thinkingLevel": "low"}, "topK": 1}}, 100, False,
         {"generation_config": {"topK": 1, "thinkingConfig": {"thinkingBudget": 100}}}),
        ("gemini", {"x": 1}, 100, False, {"x": 1}),
        ("ollama", {"think": "high"}, 0, True, {"think": False}),
        ("ollama-generate", {"x": 1}, 5, True, {"x": 1}),
    ],
)  # fmt: skip
def test_a_budget_in_the_words_of_each_wire(
    wire: str, body: dict[str, Any], tokens: int, known: bool, after: dict[str, Any]
) -> None:
    assert sent(wire, body, tokens, known) == after


def test_across_wires_the_wish_is_replaced_and_the_clients_own_is_untouched() -> None:
    ask = Ask(
        reasoning=Reasoning(effort="low", show="auto"),
        extra={"thinking": b"{}", "reasoning_effort": b'"default"', "other": b"1"},
    )
    got = ask_with(ask, 2048, known=False)
    assert got.reasoning == Reasoning(enabled=True, budget=2048, effort="medium", show="auto")
    assert got.extra == {"other": b"1"}
    assert ask_with(ask, 0, known=False).reasoning == Reasoning(enabled=False)
    assert ask_without(ask).reasoning is None
    assert (ask.reasoning, len(ask.extra)) == (Reasoning(effort="low", show="auto"), 3)
    plain = Ask()
    assert ask_with(plain, 2048, known=False) is plain
