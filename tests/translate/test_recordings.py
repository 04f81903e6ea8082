"""What real providers sent, through our codecs and back: the meaning stays, and what we write is well-formed.

``shared/tools/semantics.py`` reads both sides.  Two things may differ, both on purpose: counts that nobody reported are
written as 0, and what breaks the wire's own grammar (no finish reason, a total that is no sum, calls without id) is not
repeated by us.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from playbook import STAMP, assert_same_however_cut, translate
from shared import needs_shared, recordings, tool

from omniroute.translate.collect import collect
from omniroute.translate.events import Failure
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS

CHAT = FORMATS["openai-chat"]
WIRES = {"openai-chat": "openai-chat", "anthropic": "anthropic-messages"}  # ours -> the recordings' name
RECORDINGS = {r["id"]: r for r in recordings("openai-chat")}
STREAMS = [i for i, r in RECORDINGS.items() if r["stream"] and r["response"]["body"].lstrip()[:1] != "{"]
REQUESTS = [
    i for i, r in RECORDINGS.items() if isinstance(r["request"]["body"], dict) and "messages" in r["request"]["body"]
]
# what we may emit because the content itself is so: arguments that a length limit cut, and errors inside streams
UNAVOIDABLE = {"chat.tool-args-not-json", "chat.error-in-200", "chat.done-missing", "messages.tool-args-not-json"}
SIDES = [(i, wire) for i in RECORDINGS for wire in WIRES]

pytestmark = needs_shared


def _whole(recording: dict[str, Any], wire: str) -> tuple[str, int]:
    """(body, status) of a whole answer or an error, in *wire*."""
    status, body = recording["response"]["status"], recording["response"]["body"].encode()
    target = FORMATS[wire]
    if status >= 400:
        return target.encode_error(CHAT.decode_error(status, body)).decode(), status
    events = CHAT.decode_answer(body)
    last = events[-1]
    if isinstance(last, Failure):
        return target.encode_error(last).decode(), last.status
    return target.encode_answer(collect(events), STAMP).body.decode(), status


def _through(recording: dict[str, Any], wire: str) -> Any:
    semantics = tool("semantics")
    if recording["id"] in STREAMS and recording["response"]["status"] < 400:
        body = translate(CHAT, FORMATS[wire], [recording["response"]["body"].encode()]).decode()
        return semantics.from_response(WIRES[wire], body, True, 200)
    body, status = _whole(recording, wire)
    return semantics.from_response(WIRES[wire], body, False, status)


def _counts(usage: Any, wire: str) -> tuple[int, ...]:
    """Anthropic has no count of thinking, its cached tokens are a part of the prompt (one recording has more of them)."""
    read = usage.cache_read or 0
    if wire == "anthropic":
        return usage.input or 0, usage.output or 0, min(read, usage.input or 0)
    return usage.input or 0, usage.output or 0, read, usage.reasoning or 0


def _calls(meaning: Any, wire: str) -> list[Any]:
    """Name and arguments; Anthropic holds objects only, so text that is no JSON is wrapped there."""
    calls = [call.key() for call in meaning.tool_calls]
    if wire == "anthropic":
        return [(name, {"INVALID_JSON": given} if isinstance(given, str) else given) for name, given in calls]
    return calls


@pytest.mark.parametrize(("recording_id", "wire"), SIDES)
def test_an_answer_means_the_same_in_every_wire(recording_id: str, wire: str) -> None:
    recording = RECORDINGS[recording_id]
    before, after = tool("semantics").meaning_of(recording), _through(recording, wire)
    refused = wire == "anthropic" and before.refusal
    assert after.text == before.text + (before.refusal if refused else "")
    assert after.thinking == before.thinking
    if recording_id not in STREAMS or wire != "anthropic":  # a stream has its arguments out before it knows them cut
        assert [c.key() for c in after.tool_calls] == _calls(before, wire)
    assert refused or after.refusal == before.refusal
    assert after.finish == (before.finish or "stop") or (refused and after.finish == "content_filter")
    assert (after.error and after.error.message) == (before.error and before.error.message)
    if before.error is None:
        assert _counts(after.usage, wire) == _counts(before.usage, wire)


@pytest.mark.parametrize(("recording_id", "wire"), SIDES)
def test_what_we_write_is_well_formed(recording_id: str, wire: str) -> None:
    after = _through(RECORDINGS[recording_id], wire)
    unavoidable = UNAVOIDABLE | (set() if after.text or after.tool_calls else {"messages.empty-content"})
    assert [v for v in after.well_formed if v.name not in unavoidable] == []


def test_media_citations_and_transcripts_survive_on_the_same_wire() -> None:
    for recording in RECORDINGS.values():
        before, after = tool("semantics").meaning_of(recording), _through(recording, "openai-chat")
        assert [m.key() for m in after.media] == [m.key() for m in before.media]
        beside = '"search_results":' in recording["response"]["body"]  # sources that no text is annotated with
        assert after.citations == before.citations or (beside and after.citations > before.citations)
        assert after.transcript == before.transcript


@pytest.mark.parametrize("recording_id", STREAMS)
def test_a_stream_is_the_same_however_it_is_cut(recording_id: str) -> None:
    body = RECORDINGS[recording_id]["response"]["body"].encode()
    if RECORDINGS[recording_id]["response"]["status"] < 400:
        assert_same_however_cut(body, lambda pieces: translate(CHAT, CHAT, pieces), samples=20)


def _asked(recording: dict[str, Any]) -> tuple[Any, Any]:
    """(what was asked, what we ask) of one recorded request, on its own wire."""
    semantics, body = tool("semantics"), recording["request"]["body"]
    ask = CHAT.decode_request(msgspec.json.encode(body))
    sent = CHAT.encode_request(ask, Target(ask.model, quirks=frozenset({"reasoning_content"})))
    return semantics.from_request("openai-chat", body), semantics.from_request("openai-chat", msgspec.json.decode(sent.body))


@pytest.mark.parametrize("recording_id", REQUESTS)
def test_a_request_asks_the_same_on_its_own_wire(recording_id: str) -> None:
    before, after = _asked(RECORDINGS[recording_id])
    for role, part in before.parts() + after.parts():
        part.signature = ""  # reasoning_details have no place in what we write
        if role == "tool":
            part.name = ""
    assert after.parts() == before.parts()
    for name in ("model", "stream", "system", "tools", "parallel_tools", "sampling", "max_tokens", "stop"):
        assert getattr(after, name) == getattr(before, name)
    assert (after.reasoning, after.response_format) == (before.reasoning, before.response_format)
    any_tool = {"vendor": "any"}  # Mistral's word for "required"
    assert after.tool_choice == ("required" if before.tool_choice == any_tool else before.tool_choice)


# requests with parts that Anthropic's wire has no place for (rejected, see test_fidelity.py), or with a system prompt only
NOT_IN_ANTHROPIC = {"input_audio", "video_url"}


def _goes_to_anthropic(recording_id: str) -> bool:
    messages = RECORDINGS[recording_id]["request"]["body"]["messages"]
    kinds = {p.get("type") for m in messages if isinstance(m.get("content"), list) for p in m["content"]}
    return not kinds & NOT_IN_ANTHROPIC and any(m["role"] == "user" for m in messages)


@pytest.mark.parametrize("recording_id", [i for i in REQUESTS if _goes_to_anthropic(i)])
def test_a_request_asks_the_same_in_anthropics_wire(recording_id: str) -> None:
    semantics, body = tool("semantics"), RECORDINGS[recording_id]["request"]["body"]
    ask = CHAT.decode_request(msgspec.json.encode(body))
    sent = FORMATS["anthropic"].encode_request(ask, Target("claude-x", max_output=8192))
    before = semantics.from_request("openai-chat", body)
    after = semantics.from_request("anthropic-messages", msgspec.json.decode(sent.body))
    if any(p.name == "document_url" for _, p in before.parts()):  # which semantics.py does not read as a document
        assert [p.kind for _, p in after.parts()] == ["text", "file"]
    else:
        assert _said(after) == _said(before)
    assert [t.name for t in after.tools] == [t.name for t in before.tools if t.kind != "server"]


def _said(ask: Any) -> list[tuple[str, str, Any]]:
    """Texts, calls, results and media, in order; thinking needs its vendor's signature and is left out."""
    return [
        (role, p.kind, p.text or p.args or [c.text for c in p.content] or (p.media and p.media.key()))
        for role, p in ask.parts()
        if p.kind not in ("thinking", "item") and role != "system" and (p.kind != "text" or p.text.strip())
    ]
