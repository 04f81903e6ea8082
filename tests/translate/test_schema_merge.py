"""Two schemas as one: what ``allOf`` means."""

from __future__ import annotations

import math
from typing import Any

import pytest

from omniroute.translate.schema_merge import hashable, merge, numeric, type_names


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"type": "number"}, {"type": "integer"}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"type": "string"}, {"type": "string"}),
        ({"minimum": 1, "maximum": 9}, {"minimum": 3, "maximum": 7}, {"minimum": 3, "maximum": 7}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        ({"enum": [1, 2, 3]}, {"enum": [3, 2]}, {"enum": [2, 3]}),
        ({"description": "of the type"}, {"description": "of the use"}, {"description": "of the use"}),
        (
            {"properties": {"a": {"type": "string"}}},
            {"properties": {"a": {"minLength": 1}, "b": {}}},
            {"properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}, "b": {}}},
        ),
        (
            {"items": {"type": "string"}},
            {"items": {"minLength": 1}},
            {"items": {"allOf": [{"type": "string"}, {"minLength": 1}]}},
        ),
    ],
)
def test_a_merged_schema_demands_what_both_demand(
    first: dict[str, Any], second: dict[str, Any], expected: dict[str, Any]
) -> None:
    lost: list[str] = []
    assert merge(first, second, lost.append) == expected
    assert lost == []


def test_contradictions_are_reported() -> None:
    lost: list[str] = []
    assert merge({"pattern": "a"}, {"pattern": "b"}, lost.append) == {"pattern": "a"}
    assert lost == ["pattern"]


def test_type_names_are_read_in_any_case() -> None:
    assert type_names({"type": ["STRING", "null", 3, "thing"]}) == ["string", "null"]


def test_numbers_are_finite_and_no_booleans() -> None:
    assert [numeric(value) for value in (1, 0.5, True, math.inf, math.nan, "1")] == [True, True, False, False, False, False]


def test_values_are_looked_up_by_what_equals_what() -> None:
    values: list[Any] = [1, 1.5, True, None, "1", [], {}, [1], {"a": [1, {"b": None}]}, {"a": 1, "b": 2}, {"b": 2, "a": 1.0}]
    for one in values:
        for other in values:
            assert (hashable(one) == hashable(other)) == (one == other)


def test_long_lists_are_merged_at_once() -> None:
    names: list[Any] = [{"n": n} for n in range(4000)]
    both = merge({"enum": names, "required": names}, {"enum": names[::-1], "required": [*names[::-1], "z"]}, print)
    assert both == {"enum": names, "required": [*names, "z"]}
