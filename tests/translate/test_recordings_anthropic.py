"""Every recorded Messages exchange, through the codec: read -> our vocabulary -> written again means the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from shared import needs_shared, recordings, tool

from omniroute.errors import OmniError
from omniroute.proto.sse import SSEReader
from omniroute.translate.anthropic import FORMAT
from omniroute.translate.collect import collect
from omniroute.translate.events import Event, Failure, Start
from omniroute.translate.format import Format, Stamp, Target
from omniroute.translate.openai_chat import FORMAT as CHAT

pytestmark = needs_shared

STAMP = Stamp("msg_01stamp", 1_750_000_000, "stamped-model")
EXCHANGES = {recording["id"]: recording for recording in recordings("anthropic-messages")}
ANSWERS = [id_ for id_, recording in EXCHANGES.items() if recording["response"]["status"] == 200]
STREAMS = [id_ for id_ in ANSWERS if EXCHANGES[id_]["stream"]]
ERRORS = [id_ for id_, recording in EXCHANGES.items() if recording["response"]["status"] != 200]
EVERY_BYTE = 4096
CUTS = 150


def sse_events(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    reader = SSEReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def read_stream(body: bytes) -> list[Event]:
    decoder = FORMAT.stream_decoder()
    events = [ours for name, data in sse_events([body]) for ours in decoder.feed(name, data)]
    return [*events, *decoder.eof()]


def read(recording: dict[str, Any]) -> list[Event]:
    body = recording["response"]["body"].encode()
    return read_stream(body) if recording["stream"] else FORMAT.decode_answer(body)


def as_stream(wire: Format, events: list[Event]) -> str:
    """Our events through a stream encoder, one at a time."""
    encoder = wire.stream_encoder(STAMP)
    return (b"".join(encoder.feed([event]) for event in events) + encoder.eof()).decode()


def as_whole(wire: Format, events: list[Event]) -> str:
    return wire.encode_answer(collect(events), STAMP).body.decode()


def meaning(wire: str, text: str, stream: bool) -> Any:
    return tool("semantics").from_response(wire, text, stream, 200)


SAME: dict[str, Callable[[Any], Any]] = {
    "text": lambda m: m.text,
    "thinking": lambda m: m.thinking,
    "tool calls": lambda m: [(call.name, call.arguments, call.id) for call in m.tool_calls],
    "finish": lambda m: m.finish,
    "input tokens": lambda m: m.usage.input,
    "output tokens": lambda m: m.usage.output,
    "cache read": lambda m: m.usage.cache_read or 0,
    "cache write": lambda m: m.usage.cache_write or 0,
    "reasoning tokens": lambda m: m.usage.reasoning or 0,
    "error": lambda m: m.error and m.error.message,
}
SAME_WIRE: dict[str, Callable[[Any], Any]] = {
    **SAME,
    "signatures": lambda m: m.thinking_signatures,
    "citations": lambda m: m.citations,
    "server items": lambda m: m.server_items,
    "model": lambda m: m.model,
    "id": lambda m: m.id,
}
# "content_filter" and refusals have no word of their own in the other wire; a paused turn is reported as a stop.
FINISH_ACROSS = {"other:pause_turn": "stop", "other:compaction": "stop"}


def look(found: Any, fields: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {name: take(found) for name, take in fields.items()}


def allowed(text: list[Any]) -> list[Any]:
    """Violations, without the one that repeats the upstream's own emptiness."""
    return [violation for violation in text if violation.name != "messages.empty-content"]


