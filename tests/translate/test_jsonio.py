from __future__ import annotations

import pytest
from msgspec import Raw, Struct

from omniroute.errors import OmniError
from omniroute.translate.format import BadAnswer
from omniroute.translate.jsonio import (
    Shape,
    bad,
    check_text,
    compact,
    decode_object,
    is_json,
    is_utf8,
    join,
    joined,
    members,
    mended,
)


class Item(Struct):
    role: str
    content: str | list[int] | None = None


ITEMS: Shape[list[Item]] = Shape(list[Item])


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b'[{"role":1}]', "messages.0.role", "Invalid value for 'messages.0.role': expected `str`, got `int`."),
        (b"[{}]", "messages.0.role", "Missing required parameter: 'messages.0.role'."),
        (b'[{"role":"a","content":[1,"x"]}]', "messages.0.content.1", "expected `int`, got `str`"),
        (b'{"role":"a"}', "messages", "expected `array`, got `object`"),
        (b"[", "messages", "Invalid JSON body"),
    ],
)
def test_a_clients_mistake_names_the_field(body: bytes, param: str, message: str) -> None:
    with pytest.raises(OmniError) as caught:
        ITEMS.read(body, "messages")
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)
    assert message in caught.value.message


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"", b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":' * 100_000])
def test_what_is_no_object_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(OmniError):
        members(body)
    with pytest.raises(OmniError):
        decode_object(body)


def test_members_are_the_bytes_that_arrived_and_null_is_not_said() -> None:
    found = members(b'{"a": [1,  2], "b": null, "c": 1.50}')
    assert {name: bytes(value) for name, value in found.items()} == {"a": b"[1,  2]", "c": b"1.50"}


def test_an_upstreams_mistake_is_a_bad_answer() -> None:
    for body in (b"{}", b"[", b"\xff", b"[" * 100_000):
        with pytest.raises(BadAnswer):
            ITEMS.answer(body)
        assert ITEMS.get(body) is None
    assert ITEMS.answer(b'[{"role":"a"}]') == [Item("a")]


def test_dotted_paths() -> None:
    assert join("", "a") == "a"
    assert join("a.b", 0) == "a.b.0"
    assert bad("", "x").param is None


def test_compact_json_fits_on_one_line() -> None:
    assert compact(b'{"a":\r\n "b c"}') == b'{"a":"b c"}'
    assert compact(Raw(b'{ "a":1}')) == b'{ "a":1}'
    with pytest.raises(BadAnswer):
        compact(b"{\n")


def test_is_json_wants_one_whole_value() -> None:
    assert is_json("{}")
    assert is_json(' {"a": [1]} ')
    for text in ("", "{", '{"a":', "{} x", "[1,]"):
        assert not is_json(text)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        (rb'"\ud800 x"', rb'"\ufffd x"'), (rb'"x\uDC00"', rb'"x\ufffd"'),
        (rb'"\ud800\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'), (rb'"\ud83d\\ude00"', rb'"\ufffd\\ude00"'),
        (rb'"\ud83d\n"', rb'"\ufffd\n"'),
        (rb'"\\\ud800"', rb'"\\\ufffd"'), (rb'"\\ud800"', None), (rb'"\\\\ud800"', None), (rb'"\ud83d\ude00"', None),
        (rb'"\uD83D\uDE00 \ud7ff \ue000"', None), (b'"x"', None), (rb'"\ud8', None), (b"", None),
    ],
)  # fmt: skip
def test_half_of_a_surrogate_pair_is_replaced_and_nothing_else(given: bytes, whole: bytes | None) -> None:
    assert mended(given) == whole


def test_all_reading_puts_up_with_half_of_a_surrogate_pair() -> None:
    body = rb'[{"role":"\ud83d"}]'
    for found in (ITEMS.read(body, "messages"), ITEMS.answer(body), ITEMS.get(body)):
        assert found == [Item("\ufffd")]
    with pytest.raises(BadAnswer):
        ITEMS.answer(rb'[{"role":"\ud83d"')
    with pytest.raises(OmniError, match=r"messages\.0\.content"):
        ITEMS.read(rb'[{"role":"\ud83d","content":1}]', "messages")


def test_broken_utf_8_is_not_passed_on() -> None:
    check_text("Grüße".encode())
    assert is_utf8(b"x")
    with pytest.raises(BadAnswer):
        check_text(b"\xed\xa0\x80")


def test_arrays_are_joined_and_empty_ones_leave_no_comma() -> None:
    assert joined([b"[1,\n2]", b"[ ]", b"[]", b"[3]"]) == b"[1,2,3]"
    assert joined([]) == b"[]"
