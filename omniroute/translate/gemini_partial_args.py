"""The arguments of one Gemini function call that arrive in pieces, put together.

Vertex streams them where that is asked for (``streamFunctionCallArguments``): the first part has the name, each later one
values with their places (``$.order.items[0].name``), a long text in several; ``willContinue`` says that more follow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from .format import BadAnswer
from .jsonio import encode

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_MOST_STEPS: Final = 100
_MOST_GAP: Final = 64  # items of a list that may be left out, as empty ones are


class PartialArg(Struct, gc=False):
    """A value, or a piece of a text, and its place.  None of the values: it is null."""

    jsonPath: str = ""
    stringValue: str | None = None
    numberValue: int | float | None = None
    boolValue: bool | None = None


class PartialArgs:
    """The arguments so far; ``args`` are those that came whole."""

    def __init__(self, args: dict[str, Any]) -> None:
        self._args = args
        self._place = ""  # of the text whose pieces ``_texts`` holds
        self._texts: list[str] = []

    def add(self, pieces: Sequence[PartialArg]) -> None:
        """Put the values in their places.  Raises BadAnswer."""
        for piece in pieces:
            text = piece.stringValue
            if text is not None and self._texts and piece.jsonPath == self._place:
                self._texts.append(text)
                continue
            self._end_text()
            if text is not None:
                self._place, self._texts = piece.jsonPath, [text]
            else:
                self._put(piece.jsonPath, piece.boolValue if piece.numberValue is None else piece.numberValue)

    def json(self) -> str:
        """Return the arguments as the text of a JSON object."""
        self._end_text()
        return encode(self._args).decode()

    def _end_text(self) -> None:
        if self._texts:
            self._put(self._place, "".join(self._texts))
            self._texts = []

    def _put(self, path: str, value: Any) -> None:
        steps = _steps(path)
        place: Any = self._args
        for at, step in enumerate(steps[:-1]):
            kind = list if isinstance(steps[at + 1], int) else dict
            if not isinstance(_get(place, step), kind):
                _set(place, step, kind())
            place = _get(place, step)
        _set(place, steps[-1], value)


def _steps(path: str) -> list[str | int]:
    """``$.order.items[0]`` -> ``["order", "items", 0]``.  A path in another notation is one name."""
    found = list(_STEP.finditer(path))
    if sum(len(step[0]) for step in found) + 1 != len(path) or not found or found[0][2] is not None:
        return [path.removeprefix("$.")]
    if len(found) > _MOST_STEPS:
        raise BadAnswer("arguments nested too deeply")
    return [int(step[2]) if step[2] is not None else step[1] or step[3] or step[4] or "" for step in found]


def _get(place: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return place[step] if step < len(place) else None
    return place.get(step)


def _set(place: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        gap = step - len(place)
        if gap > _MOST_GAP:
            raise BadAnswer("a place beyond the end of a list")
        place.extend([None] * (gap + 1))
    place[step] = value
