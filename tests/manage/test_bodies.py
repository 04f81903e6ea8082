"""JSON bytes to a Struct: every wrong field is named, in words for people."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar, Literal

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.manage.bodies import Name, Rank, clean_key, decode, decode_if_sent, given, given_json
from omniroute.manage.refusals import Invalid


class Item(Struct):
    pattern: Annotated[str, Meta(min_length=1)]


class Choice(Struct):
    id: str = ""


class Body(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = {"tags.*": "Each tag must be a string"}
    name: Name
    base_url: str
    priority: Rank | UnsetType | None = UNSET
    mode: Literal["a", "b"] = "a"
    on: bool = False
    tags: list[Annotated[str, Meta(max_length=9)]] = []
    items: list[Item] = []
    short: Annotated[str, Meta(min_length=4, max_length=6)] = "1234"
    share: int | float | None = 0
    env: dict[str, str] = {}
    named: dict[str, Item] | None = None


def problems(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        decode(raw, Body)
    assert caught.value.status == 400
    return list(caught.value.details)


def one(**fields: object) -> list[tuple[str, str]]:
    return problems(msgspec.json.encode({"name": "n", "baseUrl": "u", **fields}))


def test_a_good_body_is_decoded_and_unknown_fields_are_ignored() -> None:
    for mark in (b"", b"\xef\xbb\xbf"):  # a byte order mark is left out
        body = decode(mark + b'{"name":"n","baseUrl":"u","zzz":1,"items":[{"pattern":"p"}]}', Body)
        assert (body.name, body.base_url, body.items) == ("n", "u", [Item("p")])


@pytest.mark.parametrize(
    "raw",
    [b"", b'{"a":', b'{"name": NaN}', b'{"name":"\xff"}', b"{" * 2000, b'{"a":"\\ud800"}', b'{"a":1}x', b"{'a':1}"],
)
def test_what_is_no_json_says_so(raw: bytes) -> None:
    assert problems(raw) == [("body", "Invalid JSON body")]


@pytest.mark.parametrize(
    ("raw", "word"), [(b"[]", "array"), (b"null", "null"), (b'"x"', "string"), (b"1", "number"), (b"true", "boolean")]
)
def test_the_body_must_be_an_object(raw: bytes, word: str) -> None:
    assert problems(raw) == [("body", f"Invalid input: expected object, received {word}")]


def test_every_missing_field_is_named_in_order() -> None:
    assert problems(b"{}") == [("name", "Name is required"), ("baseUrl", "Base URL is required")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ""}, ("name", "Name is required")),
        ({"name": "  "}, ("name", "Name is required")),
        ({"name": 5}, ("name", "Invalid input: expected string, received number")),
        ({"name": "x" * 201}, ("name", "Too big: expected string to have <=200 characters")),
        ({"short": "abc"}, ("short", "Too small: expected string to have >=4 characters")),
        ({"priority": 0}, ("priority", "Too small: expected number to be >=1")),
        ({"priority": 101}, ("priority", "Too big: expected number to be <=100")),
        ({"priority": 101.0}, ("priority", "Too big: expected number to be <=100")),
        ({"priority": 1.5}, ("priority", "Invalid input: expected int | null, received number")),
        ({"priority": 1e30}, ("priority", "Invalid input: expected int | null, received number")),
        ({"share": "x"}, ("share", "Invalid input: expected number | null, received string")),
        ({"on": "yes"}, ("on", "Invalid input: expected boolean, received string")),
        ({"on": 1}, ("on", "Invalid input: expected boolean, received number")),
        ({"mode": "zz"}, ("mode", 'Invalid option: expected one of "a"|"b"')),
        ({"mode": 3}, ("mode", 'Invalid option: expected one of "a"|"b"')),
        ({"tags": "x"}, ("tags", "Invalid input: expected array, received string")),
        ({"tags": ["x", 5]}, ("tags.1", "Each tag must be a string")),
        ({"tags": ["x" * 10]}, ("tags.0", "Too big: expected string to have <=9 characters")),
        ({"env": {"A": "x", "B": 5}}, ("env.B", "Invalid input: expected string, received number")),
        ({"named": {"a": {"pattern": "p"}, "b": {}}}, ("named.b.pattern", "Pattern is required")),
        ({"named": {"b": 1}}, ("named.b", "Invalid input: expected object, received number")),
        ({"items": [{}]}, ("items.0.pattern", "Pattern is required")),
        ({"items": [{"pattern": 5}]}, ("items.0.pattern", "Invalid input: expected string, received number")),
    ],
)
def test_what_is_wrong_with_a_field(fields: dict[str, object], expected: tuple[str, str]) -> None:
    assert one(**fields) == [expected]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert decode(b'{"name":"n","baseUrl":"u","priority":7.0}', Body).priority == 7
    assert decode(b'{"name":"n","baseUrl":"u","priority":1e2}', Body).priority == 100


def test_an_empty_body_stands_for_the_defaults_and_any_other_is_read() -> None:
    assert decode_if_sent(b"", Choice) == Choice()
    assert decode_if_sent(b'{"id":"p"}', Choice).id == "p"
    with pytest.raises(Invalid):
        decode_if_sent(b" ", Choice)


def test_null_and_absent_are_told_apart() -> None:
    assert given(decode(b'{"name":"n","baseUrl":"u","priority":null}', Body))["priority"] is None
    assert "priority" not in given(decode(b'{"name":"n","baseUrl":"u"}', Body))


def test_given_json_speaks_the_json_names() -> None:
    body = decode(b'{"name":"n","baseUrl":"u","items":[{"pattern":"p"}]}', Body)
    assert given_json(body)["baseUrl"] == "u"
    assert given_json(body)["items"] == [{"pattern": "p"}]


def test_clean_key_trims_and_refuses_what_cannot_stand_in_a_header() -> None:
    assert clean_key("  sk-1 \n") == "sk-1"
    for text in ("a\nb", "a\r\nx: y", "schlüssel", "a\x00b"):
        with pytest.raises(Invalid):
            clean_key(text)


@hypothesis_given(st.binary(max_size=200))
def test_any_bytes_give_a_body_or_a_named_problem(raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(decode(raw, Body), Body)
