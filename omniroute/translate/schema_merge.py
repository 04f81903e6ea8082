"""The conjunction of two JSON Schemas, which is what ``allOf`` and members beside ``$ref`` mean."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeGuard

Node = dict[str, Any]
TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_LARGER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_SMALLER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
# the second schema's value is kept: it is nearer to the use
_LAST_WINS: Final = frozenset(
    {"title", "description", "default", "example", "examples", "$id", "$schema", "$comment", "format"}
)


def numeric(value: object) -> TypeGuard[int | float]:
    """Whether *value* is a finite number; booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0


def type_names(schema: Node) -> list[str]:
    """Return the types that a node names, in lower case, without unknown ones."""
    given = schema.get("type")
    names = given if isinstance(given, list) else [given]
    return list(dict.fromkeys(name.lower() for name in names if isinstance(name, str) and name.lower() in TYPES))


def merge(first: Node, second: Node, clash: Callable[[str], None]) -> Node:
    """Return a schema that requires both.  *clash* is called with the name of a member of which only one could be kept."""
    out = dict(first)
    for name, value in second.items():
        known = out.get(name)
        if name not in out or known == value or name in _LAST_WINS:
            out[name] = value
        elif name == "type":
            out[name] = _common_types(first, second)
        elif name == "properties" and isinstance(known, dict) and isinstance(value, dict):
            out[name] = _properties(known, value)
        elif name in ("required", "propertyOrdering") and isinstance(known, list) and isinstance(value, list):
            out[name] = [*known, *_others(value, known)]
        elif name == "enum" and isinstance(known, list) and isinstance(value, list):
            both = set(map(hashable, value))
            out[name] = [one for one in known if hashable(one) in both] or known
        elif name in ("$defs", "definitions") and isinstance(known, dict) and isinstance(value, dict):
            out[name] = {**value, **known}
        elif name in _LARGER | _SMALLER and numeric(known) and numeric(value):
            out[name] = max(known, value) if name in _LARGER else min(known, value)
        elif name == "items" and isinstance(known, dict) and isinstance(value, dict):
            out[name] = {"allOf": [known, value]}
        else:
            clash(name)
    return out


def hashable(value: Any) -> Hashable:
    """Return a hashable key for any JSON value; keys are equal exactly if the values are."""
    if isinstance(value, dict):
        return frozenset((name, hashable(one)) for name, one in value.items())
    return tuple(map(hashable, value)) if isinstance(value, list) else value


def _others(values: list[Any], known: list[Any]) -> list[Any]:
    """Return those of *values* that are not in *known*."""
    seen = set(map(hashable, known))
    return [one for one in values if hashable(one) not in seen]


def _common_types(first: Node, second: Node) -> list[str] | str:
    """Return the types in both; ``integer`` counts as a ``number``."""
    one, two = type_names(first), type_names(second)
    both = [name for name in one if name in two]
    both += ["integer"] if "integer" not in both and "integer" in (*one, *two) and "number" in (*one, *two) else []
    common = both or two or one
    return common[0] if len(common) == 1 else common


def _properties(first: Node, second: Node) -> Node:
    out = dict(first)
    for name, value in second.items():
        out[name] = {"allOf": [out[name], value]} if name in out and out[name] != value else value
    return out