@pytest.mark.parametrize("id_", ANSWERS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_answer_written_again_in_its_own_wire_means_the_same(id_: str, stream: bool) -> None:
    recording = EXCHANGES[id_]
    expected = meaning("anthropic-messages", recording["response"]["body"], recording["stream"])
    events = read(recording)
    text = as_stream(FORMAT, events) if stream else as_whole(FORMAT, events)
    found = meaning("anthropic-messages", text, stream)
    assert allowed(found.well_formed) == []
    assert look(found, SAME_WIRE) == look(expected, SAME_WIRE)


@pytest.mark.parametrize("id_", ANSWERS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_answer_written_in_the_chat_wire_means_the_same(id_: str, stream: bool) -> None:
    recording = EXCHANGES[id_]
    expected = meaning("anthropic-messages", recording["response"]["body"], recording["stream"])
    events = read(recording)
    text = as_stream(CHAT, events) if stream else as_whole(CHAT, events)
    found = meaning("openai-chat", text, stream)
    assert found.well_formed == []
    wanted = look(expected, SAME)
    wanted["finish"] = FINISH_ACROSS.get(wanted["finish"], wanted["finish"])
    assert look(found, SAME) == wanted


@pytest.mark.parametrize("id_", STREAMS)
def test_a_stream_split_anywhere_gives_the_same_events(id_: str) -> None:
    body = EXCHANGES[id_]["response"]["body"].encode()
    whole = sse_events([body])
    step = 1 if len(body) <= EVERY_BYTE else len(body) // CUTS
    for cut in range(1, len(body), step):
        assert sse_events([body[:cut], body[cut:]]) == whole, f"cut at byte {cut}"
    assert sse_events([body[at : at + 1] for at in range(len(body))]) == whole
    events = read_stream(body)
    assert isinstance(events[0], Start)
    assert as_stream(FORMAT, events) == encoded_at_once(events)


def encoded_at_once(events: list[Event]) -> str:
    """All events in one call: the same bytes, but for usage that is known before the first of them is written."""
    encoder = FORMAT.stream_encoder(STAMP)
    first = 2 if len(events) > 1 else 1
    head = b"".join(encoder.feed([event]) for event in events[:first])
    return (head + encoder.feed(events[first:]) + encoder.eof()).decode()


@pytest.mark.parametrize("id_", ERRORS)
def test_an_error_body_is_read_and_given_on_as_it_came(id_: str) -> None:
    response = EXCHANGES[id_]["response"]
    body = response["body"].encode()
    expected = json.loads(body)["error"]
    failure = FORMAT.decode_error(response["status"], body)
    assert isinstance(failure, Failure)
    assert (failure.status, failure.type, failure.message) == (response["status"], expected["type"], expected["message"])
    assert FORMAT.encode_error(failure) == body


# -- requests

QUIRKS = frozenset({"mid_system", "output_format"})
SENT = {
    id_: recording["request"]["body"]
    for id_, recording in EXCHANGES.items()
    if isinstance(recording["request"]["body"], dict)
}
CLAMPED = {"anthropic-validation-error-carries-identity-0-9f3d4382"}  # its temperature is -5


def target(body: dict[str, Any]) -> Target:
    adaptive = body.get("thinking", {}).get("type") == "adaptive"
    return Target("the-model", quirks=QUIRKS | {"adaptive_thinking"} if adaptive else QUIRKS)


def asked(wire: str, body: dict[str, Any]) -> Any:
    found = tool("semantics").from_request(wire, body)
    found.model = ""
    return found


def by_role(found: Any) -> list[tuple[str, Any]]:
    return [(role, part) for role, part in found.parts()]


@pytest.mark.parametrize("id_", sorted(SENT))
def test_a_request_written_again_in_its_own_wire_asks_the_same(id_: str) -> None:
    ask = FORMAT.decode_request(json.dumps(SENT[id_]).encode())
    rendered = FORMAT.encode_request(ask, target(SENT[id_]))
    found, expected = asked("anthropic-messages", json.loads(rendered.body)), asked("anthropic-messages", SENT[id_])
    if id_ in CLAMPED:
        expected.sampling["temperature"] = 0.0
    assert by_role(found) == by_role(expected)
    found.turns = expected.turns
    assert found == expected


PART_FIELDS = ("kind", "text", "name", "args", "id", "media")
FOREIGN_KINDS = {"thinking", "item"}  # have no place in chat messages


def plain_parts(found: Any) -> list[tuple[str, ...]]:
    """Parts as both wires have them: results by id and text, media by content, server-side items left out."""
    parts = []
    for role, part in found.parts():
        if part.kind in FOREIGN_KINDS:
            continue
        if part.kind == "tool_result":
            parts.append(("tool", part.id, "".join(inner.text for inner in part.content if inner.kind == "text")))
        elif part.kind == "tool_call":
            parts.append((role, part.name, json.dumps(part.args, sort_keys=True)))
        elif part.media is not None and not part.text:
            parts.append((role, part.media.kind, part.media.sha256 or part.media.url))
        else:
            parts.append((role, part.text))
    return parts


# What chat messages hold in another shape, and what they cannot hold at all.
EMULATED_ACROSS = {
    "anthropic-citations-with-anthropic-claude-haiku-4-5-ci-0-d9479496": "document_citations",  # its title becomes a text
    "anthropic-citations-with-anthropic-claude-haiku-4-5-ci-1-0b214402": "server_blocks",  # a search result becomes a text
    "anthropic-citations-with-anthropic-claude-haiku-4-5-st-0-4cfd2dc6": "document_citations",
    "anthropic-multimodal-tool-attachments-anthropic-claude-1-269f6e8d": "tool_result_media",
}
REJECTED_ACROSS = {
    "anthropic-testanthropicfileuploadintegration-test-desc-1-b1e702de": "file_id",
    "anthropic-testcrewmultimodalfileupload-test-image-uplo-1-489e9502": "file_id",
}


@pytest.mark.parametrize("id_", sorted(SENT.keys() - EMULATED_ACROSS.keys() - REJECTED_ACROSS.keys()))
def test_a_request_written_in_the_chat_wire_asks_the_same(id_: str) -> None:
    ask = FORMAT.decode_request(json.dumps(SENT[id_]).encode())
    rendered = CHAT.encode_request(ask, Target("the-model"))
    found, expected = asked("openai-chat", json.loads(rendered.body)), asked("anthropic-messages", SENT[id_])
    assert plain_parts(found) == plain_parts(expected)
    functions = [tool_ for tool_ in expected.tools if tool_.kind == "function"]
    assert [(t.name, t.description, t.schema) for t in found.tools] == [(t.name, t.description, t.schema) for t in functions]
    assert found.system == expected.system
    assert (found.max_tokens, found.stop, found.stream) == (expected.max_tokens, expected.stop, expected.stream)


@pytest.mark.parametrize(("id_", "name"), EMULATED_ACROSS.items())
def test_what_the_chat_wire_says_in_another_way_is_named(id_: str, name: str) -> None:
    ask = FORMAT.decode_request(json.dumps(SENT[id_]).encode())
    assert name in CHAT.encode_request(ask, Target("the-model")).dropped


@pytest.mark.parametrize(("id_", "name"), REJECTED_ACROSS.items())
def test_what_the_chat_wire_cannot_hold_is_a_clear_error(id_: str, name: str) -> None:
    ask = FORMAT.decode_request(json.dumps(SENT[id_]).encode())
    with pytest.raises(OmniError, match=name):
        CHAT.encode_request(ask, Target("the-model"))
