"""JSON Schema rewritten for wires that accept only a subset.

:func:`reduce` writes Gemini's ``Schema`` (an OpenAPI 3.0 subset, the vendor's reference "Schema"): references are
inlined, unions become ``anyOf``, type lists ``nullable``, constants enums, tuples arrays of unions.  What the subset cannot
express goes into the description if it is short, and its path is reported.  ``schema_restore.py`` converts back.

A node of the subset has a ``type`` or is nothing but an ``anyOf``: the API refuses other members beside ``anyOf``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from .jsonio import OBJECT, encode
from .schema_merge import COUNTS, Node, hashable, merge, numeric, type_names

MOST_NODES: Final = 4000  # in one schema with its references inlined; nodes beyond it accept any value
MOST_COPIES: Final = 200_000  # limit for what inlining repeats: members, values, and texts by 16 characters
DEEPEST: Final = 64
_UNIT: Final = 16  # characters of a text that count as one member
_PATH_UNIT: Final = 256  # the same for a path
_DIGITS: Final = 10  # the longest index into a list
FORMATS: Final = frozenset({"date-time", "enum", "int32", "int64", "float", "double"})
_TEXTS: Final = ("title", "description")
_SHELVES: Final = ("$defs", "definitions")  # definitions are written only where a reference inlines them
# members that do not constrain values, so removing them loses nothing
HARMLESS: Final = frozenset(
    {"$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "default", "example", "examples", "deprecated"}
    | {"readOnly", "writeOnly", "enumDescriptions", "markdownDescription", "discriminator", "xml", "externalDocs", "title"}
)
_OF_TYPE: Final[dict[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength", "pattern"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "propertyOrdering", "minProperties", "maxProperties"),
    "boolean": (),
    "null": (),
}
_TELLTALE: Final = (
    ("object", {"properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"}),
    ("array", {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    ("string", {"pattern", "minLength", "maxLength"}),
    ("number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
)
_OBJECT: Final = Raw(b'"object"')
_NO_PARAMETERS: Final = Raw(b'{"type":"object","properties":{}}')
_ANY_VALUE: Final = ("string", "number", "boolean", "object")


class Reduced(NamedTuple):
    """``removed``: paths of the members that were removed (``/properties/a/pattern``), harmless ones included."""

    schema: Node
    removed: tuple[str, ...]

    @property
    def lossy(self) -> bool:
        """Whether a removed member constrained what is valid."""
        return any(path.rpartition("/")[2] not in HARMLESS for path in self.removed)


def reduce(schema: object) -> Reduced:
    """Reduce a JSON Schema (draft 4 to 2020-12, or the subset itself) to the subset.  Never raises."""
    work = _Reducer(schema)
    try:
        return Reduced(work.node(schema, "", ()), tuple(dict.fromkeys(work.removed)))
    except RecursionError:
        return Reduced({"type": "OBJECT"}, ("/*",))


def reduce_object(schema: object) -> Reduced:
    """Reduce the parameters of a function, which must be one object: a union of objects gets the properties of all."""
    found = reduce(schema)
    node = found.schema
    if node.get("type") == "OBJECT":
        return Reduced({k: v for k, v in node.items() if k != "nullable"}, found.removed)
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") == "OBJECT"]
    if not branches:
        return Reduced({"type": "OBJECT", "properties": {}}, (*found.removed, "/type"))
    properties: Node = {}
    for branch in branches:
        for name, value in branch.get("properties", {}).items():
            properties.setdefault(name, value)
    shared = set.intersection(*(set(branch.get("required", ())) for branch in branches))
    out: Node = {"type": "OBJECT", "properties": properties}
    if required := [name for name in properties if name in shared]:
        out["required"] = required
    return Reduced(out, (*found.removed, *(("/anyOf",) if len(branches) > 1 else ())))


def with_properties(schema: bytes | None) -> Raw:
    """Return a function's parameters with ``properties``, if only empty: OpenAI refuses an object schema without."""
    if schema is None:
        return _NO_PARAMETERS
    found = None if b'"properties"' in schema else OBJECT.get(schema)
    if found is None or bytes(found.setdefault("type", _OBJECT)) != bytes(_OBJECT):
        return Raw(schema)
    return Raw(encode({**found, "properties": {}}))


