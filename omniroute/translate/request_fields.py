"""Members of a request that hold one value for one field of :class:`~.conversation.Ask`, which every wire has many of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

from .conversation import Ask
from .jsonio import Shape

Reader = Callable[[Ask, Raw], None]


def field_readers(fields: Mapping[str, tuple[Shape[Any], str]]) -> dict[str, Reader]:
    """Return member -> its reader.  *fields*: member -> (its type, the field; ``sampling.``: a field of Sampling)."""
    return {name: _reader(name, shape, field) for name, (shape, field) in fields.items()}


def _reader(name: str, shape: Shape[Any], field: str) -> Reader:
    leaf = field.removeprefix("sampling.")
    if leaf != field:
        return lambda ask, raw: setattr(ask.sampling, leaf, shape.read(raw, name))
    return lambda ask, raw: setattr(ask, leaf, shape.read(raw, name))
