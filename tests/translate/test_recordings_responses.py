"""What real speakers of the Responses wire sent, through our codecs and back, and what others sent as Responses answers.

``shared/tools/semantics.py`` reads both sides; the official SDK's own types must take what we write.
"""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from playbook import STAMP, assert_same_however_cut, translate
from pydantic import TypeAdapter
from shared import needs_shared, recordings, tool

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask
from omniroute.translate.events import Failure
from omniroute.translate.format import Stamp, Target
from omniroute.translate.formats import FORMATS

pytestmark = needs_shared

RESPONSES = "openai-responses"
FOLDERS = {RESPONSES: RESPONSES, "openai-chat": "openai-chat", "anthropic": "anthropic-messages"}
RECORDINGS = {wire: {r["id"]: r for r in recordings(folder)} for wire, folder in FOLDERS.items()}
OWN = RECORDINGS[RESPONSES]
FROM_US = [(RESPONSES, i, target) for i in OWN for target in FOLDERS]
TO_US = [(wire, i, RESPONSES) for wire in FOLDERS if wire != RESPONSES for i in RECORDINGS[wire]]
CASES = FROM_US + TO_US
# what the content itself is so (arguments that a length limit cut), and errors inside chat streams
UNAVOIDABLE = {"chat.tool-args-not-json", "messages.tool-args-not-json", "responses.tool-args-not-json"} | {
    *("chat.error-in-200", "chat.done-missing", "messages.empty-content")
}
EVENT_TYPES = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}
PARAMS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)


def _is_stream(recording: dict[str, Any]) -> bool:
    response = recording["response"]
    return bool(recording["stream"] and response["status"] < 400 and response["body"].lstrip()[:1] != "{")


def _written(recording: dict[str, Any], source: str, target: str, stamp: Stamp = STAMP) -> tuple[bytes, bool, int]:
    """(body, whether it is a stream, status) in *target*."""
    reads, writes = FORMATS[source], FORMATS[target]
    status, body = recording["response"]["status"], recording["response"]["body"].encode()
    if _is_stream(recording):
        return translate(reads, writes, [body], stamp), True, 200
    if status >= 400:
        return writes.encode_error(reads.decode_error(status, body)), False, status
    events = reads.decode_answer(body)
    last = events[-1]
    if isinstance(last, Failure):
        return writes.encode_error(last), False, last.status
    return writes.encode_answer(collect(events), stamp).body, False, 200


def _meanings(source: str, recording_id: str, target: str) -> tuple[Any, Any]:
    semantics, recording = tool("semantics"), RECORDINGS[source][recording_id]
    body, stream, status = _written(recording, source, target)
    return semantics.meaning_of(recording), semantics.from_response(FOLDERS[target], body.decode(), stream, status)


@pytest.mark.parametrize(("source", "recording_id", "target"), CASES)
def test_an_answer_means_the_same_in_every_wire_and_is_well_formed(source: str, recording_id: str, target: str) -> None:
    before, after = _meanings(source, recording_id, target)
    refused = target == "anthropic" and before.refusal
    assert after.text == before.text + (before.refusal if refused else "")
    assert after.thinking == before.thinking
    assert [call.key() for call in after.tool_calls] == [call.key() for call in before.tool_calls]
    assert refused or after.refusal == before.refusal
    assert refused or after.finish == (before.finish or "stop")
    assert (after.error and after.error.message) == (before.error and before.error.message)
    if before.error is None:
        assert _counts(after.usage) == _counts(before.usage)
    assert [v for v in after.well_formed if v.name not in UNAVOIDABLE] == []


def _counts(usage: Any) -> tuple[int, ...]:
    read = usage.cache_read or 0
    return max(usage.input or 0, read), usage.output or 0, read


@pytest.mark.parametrize("recording_id", OWN)
def test_on_its_own_wire_encrypted_thinking_the_vendors_items_citations_and_images_survive(recording_id: str) -> None:
    before, after = _meanings(RESPONSES, recording_id, RESPONSES)
    assert after.thinking_signatures == before.thinking_signatures
    assert after.server_items == before.server_items
    assert after.citations == before.citations
    assert [m.key() for m in after.media] == [m.key() for m in before.media]


