"""Any bytes: events or a declared failure, never another exception; the same however they are cut; bounded memory.

Allowed from what an upstream sent: BadAnswer.  From what a client sent: OmniError of the kind invalid_request.
"""

from __future__ import annotations

import contextlib
import random
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import STAMP, decode, translate

from omniroute.errors import OmniError
from omniroute.proto.sse import SSEReader
from omniroute.translate import anthropic_stream
from omniroute.translate.anthropic import FORMAT
from omniroute.translate.events import Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Target

CITATION = {"type": "char_location", "cited_text": "é", "document_title": "facts"}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "hm", "signature": "proof"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "text", "text": "Grüße 👋", "citations": [CITATION]},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": [1, None]}},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "compaction", "content": None},
]
DELTAS: dict[int, list[dict[str, Any]]] = {
    0: [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "proof"}],
    2: [{"type": "text_delta", "text": "é"}, {"type": "citations_delta", "citation": CITATION}],
    3: [{"type": "input_json_delta", "partial_json": '{"at":1}'}],
    4: [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}],
    5: [{"type": "compaction_delta", "content": "so far"}],
}
USAGE = {
    "input_tokens": 3,
    "output_tokens": 5,
    "cache_read_input_tokens": 7,
    "cache_creation": {"ephemeral_1h_input_tokens": 1},
}
HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}


def frame(page: dict[str, Any]) -> bytes:
    return b"event: " + page["type"].encode() + b"\ndata: " + msgspec.json.encode(page) + b"\n\n"


def seed_stream() -> bytes:
    pages: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**HEAD, "content": [], "usage": USAGE}},
        {"type": "ping"},
    ]
    for index, block in enumerate(BLOCKS):
        pages.append({"type": "content_block_start", "index": index, "content_block": block})
        pages += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in DELTAS.get(index, ())]
        pages.append({"type": "content_block_stop", "index": index})
    pages.append({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE})
    return b"".join(map(frame, [*pages, {"type": "message_stop"}]))


STREAM = seed_stream()
ANSWER = msgspec.json.encode({**HEAD, "content": BLOCKS, "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE})
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}
REQUEST = msgspec.json.encode(
    {
        "model": "m",
        "max_tokens": 2048,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]},
            {"role": "assistant", "content": BLOCKS},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [IMAGE]}]},
            {"role": "system", "content": "t"},
        ],
        "tools": [
            {"name": "look", "input_schema": {"type": "object"}},
            {"type": "web_search_20260318", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "metadata": {"user_id": "u"},
    }
)
TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[[", b'{"a":', b"\xff", b"\xc3", b"\\ud800"),
    *(b'"index":', b'"delta":', b'"content":', b'"type":', b'"text"', b'"input":', b'"usage":', b'"error":', b'"tool_use"'),
    *(b"data: [DONE]\n\n", b"\n\n", b"data:", b"event: error\n", b"\r\n", b'"message_stop"', b'"content_block_stop"'),
)


def mutated(body: bytes, chance: random.Random) -> bytes:
    """*body* with some pieces cut out, doubled or replaced."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice((1, 2, 5, 20, 200)))
        middle = chance.choice((b"", body[start:end] * 2, chance.choice(TOKENS), bytes([chance.randrange(256)])))
        body = body[:start] + middle + body[end:]
    return body


def declared(pieces: list[bytes]) -> object:
    """The events of a stream, or the name of the declared failure."""
    try:
        events = decode(FORMAT, pieces)
    except BadAnswer:
        return "BadAnswer"
    assert isinstance(events[0], Start)
    assert sum(isinstance(event, Start) for event in events) == 1
    assert [isinstance(event, (Finish, Failure)) for event in events].index(True) == len(events) - 1
    written = translate(FORMAT, FORMAT, pieces)
    assert written.count(b"event: message_stop") + written.count(b"event: error") == 1
    return events


@pytest.mark.parametrize("seed", range(12))
def test_mutated_streams_give_events_or_a_declared_failure_and_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        body = mutated(STREAM, chance)
        cut = chance.randrange(len(body) + 1)
        assert declared([body]) == declared([body[:cut], body[cut:]])


@pytest.mark.parametrize("seed", range(6))
def test_mutated_answers_give_events_or_a_declared_failure(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        try:
            events = FORMAT.decode_answer(mutated(ANSWER, chance))
        except BadAnswer:
            continue
        assert isinstance(events[0], Start)
        assert isinstance(events[-1], (Finish, Failure))


@pytest.mark.parametrize("seed", range(10))
def test_mutated_requests_give_an_ask_or_name_the_field(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        kind = "invalid_request"
        try:
            ask = FORMAT.decode_request(mutated(REQUEST, chance))
            msgspec.json.decode(FORMAT.encode_request(ask, Target("m")).body)
        except OmniError as error:
            kind = error.kind
        assert kind == "invalid_request"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_an_error_or_a_declared_failure(body: bytes) -> None:
    failure = FORMAT.decode_error(500, body)
    assert failure.message
    assert FORMAT.encode_error(failure)
    for read in (lambda: FORMAT.decode_answer(body), lambda: FORMAT.stream_decoder().feed(b"", body)):
        with contextlib.suppress(BadAnswer):
            read()


KEYS = st.sampled_from(("type", "text", "index", "id", "name", "input", "partial_json", "citation", "content"))
WORDS = st.sampled_from(("text", "tool_use", "text_delta", "input_json_delta", "x_tool_result", "error"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
PAGES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ("message_start", "content_block_start", "content_block_delta", "message_delta", "error", "x")
        )
    },
    optional=dict.fromkeys(("message", "index", "content_block", "delta", "usage", "error"), JSON),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PAGES, max_size=5))
def test_any_json_in_the_known_members_is_survived(pages: list[object]) -> None:
    decoder, encoder = FORMAT.stream_decoder(), FORMAT.stream_encoder(STAMP)
    for page in pages:
        try:
            encoder.feed(decoder.feed(b"", msgspec.json.encode(page)))
        except BadAnswer:
            return
    encoder.feed(decoder.eof())


def test_a_long_stream_of_text_keeps_no_memory() -> None:
    piece = frame({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 1000}})
    reader, decoder, encoder = SSEReader(), FORMAT.stream_decoder(), FORMAT.stream_encoder(STAMP)
    before = 0
    tracemalloc.start()
    for number in range(3000):
        for name, data in reader.feed(piece):
            encoder.feed(decoder.feed(name, data))
        if number == 100:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 64 * 1024


def test_what_must_be_gathered_whole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic_stream, "HELD_BYTES", 100_000)
    decoder = FORMAT.stream_decoder()
    decoder.feed(b"", b'{"type":"content_block_start","index":0,"content_block":{"type":"compaction","content":null}}')
    piece = msgspec.json.encode(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "x" * 1000}}
    )
    for _ in range(90):
        decoder.feed(b"", piece)
    with pytest.raises(BadAnswer, match="too long"):
        decoder.feed(b"", piece + b" " * 10_000)
