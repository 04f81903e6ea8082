"""Expected shapes of JSON values, as data.

==================  ================================================================================
``{"a": S}``        an object with at least ``a``; ``"a?"`` may be missing, ``"!a"`` must be missing
``{str: S}``        an object all of whose other values match S
``[S]``             a non-empty array all of whose items match S; ``Some(S)``: at least one item matches
``(S, T)``          an array of exactly these items
a type, ``A | B``   a value of that type; ``True`` is not a number, ``1.0`` equals ``1``
a pattern           a string that contains a match
anything else       exactly that value
==================  ================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Final, NamedTuple, get_args

ISO: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
UUID: Final = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
NUMBER: Final = int | float
ANY: Final = object


class Some(NamedTuple):
    shape: Any


class Either(NamedTuple):
    shapes: tuple[Any, ...]


def either(*shapes: Any) -> Either:
    return Either(shapes)


def misfits(value: Any, shape: Any, at: str = "answer") -> Iterator[str]:
    """A description of each part of *value* that does not match *shape*, with its place."""
    if isinstance(shape, dict):
        yield from _object(value, shape, at)
    elif isinstance(shape, list) and shape:
        if not isinstance(value, list) or not value:
            yield f"{at} is {value!r:.200}, not an array with items"
        else:
            for n, item in enumerate(value):
                yield from misfits(item, shape[0], f"{at}[{n}]")
    elif type(shape) is tuple:
        if not isinstance(value, list) or len(value) != len(shape):
            yield f"{at} is {value!r:.300}, not {len(shape)} items"
        else:
            for n, (item, inner) in enumerate(zip(value, shape, strict=True)):
                yield from misfits(item, inner, f"{at}[{n}]")
    elif isinstance(shape, Some):
        if not isinstance(value, list) or all([*misfits(item, shape.shape)] for item in value):
            yield f"{at} has no item {shape.shape!r}: {value!r:.300}"
    elif isinstance(shape, Either):
        if all([*misfits(value, choice)] for choice in shape.shapes):
            yield f"{at} is {value!r:.300}, none of {shape.shapes!r}"
    elif not _plain(value, shape):
        yield f"{at} is {value!r:.300}, not {shape!r}"


def _object(value: Any, shape: dict[Any, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is {value!r:.200}, not an object"
        return
    named = {key.strip("!?") for key in shape if isinstance(key, str)}
    for key, inner in shape.items():
        if key is str:
            for name in value.keys() - named:
                yield from misfits(value[name], inner, f"{at}.{name}")
        elif key.startswith("!"):
            if key[1:] in value:
                yield f"{at}.{key[1:]} is there"
        elif key.removesuffix("?") in value:
            yield from misfits(value[key.removesuffix("?")], inner, f"{at}.{key}")
        elif not key.endswith("?"):
            yield f"{at}.{key} is missing"


def _plain(value: Any, shape: Any) -> bool:
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.search(value) is not None
    if isinstance(shape, type | UnionType):
        kinds = get_args(shape) or (shape,)
        return isinstance(value, shape) and (not isinstance(value, bool) or bool in kinds or object in kinds)
    return isinstance(value, bool) == isinstance(shape, bool) and bool(value == shape)
