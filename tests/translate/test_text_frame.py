from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.translate import openai_chat_stream
from omniroute.translate.events import Event
from omniroute.translate.format import BadAnswer
from omniroute.translate.jsonio import encode
from omniroute.translate.openai_chat_stream import ChatDecoder
from omniroute.translate.text_frame import escape, frame_of, framed, unescape

MEMBER = b'"content":'


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}], **more})


def test_a_chunk_with_another_text_is_known_by_what_stands_around_it() -> None:
    frame = frame_of(chunk({"content": "one"}), MEMBER, "one")
    assert frame is not None
    assert frame.text(chunk({"content": 'two "\u00fc" \n \U0001f600'})) == 'two "\u00fc" \n \U0001f600'
    assert frame.text(chunk({"content": "one"}).replace(b'"one"', rb'"\u00fc\ud83d\ude00"')) == "\u00fc\U0001f600"


@pytest.mark.parametrize(
    "other",
    [
        chunk({"content": "two"}, usage={}),
        chunk({"content": "two", "role": "assistant"}),
        chunk({"content": ""}),
        chunk({"content": None}),
        chunk({"content": ["two"]}),
        chunk({"content": "one"}).replace(b'"one"', b'"two","x":"three"'),
        chunk({"content": "one"}).replace(b'"one"', b'"tw\no"'),
        chunk({"content": "one"}).replace(b'"one"', b'"\xff"'),
        chunk({"content": "one"}).replace(b'"one"', rb'"\x"'),
        chunk({"content": "one"}).replace(b'"one"', b'"'),
        chunk({"content": "one"})[:-20],
        b"",
    ],
)
def test_other_data_does_not_fit_the_frame(other: bytes) -> None:
    frame = frame_of(chunk({"content": "one"}), MEMBER, "one")
    assert frame is not None
    assert frame.text(other) == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (chunk({"content": "c"}), "c"),  # the id says the same
        (chunk({"content": "one"}, extra={"content": "two"}), "one"),
        (chunk({"content": "one"}).replace(b'"one"', rb'"\u006fne"'), "one"),
        (chunk({"content": "one"}), "two"),
        (chunk({"text": "one"}), "one"),
        (b'"one"', "one"),
    ],
)
def test_a_text_that_cannot_be_found_for_certain_has_no_frame(data: bytes, text: str) -> None:
    assert frame_of(data, MEMBER, text) is None


def play(decoder: ChatDecoder, chunks: list[bytes]) -> list[Event] | str:
    out: list[Event] = []
    try:
        for data in chunks:
            out += decoder.feed(b"", data)
    except BadAnswer as error:
        return str(error)
    return [*out, *decoder.eof()]


