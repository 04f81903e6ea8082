from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek
from omniroute.translate.system_prompt import with_prompt

OURS = {"type": "text", "text": "P"}
HI = {"role": "user", "content": "Hi"}


def shaped(wire: str, body: dict[str, Any], prompt: str = "P") -> dict[str, Any]:
    found = with_prompt(wire, peek(json.dumps(body).encode(), RELAYS[wire].members), prompt)
    text: dict[str, Any] = json.loads(found.raw)
    assert text.keys() == found.members.keys()
    return text


@pytest.mark.parametrize("wire", ["openai-chat", "ollama"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([HI], [{"role": "system", "content": "P"}, HI]),
        ([{"role": "system", "content": "S"}, HI], [{"role": "system", "content": "P\n\nS"}, HI]),
        ([{"role": "developer", "content": [{"type": "text", "text": "S"}]}],
         [{"role": "developer", "content": [OURS, {"type": "text", "text": "S"}]}]),
        ([HI, {"role": "system", "content": "S"}], [HI, {"role": "system", "content": "P\n\nS"}]),
        ([{"role": "system", "content": None}, HI], [{"role": "system", "content": "P"}, HI]),
        ([], [{"role": "system", "content": "P"}]),
    ],
)  # fmt: skip
def test_the_prompt_begins_the_first_system_message(wire: str, before: list[Any], after: list[Any]) -> None:
    assert shaped(wire, {"model": "m", "messages": before})["messages"] == after


@pytest.mark.parametrize(
    ("wire", "body", "name", "after"),
    [
        ("anthropic", {"messages": [HI]}, "system", "P"),
        ("anthropic", {"system": "S", "messages": [HI]}, "system", "P\n\nS"),
        ("anthropic", {"system": [{"type": "text", "text": "S"}]}, "system", [OURS, {"type": "text", "text": "S"}]),
        ("openai-responses", {"input": "x"}, "instructions", "P"),
        ("openai-responses", {"input": "x", "instructions": "S"}, "instructions", "P\n\nS"),
        ("openai-responses", {"input": "x", "instructions": None}, "instructions", "P"),
        ("ollama-generate", {"prompt": "x", "system": "S"}, "system", "P\n\nS"),
        ("gemini", {"contents": []}, "systemInstruction", {"parts": [{"text": "P"}]}),
        ("gemini", {"system_instruction": {"parts": [{"text": "S"}]}}, "system_instruction",
         {"parts": [{"text": "P"}, {"text": "S"}]}),
        ("gemini", {"systemInstruction": {"role": "user", "parts": {"text": "S"}}}, "systemInstruction",
         {"role": "user", "parts": [{"text": "P"}, {"text": "S"}]}),
        ("gemini", {"systemInstruction": "S"}, "systemInstruction", {"parts": [{"text": "P"}, {"text": "S"}]}),
    ],
)  # fmt: skip
def test_members_of_their_own(wire: str, body: dict[str, Any], name: str, after: Any) -> None:
    assert shaped(wire, body)[name] == after


@pytest.mark.parametrize("wire", RELAYS)
def test_a_client_may_ask_to_be_left_alone_and_no_vendor_hears_of_it(wire: str) -> None:
    body = {"messages": [HI], "_skipSystemPrompt": True}
    assert shaped(wire, body) == {"messages": [HI]}
    assert shaped(wire, {"x": 1, "_skipSystemPrompt": False}, "") == {"x": 1}
    assert "_skipSystemPrompt" not in shaped(wire, {"messages": [HI], "_skipSystemPrompt": False})


@pytest.mark.parametrize("broken", [{"messages": 5}, {"messages": [5]}, {"messages": [{"role": "system", "content": 5}]}])
def test_what_is_broken_is_left_for_others_to_complain_about(broken: dict[str, Any]) -> None:
    assert with_prompt("openai-chat", peek(json.dumps(broken).encode(), RELAYS["ollama-generate"].members), "P").members
