"""Every recorded Ollama exchange through the codec, and recordings of other wires written as Ollama's: the meaning stays.

``shared/tools/semantics.py`` reads both sides.  Counts that nobody reported are written as 0, and a missing finish reason as
a stop.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ollama import ChatResponse
from ollama._types import ChatRequest
from playbook import STAMP, assert_same_however_cut, decode, translate
from shared import needs_shared, recordings, tool

from omniroute.errors import OmniError
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask, ToolResult
from omniroute.translate.events import Event, Failure
from omniroute.translate.fidelity import FIDELITY
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS

pytestmark = needs_shared

OLLAMA = FORMATS["ollama"]
WIRES = {"ollama": "ollama-chat", "openai-chat": "openai-chat", "anthropic": "anthropic-messages"}
OURS = {name: wire for wire, name in WIRES.items()}
EXCHANGES = {recording["id"]: recording for recording in recordings("ollama-chat")}
OTHERS = {recording["id"]: recording for recording in recordings("openai-chat", "anthropic-messages")}
ANSWERED = [i for i, r in EXCHANGES.items() if r["response"]["status"] == 200]
STREAMS = [i for i in ANSWERED if EXCHANGES[i]["stream"]]
ASKED = [i for i, r in EXCHANGES.items() if isinstance(r["request"]["body"], dict) and "messages" in r["request"]["body"]]
SIDES = [(i, wire, stream) for i in ANSWERED for wire in WIRES for stream in (True, False)]


def events_of(recording: dict[str, Any]) -> list[Event]:
    """Of a recording in any of the three wires."""
    wire, body = FORMATS[OURS[recording["wire"]]], recording["response"]["body"].encode()
    if recording["stream"] and (wire is OLLAMA or body.lstrip()[:1] != b"{"):
        return decode(wire, [body])
    return wire.decode_answer(body)


def written(events: list[Event], wire: str, stream: bool) -> Any:
    target = FORMATS[wire]
    if stream:
        encoder = target.stream_encoder(STAMP)
        body = encoder.feed(events) + encoder.eof()
    elif isinstance(events[-1], Failure):
        return tool("semantics").from_response(
            WIRES[wire], target.encode_error(events[-1]).decode(), False, events[-1].status
        )
    else:
        body = target.encode_answer(collect(events), STAMP).body
    return tool("semantics").from_response(WIRES[wire], body.decode(), stream, 200)


def said(meaning: Any) -> dict[str, Any]:
    return {
        "text": meaning.text,
        "thinking": meaning.thinking,
        "calls": [call.key() for call in meaning.tool_calls],
        "finish": meaning.finish or "stop",
        "counts": (meaning.usage.input or 0, meaning.usage.output or 0),
        "error": meaning.error and meaning.error.message,
    }


@pytest.mark.parametrize(("recording_id", "wire", "stream"), SIDES)
def test_an_answer_means_the_same_in_every_wire(recording_id: str, wire: str, stream: bool) -> None:
    recording = EXCHANGES[recording_id]
    before, after = tool("semantics").meaning_of(recording), written(events_of(recording), wire, stream)
    assert said(after) == said(before)
    assert after.well_formed == []


@pytest.mark.parametrize("recording_id", STREAMS)
def test_a_stream_is_the_same_however_it_is_cut(recording_id: str) -> None:
    body = EXCHANGES[recording_id]["response"]["body"].encode()[-20_000:].partition(b"\n")[2]
    for wire in WIRES:
        assert_same_however_cut(body, lambda pieces, wire=wire: translate(OLLAMA, FORMATS[wire], pieces), samples=8)


@pytest.mark.parametrize("recording_id", ANSWERED)
def test_the_official_sdk_takes_what_we_write(recording_id: str) -> None:
    events = events_of(EXCHANGES[recording_id])
    ChatResponse.model_validate_json(OLLAMA.encode_answer(collect(events), STAMP).body)
    encoder = OLLAMA.stream_encoder(STAMP)
    for line in encoder.feed(events).splitlines()[-3:]:
        ChatResponse.model_validate_json(line)


def _in_ollamas_words(before: dict[str, Any], meaning: Any) -> dict[str, Any]:
    """What this wire says in other words: refusals as text, arguments that are no object wrapped, few reasons to end."""
    calls = [(name, {"INVALID_JSON": given} if not isinstance(given, dict) else given) for name, given in before["calls"]]
    finish = before["finish"]
    if finish == "content_filter":
        finish = "other:content_filter"
    elif finish.startswith("other:"):
        finish = "stop"
    return before | {"text": meaning.text + meaning.refusal, "calls": calls, "finish": finish}


CHANGED = ("error",)  # a finish reason without a word of ours


@pytest.mark.parametrize("recording_id", [i for i, r in OTHERS.items() if r["response"]["status"] < 400])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_answer_of_another_wire_means_the_same_in_this_one(recording_id: str, stream: bool) -> None:
    recording = OTHERS[recording_id]
    meaning = tool("semantics").meaning_of(recording)
    events = events_of(recording)
    after = written(events, "ollama", stream)
    expected = _in_ollamas_words(said(meaning), meaning)
    found = said(after)
    if isinstance(events[-1], Failure) and not stream:
        assert found["error"] == expected["error"]
        return
    if isinstance(events[-1], Failure):
        expected.pop("counts"), found.pop("counts")
    if not isinstance(events[-1], Failure) and expected["finish"] in CHANGED:
        expected.pop("finish"), found.pop("finish")
    assert found == expected
    assert after.well_formed == []


# -- requests


def asked(recording_id: str) -> tuple[dict[str, Any], Ask]:
    body = EXCHANGES[recording_id]["request"]["body"]
    return body, OLLAMA.decode_request(msgspec.json.encode(body))


def named(ask: Ask) -> Ask:
    """Results with the name of their tool, which we always say."""
    for turn in ask.turns:
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                block.name = ""
    return ask


@pytest.mark.parametrize("recording_id", ASKED)
def test_a_request_written_again_asks_the_same(recording_id: str) -> None:
    body, ask = asked(recording_id)
    rendered = OLLAMA.encode_request(ask, Target(ask.model))
    assert rendered.dropped == ()
    assert named(OLLAMA.decode_request(rendered.body)) == named(ask)
    ChatRequest.model_validate_json(rendered.body)
    before = tool("semantics").from_request("ollama-chat", body)
    after = tool("semantics").from_request("ollama-chat", msgspec.json.decode(rendered.body))
    for role, part in before.parts() + after.parts():
        if role == "tool":
            part.name = ""
    assert after.parts() == before.parts()
    before.turns = after.turns
    assert after == before


@pytest.mark.parametrize("recording_id", ASKED)
@pytest.mark.parametrize("wire", ["openai-chat", "anthropic"])
def test_a_request_of_this_wire_asks_the_same_in_another(recording_id: str, wire: str) -> None:
    body, ask = asked(recording_id)
    sent = FORMATS[wire].encode_request(ask, Target("other", max_output=8192))
    before = tool("semantics").from_request("ollama-chat", body)
    after = tool("semantics").from_request(WIRES[wire], msgspec.json.decode(sent.body))
    assert _parts(after) == _parts(before)
    assert [(t.name, t.description, t.schema) for t in after.tools] == [
        (t.name, t.description, t.schema) for t in before.tools
    ]
    assert (after.stop, after.stream) == (before.stop, before.stream)
    assert after.system.startswith(before.system)


FILLER = "(The conversation begins with an answer.)"  # where a history has to begin with the user


def _parts(ask: Any) -> list[tuple[str, Any]]:
    """Texts, calls and results, in order; thinking needs its vendor's signature and is left out."""
    return [
        (role, p.text or p.args or [c.text for c in p.content])
        for role, p in ask.parts()
        if p.kind != "thinking" and role != "system" and (p.kind != "text" or p.text) and p.text != FILLER
    ]


