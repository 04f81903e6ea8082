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


def test_what_is_standard_already_stays_as_it_is() -> None:
    given = {"type": ["string", "null"], "$defs": {"A": {"type": "object"}}, "minLength": 1, "items": [{"type": "string"}]}
    assert restore(given) == given
    assert restore(True) is True
