"""Almost valid bytes: the golden files of all wires, with a few pieces removed, repeated, swapped or replaced."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rich_bodies import RICH

GOLDEN = Path(__file__).parent / "golden"
FIXED = 400  # seeds of a short run
SHORT = 0.4  # seconds; a slow machine uses fewer seeds

TOKENS = (
    *(b"null", b"0", b"-1", b"1e400", b"1e-400", b"99999999999999999999", b"{}", b"[]", b'""', b"true", b'"x"', b"[[[["),
    *(b'{"a":', b'"', b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"]", b"}", b",", b":"),
    *(b"\n\n", b"\r\n\r\n", b"\n", b"\r", b"data:", b"data: [DONE]\n\n", b"event: error\n", b"\xef\xbb\xbf", b": x\n\n"),
    *(b"<think>", b"</think>", b'"done":true', b'"tool_calls":', b'"arguments":', b'"function":', b'"parts":', b'"delta":'),
    *(b'"type":', b'"index":', b'"error":', b'"usage":', b'"model":', b'"id":', b"[" * 3000, b'{"a":' * 3000),
)
_VALUE = re.compile(rb'(?<=:)\s*(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\{\}|\[\])')


@cache
def golden(wire: str, kind: str) -> tuple[bytes, ...]:
    """Return the handwritten bodies in *wire*; *kind*: request, answer, stream, error."""
    found = sorted(GOLDEN.glob(f"*.{wire}.{kind}"))
    bodies = tuple(path.read_bytes() for path in found if path.name.count(".") == 2)
    rich = RICH.get((wire, kind))
    return bodies if rich is None else (*bodies, rich)


def mutated(bodies: tuple[bytes, ...], chance: random.Random) -> bytes:
    """Return one of *bodies*, changed in one to six places."""
    body = chance.choice(bodies)
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice((1, 2, 5, 20, 200)))
        way = chance.randrange(6)
        if way == 0 and (values := list(_VALUE.finditer(body))):
            start, end = chance.choice(values).span()
            middle = chance.choice(TOKENS)
        elif way == 1:
            other = chance.choice(bodies)
            at = chance.randrange(len(other) + 1)
            middle = other[at : at + chance.choice((5, 50, 500))]
        else:
            middle = chance.choice((b"", body[start:end] * 2, chance.choice(TOKENS), bytes([chance.randrange(256)])))
        body = body[:start] + middle + body[end:]
    return body


VALUES = (
    None,
    True,
    0,
    -1,
    1.5,
    10**20,
    "",
    "x",
    "text",
    "tool_use",
    [],
    {},
    [None],
    ["x"],
    {"a": 1},
    {"type": "text"},
    [[]],
)


def misshapen(value: Any, chance: random.Random) -> Any:
    """Return a JSON value like *value*, with some members of another type, missing or swapped."""
    if chance.random() < 0.012:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        kept = {name: misshapen(inner, chance) for name, inner in value.items() if chance.random() < 0.99}
        if kept and chance.random() < 0.02:
            kept[chance.choice([*kept])] = chance.choice([*kept.values()])
        return kept
    if isinstance(value, list):
        return [misshapen(inner, chance) for inner in value if chance.random() < 0.99]
    return value


def shuffled(items: list[Any], chance: random.Random) -> list[Any]:
    """Return *items* mostly in order, with some missing, repeated or swapped."""
    out = [item for item in items for _ in range(chance.choice((1,) * 18 + (0, 2)))]
    if len(out) > 1 and chance.random() < 0.5:
        first, second = chance.randrange(len(out)), chance.randrange(len(out))
        out[first], out[second] = out[second], out[first]
    return out


def cut(body: bytes, chance: random.Random) -> list[bytes]:
    """Return *body* in one to five pieces, or byte by byte."""
    if len(body) < 3000 and chance.random() < 0.05:
        return [body[at : at + 1] for at in range(len(body))]
    places = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randrange(5)))
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def seeds_for(seconds: float) -> Iterator[int]:
    """Yield the fixed seeds or, with *seconds*, new ones until the time is over."""
    began = time.monotonic()
    first = time.time_ns() if seconds else 0
    number = 0
    while time.monotonic() - began < (seconds or SHORT) and (seconds or number < FIXED):
        yield first + number
        number += 1
