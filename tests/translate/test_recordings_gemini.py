"""What Gemini and Vertex really sent, through our codecs and back: the meaning stays, and what we write is well-formed.

``shared/tools/semantics.py`` reads both sides.  Counts that nobody reported are written as 0, and what breaks the wire's own
grammar (numbers for enums, two finish reasons, no parts) is not repeated by us.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from playbook import STAMP, assert_same_however_cut
from shared import needs_shared, recordings, tool

from omniroute.errors import OmniError
from omniroute.proto.sse import SSEReader
from omniroute.translate.collect import collect
from omniroute.translate.events import Event, Failure
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS
from omniroute.translate.gemini import FORMAT, array_encoder
from omniroute.translate.json_array import JsonArrayReader

WIRES = {"gemini": "gemini", "openai-chat": "openai-chat", "anthropic": "anthropic-messages"}  # ours -> the recordings' name
RECORDINGS = {r["id"]: r for r in recordings("gemini-generate", "gemini-stream")}
SIDES = [(i, wire) for i in RECORDINGS for wire in WIRES]
REQUESTS = [i for i, r in RECORDINGS.items() if isinstance(r["request"]["body"], dict)]

pytestmark = needs_shared


def play(body: str, pieces: list[bytes] | None = None) -> list[Event]:
    """The events of a recorded stream, SSE or array."""
    pieces = pieces if pieces is not None else [body.encode()]
    decoder = FORMAT.stream_decoder()
    events: list[Event] = []
    if body.lstrip()[:1] in ("[", "{"):
        reader = JsonArrayReader()
        for piece in pieces:
            for chunk in reader.feed(piece):
                events += decoder.feed(b"", chunk)
        assert reader.finish()
    else:
        lines = SSEReader()
        for piece in pieces:
            for name, data in lines.feed(piece):
                events += decoder.feed(name, data)
        for name, data in lines.finish():
            events += decoder.feed(name, data)
    return [*events, *decoder.eof()]


def written(recording: dict[str, Any], wire: str) -> tuple[str, bool, int]:
    """(body, whether it is a stream, status) of the recorded answer in *wire*."""
    status, body = recording["response"]["status"], recording["response"]["body"]
    target = FORMATS[wire]
    if status >= 400:
        return target.encode_error(FORMAT.decode_error(status, body.encode())).decode(), False, status
    if recording["stream"]:
        encoder = target.stream_encoder(STAMP)
        return (encoder.feed(play(body)) + encoder.eof()).decode(), True, 200
    events = FORMAT.decode_answer(body.encode())
    assert not isinstance(events[-1], Failure)
    return target.encode_answer(collect(events), STAMP).body.decode(), False, 200


def through(recording: dict[str, Any], wire: str) -> Any:
    body, stream, status = written(recording, wire)
    return tool("semantics").from_response(WIRES[wire], body, stream, status)


def counts(usage: Any, wire: str) -> tuple[int, ...]:
    """Anthropic has no count of thinking."""
    known = (usage.input or 0, usage.output or 0, usage.cache_read or 0)
    return known if wire == "anthropic" else (*known, usage.reasoning or 0)


@pytest.mark.parametrize(("recording_id", "wire"), SIDES)
def test_an_answer_means_the_same_in_every_wire(recording_id: str, wire: str) -> None:
    recording = RECORDINGS[recording_id]
    before, after = tool("semantics").meaning_of(recording), through(recording, wire)
    assert after.text == before.text
    assert after.thinking == before.thinking
    assert [call.key() for call in after.tool_calls] == [call.key() for call in before.tool_calls]
    assert [media.key() for media in after.media] == [media.key() for media in before.media]
    assert after.finish == before.finish
    assert (after.error and after.error.message) == (before.error and before.error.message)
    if before.error is None:
        assert counts(after.usage, wire) == counts(before.usage, wire)
    if wire == "gemini":
        assert after.thinking_signatures == before.thinking_signatures
        assert after.server_items == before.server_items
        assert (after.citations, after.model, after.id) == (before.citations, before.model, before.id)


@pytest.mark.parametrize(("recording_id", "wire"), SIDES)
def test_what_we_write_is_well_formed(recording_id: str, wire: str) -> None:
    after = through(RECORDINGS[recording_id], wire)
    unavoidable = {"chat.error-in-200"} | (set() if after.text or after.tool_calls else {"messages.empty-content"})
    assert [v for v in after.well_formed if v.name not in unavoidable] == []


@pytest.mark.parametrize("recording_id", [i for i, r in RECORDINGS.items() if r["stream"] and r["response"]["status"] < 400])
def test_a_stream_is_the_same_however_it_is_cut(recording_id: str) -> None:
    body = RECORDINGS[recording_id]["response"]["body"]
    assert_same_however_cut(body.encode(), lambda pieces: play(body, pieces), samples=12)


@pytest.mark.parametrize("recording_id", [i for i, r in RECORDINGS.items() if r["stream"] and r["response"]["status"] < 400])
def test_a_stream_means_the_same_as_an_array(recording_id: str) -> None:
    recording = RECORDINGS[recording_id]
    encoder = array_encoder(STAMP)
    events = play(recording["response"]["body"])
    body = b"".join([*(encoder.feed([event]) for event in events), encoder.eof()]).decode()
    assert json.loads(body)
    after, before = tool("semantics").from_response("gemini", body, True, 200), through(recording, "gemini")
    assert (after.text, after.thinking, after.finish) == (before.text, before.thinking, before.finish)
    assert after.tool_calls == before.tool_calls
    assert [v.name for v in after.well_formed] == ["gemini.json-array-stream"]


# -- requests


def asked(recording: dict[str, Any], wire: str, target: Target) -> tuple[Any, Any]:
    """(what was asked, what we ask in *wire*)."""
    semantics, body, path = tool("semantics"), recording["request"]["body"], recording["request"]["path"]
    before = semantics.from_request("gemini", body, path)
    ask = FORMAT.decode_request(msgspec.json.encode(body))
    ask.model, ask.stream = before.model, before.stream
    sent = FORMATS[wire].encode_request(ask, target)
    return before, semantics.from_request(WIRES[wire], msgspec.json.decode(sent.body), path)


def lower(value: Any) -> Any:
    """Schemas with their types in small letters and without null members."""
    if isinstance(value, dict):
        return {k: v.lower() if k == "type" and isinstance(v, str) else lower(v) for k, v in value.items() if v is not None}
    return [lower(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("recording_id", REQUESTS)
@pytest.mark.parametrize("abilities", [frozenset({"json_schema"}), frozenset()], ids=["json_schema", "subset"])
def test_a_request_asks_the_same_on_its_own_wire(recording_id: str, abilities: frozenset[str]) -> None:
    recording = RECORDINGS[recording_id]
    before, after = asked(recording, "gemini", Target(recording["model"], abilities=abilities))
    for _, part in before.parts() + after.parts():
        part.raw = None
    assert after.parts() == before.parts()
    for name in ("model", "stream", "system", "tool_choice", "sampling", "max_tokens", "stop", "state"):
        assert getattr(after, name) == getattr(before, name)
    before.reasoning = {k: v.lower() if isinstance(v, str) else v for k, v in before.reasoning.items()}
    assert after.reasoning == before.reasoning
    tools = {t.name: t for t in after.tools}  # those that run at the vendor stand behind the functions
    assert {t.name: (t.description, t.kind) for t in before.tools} == {n: (t.description, t.kind) for n, t in tools.items()}
    if abilities:
        assert lower([tools[t.name].schema for t in before.tools]) == lower([t.schema for t in before.tools])
        assert lower(after.response_format) == lower(before.response_format)


def said(ask: Any) -> list[tuple[str, str, Any]]:
    """Texts, calls, results and media, in order; thoughts need their vendor's signature and are left out."""
    return [
        (role, p.kind, p.text or p.args or [c.text for c in p.content if c.kind == "text"] or (p.media and p.media.key()))
        for role, p in ask.parts()
        if p.kind not in ("thinking", "item") and role != "system" and (p.kind != "text" or p.text.strip())
    ]


