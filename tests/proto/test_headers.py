from __future__ import annotations

from omniroute.proto.headers import Headers, get, get_all

FIELDS: Headers = [
    (b"connection", b"keep-alive, Upgrade"),
    (b"accept", b"a"),
    (b"connection", b" Close "),
    (b"accept", b"b"),
]


def test_the_first_of_several_values_or_all_in_order() -> None:
    assert get(FIELDS, b"accept") == b"a"
    assert get_all(FIELDS, b"accept") == [b"a", b"b"]


def test_an_absent_field_has_no_value() -> None:
    assert get(FIELDS, b"host") is None
    assert get_all(FIELDS, b"host") == []