class _Reducer:
    def __init__(self, root: object) -> None:
        self.root = root
        self.removed: list[str] = []
        self.nodes = 0
        self.copies = 0

    def drop(self, path: str, name: str) -> None:
        self.copies += (len(path) + len(name)) // _PATH_UNIT
        self.removed.append("/*" if self.full else f"{path}/{name}")

    @property
    def full(self) -> bool:
        """Whether the result has reached its size limit."""
        return self.nodes > MOST_NODES or self.copies > MOST_COPIES

    def copied(self, node: Node, levels: int = 2) -> Node:
        """Count *node*, which is about to be written at one more place, and return it."""
        self.nodes += 1
        self.copies += _weight({name: value for name, value in node.items() if name not in _SHELVES}, levels)
        return node

    # -- one node

    def node(self, schema: object, path: str, refs: tuple[str, ...]) -> Node:
        self.nodes += 1
        self.copies += len(path) // _PATH_UNIT
        if not isinstance(schema, dict):
            return self._any({})
        if self.full or path.count("/") > DEEPEST:
            self.drop(path, "*")
            return {"type": "OBJECT"} if "object" in type_names(schema) or "properties" in schema else self._any({})
        flat, refs = self._flatten(schema, path, refs)
        branches = self._branches(flat)
        if branches is None:
            return self._single(flat, path, refs)
        return self._union([self._joined(flat, branch, path) for branch in branches], path, refs, flat)

    def _flatten(self, schema: Node, path: str, refs: tuple[str, ...]) -> tuple[Node, tuple[str, ...]]:
        """Merge what ``$ref`` and ``allOf`` say into the node."""
        for _ in range(DEEPEST):
            if isinstance(ref := schema.get("$ref"), str):
                rest = {k: v for k, v in schema.items() if k != "$ref"}
                self.copies += len(ref) // _UNIT
                target = None if ref in refs else _lookup(self.root, ref)
                if target is None:
                    self.drop(path, "$ref")
                    target = {"type": "object"} if ref in refs else {}
                refs = (*refs, ref)
                whole = self.copied(target, DEEPEST) if isinstance(target, dict) else {}
                schema = merge(whole, rest, self._clash(path))
            elif isinstance(parts := schema.get("allOf"), list):
                rest = {k: v for k, v in schema.items() if k != "allOf"}
                inner = dict.fromkeys(refs)
                for part in parts:
                    if self.full:
                        self.drop(path, "allOf")
                        break
                    if isinstance(part, dict):
                        whole, seen = self._flatten(part, path, refs)
                        rest = merge(self.copied(rest), whole, self._clash(path))
                        inner.update(dict.fromkeys(seen))
                schema, refs = rest, tuple(inner)
            else:
                break
        return schema, refs

    def _clash(self, path: str) -> Callable[[str], None]:
        return lambda name: self.drop(path, name)

    @staticmethod
    def _branches(flat: Node) -> list[object] | None:
        for name in ("anyOf", "oneOf"):
            if isinstance(found := flat.get(name), list) and found:
                return found
        names = type_names(flat)
        real = [name for name in names if name != "null"]
        if len(real) > 1:
            return [{"type": name} for name in names]
        return None

    def _joined(self, flat: Node, branch: object, path: str) -> object:
        """Merge a branch with what the node says about all branches."""
        if branch is True:
            branch = {}
        if not isinstance(branch, dict) or self.full:
            return branch
        shared = {k: v for k, v in flat.items() if k not in ("anyOf", "oneOf", "title", "default", "$defs", "definitions")}
        if "type" in branch and isinstance(branch["type"], str):
            shared.pop("type", None)
            if branch["type"] == "null":
                return branch
        return merge(self.copied(shared), branch, self._clash(path))

    def _union(self, branches: list[object], path: str, refs: tuple[str, ...], flat: Node) -> Node:
        out: list[Node] = []
        nullable = flat.get("nullable") is True
        for place, branch in enumerate(branches):
            if branch is False:
                continue
            found = self.node(branch, f"{path}/anyOf/{place}", refs)
            inner = found.get("anyOf", [found])
            nullable = nullable or any(one.get("type") == "NULL" for one in inner)
            out += [one for one in inner if one.get("type") != "NULL"]
        if not out:
            return {"type": "NULL"} if nullable else self._any({})
        out = _unique([{**one, "nullable": True} for one in out] if nullable else out)
        if len(out) == 1:
            for name in _TEXTS:
                if isinstance(text := flat.get(name), str) and text:
                    out[0].setdefault(name, text)
            return out[0]
        merged = _merged_enums(out)
        return merged if merged is not None else {"anyOf": out}

    @staticmethod
    def _any(texts: Node) -> Node:
        """Return a node for any value but arrays, which would need ``items``."""
        return {"anyOf": [{"type": name.upper(), **texts} for name in _ANY_VALUE]}

    # -- a node of one type

    def _single(self, flat: Node, path: str, refs: tuple[str, ...]) -> Node:
        names = type_names(flat)
        nullable = "null" in names or flat.get("nullable") is True
        values = _values(flat)
        if values is not None and None in values:
            nullable = True
            values = [value for value in values if value is not None]
        kind = next((name for name in names if name != "null"), "") or _guess(flat, values)
        if not kind:
            if "null" in names or (values == [] and nullable):
                return {"type": "NULL"}
            self._report(flat, "", path)
            texts = {name: flat[name] for name in _TEXTS if isinstance(flat.get(name), str) and flat[name]}
            return self._any(texts | ({"nullable": True} if nullable else {}))
        out: Node = {"type": kind.upper()}
        notes: list[str] = []
        if values is not None:
            self._enum(out, kind, values, path, notes)
        self._limits(out, flat, kind, path, notes)
        if kind == "array":
            self._array(out, flat, path, refs)
        elif kind == "object":
            self._object(out, flat, path, refs)
        if nullable:
            out["nullable"] = True
        self._texts(out, flat, notes)
        self._report(flat, kind, path)
        return out

    def _enum(self, out: Node, kind: str, values: list[Any], path: str, notes: list[str]) -> None:
        """Write an enum.  The subset has only strings; for numbers keep the range and list the values in the description."""
        if kind == "string":
            texts = [value for value in values if isinstance(value, str) and value]
            if texts:
                out["enum"] = list(dict.fromkeys(texts))
            if len(texts) < len(values):
                self.drop(path, "enum")
            return
        numbers = [value for value in values if numeric(value)]
        if kind in ("integer", "number") and numbers:
            out["minimum"], out["maximum"] = min(numbers), max(numbers)
        if kind not in ("integer", "number") or len(set(numbers)) > 1 or len(numbers) < len(values):
            self.drop(path, "enum")
            notes.append("One of: " + ", ".join(msgspec.json.encode(value).decode() for value in values) + ".")

    def _limits(self, out: Node, flat: Node, kind: str, path: str, notes: list[str]) -> None:
        for name in _OF_TYPE[kind]:
            value = flat.get(name)
            if name in COUNTS and numeric(value) and value >= 0 and float(value).is_integer():
                out[name] = int(value)
            elif name in ("minimum", "maximum"):
                if numeric(value):
                    out.setdefault(name, value)
            elif name == "pattern" and isinstance(value, str):
                out[name] = value
        if kind in ("integer", "number"):
            self._exclusive(out, flat, kind, path, notes)
            if numeric(flat.get("multipleOf")):
                notes.append(f"A multiple of {flat['multipleOf']}.")
        given = flat.get("format")
        if isinstance(given, str) and given in FORMATS and (given != "enum" or "enum" in out):
            out["format"] = given
        elif isinstance(given, str) and given:
            self.drop(path, "format")
            notes.append(f"Format: {given}.")

    def _exclusive(self, out: Node, flat: Node, kind: str, path: str, notes: list[str]) -> None:
        """Write ``exclusiveMinimum`` or ``exclusiveMaximum``: the next integer, or the limit itself and a description."""
        for name, limit, step, words in (
            ("exclusiveMinimum", "minimum", 1, "More than"),
            ("exclusiveMaximum", "maximum", -1, "Less than"),
        ):
            value = flat.get(name)
            if value is True and numeric(out.get(limit)):  # draft 4
                value = out.pop(limit)
            if not numeric(value):
                continue
            whole = kind == "integer" and float(value).is_integer()
            bound = int(value) + step if whole else value
            known = out.get(limit)
            if known is None or (known < bound if step > 0 else known > bound):
                out[limit] = bound
            if not whole:
                self.drop(path, name)
                notes.append(f"{words} {value}.")

    def _array(self, out: Node, flat: Node, path: str, refs: tuple[str, ...]) -> None:
        items, tuple_ = flat.get("items"), flat.get("prefixItems")
        if isinstance(items, list):  # before 2020-12
            items, tuple_ = flat.get("additionalItems"), items
        if isinstance(tuple_, list) and tuple_:
            self.drop(path, "prefixItems")
            rest = [items] if isinstance(items, dict) else []
            out["items"] = self._union([*tuple_, *rest], f"{path}/prefixItems", refs, {})
            if items is False:
                out.setdefault("maxItems", len(tuple_))
        else:
            out["items"] = self.node(items, f"{path}/items", refs)

    def _object(self, out: Node, flat: Node, path: str, refs: tuple[str, ...]) -> None:
        given = flat.get("properties")
        properties: Node = {}
        for name, value in given.items() if isinstance(given, dict) else ():
            if value is not False and isinstance(name, str):
                properties[name] = self.node(value, f"{path}/properties/{name.replace('/', '~1')}", refs)
        if properties or isinstance(given, dict):
            out["properties"] = properties
        for name in ("required", "propertyOrdering"):
            listed = flat.get(name)
            names = [n for n in listed if isinstance(n, str) and n in properties] if isinstance(listed, list) else []
            if names:
                out[name] = list(dict.fromkeys(names))

    @staticmethod
    def _texts(out: Node, flat: Node, notes: list[str]) -> None:
        if isinstance(title := flat.get("title"), str) and title:
            out["title"] = title
        said = flat.get("description")
        text = said if isinstance(said, str) else ""
        text = " ".join([*([text] if text else []), *(note for note in notes if note not in text)])
        if text:
            out["description"] = text

    def _report(self, flat: Node, kind: str, path: str) -> None:
        """Report the members that are not in the result, unless they do not apply to this type."""
        known = {*_TEXTS, "type", "nullable", "enum", "const", "format", *_OF_TYPE.get(kind, ())}
        known |= {"exclusiveMinimum", "exclusiveMaximum"} if kind in ("integer", "number") else set()
        foreign = {name for other, names in _OF_TYPE.items() if other != kind for name in names} if kind else set()
        for name, value in flat.items():
            open_ = name == "additionalProperties" and value in (True, {})
            if name not in known and name not in foreign and not open_:
                self.drop(path, name)


