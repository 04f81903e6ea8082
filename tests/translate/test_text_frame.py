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
from omniroute.translate.text_frame import frame_of, framed

MEMBER = b'"content":'


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}], **more})


def test_a_chunk_with_another_text_is_known_by_what_stands_around_it() -> None:
    frame = frame_of(b"", chunk({"content": "one"}), MEMBER, "one")
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
def test_anything_else_is_not(other: bytes) -> None:
    frame = frame_of(b"", chunk({"content": "one"}), MEMBER, "one")
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
    assert frame_of(b"", data, MEMBER, text) is None


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
    monkeypatch.setattr(openai_chat_stream, "frame_of", lambda name, data, member, text: looked.append(data))
    decoder = ChatDecoder()
    for number in range(20):
        decoder.feed(b"", chunk({"content": "a", "role": "assistant"}, obfuscation=str(number)))
    assert len(looked) == openai_chat_stream._FRAMES


# -- many at once


def pairs(*chunks: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"", data) for data in chunks]


HARD = st.sampled_from('a,"\\ \n\x7fn0\u00fc\U0001f600') | st.characters(exclude_categories=["Cs"])
HARD_TEXTS = st.text(HARD, min_size=1)


@given(st.lists(HARD_TEXTS, min_size=1))
def test_texts_in_a_row_are_read_and_written_at_once(texts: list[str]) -> None:
    frame = frame_of(b"", chunk({"content": "one"}), MEMBER, "one")
    assert frame is not None
    assert frame.texts(pairs(*(chunk({"content": text}) for text in texts))) == texts
    assert framed(texts, b'{"front,', b',\n "back"}') == b"".join(
        [b'{"front,' + encode(text) + b',\n "back"}' for text in texts]
    )


@pytest.mark.parametrize(
    ("third", "taken"),
    [
        (chunk({"content": "three"}, usage={}), 2),
        (chunk({"content": ""}), 2),
        (chunk({"content": None}), 0),
        (chunk({"content": "one"}).replace(b'"one"', b'"two","three"'), 0),
        (chunk({"content": "one"}).replace(b'"one"', b'"tw\no"'), 0),
        (chunk({"content": "one"}).replace(b'"one"', b'"\xff"'), 0),
        (chunk({"content": "one"}).replace(b'"one"', b""), 0),
        (b"[DONE]", 2),
    ],
)
def test_texts_in_a_row_end_where_a_chunk_says_something_else(third: bytes, taken: int) -> None:
    frame = frame_of(b"", chunk({"content": "one"}), MEMBER, "one")
    assert frame is not None
    same = [chunk({"content": "one"}), chunk({"content": "two"})]
    assert frame.texts(pairs(*same, third, *same)) == ["one", "two", "three"][:taken]
    assert frame.texts([(b"", same[0]), (b"error", same[1])]) == ["one"]


def test_a_string_torn_between_two_chunks_is_none() -> None:
    frame = frame_of(b"", chunk({"content": "one"}), MEMBER, "one")
    assert frame is not None
    torn = [chunk({"content": "one"}).replace(b'"one"', literal) for literal in (b'"a', b'b"', b'"c","d"')]
    assert frame.texts(pairs(*torn)) == []
