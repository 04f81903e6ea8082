"""Streamed arguments, put together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.translate.format import BadAnswer
from omniroute.translate.gemini_partial_args import PartialArg, PartialArgs


def joined(*pieces: tuple[str, Any]) -> Any:
    args = PartialArgs({})
    for path, value in pieces:
        match value:
            case str():
                args.add([PartialArg(path, stringValue=value)])
            case bool():
                args.add([PartialArg(path, boolValue=value)])
            case _:
                args.add([PartialArg(path, numberValue=value)])
    return json.loads(args.json())


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        ((), {}),
        ((("$.a", "x"), ("$.a", "y"), ("$.a", ""), ("$.b", "z")), {"a": "xy", "b": "z"}),
        ((("$.a", 5), ("$.b", 0.5), ("$.c", False), ("$.d", None)), {"a": 5, "b": 0.5, "c": False, "d": None}),
        ((("$.a.b[0].c", 1), ("$.a.b[0].d", "e"), ("$.a.b[1].c", 2)), {"a": {"b": [{"c": 1, "d": "e"}, {"c": 2}]}}),
        ((("$.a[0][0]", 1), ("$.a[0][1]", 2), ("$.a[1][0]", 3)), {"a": [[1, 2], [3]]}),
        ((("$['a b'].c", 1), ('$["a.b"]', 2)), {"a b": {"c": 1}, "a.b": 2}),
        ((("$.a[2]", 1),), {"a": [None, None, 1]}),
        ((("$.a[*]", 1), ("$[0]", 2), ("b", 3)), {"a[*]": 1, "$[0]": 2, "b": 3}),
        ((("$.a", 1), ("$.a.b", 2)), {"a": {"b": 2}}),
    ],
    ids=["none", "text", "values", "objects", "lists", "quoted", "gap", "other notation", "a value becomes an object"],
)
def test_values_in_their_places(pieces: tuple[tuple[str, Any], ...], whole: dict[str, Any]) -> None:
    assert joined(*pieces) == whole


def test_arguments_that_came_whole_are_kept() -> None:
    args = PartialArgs({"a": 1})
    args.add([PartialArg("$.b", stringValue="c")])
    assert args.json() == '{"a":1,"b":"c"}'


@pytest.mark.parametrize("path", ["$.a[100000000]", "$" + ".a" * 500])
def test_places_that_would_take_much_memory_are_refused(path: str) -> None:
    with pytest.raises(BadAnswer):
        joined((path, 1))
