from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.translate.events import (
    Event,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from omniroute.translate.pii import ANSWER_MEMBERS, Redactor, TooDeep, cnpj, cpf, luhn, redact, redact_body


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("write to ann.lee+x@mail.example.org now", "write to [EMAIL_REDACTED] now"),
        ("CPF 529.982.247-25", "CPF [CPF_REDACTED]"),
        ("CPF 52998224725", "CPF [CPF_REDACTED]"),
        ("CNPJ 11.222.333/0001-81", "CNPJ [CNPJ_REDACTED]"),
        ("card 4111 1111 1111 1111.", "card [CARD_REDACTED]."),
        ("card 4111-1111-1111-1111", "card [CARD_REDACTED]"),
        ("SSN 123-45-6789", "SSN [SSN_REDACTED]"),
        ("call +1 (555) 123-4567", "call [PHONE_REDACTED]"),
        ("call 555-123-4567.", "call [PHONE_REDACTED]."),
        ("ligue (11) 98765-4321", "ligue [PHONE_REDACTED]"),
        ("call +14155552671 now", "call [PHONE_REDACTED] now"),
        ("4111111111111111 12/27", "[CARD_REDACTED] 12/27"),
        ("4111 1111 1111 1111 12/27 123", "[CARD_REDACTED] 12/27 123"),
        ("3782 822463 10005 1234", "[CARD_REDACTED] 1234"),
        ("no. 12 4111111111111111", "no. 12 [CARD_REDACTED]"),
    ],
)
def test_what_is_personal(text: str, after: str) -> None:
    assert redact(text) == (after, 1)


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3", "id 1234567890123456", "in 2024-01-15 at 10:30", "000-12-3456", "111.111.111-11", "a@b",
        "0.123-4567", "12345678901", "192.168.100.1", "user@localhost", "9.81 and 3.14159265358979",
        "x+14155552671", "+1415555",
    ],
)  # fmt: skip
def test_what_only_looks_alike(text: str) -> None:
    assert redact(text) == (text, 0)


def test_numbers_with_wrong_check_digits_are_not_taken() -> None:
    assert (luhn("4111111111111111"), luhn("4111111111111112")) == (True, False)
    assert (cpf("52998224725"), cpf("52998224726")) == (True, False)
    assert (cnpj("11222333000181"), cnpj("11222333000180")) == (True, False)


def test_only_the_texts_of_a_body_are_changed() -> None:
    mail = "a@mail.example.org"
    body = {
        "model": mail,
        "user": mail,
        "messages": [
            {"role": "user", "content": f"I am {mail}"},
            {"role": "user", "content": [{"type": "text", "text": mail}, {"type": "image_url", "image_url": {"url": mail}}]},
            {"role": "assistant", "tool_calls": [{"id": mail, "function": {"name": mail, "arguments": mail}}]},
        ],
        "contents": [{"parts": [{"text": mail}, {"functionCall": {"name": mail, "args": {"to": mail}}}]}],
        "input": [mail, {"content": "data:image/png;base64,1"}],
        "tools": [{"description": mail, "input_schema": {"properties": {"x": {"description": mail}}}}],
    }
    raw, found = redact_body(json.dumps(body).encode())
    got: Any = json.loads(raw)
    assert found == 6
    assert (got["model"], got["user"], got["tools"]) == (mail, mail, body["tools"])
    assert got["messages"][0]["content"] == "I am [EMAIL_REDACTED]"
    assert got["messages"][1]["content"][0]["text"] == "[EMAIL_REDACTED]"
    assert got["messages"][1]["content"][1]["image_url"] == {"url": mail}
    assert got["messages"][2]["tool_calls"][0] == {"id": mail, "function": {"name": mail, "arguments": "[EMAIL_REDACTED]"}}
    assert got["contents"][0]["parts"][1]["functionCall"]["name"] == mail
    assert got["input"][0] == "[EMAIL_REDACTED]"


def test_documents_of_plain_text_are_looked_at_and_others_are_not() -> None:
    mail = "a@mail.example.org"
    plain, file = ({"type": "document", "source": {"type": kind, "data": mail}} for kind in ("text", "base64"))
    got = json.loads(redact_body(json.dumps({"messages": [{"content": [plain, file]}]}).encode())[0])["messages"][0][
        "content"
    ]
    assert [block["source"]["data"] for block in got] == ["[EMAIL_REDACTED]", mail]


@pytest.mark.parametrize("level", ["[%b]", '{"a":%b}'])
def test_a_body_that_is_nested_too_deeply_is_not_passed_as_if_it_were_clean(level: str) -> None:
    body = b'{"text":"a@mail.example.org","x":1}'
    for _ in range(600):
        body = level.encode() % body
    with pytest.raises(TooDeep):
        redact_body(body)


def test_a_body_without_any_is_the_same_object() -> None:
    for body in (b'{"messages": [{"content": "hi"}]}', b"no json"):
        assert redact_body(body)[0] is body


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(st.lists(st.integers(1, 9), max_size=40))
def test_a_stream_is_redacted_however_it_is_cut(cuts: list[int]) -> None:
    text = "Mail ann@mail.example.org or pay with 4111 1111 1111 1111 and call +1 (555) 123-4567 for 529.982.247-25 soon"
    redactor = Redactor()
    out: list[Event] = []
    at = 0
    for cut in [*cuts, len(text)]:
        out += redactor.feed([TextDelta(text[at : at + cut])])
        at += cut
    out += redactor.feed([Finish("stop")])
    assert said(out) == redact(text)[0]
    assert isinstance(out[-1], Finish)


