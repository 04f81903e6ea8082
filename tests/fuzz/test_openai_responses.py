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
from omniroute.translate.events import Failure, Finish, Start
from omniroute.translate.format import BadAnswer, Target
from omniroute.translate.formats import FORMATS, RELAYS

WIRE = "openai-responses"
FORMAT = FORMATS[WIRE]
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STREAMS, ANSWERS, REQUESTS = (
    sorted(path.read_bytes() for path in GOLDEN.glob(f"*.{WIRE}.{kind}") if path.name.count(".") == 2)
    for kind in ("stream", "answer", "request")
)
TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[[", b'{"a":', b"\xff", b"\xc3", b"\\ud800"),
    *(b'"type":', b'"delta":', b'"output_index":', b'"item":', b'"arguments":', b'"usage":', b'"error":', b'"response":'),
    *(b"data: [DONE]\n\n", b"\n\n", b"data:", b"event: error\n", b"\r\n", b"response.output_item.done", b"response.failed"),
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
    """The events of a stream, or the name of the declared failure; what is written of it is a numbered whole."""
    try:
        events = decode(FORMAT, pieces)
    except BadAnswer:
        return "BadAnswer"
    assert isinstance(events[0], Start)
    assert [isinstance(e, (Finish, Failure)) for e in events].index(True) == len(events) - 1
    assert sum(isinstance(e, Start) for e in events) == 1
    written = translate(FORMAT, FORMAT, pieces)
    sent = [msgspec.json.decode(line[6:]) for line in written.split(b"\n") if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    ends = [
        event["type"] for event in sent if event["type"] in ("response.completed", "response.incomplete", "response.failed")
    ]
    assert ends == [sent[-1]["type"]]
    return events


@pytest.mark.parametrize("seed", range(12))
def test_mutated_streams_give_events_or_a_declared_failure_and_the_same_when_split(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        body = mutated(chance.choice(STREAMS), chance)
        cut = chance.randrange(len(body) + 1)
        assert declared([body]) == declared([body[:cut], body[cut:]])


@pytest.mark.parametrize("seed", range(6))
def test_mutated_streams_go_through_the_tap_unchanged_up_to_its_ending(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        body = mutated(chance.choice(STREAMS), chance)
        cut = chance.randrange(len(body) + 1)
        tap = RELAYS[WIRE].tap(lambda failure: FORMAT.stream_encoder(STAMP).fail(failure), False)
        out = tap.feed(body[:cut]) + tap.feed(body[cut:])
        assert body.startswith(out)
        assert tap.eof().startswith(body[len(out) :]) or tap.finished or tap.failure is not None or not tap.torn


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


KINDS = st.sampled_from([f"response.{name}" for name in (
    *("output_item.added", "output_item.done", "content_part.done", "output_text.delta", "refusal.delta", "created"),
    *("function_call_arguments.delta", "custom_tool_call_input.done", "reasoning_summary_text.delta", "completed"),
)])  # fmt: skip
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(("message", "reasoning", "function_call", "custom_tool_call", "web_search_call"))},
    optional={
        "id": st.text(max_size=3),
        "name": st.text(max_size=3),
        "arguments": st.text(max_size=3),
        "summary": st.none(),
    },
)
EVENT = st.fixed_dictionaries(
    {"type": KINDS},
    optional={"output_index": st.integers(0, 2), "item": ITEM, "delta": st.text(max_size=3), "part": ITEM, "response": ITEM},
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT, max_size=12))
def test_any_order_of_events_gives_a_legal_stream(events: list[object]) -> None:
    body = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    declared([body])


def test_a_long_stream_of_text_keeps_no_memory() -> None:
    decoder = FORMAT.stream_decoder()
    decoder.feed(b"", b'{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1"}}')
    delta = b'{"type":"response.output_text.delta","output_index":0,"delta":"' + b"x" * 1000 + b'"}'
    tracemalloc.start()
    for number in range(3000):
        decoder.feed(b"", delta)
        if number == 100:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 64 * 1024


def test_what_has_to_wait_is_bounded() -> None:
    decoder = FORMAT.stream_decoder()
    decoder.feed(b"", b'{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"f"}}')
    delta = b'{"type":"response.output_text.delta","output_index":1,"delta":"' + b"x" * 2_000_000 + b'"}'
    for _ in range(16):
        decoder.feed(b"", delta)
    with pytest.raises(BadAnswer):
        decoder.feed(b"", delta)
