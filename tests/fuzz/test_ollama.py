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
from omniroute.translate.events import Event, Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Target
from omniroute.translate.formats import FORMATS
from omniroute.translate.ollama import FORMAT, GENERATE
from omniroute.translate.ollama_error import encode_error
from omniroute.translate.relay_ollama import OllamaTap, ollama_usage
from omniroute.translate.think import ThinkSplitter

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def goldens(kind: str) -> list[bytes]:
    return sorted(path.read_bytes() for path in GOLDEN.glob(f"*.ollama*.{kind}") if path.name.count(".") == 2)


STREAMS, ANSWERS, REQUESTS = goldens("stream"), goldens("answer"), goldens("request")
TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[[", b'{"a":', b"\xff", b"\xc3", b"\\ud800"),
    *(
        b'"message":',
        b'"content":',
        b'"tool_calls":',
        b'"function":',
        b'"arguments":',
        b'"error":',
        b'"done":true',
        b'"response":',
    ),
    *(b"\n", b"\r\n", b"\n\n", b"<think>", b"</think>", b'"images":', b'"options":', b'"created_at":'),
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
    for target in (FORMAT, GENERATE):
        lines = [msgspec.json.decode(line) for line in translate(FORMAT, target, pieces).splitlines()]
        assert [line.get("done", True) for line in lines].index(True) == len(lines) - 1
    return events


@pytest.mark.parametrize("seed", range(12))
def test_mutated_streams_give_events_or_a_declared_failure_and_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        body = mutated(chance.choice(STREAMS), chance)
        cut = chance.randrange(len(body) + 1)
        assert declared([body]) == declared([body[:cut], body[cut:]])


@pytest.mark.parametrize("seed", range(6))
def test_a_tap_on_a_mutated_stream_passes_it_on_as_it_is_but_for_half_a_line(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        body = mutated(chance.choice(STREAMS), chance)
        cut = chance.randrange(len(body) + 1)
        tap = OllamaTap(lambda failure: encode_error(failure) + b"\n", FORMAT.decode_error)
        out = tap.feed(body[:cut]) + tap.feed(body[cut:]) + tap.eof()
        assert body.startswith(out)
        assert b"\n" not in body[len(out) :]


@pytest.mark.parametrize("seed", range(6))
def test_mutated_answers_give_events_or_a_declared_failure(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        body = mutated(chance.choice(ANSWERS), chance)
        with contextlib.suppress(BadAnswer):
            ollama_usage(body)
        with contextlib.suppress(BadAnswer):
            events = FORMAT.decode_answer(body)
            assert isinstance(events[0], Start)
            assert isinstance(events[-1], (Finish, Failure))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wire", [FORMAT, GENERATE])
def test_mutated_requests_give_an_ask_or_name_the_field(seed: int, wire: object) -> None:
    chance = random.Random(seed)
    read = FORMAT.decode_request if wire is FORMAT else GENERATE.decode_request
    for _ in range(100):
        kind = "invalid_request"
        try:
            ask = read(mutated(chance.choice(REQUESTS), chance))
            for target in FORMATS.values():
                target.encode_request(ask, Target("m", max_output=100))
        except OmniError as error:
            kind = error.kind
        assert kind == "invalid_request"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_an_error_or_a_declared_failure(body: bytes) -> None:
    failure = FORMAT.decode_error(500, body)
    assert failure.message
    assert "error" in msgspec.json.decode(FORMAT.encode_error(failure))
    for read in (lambda: FORMAT.decode_answer(body), lambda: FORMAT.stream_decoder().feed(b"", body)):
        with contextlib.suppress(BadAnswer):
            read()


KEYS = st.sampled_from(("id", "name", "function", "arguments", "content"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)
MEMBERS = st.sampled_from(("content", "thinking", "tool_calls", "images", "role"))
BESIDE = st.sampled_from(
    ("model", "created_at", "done", "done_reason", "error", "logprobs", "eval_count", "response", "image")
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.dictionaries(MEMBERS, JSON, max_size=3), st.dictionaries(BESIDE, JSON, max_size=3)), max_size=3)
)
def test_any_json_in_the_known_members_is_survived(lines: list[tuple[dict[str, object], dict[str, object]]]) -> None:
    decoder, splitter = FORMAT.stream_decoder(), ThinkSplitter()
    encoders = [wire.stream_encoder(STAMP) for wire in FORMATS.values()]
    for message, beside in lines:
        try:
            events = splitter.feed(decoder.feed(b"", msgspec.json.encode({"message": message, **beside})))
        except BadAnswer:
            return
        for encoder in encoders:
            encoder.feed(events)
    for encoder in encoders:
        encoder.feed(splitter.feed(decoder.eof()))


def test_a_long_stream_of_text_keeps_no_memory() -> None:
    line = b'{"model":"m","created_at":"t","message":{"role":"assistant","content":"' + b"x" * 1000 + b'"},"done":false}'
    decoder, encoder, splitter = FORMAT.stream_decoder(), FORMAT.stream_encoder(STAMP), ThinkSplitter()
    tap = OllamaTap(lambda failure: b"", FORMAT.decode_error)
    tracemalloc.start()
    for number in range(3000):
        events: list[Event] = list(decoder.feed(b"", line))
        encoder.feed(splitter.feed(events))
        tap.feed(line + b"\n")
        if number == 100:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 64 * 1024
