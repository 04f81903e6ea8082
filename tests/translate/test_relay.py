from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import cuts
from wires import (
    ANTHROPIC,
    CHAT,
    CHAT_USAGE,
    DONE,
    MESSAGE_END,
    MESSAGE_START,
    TEXT_BLOCK,
    THINKING_BLOCK,
    WIRES,
    Wire,
    chunk,
    event,
    play,
    sse,
    tap,
)

from omniroute.translate import relay
from omniroute.translate.events import Failure, Usage
from omniroute.translate.format import BadAnswer, Stamp
from omniroute.translate.formats import RELAYS
from omniroute.translate.relay import HELD_BYTES, boundary_before, data_of, events_of, first_of
from omniroute.translate.relay_anthropic import anthropic_usage
from omniroute.translate.relay_openai_chat import chat_usage

STAMP = Stamp("id", 0, "m")
BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


@BOTH
def test_what_goes_in_comes_out_however_it_is_cut(wire: Wire) -> None:
    body = b"".join(wire.stream)
    for pieces in cuts(body, samples=60):
        pipe = tap(wire)
        assert play(pipe, *pieces) == body
        assert (pipe.finished, pipe.failure, pipe.model[-2:]) == (True, None, "-x")
        assert pipe.usage is not None
        assert (pipe.usage.input, pipe.usage.output, pipe.usage.cache_read) == (21, 5, 16)


@BOTH
def test_other_framings_pass_too(wire: Wire) -> None:
    body = b"".join(wire.stream)
    for framed in (
        body.replace(b"\n", b"\r\n"),
        body.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + body,
        b": hello\n\n" + body,
        body[:-2],
    ):
        for pieces in ([framed], [framed[i : i + 1] for i in range(len(framed))]):
            pipe = tap(wire)
            assert play(pipe, *pieces) == framed
            assert pipe.finished


@BOTH
def test_only_whole_events_pass(wire: Wire) -> None:
    pipe = tap(wire)
    assert pipe.feed(wire.stream[0][:-1]) == b""
    assert pipe.feed(b"\n") == wire.stream[0]


@BOTH
def test_when_something_was_said(wire: Wire) -> None:
    pipe = tap(wire)
    for piece in (*wire.opening, b": comment\n\n"):
        pipe.feed(piece)
        assert not pipe.meaningful
    pipe.feed(wire.first)
    assert pipe.meaningful


def test_an_event_too_large_to_hold_goes_through_in_parts_and_is_called_torn() -> None:
    pipe = tap(CHAT)
    large = chunk({"content": "x" * (2 * HELD_BYTES)})
    out = pipe.feed(large[: HELD_BYTES + 100])
    assert out == large[: HELD_BYTES + 100]
    assert pipe.torn
    assert pipe.fail(Failure(502, "cut")).startswith(b"\n\ndata: ")
    assert out + pipe.feed(large[HELD_BYTES + 100 :]) == large
    assert not pipe.torn


def test_usage_before_a_long_last_event_is_found_too() -> None:
    usage = chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 4})
    stream = CHAT.first + chunk({}, finish="stop") + usage + chunk(None, moderation="x" * 5000) + b"data: [DONE]\n\n"
    pipe = tap(CHAT)
    assert play(pipe, CHAT.first, stream.removeprefix(CHAT.first)) == stream
    assert pipe.usage == Usage(input=3, output=4)


@pytest.mark.parametrize("size", [1 << 14, 1 << 16, (1 << 16) + 1])
def test_an_event_that_went_through_in_parts_is_read_once_it_is_whole(size: int) -> None:
    long = chunk({"content": "x" * (3 * HELD_BYTES)}, finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 4})
    stream = CHAT.first + long + b"data: [DONE]\n\n"
    pipe = tap(CHAT)
    assert play(pipe, *(stream[at : at + size] for at in range(0, len(stream), size))) == stream
    assert (pipe.finished, pipe.torn) == (True, False)
    assert pipe.usage == Usage(input=3, output=4)


def test_a_boundary_that_is_cut_after_a_torn_event_still_ends_it() -> None:
    pipe = tap(CHAT)
    event = chunk({"content": "x" * HELD_BYTES})
    assert pipe.feed(event[:-1]) == event[:-2]
    assert pipe.torn
    assert pipe.feed(b"\n" + CHAT.first) == b"\n\n" + CHAT.first
    assert (pipe.torn, pipe.meaningful) == (False, True)


