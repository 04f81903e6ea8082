"""The subset, read back.  That reducing it again gives the same is held in ``test_schema.py``."""

from __future__ import annotations

from omniroute.translate.schema_restore import restore


def test_the_subset_is_read_as_json_schema() -> None:
    given = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True, "enum": ["x"]}, "b": {"type": "ARRAY", "minItems": "2"}},
        "anyOf": [{"type": "NUMBER"}],
    }
    assert restore(given) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}, "b": {"type": "array", "minItems": 2}},
        "anyOf": [{"type": "number"}],
    }


def test_numbers_for_types_are_words() -> None:
    words = ["string", "number", "integer", "boolean", "array", "object", "null"]
    assert [restore({"type": number}) for number in range(1, 8)] == [{"type": word} for word in words]
    given = {"type": 6, "properties": {"a": {"type": 5, "items": {"type": 1, "nullable": True}}}}
    item = {"type": ["string", "null"]}
    assert restore(given) == {"type": "object", "properties": {"a": {"type": "array", "items": item}}}
    assert restore({"type": 0}) == restore({"type": "TYPE_UNSPECIFIED"}) == {}


def test_a_count_that_is_no_number_of_64_bits_stays_as_it_is() -> None:
    assert restore({"minItems": "1" * 5000}) == {"minItems": "1" * 5000}


def test_names_in_snake_case_are_read_but_those_of_properties_stay() -> None:
    given = {"type": "OBJECT", "properties": {"any_of": {"any_of": [{"type": "STRING", "max_length": "3"}]}}}
    branch = {"type": "string", "maxLength": 3}
    assert restore(given) == {"type": "object", "properties": {"any_of": {"anyOf": [branch]}}}
    assert restore({"property_ordering": ["a_b"], "required": ["a_b"]}) == {"propertyOrdering": ["a_b"], "required": ["a_b"]}


def test_what_is_standard_already_stays_as_it_is() -> None:
    given = {"type": ["string", "null"], "$defs": {"A": {"type": "object"}}, "minLength": 1, "items": [{"type": "string"}]}
    assert restore(given) == given
    assert restore(True) is True