def _has(recording_id: str, *words: str) -> bool:
    return any(word in json.dumps(RECORDINGS[recording_id]["request"]["body"]) for word in words)


# films, and files in the vendor's own storage
REJECTED = {i for i in REQUESTS if _has(i, "generativelanguage.googleapis.com/v1beta/files", '"video/')}
# media in results follow in a user message in chat; errors are marked there in words
MEDIA_FOLLOWS = {i for i in REQUESTS if _has(i, '"parts": [{"inlineData"', '"parts": [{"file_data"')}


@pytest.mark.parametrize("recording_id", sorted(set(REQUESTS) - REJECTED - MEDIA_FOLLOWS))
@pytest.mark.parametrize("wire", ["openai-chat", "anthropic"])
def test_a_request_asks_the_same_in_another_wire(recording_id: str, wire: str) -> None:
    before, after = asked(RECORDINGS[recording_id], wire, Target("the-model", max_output=8192))
    assert said(after) == said(before)
    assert [t.name for t in after.tools] == [t.name for t in before.tools if t.kind != "server"]
    assert after.system.startswith(before.system)


@pytest.mark.parametrize("recording_id", sorted(REJECTED))
@pytest.mark.parametrize("wire", ["openai-chat", "anthropic"])
def test_what_another_wire_cannot_hold_is_a_clear_error(recording_id: str, wire: str) -> None:
    with pytest.raises(OmniError, match=r"file_id|video_input|audio_input"):
        asked(RECORDINGS[recording_id], wire, Target("the-model", max_output=8192))


# -- the other wires, in this one

OTHERS = {r["id"]: (name, r) for name, kind in WIRES.items() if name != "gemini" for r in recordings(kind)}