def test_an_event_larger_than_can_be_read_goes_through_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "READ_BYTES", 2 * HELD_BYTES)
    pipe = tap(CHAT)
    stream = chunk({"content": "x" * (4 * HELD_BYTES)}, finish="stop")
    assert play(pipe, *(stream[at : at + 50_000] for at in range(0, len(stream), 50_000))) == stream
    assert not pipe.finished
    assert pipe.feed(chunk({}, finish="stop")) == chunk({}, finish="stop")
    assert pipe.finished


def test_what_was_held_back_goes_before_an_event_that_is_torn() -> None:
    pipe = tap(ANTHROPIC)
    *blocks, stop = THINKING_BLOCK
    for piece in (MESSAGE_START, *blocks):
        pipe.feed(piece)
    assert pipe.feed(stop) == b""
    start = event("content_block_start", index=1, content_block={"type": "x", "data": "y" * HELD_BYTES})
    assert pipe.feed(start[:-5]) + pipe.feed(start[-5:]) == stop + start


@BOTH
def test_half_an_event_at_the_end_is_not_passed_on(wire: Wire) -> None:
    pipe = tap(wire)
    out = play(pipe, *wire.opening, wire.first, wire.first[:-10])
    assert out == b"".join([*wire.opening, wire.first])
    assert not pipe.finished


def test_a_whole_event_without_its_blank_line_is() -> None:
    pipe = tap(CHAT)
    assert play(pipe, CHAT.first, CHAT.first[:-2]) == CHAT.first + CHAT.first[:-2]
    assert pipe.fail(Failure(502, "cut")).startswith(b"\n\n")


@BOTH
def test_after_the_end_there_is_no_error_any_more(wire: Wire) -> None:
    pipe = tap(wire)
    for piece in wire.stream:
        pipe.feed(piece)
    assert pipe.fail(Failure(502, "late")) == b""


@BOTH
def test_an_error_in_the_stream_is_noted_and_passed_on(wire: Wire) -> None:
    pipe = tap(wire)
    assert pipe.feed(wire.error_event) == wire.error_event
    assert pipe.failure is not None
    assert pipe.failure.message == "Overloaded, try later"
    assert not pipe.meaningful


# -- whole answers


