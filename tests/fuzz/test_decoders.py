"""Every decoder of every wire: nearly right bytes give something, or a declared failure, and the same however they are cut.

For the long run of one decoder: ``pytest tests/fuzz/test_decoders.py --fuzz-minutes 10 -k "stream and gemini"``.
"""

from __future__ import annotations

import contextlib
import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import TOKENS, cut, golden, misshapen, mutated, shuffled
from playbook import STAMP, decode, reader_of
from rich_bodies import GEMINI_ARRAY

from omniroute.errors import OmniError
from omniroute.proto.sse import EventTooLarge
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask
from omniroute.translate.events import Event, Failure, Finish, Start, TextDelta
from omniroute.translate.format import BadAnswer, Format, Target
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.gemini import array_encoder
from omniroute.translate.json_array import JsonArrayReader
from omniroute.translate.jsonio import mended
from omniroute.translate.peek import peek
from omniroute.translate.schema import reduce

WIRES = [pytest.param(form, id=name) for name, form in FORMATS.items()]
ANSWERING = [pytest.param(form, id=name) for name, form in FORMATS.items() if name != "ollama-generate"]
PATIENT = msgspec.json.Decoder(float_hook=float)
MODELS = ("m", "claude-sonnet-4-5", "gemini-2.5-flash", "gemini-3-pro", "gpt-5")


def nearly(wire: Format, kind: str, chance: random.Random) -> bytes:
    """A golden body with wrong bytes in it, or with right JSON of a wrong shape."""
    bodies = golden(wire.name, kind)
    if chance.random() < 0.5:
        return mutated(bodies, chance)
    if kind == "stream":
        return _misshapen_stream(wire, chance.choice(bodies), chance)
    body = chance.choice(bodies)
    with contextlib.suppress(msgspec.DecodeError):  # a web page in place of an error
        body = msgspec.json.encode(misshapen(read_json(body), chance))
    return body


def _misshapen_stream(wire: Format, body: bytes, chance: random.Random) -> bytes:
    reader = reader_of(wire)
    out: list[bytes] = []
    sse = wire.framing == "sse"
    for name, data in shuffled([*reader.feed(body), *reader.finish()], chance):
        with contextlib.suppress(msgspec.DecodeError):  # an end mark
            data = msgspec.json.encode(misshapen(read_json(data), chance))
        out += (b"event: " * bool(name), name, b"\n" * bool(name), b"data: ", data, b"\n\n") if sse else (data, b"\n")
    return b"".join(out)


def read_json(data: bytes) -> Any:
    """JSON as patient clients read it: what only travels may hold a number beyond measure or half of a surrogate pair."""
    return PATIENT.decode(mended(data) or data)


@pytest.mark.parametrize("wire", WIRES)
def test_requests_give_an_ask_or_blame_the_client(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = nearly(wire, "request", chance)
        kind, ask = "invalid_request", None
        try:
            peek(body, RELAYS[wire.name].members)
            ask = wire.decode_request(body)
        except OmniError as error:
            kind = error.kind
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert kind == "invalid_request", f"seed {seed}"
        if ask is not None:
            _ask_everybody(ask, seed, chance)


def _ask_everybody(ask: Ask, seed: int, chance: random.Random) -> None:
    for target in FORMATS.values():
        if target.name == "ollama-generate":
            continue
        kind = "invalid_request"
        try:
            read_json(target.encode_request(ask, Target(chance.choice(MODELS), max_output=100)).body)
        except OmniError as error:
            kind = error.kind
        except Exception as error:
            raise AssertionError(f"seed {seed} for {target.name}") from error
        assert kind == "invalid_request", f"seed {seed} for {target.name}"


def _datas(written: bytes) -> list[Any]:
    return [read_json(line[6:]) for line in written.split(b"\n") if line.startswith(b"data: {")]


def _anthropic(written: bytes) -> None:
    assert written.count(b"event: message_stop") + written.count(b"event: error") == 1


def _chat(written: bytes) -> None:
    _datas(written)
    assert written.count(b'"delta":{"role":"assistant"') == 1


def _responses(written: bytes) -> None:
    sent = _datas(written)
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    ends = ("response.completed", "response.incomplete", "response.failed")
    assert [event["type"] for event in sent if event["type"] in ends] == [sent[-1]["type"]]


def _ollama(written: bytes) -> None:
    lines = [read_json(line) for line in written.splitlines()]
    assert [line.get("done", True) for line in lines].index(True) == len(lines) - 1


LEGAL: dict[str, Callable[[bytes], object]] = {  # what a stream as written must look like
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _datas,
    "ollama": _ollama,
    "ollama-generate": _ollama,
}


def _checked(events: list[Event], seed: int) -> None:
    """The sequence that every decoder promises, and which every encoder takes."""
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds.count(Start)) == (Start, 1), f"seed {seed}"
    assert kinds[-1] in (Finish, Failure), f"seed {seed}"
    assert sum(kind in (Finish, Failure) for kind in kinds) == 1, f"seed {seed}"
    answer = collect(events)
    for target in FORMATS.values():
        try:
            encoder = target.stream_encoder(STAMP)
            LEGAL[target.name](encoder.feed(events) + encoder.eof())
            if answer.failure is None:
                target.encode_answer(answer, STAMP)
        except Exception as error:
            raise AssertionError(f"seed {seed} for {target.name}") from error
    array = array_encoder(STAMP)
    read_json(array.feed(events) + array.eof())


