from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.events import Event, Start, TextDelta, ThinkingDelta, ToolArguments, ToolStart
from omniroute.translate.openai_chat_calls import Row
from omniroute.translate.openai_chat_shapes import CallDelta, Function


def delta(**fields: Any) -> CallDelta:
    name, arguments = fields.pop("name", None), fields.pop("arguments", None)
    return msgspec.convert(fields | {"function": {"name": name, "arguments": arguments}}, CallDelta)


def play(*steps: CallDelta | Event | Function) -> list[Event]:
    row, out = Row(Start("c1")), list[Event]()
    for position, step in enumerate(steps):
        if isinstance(step, CallDelta):
            row.call(step, position, out)
        elif isinstance(step, Function):
            row.legacy(step, out)
        else:
            row.put(step, out)
    row.flush(out)
    return out


def joined(events: list[Event]) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call; fails when arguments come outside of a call."""
    calls: list[tuple[str, str, str]] = []
    for event in events:
        if isinstance(event, ToolStart):
            calls.append((event.id, event.name, ""))
        elif isinstance(event, ToolArguments):
            calls[-1] = (*calls[-1][:2], calls[-1][2] + event.text)
    return calls


def test_one_call_streams_as_it_comes() -> None:
    assert play(
        delta(index=0, id="1", name="f", arguments=""), delta(index=0, arguments='{"a"'), delta(index=0, arguments=":1}")
    ) == [
        ToolStart("1", "f"),
        ToolArguments('{"a"'),
        ToolArguments(":1}"),
    ]


def test_calls_in_sequence_stream_without_waiting() -> None:
    row, out = Row(Start()), list[Event]()
    last = delta(index=1, id="2", name="g", arguments="")
    for step in (delta(index=0, id="1", name="f"), delta(index=0, arguments="{}"), last):
        row.call(step, 0, out)
    assert joined(out) == [("1", "f", "{}"), ("2", "g", "")]


@pytest.mark.parametrize(
    "names", [["get_", "wea", "ther"], ["get_weather", "get_weather"], ["get_", "get_weather"], ["get_weather", None]]
)
def test_a_name_may_come_in_pieces_before_the_arguments_and_more_than_once(names: list[str | None]) -> None:
    steps = [delta(index=0, id="1" if at == 0 else None, name=name) for at, name in enumerate(names)]
    told = delta(index=0, name="get_weather", arguments=',"b":2}')
    assert joined(play(*steps, delta(index=0, arguments='{"a":1'), told)) == [("1", "get_weather", '{"a":1,"b":2}')]
    assert joined(play(*steps)) == [("1", "get_weather", "")]
    assert joined(play(*steps, TextDelta("so"))[:1]) == [("1", "get_weather", "")]
    last = delta(index=0, name="ther", arguments="{}")
    assert joined(play(delta(index=0, id="1", name="get_wea"), last)) == [("1", "get_weather", "{}")]


def test_interleaved_calls_are_put_in_a_row() -> None:
    steps = (
        delta(index=0, id="1", name="f"),
        delta(index=1, id="2", name="g"),
        delta(index=0, arguments='{"a":'),
        delta(index=1, arguments='{"b":'),
        delta(index=0, arguments="1}"),
        delta(index=1, arguments="2}"),
    )
    assert joined(play(*steps)) == [("1", "f", '{"a":1}'), ("2", "g", '{"b":2}')]


def test_what_follows_an_incomplete_call_waits_for_it() -> None:
    steps = (
        delta(index=0, id="1", name="f", arguments='{"a'),
        TextDelta("t"),
        delta(index=0, arguments='":1}'),
        ThinkingDelta("h"),
    )
    assert play(*steps) == [
        ToolStart("1", "f"),
        ToolArguments('{"a'),
        ToolArguments('":1}'),
        TextDelta("t"),
        ThinkingDelta("h"),
    ]


def test_calls_without_index_are_told_apart_by_their_ids() -> None:
    steps = (delta(id="1", name="f", arguments="{}"), delta(id="2", name="g", arguments="{"), delta(id="2", arguments="}"))
    assert joined(play(*steps)) == [("1", "f", "{}"), ("2", "g", "{}")]


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    calls = joined(play(delta(name="f", arguments="{"), delta(arguments="}"), delta(name="f", arguments="{}")))
    assert [call[1:] for call in calls] == [("f", "{}"), ("f", "{}")]
    assert calls[0][0] != calls[1][0]
    assert all(call[0].startswith("call_") for call in calls)


def test_a_vendor_that_gives_every_call_the_index_0() -> None:
    steps = (delta(index=0, id="1", name="f", arguments="{}"), delta(index=0, id="2", name="g", arguments="{}"))
    assert joined(play(*steps)) == [("1", "f", "{}"), ("2", "g", "{}")]


def test_calls_with_the_index_0_and_no_ids_end_where_their_arguments_do() -> None:
    steps = [delta(index=0, name=name, arguments=text) for name, text in (("f", '{"a":1}'), ("f", '{"a":2}'), ("g", ""))]
    assert [call[1:] for call in joined(play(*steps))] == [("f", '{"a":1}'), ("f", '{"a":2}'), ("g", "")]
    repeated = [delta(index=0, name="f", arguments=text) for text in ('{"a"', ":{}", "}", "")]
    assert [call[1:] for call in joined(play(*repeated))] == [("f", '{"a":{}}')]


def test_null_for_arguments_is_none() -> None:
    assert joined(play(delta(index=0, id="1", name="f", arguments="null"))) == [("1", "f", "")]


def test_id_and_name_repeated_or_null_in_continuations() -> None:
    steps = (
        delta(index=0, id="1", name="f"),
        delta(index=0, id=None, name=None, arguments="{"),
        delta(index=0, id="1", arguments="}"),
    )
    assert joined(play(*steps)) == [("1", "f", "{}")]


def test_a_name_that_comes_late_is_waited_for() -> None:
    assert joined(play(delta(index=0, id="1", arguments="{"), delta(index=0, name="f"), delta(index=0, arguments="}"))) == [
        ("1", "f", "{}")
    ]


def test_an_id_twice_in_one_answer_is_replaced_the_same_way_each_time() -> None:
    steps = (delta(index=0, id="1", name="f", arguments="{}"), delta(index=1, id="1", name="g", arguments="{}"))
    first, second = joined(play(*steps)), joined(play(*steps))
    assert first == second
    assert first[0][0] == "1"
    assert first[1][0].startswith("call_")


def test_arguments_as_an_object_become_text() -> None:
    assert joined(play(delta(index=0, id="1", name="f", arguments={"a": [1]}))) == [("1", "f", '{"a":[1]}')]


def test_the_legacy_function_call() -> None:
    (call,) = joined(play(Function(name="f"), Function(arguments="{"), Function(arguments="}")))
    assert call[1:] == ("f", "{}")


def test_custom_tools_keep_their_free_text() -> None:
    custom = msgspec.convert({"index": 0, "id": "1", "custom": {"name": "f", "input": "x = 1"}}, CallDelta)
    assert play(custom) == [ToolStart("1", "f", kind="custom"), ToolArguments("x = 1")]


def test_many_pieces_of_interleaved_calls_take_linear_time() -> None:
    steps = [delta(index=0, id="1", name="f", arguments='{"a":"'), delta(index=1, id="2", name="g", arguments='{"a":"')]
    for _ in range(3_000):
        steps += [delta(index=0, arguments='}"' * 20), delta(index=1, arguments="y")]
    calls = joined(play(*steps))
    assert [len(call[2]) for call in calls] == [6 + 40 * 3_000, 6 + 3_000]