FROM_OTHERS = [i for i, r in OTHERS.items() if isinstance(r["request"]["body"], dict) and "messages" in r["request"]["body"]]
REWORDED = frozenset(
    [
        "tool_error",
        "tool_result_media",
        "document_context",
        "document_citations",
        "refusal",
        "server_blocks",
        "server_tools",
        "citations",
    ]
)
REJECTED = [f"({row.name})" for row in FIDELITY if (row.wire, row.choice) == ("ollama", "reject")]


def _words(ask: Any) -> list[tuple[str, Any]]:
    """As _parts, but neighbouring texts of a role as one list of words, and no media."""
    out: list[tuple[str, Any]] = []
    for role, said_ in _parts(ask):
        words = said_.split() if isinstance(said_, str) else said_
        if out and out[-1][0] == role != "tool" and isinstance(words, list) and isinstance(out[-1][1], list):
            out[-1] = (role, out[-1][1] + words)
        elif words:
            out.append((role, words))
    return out


@pytest.mark.parametrize("recording_id", FROM_OTHERS)
def test_a_request_of_another_wire_asks_the_same_in_this_one(recording_id: str) -> None:
    recording = OTHERS[recording_id]
    wire = OURS[recording["wire"]]
    ask = FORMATS[wire].decode_request(msgspec.json.encode(recording["request"]["body"]))
    refused = ""
    try:
        sent = OLLAMA.encode_request(ask, Target("qwen3"))
    except OmniError as error:
        refused = error.message
    if refused:
        assert any(name in refused for name in REJECTED)
        return
    ChatRequest.model_validate_json(sent.body)
    if REWORDED & set(sent.dropped):
        return
    before = tool("semantics").from_request(WIRES[wire], recording["request"]["body"])
    after = tool("semantics").from_request("ollama-chat", msgspec.json.decode(sent.body))
    assert _words(after) == _words(before)
    if ask.tool_choice is None or ask.tool_choice.mode in ("auto", "required"):
        assert [(t.name, t.description) for t in after.tools] == [(t.name, t.description) for t in before.tools]
    assert (after.stop, after.stream, after.max_tokens) == (before.stop, before.stream, before.max_tokens)
    assert after.system == before.system