def into_gemini(name: str, recording: dict[str, Any]) -> Any:
    """The meaning of another wire's answer, written in this one."""
    status, body = recording["response"]["status"], recording["response"]["body"].encode()
    source, semantics = FORMATS[name], tool("semantics")
    stream = recording["stream"] and body.lstrip()[:1] != b"{"
    if status >= 400:
        out = FORMAT.encode_error(source.decode_error(status, body)).decode()
        return semantics.from_response("gemini", out, False, status)
    if stream:
        reader, decoder, encoder = SSEReader(), source.stream_decoder(), FORMAT.stream_encoder(STAMP)
        parts = [encoder.feed(decoder.feed(event, data)) for event, data in [*reader.feed(body), *reader.finish()]]
        out = b"".join([*parts, encoder.feed(decoder.eof()), encoder.eof()]).decode()
        return semantics.from_response("gemini", out, True, 200)
    events = source.decode_answer(body)
    if isinstance(events[-1], Failure):
        return semantics.from_response("gemini", FORMAT.encode_error(events[-1]).decode(), False, events[-1].status)
    return semantics.from_response("gemini", FORMAT.encode_answer(collect(events), STAMP).body.decode(), False, 200)


@pytest.mark.parametrize("recording_id", OTHERS)
def test_another_wires_answer_means_the_same_in_this_one(recording_id: str) -> None:
    name, recording = OTHERS[recording_id]
    before, after = tool("semantics").meaning_of(recording), into_gemini(name, recording)
    assert after.text == before.text + before.refusal
    assert after.thinking == before.thinking
    wrapped = [(n, {"INVALID_JSON": a} if isinstance(a, str) else a) for n, a in (c.key() for c in before.tool_calls)]
    assert [call.key() for call in after.tool_calls] == wrapped
    assert (after.error and after.error.message) == (before.error and before.error.message)
    if before.error is None:
        assert after.finish == (before.finish or "stop")
        assert counts(after.usage, name) == counts(before.usage, name)
    assert after.well_formed == []


ASKED = {
    i: (n, r)
    for i, (n, r) in OTHERS.items()
    if isinstance(r["request"]["body"], dict) and "messages" in r["request"]["body"]
}
# what is said here in another way: documents that are texts, what a search found
EMULATED = ("facts.txt", "The Ruby programming language was created", "Ruby Facts\nhttps://")
FILE_ID = "file_id"  # of files at another vendor


def reads_as(name: str, recording: dict[str, Any], target: Target) -> tuple[Any, Any]:
    semantics, body = tool("semantics"), recording["request"]["body"]
    ask = FORMATS[name].decode_request(msgspec.json.encode(body))
    sent = FORMAT.encode_request(ask, target)
    action = "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
    after = semantics.from_request("gemini", msgspec.json.decode(sent.body), f"/v1beta/models/{target.model}:{action}")
    check_types(sent.body)
    return semantics.from_request(WIRES[name], body), after


def check_types(body: bytes) -> None:
    """The official SDK's own types take the request."""
    from google.genai import types

    request = json.loads(body)
    for content in request["contents"]:
        types.Content.model_validate(content)
    for one in request.get("tools", ()):
        types.Tool.model_validate(one)
    types.GenerationConfig.model_validate(request.get("generationConfig", {}))
    types.ToolConfig.model_validate(request.get("toolConfig", {}))


def _files(recording_id: str) -> bool:
    """Whether the user's own parts name files by id."""
    return any(
        '"type": "file"' in json.dumps(m) and '"file_id"' in json.dumps(m)
        for m in ASKED[recording_id][1]["request"]["body"]["messages"]
    )


@pytest.mark.parametrize("recording_id", sorted(filter(_files, ASKED)))
def test_files_of_another_vendor_are_a_clear_error(recording_id: str) -> None:
    with pytest.raises(OmniError, match=FILE_ID):
        reads_as(*ASKED[recording_id], Target("gemini-2.5-flash"))


@pytest.mark.parametrize("recording_id", sorted(i for i in ASKED if not _files(i)))
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview"])
def test_another_wires_request_asks_the_same_in_this_one(recording_id: str, model: str) -> None:
    name, recording = ASKED[recording_id]
    before, after = reads_as(name, recording, Target(model, abilities=frozenset({"json_schema", "reasoning", "tools"})))
    own = [part for part in parts_of(after) if part[1] and not _said_by_us(part[1])]
    assert own == [part for part in parts_of(before) if part[1]]
    assert {t.name for t in after.tools if t.kind != "server"} == {t.name for t in before.tools if t.kind != "server"}
    assert after.stream == before.stream
    assert after.max_tokens == before.max_tokens
    assert after.stop == before.stop[:5]


def _said_by_us(text: Any) -> bool:
    return isinstance(text, str) and text.startswith((*EMULATED, "From the result of the tool call "))


def parts_of(ask: Any) -> list[tuple[str, Any]]:
    """Texts, calls and results, in order; the rest has its own tests."""
    out: list[tuple[str, Any]] = []
    for role, part in ask.parts():
        if part.kind == "tool_result":
            out.append(("tool", "".join(c.text for c in part.content if c.kind == "text")))
        elif part.kind == "tool_call":
            out.append((role, (part.name, json.dumps(part.args, sort_keys=True))))
        elif part.media is None and part.kind == "text" and part.text.strip() and role != "system":
            out.append((role, part.text))
    return out
