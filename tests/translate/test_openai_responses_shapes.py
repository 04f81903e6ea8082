from __future__ import annotations

import pytest
from msgspec import Raw

from omniroute.translate.format import BadAnswer
from omniroute.translate.openai_responses_shapes import array_of, free_text, read_annotation, read_event, text_of


def test_an_event_of_an_unknown_kind_may_have_members_of_any_type() -> None:
    event = read_event(b'{"type":"response.new_thing","delta":{"a":1},"output_index":"x"}')
    assert event is not None
    assert (event.type, event.delta) == ("response.new_thing", None)


@pytest.mark.parametrize(
    "kind", ["response.output_text.delta", "response.output_item.added", "response.function_call_arguments.delta"]
)
def test_an_event_that_matters_must_be_readable(kind: str) -> None:
    with pytest.raises(BadAnswer):
        read_event(b'{"type":"%b","output_index":"x"}' % kind.encode())


def test_small_readings() -> None:
    assert text_of(Raw(b'[{"text":"a"},{"text":"b"}]')) == "ab"
    assert text_of(Raw(b"null")) == ""
    assert array_of(Raw(b"[]")) is None
    assert (free_text(Raw(b'"a"')), free_text(Raw(b'{"a":1}')), free_text(Raw(b"null"))) == ("a", '{"a":1}', "")
    found = read_annotation(Raw(b'{"type":"file_citation","file_id":"f","filename":"a.txt","index":3}'))
    assert found is not None
    assert (found.url, found.title) == (None, "a.txt")