@pytest.mark.parametrize("read", [chat_usage, anthropic_usage])
@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_no_answer(read: object, body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(body)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama"])
def test_half_an_emoji_does_not_stop_an_answer(name: str) -> None:
    """JavaScript cuts texts between the halves of a surrogate pair, and writes the half as an escape."""
    body = b'{"model": "m", "modelVersion": "m", "text": "' + rb"\ud83d" + b'"}'
    assert RELAYS[name].usage(body)[0] == "m"


@pytest.mark.parametrize("read", [chat_usage, anthropic_usage])
def test_odd_members_do_not_stop_an_answer(read: object) -> None:
    assert read(b'{"model": 5, "usage": "many"}') == ("", None)  # type: ignore[operator]


# -- pieces


@pytest.mark.parametrize("at_once", [1, 3, 40])
def test_pieces_are_about_as_many_as_the_events(at_once: int) -> None:
    said = [sse(json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": f"tok-{n} "}}]})) for n in range(400)]
    pipe = tap(CHAT)
    for start in range(0, len(said), at_once):
        pipe.feed(b"".join(said[start : start + at_once]))
    assert pipe.pieces == pytest.approx(400, rel=0.05)


def test_comments_and_other_line_ends_are_one_piece_a_read() -> None:
    pipe = tap(CHAT)
    pipe.feed(b": ping\n\n" * 50)
    pipe.feed(b"data: {}\r\n\r\n" * 50)
    assert pipe.pieces == 2


def test_the_data_of_an_event() -> None:
    assert data_of(b"event: x\ndata: a\ndata:b\n\n") == b"a\nb"
    assert data_of(b"data: a\r\n\r\n") == b"a"
    assert data_of(b'{"error": {\n"message": "x"}}\n\n') == b'{"error": {\n"message": "x"}}\n\n'
    assert data_of(b'{"type": "error", "error": {}}') == b'{"type": "error", "error": {}}'
    assert data_of(b'{"id": "x", "choices": []}\n\n') == b"", "an answer, but a client of a stream cannot read it"
    assert data_of(b": comment\n\n") == b""


def test_events_are_cut_at_blank_lines_of_any_kind() -> None:
    blob = b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d"
    assert [data for _, data in events_of(blob)] == [b"a", b"b", b"c", b"d"]
    assert b"".join(raw for raw, _ in events_of(blob)) == blob


def test_the_boundary_before_a_place() -> None:
    blob = sse("a") + sse("b")
    assert boundary_before(blob, len(blob) - 3) == len(sse("a"))
    assert boundary_before(blob, 3) == 0
    crlf = blob.replace(b"\n", b"\r\n")
    assert boundary_before(crlf, len(crlf) - 5) == len(sse("a").replace(b"\n", b"\r\n"))


def test_the_first_of_some_words_is_found_from_further_and_further_on() -> None:
    class Counted(bytes):
        searched = 0

        def find(self, word: bytes, start: int = 0) -> int:  # type: ignore[override]
            at = super().find(word, start)
            Counted.searched += (at if at >= 0 else len(self)) - start
            return at

    blob, places, found = Counted(b"a.b." * 500), [-1] * 3, list[int]()
    while (at := first_of((b"a", b"b", b"never"), blob, found[-1] + 1 if found else 0, places)) < len(blob):
        found.append(at)
    assert found == [*range(0, 2000, 2)]
    assert Counted.searched <= 3 * len(blob)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_read_full_of_small_telling_events_takes_time_in_proportion(line_end: bytes) -> None:
    events = ANTHROPIC.first + 2000 * (sse({"type": "content_block_stop"}) + sse({"type": "content_block_delta"}))
    blob = events.replace(b"\n", line_end)
    assert tap(ANTHROPIC).feed(blob) == blob


def said(kind: str, text: str, index: int) -> bytes:
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", kind: text})


SAID = st.sampled_from(["a", "tok", '"', "\\", "\u00fc\n", "", '"usage":{', "[DONE]"])
CHAT_EVENTS = st.one_of(
    st.builds(lambda text: chunk({"content": text}), SAID),
    st.builds(lambda text: chunk({"reasoning": text}), SAID),
    st.builds(lambda text: chunk({"content": text}, finish_reason="stop"), SAID),
    st.sampled_from(
        [b": ping\n\n", b"event: x\n", DONE, chunk({"content": "x"}, usage=CHAT_USAGE), chunk({"content": "x"})[:-9]]
    ),
    st.sampled_from([b'data: {"error":{"message":"no"}}\n\n', chunk({"content": "a"}) * 2, chunk({"content": "b"})[:-1]]),
)


ANTHROPIC_EVENTS = st.one_of(
    st.builds(lambda text: said("text", text, 0), SAID),
    st.builds(said, st.sampled_from(["text", "thinking"]), SAID, st.integers(0, 1)),
    st.sampled_from([*THINKING_BLOCK, *TEXT_BLOCK, *MESSAGE_END, event("ping"), b"event: x\n", b": ping\n\n"]),
    st.sampled_from([event("error", error={"type": "x", "message": "no"}), said("text", "a", 0) * 2]),
)


@pytest.mark.parametrize(("wire", "kinds"), [(CHAT, CHAT_EVENTS), (ANTHROPIC, ANTHROPIC_EVENTS)], ids=["chat", "anthropic"])
@given(data=st.data())
def test_a_read_that_differs_in_its_text_alone_passes_as_if_it_were_looked_at(
    wire: Wire, kinds: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    reads = data.draw(st.lists(kinds, max_size=14))
    seen: list[object] = []
    for frames in (relay._FRAMES, 0):
        pipe = tap(wire)
        assert isinstance(pipe, relay.Tap)
        pipe._frames = frames
        watched: list[bytes] = []
        pipe.watch = watched.append
        out = [pipe.feed(read) for read in (*wire.opening, wire.first, *reads)]
        learned = pipe.usage, pipe.model, pipe.meaningful, pipe.finished, pipe.ended, pipe.failure, pipe.pieces, pipe.torn
        seen.append((out, pipe.eof(), learned, watched))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("wire", "texts"),
    [(CHAT, [chunk({"content": text}) for text in ("a", "b")]), (ANTHROPIC, [said("text", text, 0) for text in ("a", "b")])],
    ids=["chat", "anthropic"],
)
def test_the_usual_read_is_not_searched(wire: Wire, texts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tap(wire)
    for piece in (*wire.opening, wire.first, texts[0]):
        pipe.feed(piece)
    monkeypatch.setattr(type(pipe), "_look", None)
    assert pipe.feed(texts[1]) == texts[1]
