"""Gemini's ``Schema``, the OpenAPI subset that ``schema.py`` writes, read back as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .schema_merge import COUNTS, Node


def restore(schema: object) -> object:
    """The subset as JSON Schema: types in small letters, ``nullable`` as a type, counts (64 bits, so texts) as numbers."""
    if not isinstance(schema, dict):
        return schema
    out: Node = {name: _RESTORE.get(name, _same)(value) for name, value in schema.items() if name != "nullable"}
    if schema.get("nullable") is True:
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
    return value.lower() if isinstance(value, str) else value


def _count(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


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