@pytest.mark.parametrize("wire", ANSWERING)
def test_whole_answers_give_events_or_a_declared_failure(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        body = nearly(wire, "answer", random.Random(seed))
        try:
            with contextlib.suppress(BadAnswer):
                RELAYS[wire.name].usage(body)
            events = wire.decode_answer(body)
        except BadAnswer:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        _checked(events, seed)


def _read(wire: Format, pieces: list[bytes], seed: int) -> list[Event] | None:
    try:
        return decode(wire, pieces)
    except (BadAnswer, EventTooLarge):
        return None
    except Exception as error:
        raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("wire", ANSWERING)
def test_streams_give_the_same_events_or_a_declared_failure_however_they_are_cut(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = nearly(wire, "stream", chance)
        events = _read(wire, [body], seed)
        assert _read(wire, cut(body, chance), seed) == events, f"seed {seed}"
        if events is not None:
            _checked(events, seed)


@pytest.mark.parametrize("wire", ANSWERING)
def test_error_bodies_always_say_something(wire: Format, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = nearly(wire, "error", chance)
        try:
            failure = wire.decode_error(chance.choice((0, 400, 429, 500, 529)), body)
            for target in FORMATS.values():
                target.encode_error(failure)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert failure.message, f"seed {seed}"
        assert 400 <= failure.status < 600, f"seed {seed}"


@pytest.mark.parametrize("wire", ANSWERING)
@settings(max_examples=60)
@given(body=st.lists(st.sampled_from(TOKENS[:-2]) | st.binary(max_size=50), max_size=20).map(b"".join))
def test_any_bytes_are_an_answer_an_error_or_a_declared_failure(wire: Format, body: bytes) -> None:
    failure = wire.decode_error(500, body)
    assert failure.message
    assert wire.encode_error(failure)
    for read in (lambda: wire.decode_answer(body), lambda: wire.stream_decoder().feed(b"", body)):
        with contextlib.suppress(BadAnswer):
            read()


def test_any_json_in_place_of_a_schema_is_survived(seeds: Iterator[int]) -> None:
    known = read_json(golden("gemini", "request")[-1])["tools"][0]["functionDeclarations"][0]["parameters"]
    for seed in seeds:
        assert isinstance(reduce(misshapen(known, random.Random(seed))).schema, dict), f"seed {seed}"


def _in_array(pieces: list[bytes]) -> object:
    reader = JsonArrayReader()
    try:
        return [item for piece in pieces for item in reader.feed(piece)], reader.finish()
    except BadAnswer:
        return "BadAnswer"


def test_mutated_arrays_are_cut_the_same_however_they_come(seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = mutated((GEMINI_ARRAY,), chance)
        assert _in_array([body]) == _in_array(cut(body, chance)), f"seed {seed}"


# -- memory


@pytest.mark.parametrize("wire", ANSWERING)
def test_a_long_stream_of_text_keeps_no_memory(wire: Format) -> None:
    writer, reader, decoder = wire.stream_encoder(STAMP), reader_of(wire), wire.stream_decoder()
    encoders = [target.stream_encoder(STAMP) for target in FORMATS.values() if target.name != "openai-responses"]
    stream = [writer.feed([TextDelta("x" * 1000)]) for _ in range(400)]
    before = 0
    tracemalloc.start()
    for number, piece in enumerate(stream):
        for name, data in reader.feed(piece):
            events = decoder.feed(name, data)
            for encoder in encoders:
                encoder.feed(events)
        if number == 100:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 64 * 1024


X = b"x" * 2_000_000
WAITING = {  # wire -> what opens something that must be gathered whole, and what it is gathered of
    "openai-chat": (b"{}", b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"%b"}}]}}]}'),
    "openai-responses": (
        b'{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"f"}}',
        b'{"type":"response.output_text.delta","output_index":1,"delta":"%b"}',
    ),
    "anthropic": (
        b'{"type":"content_block_start","index":0,"content_block":{"type":"compaction","content":null}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"%b"}}',
    ),
}


@pytest.mark.parametrize("wire", WAITING)
def test_what_has_to_wait_is_bounded(wire: str) -> None:
    decoder = FORMATS[wire].stream_decoder()
    opening, piece = WAITING[wire]
    piece %= X
    decoder.feed(b"", opening)
    for _ in range(16):
        decoder.feed(b"", piece)
    with pytest.raises(BadAnswer):
        decoder.feed(b"", piece)
