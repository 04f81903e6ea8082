"""The rewriting of JSON Schema for Gemini: what each construct becomes, and that the result is always in the subset."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.translate import schema
from omniroute.translate.schema import reduce, reduce_object
from omniroute.translate.schema_merge import merge
from omniroute.translate.schema_restore import restore

Node = dict[str, Any]
# the members of the vendor's Schema message, by the types that they belong to
ALWAYS = {"type", "title", "description", "nullable", "format"}
ALLOWED = {
    "STRING": {"enum", "minLength", "maxLength", "pattern"},
    "NUMBER": {"minimum", "maximum"},
    "INTEGER": {"minimum", "maximum"},
    "BOOLEAN": set(),
    "ARRAY": {"items", "minItems", "maxItems"},
    "OBJECT": {"properties", "required", "propertyOrdering", "minProperties", "maxProperties"},
    "NULL": set(),
}


def assert_in_subset(node: Node) -> None:
    if "anyOf" in node:
        assert node.keys() == {"anyOf"}, "nothing may stand beside anyOf"
        assert node["anyOf"]
        for branch in node["anyOf"]:
            assert_in_subset(branch)
        return
    assert node.keys() <= ALWAYS | ALLOWED[node["type"]]
    assert node.get("format", "enum") in schema.FORMATS
    assert all(isinstance(value, str) and value for value in node.get("enum", ()))
    assert node["type"] != "ARRAY" or "items" in node
    if "items" in node:
        assert_in_subset(node["items"])
    properties = node.get("properties", {})
    assert set(node.get("required", ())) <= set(properties)
    for inner in properties.values():
        assert_in_subset(inner)


TREE: Node = {
    "$defs": {"Node": {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}}}},
    "$ref": "#/$defs/Node",
}
B = {"type": "INTEGER", "minimum": 1, "maximum": 1}
CASES: list[tuple[str, Node, Node]] = [
    ("type", {"type": "string"}, {"type": "STRING"}),
    ("nullable", {"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
    ("types", {"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
    ("const", {"const": "a"}, {"type": "STRING", "enum": ["a"]}),
    ("const number", {"const": 5}, {"type": "INTEGER", "minimum": 5, "maximum": 5}),
    ("enum with null", {"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
    (
        "enum of numbers",
        {"type": "integer", "enum": [1, 2, 5]},
        {"type": "INTEGER", "minimum": 1, "maximum": 5, "description": "One of: 1, 2, 5."},
    ),
    ("empty words in enum", {"enum": ["", "a"]}, {"type": "STRING", "enum": ["a"]}),
    ("known format", {"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
    (
        "unknown format",
        {"type": "string", "format": "email", "description": "Whom to ask"},
        {"type": "STRING", "description": "Whom to ask Format: email."},
    ),
    ("more than, whole", {"type": "integer", "exclusiveMinimum": 0}, {"type": "INTEGER", "minimum": 1}),
    (
        "more than",
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "NUMBER", "minimum": 0, "description": "More than 0."},
    ),
    ("draft 4", {"type": "integer", "maximum": 9, "exclusiveMaximum": True}, {"type": "INTEGER", "maximum": 8}),
    ("multiple", {"type": "integer", "multipleOf": 5}, {"type": "INTEGER", "description": "A multiple of 5."}),
    (
        "optional union",
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "description": "d"},
        {"type": "STRING", "maxLength": 3, "nullable": True, "description": "d"},
    ),
    (
        "oneOf",
        {"oneOf": [{"type": "string"}, {"type": "boolean"}]},
        {"anyOf": [{"type": "STRING"}, {"type": "BOOLEAN"}]},
    ),
    ("constants", {"oneOf": [{"const": "a"}, {"const": "b"}]}, {"type": "STRING", "enum": ["a", "b"]}),
    (
        "beside anyOf",
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"minProperties": 1}]},
        {
            "anyOf": [
                {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
                {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "minProperties": 1},
            ]
        },
    ),
    (
        "allOf",
        {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"const": 1}}}]},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": B}, "required": ["a"]},
    ),
    (
        "tuple",
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        {"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}, "maxItems": 2},
    ),
    (
        "recursion",
        TREE,
        {"type": "OBJECT", "properties": {"value": {"type": "INTEGER"}, "next": {"type": "OBJECT"}}},
    ),
    (
        "reference with words beside it",
        {"$defs": {"A": {"type": "string", "description": "any"}}, "$ref": "#/$defs/A", "description": "this"},
        {"type": "STRING", "description": "this"},
    ),
    ("required that is not there", {"type": "object", "required": ["x"]}, {"type": "OBJECT"}),
    ("a property that may not be", {"properties": {"a": False}}, {"type": "OBJECT", "properties": {}}),
    ("itself", {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}, {
        "type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_schema_becomes(given: Node, expected: Node) -> None:
    assert reduce(given).schema == expected


def test_what_is_removed_is_named_and_only_constraints_are_losses() -> None:
    harmless = reduce({"$schema": "x", "$comment": "y", "type": "string", "examples": ["z"], "default": "z"})
    assert set(harmless.removed) == {"/$schema", "/$comment", "/examples", "/default"}
    assert not harmless.lossy
    nested = reduce({"properties": {"a": {"type": "object", "patternProperties": {"x": {}}, "additionalProperties": False}}})
    assert nested.removed == ("/properties/a/patternProperties", "/properties/a/additionalProperties")
    assert nested.lossy


def test_any_value_is_a_union_of_all_types_but_arrays() -> None:
    assert [branch["type"] for branch in reduce({}).schema["anyOf"]] == ["STRING", "NUMBER", "BOOLEAN", "OBJECT"]
    assert_in_subset(reduce(True).schema)


def test_parameters_are_one_object() -> None:
    one, two = {"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "string"}}}
    union = reduce_object({"anyOf": [one, two]})
    assert union.schema == {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}}
    assert union.lossy
    assert reduce_object({"type": "string"}).schema == {"type": "OBJECT", "properties": {}}
    assert reduce_object({"type": ["object", "null"], **one}).schema == reduce(one | {"type": "object"}).schema


def test_unions_that_grow_without_end_are_cut() -> None:
    many = {f"N{i}": {"properties": {f"p{j}": {"$ref": f"#/$defs/N{j}"} for j in range(9)}} for i in range(9)}
    found = reduce({"$defs": many, "$ref": "#/$defs/N0"})
    assert_in_subset(found.schema)
    assert found.lossy


def test_deep_nesting_is_survived() -> None:
    deep: Node = {"type": "string"}
    for _ in range(300):
        deep = {"allOf": [{"properties": {"a": deep}}]}
    assert_in_subset(reduce(deep).schema)


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(("a", "", "b"))
TYPES = st.sampled_from(("string", "number", "integer", "boolean", "array", "object", "null", "STRING", "x"))
LEAVES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | st.lists(TYPES, max_size=3) | st.just(7),
        "enum": st.lists(SCALARS, max_size=3),
        "const": SCALARS,
        "format": st.sampled_from(("email", "date-time", "enum", "int32")),
        "minimum": st.integers(-3, 3) | st.just("x"),
        "exclusiveMinimum": st.integers(-3, 3) | st.booleans(),
        "exclusiveMaximum": st.floats(-3, 3),
        "multipleOf": st.integers(1, 3),
        "minItems": st.integers(-1, 3),
        "pattern": st.just("^a$"),
        "description": st.sampled_from(("d", "e", "")),
        "nullable": st.booleans(),
        "$ref": st.sampled_from(("#", "#/$defs/A", "#/$defs/B", "#/nowhere", "http://x")),
        "required": st.lists(st.sampled_from(("a", "b", 3)), max_size=3),
        "not": st.just({}),
    },
)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    listed = st.lists(inner, max_size=3)
    members = {
        "properties": st.dictionaries(st.sampled_from(("a", "b", "a/b")), inner, max_size=2),
        "$defs": st.dictionaries(st.sampled_from(("A", "B")), inner, max_size=2),
        "items": inner | listed | st.booleans(),
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), listed),
        "additionalProperties": st.booleans() | inner,
    }
    return st.builds(lambda leaf, more: {**leaf, **more}, LEAVES, st.fixed_dictionaries({}, optional=members))


SCHEMAS = st.recursive(LEAVES | st.booleans(), grown, max_leaves=8)


@settings(max_examples=250)
@given(SCHEMAS)
def test_the_result_is_in_the_subset_and_stays_as_it_is(given: Any) -> None:
    once = reduce(given).schema
    assert_in_subset(once)
    assert reduce(once).schema == once
    parameters = reduce_object(given).schema
    assert parameters["type"] == "OBJECT"
    assert_in_subset(parameters)


@settings(max_examples=80)
@given(SCHEMAS)
def test_what_was_read_back_is_the_same_when_reduced_again(given: Any) -> None:
    once = reduce(given).schema
    assert reduce(restore(once)).schema == once


def test_parts_that_refer_to_parts_are_merged_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each definition needs the next one twice: without a bound 2 ** 40 merges."""
    merges = 0

    def counted(*args: Any) -> Node:
        nonlocal merges
        merges += 1
        return merge(*args)

    monkeypatch.setattr(schema, "merge", counted)
    defs: Node = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    found = reduce({"$defs": defs | {"d40": {"type": "object"}}, "$ref": "#/$defs/d0"})
    assert_in_subset(found.schema)
    assert found.lossy
    assert merges <= 2 * schema.MOST_NODES


