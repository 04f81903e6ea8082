from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import OmniError
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import Peek, patch, peek

CHAT = RELAYS["openai-chat"].members
ANTHROPIC = RELAYS["anthropic"].members


def refused(body: bytes) -> OmniError:
    with pytest.raises(OmniError) as caught:
        peek(body, CHAT)
    assert caught.value.status == 400
    return caught.value


def test_a_byte_order_mark_in_front_is_left_out() -> None:
    found = peek(b'\xef\xbb\xbf{"model": "m"}', CHAT)
    assert (found.model, found.raw) == ("m", b'{"model": "m"}')
    assert refused(b"\xef\xbb\xbf" * 10_000 + b"{}").param == "body"


def test_a_look_finds_model_and_mode() -> None:
    found = peek(b'{"model": "a/b", "stream": true, "stream_options": {"include_usage": true}}', CHAT)
    assert (found.model, found.stream, found.include_usage) == ("a/b", True, True)
    assert bytes(found.members["stream_options"]) == b'{"include_usage": true}'


@pytest.mark.parametrize("text", ["", '"stream": false,', '"stream": null,'])
def test_without_a_wish_there_is_no_stream(text: str) -> None:
    found = peek(f'{{{text} "model": null}}'.encode(), CHAT)
    assert (found.model, found.stream, found.include_usage) == ("", False, False)


@pytest.mark.parametrize(
    "options", ["{}", "null", '{"include_usage": false}', '{"include_usage": null}', '{"include_usage": 1}']
)
def test_usage_is_wanted_by_those_who_say_so(options: str) -> None:
    assert not peek(f'{{"stream": true, "stream_options": {options}}}'.encode(), CHAT).include_usage


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"1", b"{", b'{"a": NaN}', b'{"a": 1} x', b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    assert refused(body).param == "body"


@pytest.mark.parametrize("value", ["5", "true", "[]", "{}"])
def test_a_wrong_type_names_its_member(value: str) -> None:
    error = refused(f'{{"model": {value}}}'.encode())
    assert error.param == "model"
    assert error.message.startswith("Invalid 'model': expected a string, got ")


def test_a_long_model_name_is_read_in_a_large_body_too() -> None:
    name = "nod/" + "m" * 400
    assert peek(json.dumps({"model": name, "messages": ["x" * 50_000]}).encode(), CHAT).model == name


def test_a_wrong_type_is_found_in_a_large_body_too() -> None:
    messages = json.dumps([{"role": "user", "content": "x" * 50_000}])
    assert refused(f'{{"model": "a", "messages": {messages}, "stream": "yes"}}'.encode()).param == "stream"
    assert refused(f'{{"model": "a", "messages": {json.dumps("x" * 50_000)}}}'.encode()).param == "messages"
    assert refused(f'{{"model": {json.dumps(["x" * 50_000])}, "messages": []}}'.encode()).param == "model"


@pytest.mark.parametrize("layout", ['{"a": 1, "model": "x", "a": 2}', '{"a":1,"model":"x","a":2}', '{ "a" : 1,\n "a" : 2 }'])
def test_a_member_given_twice_is_refused(layout: str) -> None:
    assert refused(layout.encode()).param == "a"


@pytest.mark.parametrize(
    "layout", ['{"a": "\\"a\\": 1", "b": 2}', '{ "a" : {"a" : 1},\n "b" : "a" }', '{"\\u0061b": 1, "ab2": 2}']
)
def test_a_name_inside_a_value_is_no_second_member(layout: str) -> None:
    assert peek(layout.encode(), CHAT).members


def test_a_member_given_twice_is_found_whatever_length_the_body_has() -> None:
    for size in range(1, 40):
        value = "x" * size
        compact = f'{{"model":"ab","messages":[],"a":1,"b":1,"c":1,"d":1,"e":1,"model":"{value}"}}'
        assert refused(compact.encode()).param == "model"


def test_an_escaped_name_given_twice_is_found() -> None:
    assert refused(b'{"a": 1, "\\u0061": 2}').param == "a"


@pytest.mark.parametrize("twice", [b"", b',"m7":1'])
def test_the_search_for_repeated_names_does_not_grow_with_their_number_times_the_size(twice: bytes) -> None:
    class Body(bytes):
        searched = 0

        def count(self, *what: Any) -> int:
            Body.searched += len(self)
            return super().count(*what)

    names = b",".join(b'"m%d":1' % number for number in range(900))
    body = Body(b'{ "x":"%b",%b%b}' % (b"a" * 1_000_000, names, twice))
    if twice:
        assert refused(body).param == "m7"
    else:
        assert len(peek(body, CHAT).members) == 901
    assert Body.searched < 10 * len(body)


def test_the_number_of_members_is_bounded() -> None:
    members = [f'"m{number}":1' for number in range(1000)]
    assert len(peek(f"{{{','.join(members)}}}".encode(), CHAT).members) == 1000
    assert "more than 1000 members" in refused(f'{{{",".join(members)},"model":"a"}}'.encode()).message


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1e99999", "0." + "1" * 5000])
def test_a_number_of_any_length_is_passed_on_whatever_the_layout(number: str) -> None:
    for layout in (f'{{"x":{number},"y":"/"}}', f'{{ "x" : {number}, "y" : "\\/" }}'):
        assert bytes(peek(layout.encode(), CHAT).members["x"]) == number.encode()


def test_depth_is_bounded() -> None:
    assert "nested too deeply" in refused(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}").message


def test_utf8_is_checked_where_nothing_is_parsed() -> None:
    assert "not valid UTF-8 at byte 7" in refused(b'{"x": "\xff"}').message


@pytest.mark.parametrize(("wire", "name"), [(ANTHROPIC, "system"), (ANTHROPIC, "stop_sequences"), (CHAT, "tool_choice")])
def test_each_wire_knows_its_members(wire: object, name: str) -> None:
    with pytest.raises(OmniError) as caught:
        peek(f'{{"{name}": 5}}'.encode(), wire)  # type: ignore[arg-type]
    assert caught.value.param == name


# -- patches


def look(body: bytes) -> Peek:
    return peek(body, CHAT)


def test_a_leading_model_is_replaced_in_place() -> None:
    assert patch(look(b'{ "model" : "a" , "x": [1,  2]}'), {"model": b'"b"'}) == b'{ "model" : "b" , "x": [1,  2]}'


def test_members_are_replaced_added_and_removed_and_the_rest_is_as_it_was() -> None:
    found = look(b'{"x": [1,  2], "model": "a", "gone": 1}')
    assert patch(found, {"model": b'"b"', "gone": None, "new": b"{}"}) == b'{"x":[1,  2],"model":"b","new":{}}'


def test_names_that_need_escapes_survive() -> None:
    found = look(b'{"a\\"b": 1, "model": "m"}')
    assert json.loads(patch(found, {"model": b'"n"'})) == {'a"b': 1, "model": "n"}


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.lists(st.integers(), max_size=3)


NAMES = st.text(max_size=6).map("x{}".format)  # none that the wire knows


@given(body=st.dictionaries(NAMES, VALUES), model=st.text(min_size=1, max_size=8), ascii_only=st.booleans())
def test_a_patched_body_differs_in_its_model_only(body: dict[str, object], model: str, ascii_only: bool) -> None:
    body["model"] = "old"
    found = look(json.dumps(body, ensure_ascii=ascii_only).encode())
    assert json.loads(patch(found, {"model": json.dumps(model).encode()})) == {**body, "model": model}
