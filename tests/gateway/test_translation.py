from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import ANTHROPIC, CHAT, DONE, WIRES, Wire, chunk, event, events, spelled

from omniroute.gateway import translation as module
from omniroute.gateway.think_tags import thinks_aloud
from omniroute.gateway.translation import Translation, Undecided
from omniroute.proto.sse import SSEReader
from omniroute.translate.events import Failure
from omniroute.translate.format import BadAnswer, Stamp
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.relay import Pipe

STAMP = Stamp("id-1", 1_750_000_000, "up/m")
BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def translation(source: Wire, client: Wire) -> Translation:
    return Translation(SSEReader(), FORMATS[source.name].stream_decoder(), FORMATS[client.name].stream_encoder(STAMP))


def tap(wire: Wire) -> Pipe:
    form = FORMATS[wire.name]
    return RELAYS[wire.name].tap(lambda failure: form.stream_encoder(STAMP).fail(failure), False)


async def test_a_translation_learns_model_usage_and_pieces() -> None:
    pipe = translation(CHAT, ANTHROPIC)
    for piece in CHAT.stream:
        pipe.feed(piece)
    pipe.eof()
    assert pipe.model == "gpt-x"
    assert pipe.usage is not None
    assert (pipe.usage.input, pipe.usage.output, pipe.usage.cache_read) == (21, 5, 16)
    assert pipe.finished
    assert pipe.pieces >= 3


async def test_opening_a_block_is_not_yet_meaningful() -> None:
    pipe = translation(ANTHROPIC, CHAT)
    pipe.feed(b"".join(ANTHROPIC.opening) + event("ping"))
    assert not pipe.meaningful
    pipe.feed(ANTHROPIC.first)
    assert pipe.meaningful


async def test_events_before_an_unreadable_one_are_not_lost() -> None:
    pipe = translation(CHAT, ANTHROPIC)
    with pytest.raises(BadAnswer):
        pipe.feed(b"".join([*CHAT.opening, CHAT.first]) + b"data: {oops\n\n")
    out = pipe.fail(Failure(502, "unreadable"))
    assert ANTHROPIC.text(out, True) == "Good "
    assert ANTHROPIC.errors(out)[0]["message"] == "unreadable"


def _deltas(wire: Wire, texts: list[str]) -> list[bytes]:
    if wire is CHAT:
        return [chunk({"content": text}) for text in texts]
    start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    deltas = [event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts]
    return [start, *deltas, event("content_block_stop", index=0)]


@BOTH
@pytest.mark.parametrize("client", FORMATS)
@given(
    texts=st.lists(st.sampled_from(["a", "", ",", '","', "tok ", "<think>", "</think>", "text", "\u00fc\n"]), max_size=12),
    odd=st.none() | st.tuples(st.integers(0, 12), st.sampled_from([b"data: {oops\n\n", b": hi\n\n", b"data: {}\n\n"])),
)
def test_one_read_means_what_its_events_mean_one_by_one(
    wire: Wire, client: str, texts: list[str], odd: tuple[int, bytes] | None
) -> None:
    said = _deltas(wire, texts)
    if odd is not None:
        said.insert(*odd)

    def play(pieces: list[bytes]) -> tuple[Any, ...]:
        form = FORMATS[client]
        pipe = Translation(SSEReader(), FORMATS[wire.name].stream_decoder(), form.stream_encoder(STAMP))
        out = pipe.feed(b"".join(wire.opening[:1]))
        try:
            for piece in pieces:
                out += pipe.feed(piece)
            out += pipe.eof()
        except BadAnswer as error:
            out += pipe.fail(Failure(502, str(error)))
        return spelled(out), pipe.pieces, pipe.usage, pipe.model, pipe.meaningful, pipe.finished, pipe.failure

    assert play([b"".join(said)]) == play(said)


async def test_an_event_beyond_all_measure_is_a_bad_answer() -> None:
    pipe = translation(CHAT, ANTHROPIC)
    line = b"data: " + b"x" * 65_536
    with pytest.raises(BadAnswer):
        b"".join(pipe.feed(line) for _ in range(10_000))


@pytest.mark.parametrize("client", FORMATS)
def test_an_answer_that_is_nothing_but_a_bad_ending_is_a_failure_before_anything_is_sent(client: str) -> None:
    pipe = Translation(SSEReader(), FORMATS["gemini"].stream_decoder(), FORMATS[client].stream_encoder(STAMP))
    candidate = {"content": {"role": "model"}, "finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}
    pipe.feed(b"data: " + json.dumps({"candidates": [candidate]}).encode() + b"\n\n")
    pipe.eof()
    assert not pipe.meaningful
    assert pipe.failure is not None
    assert (pipe.failure.status, pipe.failure.slip) == (502, True)
    assert "MALFORMED_FUNCTION_CALL" in pipe.failure.message


# -- thinking in tags on the same wire


def undecided() -> Undecided:
    return Undecided(tap(CHAT), thinks_aloud, lambda: translation(CHAT, CHAT))


def said(*texts: str) -> list[bytes]:
    """A chat stream of these pieces."""
    pieces = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts)]
    return [*pieces, chunk({}, "stop"), DONE]


def through(pipe: Pipe, pieces: list[bytes]) -> bytes:
    return b"".join([*map(pipe.feed, pieces), pipe.eof()])


TAGGED = [
    ("<think>", "why", "</think>", "so"),
    ("<", "think>why</think>so"),
    ("<think>why</think>so",),
    ("<thought>why", "</thought>so"),
    *(("<thought>"[:at], "<thought>"[at:] + "why</thought>so") for at in range(1, 9)),
]