@pytest.mark.parametrize("recording_id", [i for i, r in OWN.items() if _is_stream(r)])
def test_a_stream_is_the_same_however_it_is_cut(recording_id: str) -> None:
    body, own = OWN[recording_id]["response"]["body"].encode(), FORMATS[RESPONSES]
    assert_same_however_cut(body, lambda pieces: translate(own, own, pieces), samples=6)


def _ask_of(recording: dict[str, Any], source: str) -> Ask | None:
    body = recording["request"]["body"]
    if not isinstance(body, dict) or not (body.get("messages") or body.get("input")):
        return None
    return FORMATS[source].decode_request(msgspec.json.encode(body))


VENDORS_OWN = {"web_search_call", "mcp_list_tools", "mcp_call", "code_interpreter_call", "file_search_call"}


@pytest.mark.parametrize(("source", "recording_id", "target"), [c for c in CASES if c[2] == RESPONSES])
def test_the_sdks_types_take_our_answers(source: str, recording_id: str, target: str) -> None:
    recording = RECORDINGS[source][recording_id]
    ask = _ask_of(recording, source) if source == RESPONSES else None
    body, stream, status = _written(recording, source, target, Stamp("id-1", 1_700_000_000, "model-1", ask=ask))
    if status >= 400 or VENDORS_OWN & set(tool("semantics").meaning_of(recording).server_items):
        return
    if not stream:
        Response.model_validate_json(body)
        return
    for line in body.split(b"\n"):
        if line.startswith(b"data: ") and b'"type":"response.failed"' not in line:
            EVENT_TYPES[msgspec.json.decode(line[6:])["type"]].model_validate_json(line[6:])


ASKED = [i for i, r in OWN.items() if isinstance(r["request"]["body"], dict)]


@pytest.mark.parametrize("recording_id", ASKED)
def test_a_request_asks_the_same_on_its_own_wire(recording_id: str) -> None:
    semantics, body = tool("semantics"), OWN[recording_id]["request"]["body"]
    own = FORMATS[RESPONSES]
    ask = own.decode_request(msgspec.json.encode(body))
    sent = own.encode_request(ask, Target(ask.model))
    assert sent.dropped == ()
    assert own.decode_request(sent.body) == ask
    before, after = (semantics.from_request(RESPONSES, value) for value in (body, msgspec.json.decode(sent.body)))
    assert after.parts() == before.parts()
    before.turns = after.turns = []
    assert after == before


# parts that are rejected, or sent as text (test_fidelity.py, test_openai_responses_input.py)
ELSEWHERE = (b'"file_id"', b'"input_audio"', b'"video_url"', b'"document"')


def _goes_to_us(source: str, recording_id: str) -> bool:
    body = RECORDINGS[source][recording_id]["request"]["body"]
    text = msgspec.json.encode(body)
    return isinstance(body, dict) and bool(body.get("messages")) and not any(word in text for word in ELSEWHERE)


@pytest.mark.parametrize(("source", "recording_id"), [c[:2] for c in TO_US if _goes_to_us(c[0], c[1])])
def test_a_request_of_another_wire_asks_the_same_and_has_the_sdks_types(source: str, recording_id: str) -> None:
    semantics, recording = tool("semantics"), RECORDINGS[source][recording_id]
    ask = _ask_of(recording, source)
    assert ask is not None
    sent = msgspec.json.decode(FORMATS[RESPONSES].encode_request(ask, Target("gpt-x")).body)
    before = semantics.from_request(FOLDERS[source], recording["request"]["body"])
    after = semantics.from_request(RESPONSES, sent)
    assert _said(after) == _said(before)
    assert [t.name for t in after.tools] == [t.name for t in before.tools if t.kind != "server"]
    sent.pop("stream", None)
    PARAMS.validate_python(sent)


def _said(ask: Any) -> list[tuple[str, str, Any]]:
    """Texts, calls, results and media in order; thinking needs its vendor's proof, and documents may become text."""
    return [
        (role, p.kind, p.text or p.args or [c.text for c in p.content if c.kind == "text"] or (p.media and p.media.key()))
        for role, p in ask.parts()
        if p.kind in ("text", "tool_call", "image") and role != "system" and p.text.strip("\n ") + p.kind != "text"
    ]
