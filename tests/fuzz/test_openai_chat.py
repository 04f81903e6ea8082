"""Any bytes: events or a declared failure, never another exception; the same however they are cut; bounded memory."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import STAMP, decode, translate

from omniroute.errors import OmniError
from omniroute.proto.sse import SSEReader
from omniroute.translate.events import Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Target
from omniroute.translate.openai_chat import FORMAT

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STREAMS = sorted(path.read_bytes() for path in GOLDEN.glob("*.openai-chat.stream") if path.name.count(".") == 2)
ANSWERS = sorted(path.read_bytes() for path in GOLDEN.glob("*.openai-chat.answer") if path.name.count(".") == 2)
REQUESTS = sorted(path.read_bytes() for path in GOLDEN.glob("*.openai-chat.request") if path.name.count(".") == 2)
TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[[", b'{"a":', b"\xff", b"\xc3", b"\\ud800"),
    *(b'"index":', b'"delta":', b'"content":', b'"tool_calls":', b'"function":', b'"arguments":', b'"usage":', b'"error":'),
    *(b"data: [DONE]\n\n", b"\n\n", b"data:", b"event: error\n", b"\r\n"),
)


def mutated(body: bytes, chance: random.Random) -> bytes:
    """*body* with some pieces cut out, doubled, swapped or replaced."""
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
    assert [isinstance(e, (Finish, Failure)) for e in events].index(True) == len(events) - 1
    assert sum(isinstance(e, Start) for e in events) == 1
    assert translate(FORMAT, FORMAT, pieces).count(b'"role":"assistant"') == 1
    return events


@pytest.mark.parametrize("seed", range(12))
def test_mutated_streams_give_events_or_a_declared_failure_and_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        body = mutated(chance.choice(STREAMS), chance)
        cut = chance.randrange(len(body) + 1)
        assert declared([body]) == declared([body[:cut], body[cut:]])


@pytest.mark.parametrize("seed", range(6))
def test_mutated_answers_give_events_or_a_declared_failure(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        try:
            events = FORMAT.decode_answer(mutated(chance.choice(ANSWERS), chance))
        except BadAnswer:
            continue
        assert isinstance(events[0], Start)
        assert isinstance(events[-1], (Finish, Failure))


@pytest.mark.parametrize("seed", range(6))
def test_mutated_requests_give_an_ask_or_name_the_field(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        kind = "invalid_request"
        try:
            ask = FORMAT.decode_request(mutated(chance.choice(REQUESTS), chance))
            FORMAT.encode_request(ask, Target("m"))
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


KEYS = st.sampled_from(("index", "id", "name", "url", "text"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ("content", "reasoning", "tool_calls", "function_call", "reasoning_details", "annotations", "images", "audio", "refusal")
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(MEMBERS, JSON, max_size=3), max_size=3), JSON, JSON)
def test_any_json_in_the_known_members_is_survived(deltas: list[object], usage: object, error: object) -> None:
    decoder, encoder = FORMAT.stream_decoder(), FORMAT.stream_encoder(STAMP)
    for delta in deltas:
        chunk = {"choices": [{"index": 0, "delta": delta}], "usage": usage, "error": error}
        try:
            encoder.feed(decoder.feed(b"", msgspec.json.encode(chunk)))
        except BadAnswer:
            return
    encoder.feed(decoder.eof())


def test_a_long_stream_of_text_keeps_no_memory() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 1000 + b'"}}]}\n\n'
    reader, decoder = SSEReader(), FORMAT.stream_decoder()
    tracemalloc.start()
    for number in range(3000):
        for name, data in reader.feed(chunk):
            decoder.feed(name, data)
        if number == 100:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 64 * 1024


def test_what_has_to_wait_is_bounded() -> None:
    decoder = FORMAT.stream_decoder()
    call = {"index": 0, "function": {"name": "f", "arguments": "x" * 2_000_000}}
    chunk = msgspec.json.encode({"choices": [{"delta": {"tool_calls": [call]}}]})
    for _ in range(16):
        decoder.feed(b"", chunk)
    with pytest.raises(BadAnswer):
        decoder.feed(b"", chunk)
