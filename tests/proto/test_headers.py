from __future__ import annotations

import pytest

from omniroute.proto.headers import Headers, get, get_all, has_token

FIELDS: Headers = [
    (b"connection", b"keep-alive, Upgrade"),
    (b"accept", b"a"),
    (b"connection", b" Close "),
    (b"accept", b"b"),
]


def test_the_first_of_several_values_or_all_in_order() -> None:
    assert get(FIELDS, b"accept") == b"a"
    assert get_all(FIELDS, b"accept") == [b"a", b"b"]


def test_what_is_not_there() -> None:
    assert get(FIELDS, b"host") is None
    assert get_all(FIELDS, b"host") == []
    assert not has_token(FIELDS, b"host", b"close")


@pytest.mark.parametrize(
    ("token", "there"), [(b"close", True), (b"upgrade", True), (b"keep-alive", True), (b"keep", False), (b"", False)]
)
def test_a_list_field_has_a_token_in_any_of_its_lines_and_any_case(token: bytes, there: bool) -> None:
    assert has_token(FIELDS, b"connection", token) is there
