"""A streamed JSON array, cut into its objects."""

from __future__ import annotations

import json
import time

import pytest

from omniroute.translate.format import BadAnswer
from omniroute.translate.json_array import JsonArrayReader

OBJECTS = [{"a": 'x]}\\" ü'}, {"b": [1, {"c": "\\"}]}, {}]
BODY = json.dumps(OBJECTS, ensure_ascii=False, indent=1).encode()


def read(pieces: list[bytes]) -> tuple[list[object], bool]:
    reader = JsonArrayReader()
    out = [json.loads(one) for piece in pieces for one in reader.feed(piece)]
    return out, reader.finish()


def test_the_objects_come_out_however_the_array_is_cut() -> None:
    for place in range(1, len(BODY)):
        assert read([BODY[:place], BODY[place:]]) == (OBJECTS, True)
    assert read([BODY[i : i + 1] for i in range(len(BODY))]) == (OBJECTS, True)


def test_each_object_comes_out_as_soon_as_it_is_whole() -> None:
    reader = JsonArrayReader()
    assert reader.feed(b'[{"a":1}') == [b'{"a":1}']
    assert reader.feed(b',\r\n{"b"') == []
    assert reader.feed(b":2}") == [b'{"b":2}']
    assert not reader.finish()


@pytest.mark.parametrize("body", [b"[]", b"\xef\xbb\xbf[{}]", b'{"error":{"code":400}}', b" [ {} , {} ] \n"])
def test_a_whole_array_is_complete(body: bytes) -> None:
    assert read([body])[1]


@pytest.mark.parametrize("body", [b"", b"[", b"[{}", b"[{},", b'[{"a":"]'])
def test_an_array_that_was_cut_is_not_complete(body: bytes) -> None:
    assert not read([body])[1]


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"[{}] x", b"data: {}", b"{}{}", b"[[{}]]"])
def test_what_is_no_array_of_objects_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read([body])


def test_an_object_is_bounded() -> None:
    reader = JsonArrayReader(most=100)
    reader.feed(b'[{"a":"')
    reader.feed(b"x" * 90)
    with pytest.raises(BadAnswer, match="too long"):
        reader.feed(b"x" * 10)


def test_a_large_object_in_small_pieces_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        reader, started = JsonArrayReader(), time.process_time()
        reader.feed(b'[{"a":"')
        for _ in range(size // 16):
            reader.feed(b"0123456789abcdef")
        assert len(reader.feed(b'"}]')[0]) > size
        return time.process_time() - started

    small, large = min(seconds(40_000) for _ in range(3)), min(seconds(400_000) for _ in range(2))
    assert large < 30 * small
