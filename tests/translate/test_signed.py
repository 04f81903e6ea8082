"""Signatures found in bytes and taken out of requests: one test per rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.fidelity import Lost
from omniroute.translate.format import Target
from omniroute.translate.formats import RELAYS
from omniroute.translate.gemini_history import SKIP_SIGNATURE
from omniroute.translate.peek import edited, peek
from omniroute.translate.signed import Judge, found_in, has_marks, strip

EVERYTHING: Judge = lambda signature, closed: True  # noqa: E731
CLOSED: Judge = lambda signature, closed: closed  # noqa: E731


def only(*condemned: str) -> Judge:
    return lambda signature, closed: signature.decode() in condemned


def stripped(wire: str, body: dict[str, Any], judge: Judge, model: str = "m") -> tuple[Any, tuple[str, ...]] | None:
    """(the request that would be sent, what was dropped), or None when nothing changes."""
    found = peek(json.dumps(body).encode(), RELAYS[wire].members)
    done = strip(wire, found, judge, Target(model))
    return (json.loads(edited(found, done.changes).raw), done.dropped) if done is not None else None


@pytest.mark.parametrize(
    ("wire", "data", "signatures"),
    [
        ("anthropic", b'data: {"delta":{"type":"signature_delta","signature":"c2ln+/=="}}', [b"c2ln+/=="]),
        ("anthropic", b'{"type":"thinking","thinking":"","signature" :\n "YQ=="}', [b"YQ=="]),
        ("anthropic", b'{"type":"redacted_thinking","data":"cmVk"}', [b"cmVk"]),
        ("anthropic", b'{"data":"cmVk", "type":"redacted_thinking"}', [b"cmVk"]),
        ("anthropic", b'{"type":"base64","data":"aW1hZ2U="}', []),
        ("anthropic", b'{"type":"thinking","signature":""}', []),
        ("anthropic", rb'{"text":"he wrote \"signature\":\"YQ==\" there"}', []),
        ("openai-responses", b'{"type":"reasoning","encrypted_content":"gAAA_-"}', [b"gAAA_-"]),
        ("openai-responses", b'{"type":"reasoning","encrypted_content":null}', []),
        ("gemini", rb'{"thoughtSignature":"YQ\u003d\u003d"},{"thought_signature":"Yg\/"}', [b"YQ==", b"Yg/"]),
        ("gemini", rb'{"thoughtSignature":"YQ\ud800"}', []),
        ("gemini", b'{"thoughtSignature":"cut', []),
        ("openai-chat", b'{"signature":"YQ=="}', []),
        ("ollama", b'{"signature":"YQ=="}', []),
    ],
)
def test_signatures_are_found_where_they_stand(wire: str, data: bytes, signatures: list[bytes]) -> None:
    assert found_in(wire, data) == signatures
    assert not signatures or has_marks(wire, data)


def test_finding_is_linear() -> None:
    data = b'{"signature":' * 100_000
    assert found_in("anthropic", data) == []


# -- anthropic


def thinking(signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": "Hm.", "signature": signature}


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": list(content)}


TEXT = {"type": "text", "text": "Yes."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"signature": "not one"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It rains."}
ASKED = {"role": "user", "content": "Well?"}


def claude(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(messages), **more}


def test_a_condemned_thinking_block_goes_and_its_neighbours_stay() -> None:
    body = claude(ASKED, message("assistant", thinking("a"), thinking("b"), TEXT), ASKED, vendor=[1])
    expected = claude(ASKED, message("assistant", thinking("b"), TEXT), ASKED, vendor=[1])
    assert stripped("anthropic", body, only("a")) == (expected, (Lost.THINKING_SIGNATURE,))


def test_withheld_thinking_is_judged_by_its_data() -> None:
    body = claude(ASKED, message("assistant", {"type": "redacted_thinking", "data": "x"}, TEXT), ASKED)
    assert stripped("anthropic", body, only("x")) == (
        claude(ASKED, message("assistant", TEXT), ASKED),
        (Lost.THINKING_SIGNATURE,),
    )


def test_a_message_of_which_nothing_is_left_goes_as_a_whole() -> None:
    body = claude(ASKED, message("assistant", thinking("a")), ASKED)
    done = stripped("anthropic", body, EVERYTHING)
    assert done is not None
    assert done[0]["messages"] == [ASKED, ASKED]


def test_thinking_without_a_signature_is_not_judged() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    assert stripped("anthropic", claude(ASKED, message("assistant", unsigned, TEXT), ASKED), EVERYTHING) is None


def test_history_is_closed_up_to_what_the_user_said_last() -> None:
    body = claude(
        ASKED,
        message("assistant", thinking("old"), CALL),
        message("user", RESULT),
        message("assistant", thinking("older"), TEXT),
        message("user", {"type": "text", "text": "And now?"}),
        message("assistant", thinking("open"), CALL),
        message("user", RESULT, {"type": "text", "text": "a reminder"}),
    )
    done = stripped("anthropic", body, CLOSED)
    assert done is not None
    left = [block["signature"] for turn in done[0]["messages"] for block in turn["content"] if "signature" in block]
    assert left == ["open"]


OPEN = claude(ASKED, message("assistant", thinking("a"), CALL), message("user", RESULT))
MANUAL = {"type": "enabled", "budget_tokens": 1024}


def test_manual_thinking_is_switched_off_where_an_open_turn_lost_its_own() -> None:
    done = stripped("anthropic", {**OPEN, "thinking": MANUAL}, EVERYTHING)
    assert done is not None
    assert "thinking" not in done[0]
    assert done[0]["messages"][1] == message("assistant", CALL)
    assert done[1] == (Lost.THINKING_SIGNATURE, Lost.REASONING)


def test_edits_of_thinking_go_with_it() -> None:
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    done = stripped("anthropic", {**OPEN, "thinking": MANUAL, "context_management": edits}, EVERYTHING)
    assert done is not None
    assert "context_management" not in done[0]
    other = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    done = stripped("anthropic", {**OPEN, "thinking": MANUAL, "context_management": other}, EVERYTHING)
    assert done is not None
    assert done[0]["context_management"] == other


def test_adaptive_thinking_stays_on() -> None:
    done = stripped("anthropic", {**OPEN, "thinking": {"type": "adaptive"}}, EVERYTHING)
    assert done is not None
    assert done[0]["thinking"] == {"type": "adaptive"}
    assert done[1] == (Lost.THINKING_SIGNATURE,)


# -- openai-responses

SAYS = [{"type": "summary_text", "text": "Hm."}]
FOLLOWS = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"}


def reasoning(encrypted: str | None, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted, **more}


def codex(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": "Hi"}, *items], **more}


def test_a_reasoning_item_goes_on_with_its_summary() -> None:
    done = stripped("openai-responses", codex(reasoning("x", summary=SAYS), FOLLOWS), EVERYTHING)
    assert done == (codex({"type": "reasoning", "id": "rs_1", "summary": SAYS}, FOLLOWS), (Lost.THINKING_SIGNATURE,))


def test_the_id_of_an_item_that_nobody_stores_goes_too() -> None:
    done = stripped("openai-responses", codex(reasoning("x", summary=SAYS, content=None), store=False), EVERYTHING)
    assert done is not None
    assert done[0]["input"][1:] == [{"type": "reasoning", "summary": SAYS, "content": None}]


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": []}])
def test_a_reasoning_item_that_says_nothing_else_goes_as_a_whole(content: dict[str, Any]) -> None:
    done = stripped("openai-responses", codex(reasoning("x", **content), FOLLOWS), EVERYTHING)
    assert done is not None
    assert done[0]["input"][1:] == [FOLLOWS]


def test_a_compacted_history_is_never_taken_away() -> None:
    assert stripped("openai-responses", codex({"type": "compaction", "encrypted_content": "x"}), EVERYTHING) is None


def test_reasoning_after_the_last_user_message_is_open() -> None:
    done = stripped(
        "openai-responses",
        codex(
            reasoning("closed", summary=SAYS),
            {"type": "message", "role": "user", "content": "Go on"},
            reasoning("open", summary=SAYS),
            FOLLOWS,
            {"type": "function_call_output", "call_id": "call_1", "output": "It rains."},
        ),
        CLOSED,
    )
    assert done is not None
    assert [item.get("encrypted_content") for item in done[0]["input"] if item.get("type") == "reasoning"] == [None, "open"]


@pytest.mark.parametrize("body", [{"model": "m", "input": "encrypted_content"}, {"model": "m"}])
def test_requests_without_a_list_of_items_are_left_alone(body: dict[str, Any]) -> None:
    assert stripped("openai-responses", body, EVERYTHING) is None


# -- gemini


def part(signature: str, **more: Any) -> dict[str, Any]:
    return {**more, "thoughtSignature": signature}


CALLING = {"functionCall": {"name": "look", "args": {}}}
TOLD = {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]}
USER = {"role": "user", "parts": [{"text": "Well?"}]}


def google(*contents: Any) -> dict[str, Any]:
    return {"contents": list(contents)}


def test_a_condemned_thought_signature_goes_and_its_part_stays() -> None:
    body = google(USER, {"role": "model", "parts": [part("x", text="Yes."), part("y", text="No.")]}, USER)
    expected = google(USER, {"role": "model", "parts": [{"text": "Yes."}, part("y", text="No.")]}, USER)
    assert stripped("gemini", body, only("x")) == (expected, (Lost.THINKING_SIGNATURE,))


def test_a_part_made_for_its_signature_goes_with_it() -> None:
    body = google(USER, {"role": "model", "parts": [{"text": "Yes."}, part("x", text="")]}, USER)
    done = stripped("gemini", body, EVERYTHING)
    assert done is not None
    assert done[0]["contents"][1]["parts"] == [{"text": "Yes."}]


@pytest.mark.parametrize(
    ("model", "after"),
    [("gemini-3-pro", part(SKIP_SIGNATURE, **CALLING)), ("gemini-2.5-flash", CALLING)],
    ids=["demands one", "does not"],
)
def test_an_open_call_gets_the_vendors_word_where_the_model_demands_a_signature(model: str, after: Any) -> None:
    closed = {"role": "model", "parts": [part("x", **CALLING)]}
    body = google(USER, closed, TOLD, USER, {"role": "model", "parts": [part("y", **CALLING)]}, TOLD)
    done = stripped("gemini", body, EVERYTHING, model)
    assert done is not None
    assert [turn["parts"][0] for turn in done[0]["contents"] if turn["role"] == "model"] == [CALLING, after]


def test_the_vendors_word_is_no_signature() -> None:
    body = google(USER, {"role": "model", "parts": [part(SKIP_SIGNATURE, **CALLING)]}, TOLD)
    assert stripped("gemini", body, EVERYTHING, "gemini-3-pro") is None


def test_snake_case_is_understood() -> None:
    body = google(USER, {"role": "model", "parts": [{"text": "Yes.", "thought_signature": "x"}]}, USER)
    done = stripped("gemini", body, EVERYTHING)
    assert done is not None
    assert done[0]["contents"][1]["parts"] == [{"text": "Yes."}]


# -- all


@pytest.mark.parametrize(
    ("wire", "raw"),
    [
        ("anthropic", b'{"model":"m","messages":[{"role":"user","content":[5]},{"role":7,"content":{"signature":"x"}}]}'),
        ("anthropic", b'{"model":"m","messages":[{"role":"assistant","content":[{"type":"thinking","signature":5}]}]}'),
        ("openai-responses", b'{"model":"m","input":[{"type":"reasoning","encrypted_content":{}}]}'),
        ("gemini", b'{"contents":[{"role":"model","parts":"thoughtSignature"}]}'),
        ("gemini", b'{"contents":{"parts":[]}}'),
        ("openai-chat", b'{"model":"m","messages":[{"role":"assistant","signature":"x"}]}'),
    ],
)
def test_what_cannot_be_understood_is_sent_as_it_came(wire: str, raw: bytes) -> None:
    assert strip(wire, peek(raw, RELAYS[wire].members), EVERYTHING, Target("m")) is None
