"""Gemini's ``Schema``, the OpenAPI subset that ``schema.py`` writes, read back as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .gemini_contents import camel
from .schema_merge import COUNTS, Node

# the vendor's enum "Type": what its Vertex packages write for the words
_TYPE_NUMBER: Final = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
_DIGITS: Final = 19  # of a whole number of 64 bits
_NO_TYPE: Final = (0, "TYPE_UNSPECIFIED")


def restore(schema: object) -> object:
    """The subset as JSON Schema: types in small letters, ``nullable`` as a type, counts (64 bits, so texts) as numbers.

    Names come in camelCase or in snake_case, as everywhere on that wire; JSON Schema has only the former.
    """
    if not isinstance(schema, dict):
        return schema
    given = {camel(name): value for name, value in schema.items()}
    out: Node = {name: _RESTORE.get(name, _same)(value) for name, value in given.items() if name != "nullable"}
    if out.get("type") in _NO_TYPE:
        del out["type"]
    if given.get("nullable") is True:
        if isinstance(kind := out.get("type"), str):
            out["type"] = [kind, "null"]
            if isinstance(out.get("enum"), list) and None not in out["enum"]:
                out["enum"] = [*out["enum"], None]
        elif isinstance(branches := out.get("anyOf"), list):
            out["anyOf"] = [*branches, {"type": "null"}]
    return out


def _same(value: object) -> object:
    return value


def _type(value: object) -> object:
    if isinstance(value, str):
        return value if value in _NO_TYPE else value.lower()
    return _TYPE_NUMBER.get(value, value) if type(value) is int else value


def _count(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS else value


def _each(value: object) -> object:
    return list(map(restore, value)) if isinstance(value, list) else value


def _named(value: object) -> object:
    return {name: restore(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


_RESTORE: Final[dict[str, Any]] = {
    "type": _type,
    "items": restore,
    "anyOf": _each,
    "prefixItems": _each,
    "properties": _named,
    "$defs": _named,
    **dict.fromkeys(COUNTS, _count),
}
