"""Gemini's ``Schema``, the OpenAPI subset that ``schema.py`` writes, converted back to JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .gemini_contents import camel
from .schema_merge import COUNTS, Node

# the numbers of the vendor's enum "Type", which its Vertex SDKs write
_TYPE_NUMBER: Final = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
_DIGITS: Final = 19  # of a 64-bit integer
_NO_TYPE: Final = (0, "TYPE_UNSPECIFIED")


def restore(schema: object) -> object:
    """Return the subset as JSON Schema: types in lower case, ``nullable`` as a type, int64 counts (strings) as numbers.

    The wire accepts names in camelCase and in snake_case; JSON Schema has only the former.
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
