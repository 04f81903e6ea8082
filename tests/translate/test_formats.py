from __future__ import annotations

import json
import re
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.translate.conversation import (
    Ask,
    CacheHint,
    Media,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from omniroute.translate.events import BlockEnd, Event, Finish, Start, TextDelta, ThinkingDelta, ToolStart
from omniroute.translate.format import Stamp, Target
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.peek import peek
from omniroute.translate.text_frame import escape


def test_every_wire_stands_under_its_own_name() -> None:
    assert all(form.name == name for name, form in FORMATS.items())
    assert RELAYS.keys() <= FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_stream_type(name: str) -> None:
    kind = FORMATS[name].stream_type
    assert kind.startswith(b"text/event-stream" if FORMATS[name].framing == "sse" else b"application/x-ndjson")


@pytest.mark.parametrize("name", ["openai-chat", "anthropic"])
def test_relaying_changes_the_model_and_nothing_else(name: str) -> None:
    body = b'{"x": {"a":  1}, "model": "up/m", "messages": [1,  2]}'
    sent, strip = RELAYS[name].prepare(peek(body, RELAYS[name].members), "m", frozenset())
    assert json.loads(sent) == {"x": {"a": 1}, "model": "m", "messages": [1, 2]}
    assert b"[1,  2]" in sent
    assert not strip


@pytest.mark.parametrize("name", ["openai-chat", "anthropic"])
def test_a_body_that_names_the_model_as_it_is_sent_is_not_touched(name: str) -> None:
    body = b'{"messages": [],\n "model": "m"}'
    assert RELAYS[name].prepare(peek(body, RELAYS[name].members), "m", frozenset()) == (body, False)


def test_a_chat_streams_usage_is_asked_for_and_taken_out_again() -> None:
    rules = RELAYS["openai-chat"]
    body = b'{"model": "m", "messages": [], "stream": true, "stream_options": {"x": 1}}'
    sent, strip = rules.prepare(peek(body, rules.members), "m", frozenset())
    assert json.loads(sent)["stream_options"] == {"x": 1, "include_usage": True}
    assert strip
    assert rules.prepare(peek(body, rules.members), "m", frozenset({"no_stream_options"})) == (body, False)


@pytest.mark.parametrize("name", ["openai-chat", "anthropic"])
def test_what_a_request_must_have(name: str) -> None:
    assert "messages" in RELAYS[name].required


BEFORE: list[list[Event]] = [
    [],
    [Start("id", "m")],
    [Start("id", "m"), ThinkingDelta("hm")],
    [Start("id", "m"), TextDelta("so")],
    [Start("id", "m"), TextDelta("so", b'[{"token":"so"}]')],
    [Start("id", "m"), TextDelta("so"), BlockEnd()],
    [Start("id", "m"), TextDelta("so"), ToolStart("c", "f")],
    [Start("id", "m"), TextDelta("so"), Finish("stop")],
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("before", BEFORE, ids=lambda before: "-".join([type(event).__name__ for event in before]) or "-")
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=5))
def test_texts_written_at_once_equal_texts_written_singly(name: str, before: list[Event], texts: list[str]) -> None:
    stamp = Stamp("id-1", 1_750_000_000, "m")
    at_once, each = FORMATS[name].stream_encoder(stamp), FORMATS[name].stream_encoder(stamp)
    wrote = each.feed(before) + b"".join(each.feed([TextDelta(text)]) for text in texts)
    wrote += each.feed([TextDelta("!"), Finish("stop")])
    out = at_once.feed(before) + (at_once.escaped([escape(text) for text in texts]) if texts else b"")
    assert out + at_once.feed([TextDelta("!"), Finish("stop")]) == wrote


@pytest.mark.parametrize("name", FORMATS)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), min_size=1, max_size=5))
def test_a_texts_spelling_does_not_change_its_meaning(name: str, texts: list[str]) -> None:
    """Vendors differ in what they escape; here everything but ASCII is, and the slash."""
    outs = []
    for spell in (escape, lambda text: json.dumps(text)[1:-1].replace("/", "\\/").encode()):
        encoder = FORMATS[name].stream_encoder(Stamp("id-1", 1_750_000_000, "m"))
        raw = encoder.feed([Start("id", "m"), TextDelta("so")]) + encoder.escaped([spell(text) for text in texts])
        raw += encoder.feed([TextDelta("!"), Finish("stop")])
        outs.append([json.loads(line) for line in re.findall(rb"^(?:data: )?([{].*)", raw, re.MULTILINE)])
    assert outs[0] == outs[1] != []


HISTORY = [
    Turn("user", [Text("weather?", CacheHint())]),
    Turn("assistant", [Thinking("hm"), Text("I look"), ToolCall("t1", "look", '{"at":"here"}'), ToolCall("", "look", "{}")]),
    Turn("tool", [ToolResult("t1", [Text("rain")], name="look"), ToolResult("", [Text("sun")], name="look")]),
    Turn("assistant", [ToolCall("functions.look:3", "look", "{}")]),
    Turn("tool", [ToolResult("functions.look:3", [Text("no")], is_error=True, name="look")]),
    Turn("assistant", [Text("Rain.")]),
    Turn("user", [Text("sure?"), Media("image", "image/png", data="AAAA")]),
]
WHOLE_TURNS = [1, 3, 5, 7]  # the numbers of turns with which an agent asks


@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama"])
def test_what_was_sent_is_the_beginning_of_what_is_sent_in_the_next_turn(name: str, wire: str) -> None:
    """Byte by byte: vendors find a cached prompt by its beginning."""
    target = Target("m", abilities=frozenset({"vision", "tools", "reasoning"}))
    tools = [Tool("look", "see", b'{"type":"object","properties":{"at":{"type":"string"}}}')]
    sent: list[dict[str, msgspec.Raw]] = []
    for count in WHOLE_TURNS:
        ask = Ask(model="m", wire=wire, system=[Text("Be kind")], turns=HISTORY[:count], tools=tools)
        sent.append(msgspec.json.decode(FORMATS[name].encode_request(ask, target).body, type=dict[str, msgspec.Raw]))
    (turns,) = sent[0].keys() & {"messages", "contents", "input"}
    for shorter, longer in pairwise(sent):
        assert bytes(longer[turns]).startswith(bytes(shorter[turns])[:-1] + b",")
        assert {key: shorter[key] for key in shorter if key != turns} == {key: longer[key] for key in longer if key != turns}