TEXTS = st.sampled_from(["a", "c", "", "tok ", '"', "\u00fc", "content", '"content":"x"'])
DELTAS = st.fixed_dictionaries({}, optional={
    "content": TEXTS | st.none(), "role": st.just("assistant"), "refusal": TEXTS, "reasoning_content": TEXTS,
    "tool_calls": st.just([{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]),
})  # fmt: skip
MORE = st.fixed_dictionaries(
    {}, optional={"usage": st.just({"prompt_tokens": 1}), "x": TEXTS, "error": st.just({"message": "no"})}
)
CHUNKS = st.builds(lambda delta, more: chunk(delta, **more), DELTAS, MORE)


@given(chunks=st.lists(CHUNKS, max_size=12), spoil=st.integers(0, 200))
def test_a_stream_is_decoded_as_if_each_chunk_were_read(chunks: list[bytes], spoil: int) -> None:
    if chunks and spoil < len(chunks[-1]):
        chunks[-1] = chunks[-1][:spoil] + b"x" + chunks[-1][spoil:]
    whole = ChatDecoder()
    whole._frames = 0  # never looks for a frame
    assert play(ChatDecoder(), chunks) == play(whole, chunks)


def test_a_stream_whose_chunks_all_differ_stops_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []
    monkeypatch.setattr(openai_chat_stream, "frame_of", lambda data, member, text: looked.append(data))
    decoder = ChatDecoder()
    for number in range(20):
        decoder.feed(b"", chunk({"content": "a", "role": "assistant"}, obfuscation=str(number)))
    assert len(looked) == openai_chat_stream._FRAMES


# -- many at once


def sse(*chunks: bytes, name: bytes = b"") -> bytes:
    return b"".join([(b"event: %b\n" % name if name else b"") + b"data: %b\n\n" % data for data in chunks])


HARD = st.sampled_from('a,"\\ \n\x7fn0\u00fc\U0001f600') | st.characters(exclude_categories=["Cs"])
HARD_TEXTS = st.text(HARD, min_size=1)
DATA_FRAME = frame_of(chunk({"content": "one"}), MEMBER, "one")
assert DATA_FRAME is not None
FRAME = DATA_FRAME.of_event(b"")


@given(HARD_TEXTS, st.sampled_from([b"", b"delta"]))
def test_a_frame_takes_such_events_and_nothing_beside_them(text: str, name: bytes) -> None:
    frame = DATA_FRAME.of_event(name)
    event = sse(chunk({"content": text}), name=name)
    assert frame.text(event) == text
    assert frame.escaped(event) == [escape(text)]
    assert frame.escaped(event * 3) == [escape(text)] * 3
    for other in (event * 2, event[:-1], b": ping\n\n" + event, sse(chunk({"content": text}), name=b"other")):
        assert frame.text(other) == ""
    for other in (event[:-1], b": ping\n\n" + event, event + b"\n" + event, event + sse(chunk({"content": ""}), name=name)):
        assert frame.escaped(other) == []


@given(st.lists(HARD_TEXTS, min_size=1), st.sampled_from([b"", b"delta"]))
def test_texts_in_a_row_are_read_and_written_at_once(texts: list[str], name: bytes) -> None:
    frame = DATA_FRAME.of_event(name)
    before, after = b"event: x\ndata: {}\n\n", sse(chunk({"content": '"!'}), name=name)  # not known to end
    row = sse(*(chunk({"content": text}) for text in texts), name=name)
    found, end = frame.run(before + row + after, len(before))
    assert ([unescape([one]) for one in found], unescape(found), end) == (texts, "".join(texts), len(before + row))
    assert framed(found, b'{"front,', b',\n "back"}') == b"".join(
        [b'{"front,' + encode(text) + b',\n "back"}' for text in texts]
    )


ONE, TWO = chunk({"content": "one"}), chunk({"content": "two"})


@pytest.mark.parametrize(
    "other",
    [
        b"data: [DONE]\n\n",
        sse(TWO, name=b"error"),
        b"data:" + TWO + b"\n\n",
        sse(chunk({"content": None})),
        b": " + sse(TWO),
        b": ping\n\n",
        b"\n",
    ],
)
def test_a_run_of_texts_ends_at_an_event_with_other_content(other: bytes) -> None:
    three = sse(ONE, TWO, ONE)
    assert FRAME.run(three + other, 0) == ([b"one", b"two", b"one"], len(three))
    assert FRAME.run(sse(ONE) + other, 0) == ([], 0)
    assert FRAME.run(other + three, 0) == ([], 0)


@pytest.mark.parametrize(
    "last",
    [
        sse(chunk({"content": 'a "b"'})),
        sse(chunk({"content": "b\\"})),
        sse(chunk({"content": "three"}, usage={})),
        sse(chunk({"content": ""})),
        sse(TWO)[:-1],
        sse(TWO)[:-8],
        sse(TWO).replace(b"\n", b"\r\n"),
        sse(ONE.replace(b'"one"', b'"two","three"')),
    ],
)
def test_the_last_of_a_row_is_left_because_its_end_is_not_known(last: bytes) -> None:
    assert FRAME.run(sse(ONE, TWO) + last, 0) == ([b"one", b"two"], len(sse(ONE, TWO)))


@pytest.mark.parametrize(
    "among",
    [
        sse(chunk({"content": ""})),
        sse(chunk({"content": None})),
        sse(ONE.replace(b'"one"', b'"two","three"')),
        sse(ONE.replace(b'"one"', b'"tw\no"')),
        sse(ONE.replace(b'"one"', b'"tw\ro"')),
        sse(ONE.replace(b'"one"', b'"\xff"')),
        sse(ONE.replace(b'"one"', b"")),
        sse(ONE.replace(b'"one"', b'"a'), ONE.replace(b'"one"', b'b"'), ONE.replace(b'"one"', b'"c","d"')),
        sse(ONE.replace(b'"one"', b'"a\\"'), ONE.replace(b'"one"', b'",\\"x"')),
        sse(ONE, name=b"error"),
        b": ping\n\n",
        b"\n",
        b"data: [DONE]\n\n",
    ],
)
def test_a_row_with_something_else_among_its_texts_is_none(among: bytes) -> None:
    row = sse(ONE, TWO)
    assert FRAME.run(row + among + row, 0) == ([], 0)