@pytest.mark.parametrize(
    "text",
    [
        '{"mail":"ann@mail.example.org","card":"4111111111111111","cpf":"529.982.247-25"}',
        "电话+1 555 123 4567，邮箱ann@mail.example.org。卡号4111 1111 1111 1111。" * 3,
        "x" * 700 + "ann@mail.example.org" + "y" * 700,
        "word " * 20 + "a@" + "b." * 300 + "com end",
        "4111-1111-1111-1111 2345 6789 " * 3,
    ],
)
def test_a_stream_without_spaces_is_redacted_like_the_whole(text: str) -> None:
    for size in (len(text) // 100 + 1, 64, len(text)):
        redactor = Redactor()
        out = [e for at in range(0, len(text), size) for e in redactor.feed([TextDelta(text[at : at + size])])]
        assert said([*out, *redactor.feed([Finish("stop")])]) == redact(text)[0]


@pytest.mark.parametrize("text", ["word ", "aGVsbG8", "这是一个没有空格的长句子，", '{"a":1},', "a@b.c."])
def test_what_cannot_become_personal_is_not_held_back_for_long(text: str) -> None:
    redactor = Redactor()
    pieces = [text * 20] * 20
    assert len(said([e for piece in pieces for e in redactor.feed([TextDelta(piece)])])) > len(text) * 400 - 800


def test_counts_in_the_middle_of_a_text_do_not_part_it() -> None:
    pieces = ["write to ann", "@mail.exam", "ple.org"]
    redactor = Redactor()
    out = [e for text in pieces for e in redactor.feed([TextDelta(text), Usage(output=1)])]
    out += redactor.feed([Finish("stop")])
    assert said(out) == "write to [EMAIL_REDACTED]"
    assert sum(isinstance(event, Usage) for event in out) == 3


def test_thinking_is_redacted_too_and_not_mixed_with_the_text() -> None:
    thought = [ThinkingDelta("Ask ann@mail", id="rs_1"), ThinkingDelta(".example.org", id="rs_1"), Signature("s")]
    events = [*thought, TextDelta("bob@mail"), ThinkingDelta(".example.org"), TextDelta("a"), Finish("stop")]
    assert Redactor().feed(events) == [
        ThinkingDelta("Ask [EMAIL_REDACTED]", id="rs_1"),
        Signature("s"),
        TextDelta("bob@mail"),
        ThinkingDelta(".example.org"),
        TextDelta("a"),
        Finish("stop"),
    ]


def test_thinking_is_redacted_in_answers_but_not_in_signed_history() -> None:
    for name in ("thinking", "reasoning", "reasoning_text"):
        body = json.dumps({"content": [{"type": "thinking", name: "a@mail.example.org", "signature": "s"}]}).encode()
        assert json.loads(redact_body(body, ANSWER_MEMBERS)[0])["content"][0][name] == "[EMAIL_REDACTED]"
        assert redact_body(body) == (body, 0)


def test_other_events_keep_their_place_and_redactions_are_counted() -> None:
    counts: list[int] = []
    events: list[Event] = [Start("r", "m"), TextDelta("a@mail.example.org"), ToolStart("c", "t"), Finish("stop")]
    out = Redactor(counts.append).feed(events)
    assert [type(event) for event in out] == [Start, TextDelta, ToolStart, Finish]
    assert counts == [1]
    assert Redactor(counts.append, changes=False).feed(events) == events
    assert counts == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        ('{"to":"ann@mail.example.org","n":1}', '{"to":"[EMAIL_REDACTED]","n":1}'),
        ('{"rows": [{"x": ["ann@mail.example.org"]}]}', '{"rows":[{"x":["[EMAIL_REDACTED]"]}]}'),
        ('{"card": 4111111111111111}', '{"card": 4111111111111111}'),  # a number: the tool would not take a text
        ('{"plain":  "text"}', '{"plain":  "text"}'),
        ("", ""),
        ("mail ann@mail.example.org", "mail [EMAIL_REDACTED]"),  # a custom tool's free text
        ('{"to":"ann@mail.example.org","cut', '{"to":"[EMAIL_REDACTED]","cut'),
    ],
)
def test_tool_arguments_are_redacted_and_stay_json_however_they_are_cut(arguments: str, after: str) -> None:
    for size in (1, 7, 1000):
        pieces = [ToolArguments(arguments[at : at + size]) for at in range(0, len(arguments), size)]
        out = Redactor().feed(
            [ToolStart("a", "send"), *pieces, ToolStart("b", "x"), ToolArguments("{}"), Finish("tool_calls")]
        )
        assert "".join(e.text for e in out[1 : 1 + bool(arguments)] if isinstance(e, ToolArguments)) == after
        assert out[1 + bool(arguments) :] == [ToolStart("b", "x"), ToolArguments("{}"), Finish("tool_calls")]
    body = orjson.dumps({"tool_calls": [{"function": {"arguments": arguments}}]})
    assert orjson.loads(redact_body(body)[0])["tool_calls"][0]["function"]["arguments"] == after


def test_a_refusal_is_redacted_too() -> None:
    out = Redactor().feed([RefusalDelta("not to ann@mail"), RefusalDelta(".example.org"), Finish("refusal")])
    assert out == [RefusalDelta("not to [EMAIL_REDACTED]"), Finish("refusal")]
