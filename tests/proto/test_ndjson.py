from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.proto.ndjson import NDJSONReader
from omniroute.proto.sse import Event, EventTooLarge

PLAYBOOKS: dict[str, tuple[bytes, list[bytes]]] = {
    "lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "crlf": (b"{}\r\n[]\r\n", [b"{}", b"[]"]),
    "last line end missing": (b"{}\n[]", [b"{}", b"[]"]),
    "blank lines": (b"\n\n{}\n \r\n\n[]\n\n", [b"{}", b"[]"]),
    "utf-8": ('"ü🎈"\n'.encode(), ['"ü🎈"'.encode()]),
    "carriage return inside": (b'"a\rb"\n', [b'"a\rb"']),
    "empty": (b"", []),
}


def read(pieces: list[bytes], limit: int = 1 << 20) -> list[Event]:
    reader = NDJSONReader(limit)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_lines_are_the_same_at_every_byte_split(name: str) -> None:
    data, lines = PLAYBOOKS[name]
    expected = [(b"", line) for line in lines]
    assert read([data]) == expected
    assert read([data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert read([data[:at], data[at:]]) == expected


@given(st.lists(st.sampled_from([b"{}", b"\n", b"\r\n", b"\r", b" ", b"x"])), st.data())
def test_split_equals_whole(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    assert read([whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]) == read([whole])


@pytest.mark.parametrize("step", [1, 7, 200])
def test_line_over_the_limit_is_refused(step: int) -> None:
    data = b"x" * 101 + b"\n"
    with pytest.raises(EventTooLarge):
        read([data[at : at + step] for at in range(0, len(data), step)], limit=100)
    assert read([b"x" * 100 + b"\r\n"], limit=100) == [(b"", b"x" * 100)]


def test_endless_line_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(EventTooLarge):
        read([b"x"] * 2000, limit=1000)


def test_pieces_of_a_long_line_are_kept_as_they_came_until_it_ends() -> None:
    """Linear time: nothing is joined before the line is complete."""
    reader = NDJSONReader()
    pieces = [bytes([65 + n % 26]) * 1000 for n in range(1000)]
    for piece in pieces:
        assert reader.feed(piece) == []
    assert all(kept is piece for kept, piece in zip(reader._pieces, pieces, strict=True))
    assert reader.feed(b"\n") == [(b"", b"".join(pieces))]