def test_what_is_written_at_every_use_is_bounded() -> None:
    """A page of text, a long list and members without meaning, each used a thousand times."""
    uses = {f"p{n}": {"$ref": "#/$defs/d"} for n in range(1000)}
    for one in ({"type": "string", "description": "x" * 20_000}, {"type": "integer", "enum": list(range(5000))}):
        found = reduce({"$defs": {"d": one}, "type": "object", "properties": uses})
        assert_in_subset(found.schema)
        kept = [node for node in found.schema["properties"].values() if node.get("type") == str(one["type"]).upper()]
        assert 10 < len(kept) < 400
    members = {f"x{n}": n for n in range(5000)}
    assert len(reduce({**members, "anyOf": [{"type": "object"}] * 3000}).removed) < 20_000


def test_long_names_are_not_repeated_in_the_path_of_every_member_below_them() -> None:
    inner = {f"p{n}": {"x": 1, "y": 2} for n in range(1500)}
    found = reduce({"type": "object", "properties": {"n" * 50_000: {"type": "object", "properties": inner}}})
    assert sum(map(len, found.removed)) < 80_000_000


def test_thousands_of_branches_do_not_take_long() -> None:
    node = reduce({"anyOf": [{"title": f"t{n}"} for n in range(2000)]}).schema
    assert len(node["anyOf"]) == 8000


def test_a_reference_to_a_place_that_no_list_has_leads_nowhere() -> None:
    assert reduce({"$ref": "#/x/" + "1" * 5000, "x": [{"type": "string"}]}).removed[0] == "/$ref"
