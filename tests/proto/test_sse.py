from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.proto import sse
from omniroute.proto.sse import Event, EventTooLarge, SSEReader

PLAYBOOKS: dict[str, tuple[bytes, list[Event]]] = {
    "one data line": (b"data: {}\n\n", [(b"", b"{}")]),
    "named event": (b"event: ping\ndata: {}\n\n", [(b"ping", b"{}")]),
    "data before its event": (b'data: {"a":1}\nevent: delta\n\n', [(b"delta", b'{"a":1}')]),
    "no space after the colon": (b"event:x\ndata:y\n\n", [(b"x", b"y")]),
    "only the first space goes": (b"data:  y \n\n", [(b"", b" y ")]),
    "data lines joined": (b"data: a\ndata: b\ndata:\n\n", [(b"", b"a\nb\n")]),
    "data line without colon": (b"data\n\n", [(b"", b"")]),
    "event without data is no event": (b"event: x\n\ndata: y\n\n", [(b"", b"y")]),
    "last event line wins": (b"event: x\nevent: y\ndata: 1\n\n", [(b"y", b"1")]),
    "name does not leak into the next": (b"event: x\ndata: 1\n\ndata: 2\n\n", [(b"x", b"1"), (b"", b"2")]),
    "comments between and inside": (b": OPENROUTER PROCESSING\n\n:\ndata: 1\n: k\n\n", [(b"", b"1")]),
    "id and retry ignored": (b"id: 7\nretry: 10\ndata: 1\n\n", [(b"", b"1")]),
    "unknown field ignored": (b"datax: 0\nx: 1\ndata: 1\n\n", [(b"", b"1")]),
    "an object as error": (b'data: 1\n\nerror: {"a":1}\n\ndata: 2\n\n', [(b"", b"1"), (b"error", b'{"a":1}'), (b"", b"2")]),
    "a word as error": (b"error: no\n\ndata: 1\nerror: no\n\n", [(b"", b"1")]),
    "crlf": (b"event: x\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [(b"x", b"1"), (b"", b"2")]),
    "cr": (b"event: x\rdata: 1\r\rdata: 2\r\r", [(b"x", b"1"), (b"", b"2")]),
    "mixed line ends": (b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\ndata: 4\n\n", [(b"", b"%d" % n) for n in (1, 2, 3, 4)]),
    "byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [(b"", b"1")]),
    "byte order mark only at the start": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [(b"", b"1")]),
    "blank lines before, between, after": (b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n\n", [(b"", b"1"), (b"", b"2")]),
    "colons in data": (b"data: a: b\n\n", [(b"", b"a: b")]),
    "utf-8 kept": ("data: grüße 🎈\n\n".encode(), [(b"", "grüße 🎈".encode())]),
    "last blank line missing": (b"data: 1\n\nevent: x\ndata: 2\n", [(b"", b"1"), (b"x", b"2")]),
    "last line end missing": (b"data: 1\n\ndata: [DONE]", [(b"", b"1"), (b"", b"[DONE]")]),
    "ends in a comment": (b"data: 1\n\n: bye", [(b"", b"1")]),
    "empty": (b"", []),
}


def read(pieces: list[bytes], limit: int = 1 << 20) -> list[Event]:
    reader = SSEReader(limit)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()


def splits(data: bytes) -> list[list[bytes]]:
    dice = random.Random(len(data))
    chance = []
    for _ in range(20):
        cuts = sorted(dice.sample(range(len(data) + 1), min(len(data), 4)))
        chance.append([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
    pairs = [[data[:at], data[at:]] for at in range(len(data) + 1)]
    return [[data], [data[at : at + 1] for at in range(len(data))], *pairs, *chance]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_events_are_the_same_at_every_byte_split(name: str) -> None:
    data, expected = PLAYBOOKS[name]
    for pieces in splits(data):
        assert read(pieces) == expected, pieces


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_events_are_the_same_with_crlf_and_cr(name: str) -> None:
    data, expected = PLAYBOOKS[name]
    if b"\r" not in data:
        for line_end in (b"\r\n", b"\r"):
            assert read([data.replace(b"\n", line_end)]) == expected


def test_event_leaves_with_the_byte_that_completes_it() -> None:
    reader = SSEReader()
    assert reader.feed(b"data: 1\r\n\r") == [(b"", b"1")]
    assert reader.feed(b"\ndata: 2\n") == []
    assert reader.feed(b"\n") == [(b"", b"2")]
    assert reader.finish() == []


@given(
    st.lists(st.sampled_from([b"data:", b"event:", b" ", b"\n", b"\r", b"\r\n", b"x", b":", b"\xef\xbb\xbf", b"\n\n"])),
    st.data(),
)
def test_split_equals_whole(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    assert read([whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]) == read([whole])


def test_event_over_the_limit_is_refused_however_it_comes() -> None:
    fits, over = b"data: " + b"x" * 94 + b"\n\n", b"data: " + b"x" * 95 + b"\n\n"
    for pieces in splits(fits):
        assert read(pieces, limit=100) == [(b"", b"x" * 94)]
    for pieces in splits(over):
        with pytest.raises(EventTooLarge):
            read(pieces, limit=100)


def test_endless_line_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(EventTooLarge):
        read([b": comment "] * 1000, limit=1000)


def test_many_small_events_are_not_bound_by_the_limit_of_one() -> None:
    assert len(read([b"data: 1\n\n" * 1000], limit=20)) == 1000


def test_large_event_in_small_pieces_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear time, by counting: the bytes that are copied to join pieces are the bytes of the event, once."""
    joined = 0
    join = sse._join

    def counting(pieces: list[bytes]) -> bytes:
        nonlocal joined
        whole = join(pieces)
        joined += len(whole)
        return whole

    monkeypatch.setattr(sse, "_join", counting)
    data = b"data: " + b"x" * 5_000_000 + b"\n\n"
    events: list[Event] = []
    reader = SSEReader(8_000_000)
    for at in range(0, len(data), 1000):
        events += reader.feed(data[at : at + 1000])
    assert [len(event[1]) for event in events] == [5_000_000]
    assert joined <= len(data) + 2000


@pytest.mark.parametrize("error", [b'{"error": {\n  "code": 503}\n}', b' {"type":"error","error":{}}'])
def test_a_bare_error_object_is_data(error: bytes) -> None:
    for rest in (b"", b"\n", b"\n\n", b"\r\n\r\n"):
        reader = SSEReader()
        found = reader.feed(b"data: 1\n\n" + error + rest) + reader.finish()
        assert found == [(b"", b"1"), (b"", error.strip())]
    assert SSEReader().feed(b'{"id": "x"}\n\n') == []
