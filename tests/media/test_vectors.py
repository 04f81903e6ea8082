from __future__ import annotations

import base64
import struct

import pytest
from msgspec import Raw

from omniroute.media.vectors import as_base64, as_floats, is_text, packed
from omniroute.translate.format import BadAnswer

VECTOR = [0.5, -1.0, 3.25]
BYTES = struct.pack("<3f", *VECTOR)
TEXT = b'"' + base64.b64encode(BYTES) + b'"'


def test_numbers_and_base64_of_little_endian_floats_are_one_vector() -> None:
    assert packed(VECTOR) == BYTES
    assert as_base64(Raw(b"[0.5, -1, 3.25]")) == TEXT
    assert as_floats(Raw(TEXT)) == b"[0.5,-1.0,3.25]"


def test_a_vector_in_the_wanted_encoding_is_not_changed() -> None:
    assert as_floats(Raw(b"[0.1,  2e-5]")) == b"[0.1,  2e-5]"
    assert as_base64(Raw(TEXT)) == TEXT
    assert is_text(TEXT)
    assert not is_text(b"[1]")


@pytest.mark.parametrize("raw", [b'"AAA="', b'"not base64!"', b'"\\ud800"'])
def test_text_that_is_no_vector_is_a_bad_answer(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        as_floats(Raw(raw))


@pytest.mark.parametrize("raw", [b"null", b"{}", b"1"])
def test_a_vector_is_a_list(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        as_floats(Raw(raw))


@pytest.mark.parametrize("raw", [b"[1,null]", b"{}", b"[1e999999]"])
def test_numbers_that_are_none_are_a_bad_answer(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        as_base64(Raw(raw))