def _values(flat: Node) -> list[Any] | None:
    if "const" in flat:
        return [flat["const"]]
    found = flat.get("enum")
    return list(found) if isinstance(found, list) and found else None


def _guess(flat: Node, values: list[Any] | None) -> str:
    """Guess the type of a node that names none."""
    if values:
        kinds = {_kind_of(value) for value in values}
        return "number" if kinds == {"integer", "number"} else kinds.pop() if len(kinds) == 1 else "string"
    return next((kind for kind, words in _TELLTALE if words & flat.keys()), "")


def _kind_of(value: object) -> str:
    for kind, type_ in (("boolean", bool), ("integer", int), ("number", float), ("string", str), ("array", list)):
        if isinstance(value, type_):
            return kind
    return "object"


def _unique(nodes: list[Node]) -> list[Node]:
    """Return *nodes* without duplicates, in order."""
    if len(nodes) < 2:
        return nodes
    found: dict[Hashable, Node] = {}
    for node in nodes:
        found.setdefault(hashable(node), node)
    return list(found.values())


def _weight(value: object, levels: int) -> int:
    """Return the size of *value* when written once more, ignoring what lies deeper than *levels*."""
    if isinstance(value, str):
        return len(value) // _UNIT
    if not levels or not isinstance(value, (dict, list)):
        return 0
    names, items = (value, value.values()) if isinstance(value, dict) else ((), value)
    return len(value) + sum(map(len, names)) // _UNIT + sum(_weight(one, levels - 1) for one in items)


def _merged_enums(branches: list[Node]) -> Node | None:
    """Merge a union of string constants into one enum; None if it is anything else."""
    plain = [b for b in branches if b.get("type") == "STRING" and "enum" in b and b.keys() <= {"type", "enum", "nullable"}]
    if len(plain) < len(branches):
        return None
    values = dict.fromkeys(value for branch in branches for value in branch["enum"])
    return {"type": "STRING", "enum": list(values)} | ({"nullable": True} if branches[0].get("nullable") else {})


def _lookup(root: object, ref: str) -> object | None:
    """Resolve a local reference (an RFC 6901 pointer after ``#``); None if it leads nowhere."""
    if not ref.startswith("#"):
        return None
    found: Any = root
    for step in ref[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and len(step) < _DIGITS and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found if isinstance(found, (dict, bool)) else None
