from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from omniroute.translate.fingerprint import ENDS, Fingerprint, fingerprint

_members = msgspec.json.Decoder(dict[str, Raw])


def of(wire: str, body: dict[str, Any]) -> Fingerprint:
    return fingerprint(wire, _members.decode(msgspec.json.encode(body)))


def turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


FIRST = {
    "openai-chat": {"messages": [turn("system", "Be brief"), turn("user", "Hi")]},
    "openai-responses": {"instructions": "Be brief", "input": [turn("user", "Hi")]},
    "anthropic": {"system": "Be brief", "messages": [turn("user", "Hi")]},
    "gemini": {"systemInstruction": {"parts": []}, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "ollama": {"messages": [turn("system", "Be brief"), turn("user", "Hi")]},
}
TURNS = {"openai-responses": "input", "gemini": "contents"}


@pytest.mark.parametrize("wire", FIRST)
def test_later_turns_belong_to_the_conversation_that_the_first_one_began(wire: str) -> None:
    body: dict[str, Any] = FIRST[wire]
    turns = TURNS.get(wire, "messages")
    later = {**body, turns: [*body[turns], turn("assistant", "Hello"), turn("user", "And now?")]}
    assert of(wire, body).digest == of(wire, later).digest
    assert (of(wire, body).continued, of(wire, later).continued) == (False, True)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [turn("system", "Be long"), turn("user", "Hi")]},
        {"messages": [turn("system", "Be brief"), turn("user", "Ho")]},
        {"tools": [{"type": "function", "function": {"name": "look"}}]},
    ],
)
def test_another_beginning_is_another_conversation(change: dict[str, Any]) -> None:
    body = FIRST["openai-chat"]
    assert of("openai-chat", {**body, **change}).digest != of("openai-chat", body).digest


def test_a_prompt_of_one_string_begins_a_conversation() -> None:
    assert of("openai-responses", {"input": "Hi"}) != of("openai-responses", {"input": "Ho"})
    assert not of("ollama-generate", {"prompt": "Hi"}).continued


def test_of_long_beginnings_the_ends_tell() -> None:
    long = "x" * (3 * ENDS)
    system = [{"role": "system", "content": text} for text in ("a" + long, "b" + long, long + "a")]
    marks = {of("openai-chat", {"messages": [one, turn("user", "Hi")]}).digest for one in system}
    assert len(marks) == 3


def test_a_first_turn_of_any_length_is_followed_by_the_next() -> None:
    for text in ("Hi", "x" * 100_000, 'say "user" and "role" twice: "user", "role"', "ends with ]}"):
        first = {"messages": [turn("user", text)]}
        later = {"messages": [turn("user", text), turn("assistant", "y")]}
        assert of("openai-chat", first).digest == of("openai-chat", later).digest
        assert of("openai-chat", later).continued


@given(st.dictionaries(st.sampled_from(["messages", "tools", "system"]), st.recursive(st.none() | st.text(), st.lists)))
def test_any_body_has_a_fingerprint(body: dict[str, Any]) -> None:
    assert of("openai-chat", body) == of("openai-chat", body)
