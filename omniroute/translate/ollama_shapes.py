"""The types of an Ollama answer: one object, which is a whole answer or a line of a stream.

``/api/chat`` puts the text into ``message``, ``/api/generate`` into ``response``; both are read.  A member of a wrong type
is ignored unless the answer depends on it; then the line is refused.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from .format import BadAnswer
from .jsonio import ABSENT, OBJECT, STRING, Shape, mended
from .usage import Count, OllamaUsage


class Function(Struct, gc=False):
    name: str | None = None
    arguments: Raw = ABSENT  # an object; some servers send its text in a string


class Call(Struct, gc=False):
    id: str | None = None
    function: Function | None = None


class Message(Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None
    images: list[str] | None = None


class Line(OllamaUsage, gc=False):
    model: str | None = None
    created_at: str | None = None
    message: Message | None = None
    response: str | None = None  # of /api/generate, like the next four
    thinking: str | None = None
    tool_calls: list[Call] | None = None
    image: str | None = None
    logprobs: Raw = ABSENT
    done: bool | None = None
    done_reason: str | None = None
    error: Raw = ABSENT


_decode: Final = msgspec.json.Decoder(Line).decode
_MESSAGE: Final[Shape[Message]] = Shape(Message)
_CALLS: Final[Shape[list[Call]]] = Shape(list[Call])
# members that may be ignored if they have a wrong type: the answer does not depend on them
_OPTIONAL: Final[dict[str, Shape[Any]]] = {
    "model": STRING,
    "created_at": STRING,
    "done_reason": STRING,
    "thinking": STRING,
    "image": STRING,
    "done": Shape(bool),
    "prompt_eval_count": Shape(Count),
    "eval_count": Shape(Count),
}
_ESSENTIAL: Final[dict[str, Shape[Any]]] = {"message": _MESSAGE, "response": STRING, "tool_calls": _CALLS}
_PASSED: Final = ("logprobs", "error")


def read_line(data: bytes) -> Line:
    """Read one line of a stream, or a whole answer.  Raises BadAnswer."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        return _mended(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if (whole := mended(data)) is not None:
            return read_line(whole)
        raise BadAnswer(f"not JSON: {error}") from None


def _mended(data: bytes) -> Line:
    given = OBJECT.answer(data)
    found: dict[str, Any] = {name: given[name] for name in _PASSED if name in given}
    for name, shape in _OPTIONAL.items():
        if name in given:
            found[name] = shape.get(given[name])
    for name, shape in _ESSENTIAL.items():
        if name in given and bytes(given[name]) != b"null":
            found[name] = shape.answer(given[name])
    return Line(**found)