@pytest.mark.parametrize("texts", TAGGED)
def test_thinking_in_tags_moves_to_its_own_member(texts: tuple[str, ...]) -> None:
    pipe = undecided()
    out = through(pipe, said(*texts))
    assert not re.search(rb"think>|thought>", out)
    chunks = [json.loads(data) for _, data in events(out) if data != "[DONE]"]
    deltas = [one["choices"][0]["delta"] for one in chunks if one["choices"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "why"
    assert "".join(delta.get("content") or "" for delta in deltas) == "so"
    assert pipe.finished


def test_what_google_puts_beside_a_call_stays_there_though_thinking_in_tags_moves() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}} | extra
    marked = {"content": "<thought>why", "extra_content": {"google": {"thought": True}}}
    pieces = [chunk(marked), chunk({"content": "</thought>", "tool_calls": [call]}), chunk({}, "stop"), DONE]
    out = through(undecided(), pieces)
    deltas = [json.loads(data)["choices"][0]["delta"] for _, data in events(out) if data != "[DONE]"]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "why"
    assert not any(delta.get("content") for delta in deltas)
    (first, *_) = (one for delta in deltas for one in delta.get("tool_calls", ()))
    assert first["extra_content"] == extra["extra_content"]


@pytest.mark.parametrize("texts", [("so <think>", "x"), ("<table>",), ("",), ()])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_other_stream_stays_as_it_is(texts: tuple[str, ...], size: int) -> None:
    raw = b"".join(said(*texts))
    cut = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert through(undecided(), cut) == raw


def test_an_error_before_the_first_text_is_reported_by_the_tap() -> None:
    pipe = undecided()
    assert b'"message":"late"' in pipe.fail(Failure(502, "late")).replace(b": ", b":")
    pipe = undecided()
    out = pipe.feed(b'data: {"error": {"message": "no", "type": "x"}}\n\n')
    assert pipe.failure is not None
    assert out


# -- reads that are one event of text


SAME_TEXTS = st.sampled_from(["a", "tok", '"', "\\", "\u00fc\n", "", "<think>", "data: {}"])


CHAT_EVENTS = st.one_of(
    st.builds(lambda text: chunk({"content": text}), SAME_TEXTS),
    st.builds(lambda text: chunk({"content": text}), SAME_TEXTS),
    st.builds(lambda text: chunk({"reasoning_content": text}), SAME_TEXTS),
    st.builds(lambda text: chunk({"content": text}, finish_reason="stop"), SAME_TEXTS),
    st.just(chunk({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]})),
    st.just(chunk({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": 2})),
    st.sampled_from([b": ping\n\n", b"event: x\n", DONE, b'data: {"error":{"message":"no"}}\n\n']),
)


ANTHROPIC_EVENTS = st.one_of(
    st.builds(lambda text, at: delta(at, "text", text), SAME_TEXTS, st.integers(0, 1)),
    st.builds(lambda text: delta(0, "text", text), SAME_TEXTS),
    st.builds(lambda text: delta(0, "thinking", text), SAME_TEXTS),
    st.builds(lambda kind, at: opened(at, kind), st.sampled_from(["text", "thinking"]), st.integers(0, 1)),
    st.builds(lambda at: event("content_block_stop", index=at), st.integers(0, 1)),
    st.sampled_from([event("ping"), b"event: x\n", event("message_stop"), event("error", error={"message": "no"})]),
)


def delta(index: int, kind: str, text: str) -> bytes:
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", kind: text})


def opened(index: int, kind: str) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, kind: ""})


@pytest.mark.parametrize(
    ("wire", "kinds"),
    [(CHAT, CHAT_EVENTS), (ANTHROPIC, st.one_of(st.just(delta(0, "text", "tok")), ANTHROPIC_EVENTS))],
    ids=["chat", "anthropic"],
)
@pytest.mark.parametrize("client", FORMATS)
@given(data=st.data())
def test_a_read_that_is_only_a_text_is_translated_as_if_it_were_decoded(
    wire: Wire, kinds: st.SearchStrategy[bytes], client: str, data: st.DataObject
) -> None:
    reads = [*wire.opening, *data.draw(st.lists(kinds | st.just(wire.first) | st.just(wire.first * 3), max_size=12))]
    ends: list[object] = []
    for frames in (module._FRAMES, 0):
        pipe = Translation(SSEReader(), FORMATS[wire.name].stream_decoder(), FORMATS[client].stream_encoder(STAMP))
        pipe._frames = frames
        out: list[object] = []
        try:
            out += (spelled(pipe.feed(read)) for read in reads)
            out.append(spelled(pipe.eof()))
        except BadAnswer as error:
            out.append(str(error))
        ends.append((out, pipe.pieces, pipe.usage, pipe.finished, pipe.ended, pipe.failure, pipe.meaningful))
    assert ends[0] == ends[1]


def test_a_stream_whose_events_all_differ_is_soon_decoded_without_looking_for_the_same() -> None:
    pipe = translation(ANTHROPIC, CHAT)
    for piece in (*ANTHROPIC.opening, ANTHROPIC.first):
        pipe.feed(piece)
    for number in range(20):
        pipe.feed(event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}, padding=number))
    assert pipe._frames == 0


def test_looking_for_the_same_goes_on_as_long_as_it_is_of_use() -> None:
    pipe = translation(CHAT, ANTHROPIC)
    for _ in range(20):
        for text in ("a", "b", "c"):
            pipe.feed(chunk({"content": text}))
        pipe.feed(b": ping\n\n")
    assert pipe._frames == module._FRAMES
