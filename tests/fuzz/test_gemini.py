"""Any bytes: events or a declared failure, never another exception; the same however they are cut; bounded memory.

Allowed from what an upstream sent: BadAnswer.  From what a client sent: OmniError of the kind invalid_request.
"""

from __future__ import annotations

import contextlib
import json
import random
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import STAMP, decode, translate

from omniroute.errors import OmniError
from omniroute.proto.sse import SSEReader
from omniroute.translate.events import Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Target
from omniroute.translate.gemini import FORMAT, array_encoder
from omniroute.translate.json_array import JsonArrayReader
from omniroute.translate.schema import reduce

PARTS: list[dict[str, object]] = [
    {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
    {"text": "Grüße 👋"},
    {"functionCall": {"name": "look", "args": {"at": [1, None]}, "id": "c1"}, "thoughtSignature": "c2ln"},
    {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}},
    {"fileData": {"mimeType": "image/png", "fileUri": "https://a.test/i.png"}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"thoughtSignature": "c2ln"},
]
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 1, "totalTokenCount": 9}
GROUNDING = {
    "groundingChunks": [{"web": {"uri": "u"}}],
    "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
}
LOGPROBS = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}


def response(*parts: dict[str, object], **more: object) -> dict[str, object]:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "m", "responseId": "r"}


PAGES = [
    *(response(part) for part in PARTS),
    response(finishReason="STOP", groundingMetadata=GROUNDING, logprobsResult=LOGPROBS),
]
STREAM = b"".join(b"data: " + msgspec.json.encode(page) + b"\r\n\r\n" for page in PAGES)
ARRAY = b"[" + b",\r\n".join(map(msgspec.json.encode, PAGES)) + b"]"
ANSWER = msgspec.json.encode(response(*PARTS, finishReason="STOP", groundingMetadata=GROUNDING))
SCHEMA = {"type": "OBJECT", "properties": {"a": {"anyOf": [{"type": "STRING"}, {"$ref": "#/$defs/A"}]}}, "$defs": {"A": {}}}
REQUEST = msgspec.json.encode(
    {
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, PARTS[3], PARTS[4]]},
            {"role": "model", "parts": PARTS},
            {
                "parts": [
                    {"functionResponse": {"name": "look", "id": "c1", "response": {"output": "x"}, "parts": [PARTS[3]]}}
                ]
            },
        ],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "look", "parameters": SCHEMA}]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 5}, "responseSchema": SCHEMA, "stopSequences": ["x"]},
        "safetySettings": [],
    }
)
TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[[", b'{"a":', b"\xff", b"\xc3", b"\\ud800"),
    *(
        b'"index":',
        b'"parts":',
        b'"text":',
        b'"args":',
        b'"functionCall"',
        b'"candidates":',
        b'"error":',
        b'"finishReason":',
    ),
    *(b"data: [DONE]\n\n", b"\n\n", b"data:", b"\r\n", b'"type":', b'"response"', b"]", b"}"),
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
    assert sum(isinstance(event, Start) for event in events) == 1
    assert isinstance(events[0], Start)
    assert [isinstance(event, (Finish, Failure)) for event in events].index(True) == len(events) - 1
    translate(FORMAT, FORMAT, pieces)
    array = array_encoder(STAMP)
    json.loads((array.feed(events) + array.eof()).decode("utf-8", "surrogatepass"))
    return events


@pytest.mark.parametrize("seed", range(12))
def test_mutated_streams_give_events_or_a_declared_failure_and_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        body = mutated(STREAM, chance)
        cut = chance.randrange(len(body) + 1)
        assert declared([body]) == declared([body[:cut], body[cut:]])


def in_array(pieces: list[bytes]) -> object:
    reader = JsonArrayReader()
    out: list[bytes] = []
    with contextlib.suppress(BadAnswer):
        for piece in pieces:
            out += reader.feed(piece)
        return out, reader.finish()
    return "BadAnswer"


@pytest.mark.parametrize("seed", range(6))
def test_mutated_arrays_are_cut_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        body = mutated(ARRAY, chance)
        cut = chance.randrange(len(body) + 1)
        assert in_array([body]) == in_array([body[:cut], body[cut:]])


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
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash"])
def test_mutated_requests_give_an_ask_or_name_the_field(seed: int, model: str) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        kind = "invalid_request"
        try:
            ask = FORMAT.decode_request(mutated(REQUEST, chance))
            msgspec.json.decode(FORMAT.encode_request(ask, Target(model)).body)
        except OmniError as error:
            kind = error.kind
        assert kind == "invalid_request"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_an_error_or_a_declared_failure(body: bytes) -> None:
    failure = FORMAT.decode_error(500, body)
    assert failure.message
    assert FORMAT.encode_error(failure)
    for read in (lambda: FORMAT.decode_answer(body), lambda: FORMAT.stream_decoder().feed(b"", body)):
        with contextlib.suppress(BadAnswer):
            read()


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "properties", "items", "anyOf", "allOf", "$ref", "enum", "required")), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(ANY_JSON)
def test_any_json_in_place_of_a_schema_is_survived(given: object) -> None:
    assert isinstance(reduce(given).schema, dict)


def test_a_long_stream_of_text_keeps_no_memory() -> None:
    piece = b"data: " + msgspec.json.encode(response({"text": "x" * 1000})) + b"\r\n\r\n"
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
