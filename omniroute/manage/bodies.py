"""Request bodies: JSON bytes to a validated Struct, with every wrong field named.

msgspec stops at the first mistake; a form needs all of them.  So each field of the Struct is converted on its own and the
errors are collected.  A Struct may set its own messages (dotted path, ``*`` for an index -> message): in ``TEXTS`` for any
error of a field except a value too big, in ``PATTERNS`` for a text that does not match its pattern.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
import orjson
from msgspec import Meta, Struct

from .refusals import Invalid

T = TypeVar("T", bound=Struct)

Text50 = Annotated[str, Meta(max_length=50)]
Text200 = Annotated[str, Meta(max_length=200)]
Text500 = Annotated[str, Meta(max_length=500)]
Text10k = Annotated[str, Meta(max_length=10_000)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
ShortName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Rank = Annotated[int, Meta(ge=1, le=100)]
"""Priorities."""

_WORDS: Final = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
_LABELS: Final = {"apiKey": "API key", "baseUrl": "Base URL", "apiType": "API type"}
_TOO_BIG: Final = "Too big"
_LARGEST: Final = 2**53  # above it floats cannot represent every integer
_PLACE = re.compile(r" - at `\$(.*)`$")
_BOUND = re.compile(r"Expected `(\w+)[^`]*`(?: of length)? (>=|<=|>|<) (\S+)")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_KINDS = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")


def decode(raw: bytes, kind: type[T]) -> T:
    """Decode the body as *kind*.  Raises :class:`Invalid` (400) naming each wrong field."""
    return fit(decode_object(raw), kind)


def decode_if_sent(raw: bytes, kind: type[T]) -> T:
    """:func:`decode`, but an empty body is *kind* with its defaults: for DELETE, where the query may say the same."""
    return decode(raw, kind) if raw else kind()


def decode_object(raw: bytes) -> dict[str, Any]:
    """Decode the body as a JSON object without checking its members.  Raises :class:`Invalid`."""
    try:
        value = orjson.loads(raw.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError:
        raise Invalid(("body", "Invalid JSON body")) from None
    if not isinstance(value, dict):
        raise Invalid(("body", f"Invalid input: expected object, received {_word_of(value)}"))
    return value


def fit(value: Mapping[str, Any], kind: type[T]) -> T:
    """Convert *value* to *kind*; unknown fields are ignored.  Raises :class:`Invalid`."""
    texts: Mapping[str, str] = getattr(kind, "TEXTS", {})
    patterns: Mapping[str, str] = getattr(kind, "PATTERNS", {})
    problems: list[tuple[str, str]] = []
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name not in value:
            if field.required:
                problems.append((name, texts.get(name) or _required(name)))
            continue
        try:
            fields[field.name] = _converted(value[name], field.type)
        except msgspec.ValidationError as error:
            path, message = _explain(name, field.type, value[name], str(error), patterns)
            if not message.startswith(_TOO_BIG):
                message = texts.get(re.sub(r"\.\d+", ".*", path)) or message
            problems.append((path, message))
    if problems:
        raise Invalid(*problems)
    return kind(**fields)


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        return msgspec.convert(_whole(value), kind)


def _whole(value: Any) -> Any:
    """Return *value* with ``7.0`` as 7: JSON has one number type, and some clients write integers with a point."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _LARGEST else value
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _required(name: str) -> str:
    label = _LABELS.get(name)
    if label is None:
        words = re.sub(r"(?<!^)([A-Z])", lambda found: " " + found[1].lower(), name)
        label = words[:1].upper() + words[1:]
    return f"{label} is required"


def _explain(name: str, kind: Any, value: object, complaint: str, patterns: Mapping[str, str]) -> tuple[str, str]:
    """Convert msgspec's error to (dotted path, message); *patterns* has the messages for texts that do not match."""
    path = name
    if found := _PLACE.search(complaint):
        place = found[1]
        if place.startswith("[...]") and isinstance(value, dict):
            place = f".{_wrong_member(value, kind)}{place.removeprefix('[...]')}"
        path += re.sub(r"\[(\w+)\]", r".\1", place.replace("[...]", ".*"))
        complaint = complaint[: found.start()]
    if found := _MISSING.match(complaint):
        return f"{path}.{found[1]}", _required(found[1])
    if complaint.startswith("Invalid enum value") and (options := _options(kind)):
        return path, f"Invalid option: expected one of {options}"
    if isinstance(value, str) and not value.strip() and ("length >=" in complaint or "regex" in complaint):
        return path, _required(name)
    if found := _BOUND.match(complaint):
        word = _WORDS.get(found[1], found[1])
        size = "Too small" if found[2].startswith(">") else _TOO_BIG
        unit = {"string": "to have {} characters", "array": "to have {} items"}.get(word, "to be {}")
        return path, f"{size}: expected {word} {unit.format(found[2] + found[3])}"
    if found := _KINDS.match(complaint):
        if options := _options(kind):
            return path, f"Invalid option: expected one of {options}"
        words = _WORDS if found[2] != "float" else {**_WORDS, "int": "int"}  # "number" would be misleading
        wanted = " | ".join(dict.fromkeys(words.get(word, word) for word in found[1].split(" | ")))
        return path, f"Invalid input: expected {wanted}, received {_WORDS.get(found[2], found[2])}"
    return path, patterns.get(path) or f"Invalid value for {path}"


def _wrong_member(value: dict[str, Any], kind: Any) -> str:
    """Return the name of the member that does not fit, which msgspec does not say."""
    for name, member in value.items():
        try:
            _converted({name: member}, kind)
        except msgspec.ValidationError:
            return name
    return "*"


def _options(kind: Any) -> str:
    """Return ``"a"|"b"`` if *kind* is a Literal, also inside a union; else ""."""
    if get_origin(kind) is Literal:
        return "|".join(f'"{word}"' for word in get_args(kind))
    return next((found for part in get_args(kind) if (found := _options(part))), "")


def _word_of(value: object) -> str:
    if value is None:
        return "null"
    return {list: "array", str: "string", bool: "boolean"}.get(type(value), "number")


def given(body: Struct) -> dict[str, Any]:
    """Return the fields that were sent, by their Python names; ``null`` counts as sent."""
    values = ((field.name, getattr(body, field.name)) for field in msgspec.structs.fields(body))
    return {name: value for name, value in values if value is not msgspec.UNSET}


def given_json(body: Struct) -> dict[str, Any]:
    """Return the fields that were sent, by their JSON names, as plain JSON values."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(body)}
    return {names[name]: msgspec.to_builtins(value) for name, value in given(body).items()}


def clean_key(text: str) -> str:
    """Return an API key fit for a header.  Raises :class:`Invalid` for control characters and non-ASCII text."""
    key = text.strip()
    if key and not (key.isascii() and key.isprintable()):
        raise Invalid(("apiKey", "API key contains invalid characters"))
    return key
