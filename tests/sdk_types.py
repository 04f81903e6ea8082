"""Validation of request bodies with the types of the official SDKs.

``violations(wire, body)`` is empty if the vendor's SDK could have sent the body.  Two SDKs describe requests as
``TypedDict``; these are made strict here (no unknown members, iterables read to their end).
"""

from __future__ import annotations

import json
import os
import types as builtin_types
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import IO, Any, Required, Union, get_args, get_origin, get_type_hints

import pydantic
import typing_extensions
from pydantic import ConfigDict, TypeAdapter

_UNIONS = (Union, builtin_types.UnionType)


def violations(wire: str, body: bytes) -> list[str]:
    """Return what is wrong with *body* as a request on *wire*; places are dotted paths."""
    return _CHECKS[wire](json.loads(body))


def _errors(adapter: TypeAdapter[Any], data: Any, place: str = "") -> list[str]:
    try:
        adapter.validate_python(data)
    except pydantic.ValidationError as error:
        return [f"{'.'.join([place, *map(str, e['loc'])]).strip('.')}: {e['msg']}" for e in error.errors()]
    return []


# -- TypedDicts, made strict


@cache
def strict(kind: Any) -> Any:
    """Return *kind* with lists for iterables, and without unknown members."""
    if typing_extensions.is_typeddict(kind):
        return _strict_members(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin in _UNIONS:
        return Union[tuple(strict(arg) for arg in args if not _is_convenience(arg))]  # noqa: UP007 - made at run time
    if origin is Iterable or getattr(origin, "__name__", "") == "SequenceNotStr":
        return list[strict(args[0])]  # type: ignore[misc]
    if origin in (list, Required, typing_extensions.Required, typing_extensions.NotRequired):
        return origin[strict(args[0])]
    if origin is dict:
        return dict[args[0], strict(args[1])]  # type: ignore[misc]
    return kind


def _is_convenience(kind: Any) -> bool:
    """Whether this is a type for programs only, such as open files and parts of earlier answers, which no wire has."""
    kind = get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, (IO, os.PathLike, pydantic.BaseModel))


def _strict_members(kind: Any) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    members = {name: strict(hint) for name, hint in hints.items()}
    made: Any = typing_extensions.TypedDict(kind.__name__, members, total=False)  # type: ignore[operator]
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


# -- the five wires


@cache
def _adapters(wire: str) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    """Return the adapters for requests of whole answers and of streams."""
    kinds: tuple[Any, Any]
    if wire == "openai-chat":
        from openai.types.chat import completion_create_params as chat

        kinds = chat.CompletionCreateParamsNonStreaming, chat.CompletionCreateParamsStreaming
    elif wire == "openai-responses":
        from openai.types.responses import response_create_params as responses

        kinds = responses.ResponseCreateParamsNonStreaming, responses.ResponseCreateParamsStreaming
    else:
        from anthropic.types import message_create_params as messages

        kinds = messages.MessageCreateParamsNonStreaming, messages.MessageCreateParamsStreaming
    return TypeAdapter(strict(kinds[0])), TypeAdapter(strict(kinds[1]))


def _typed_dict(wire: str) -> Callable[[Any], list[str]]:
    return lambda data: _errors(_adapters(wire)[bool(data.get("stream"))], data)


@cache
def _gemini_members() -> dict[str, TypeAdapter[Any]]:
    from google.genai import types

    return {
        "contents": TypeAdapter(list[types.Content]),
        "systemInstruction": TypeAdapter(types.Content),
        "tools": TypeAdapter(list[types.Tool]),
        "toolConfig": TypeAdapter(types.ToolConfig),
        "generationConfig": TypeAdapter(types.GenerationConfig),
        "safetySettings": TypeAdapter(list[types.SafetySetting]),
        "cachedContent": TypeAdapter(str),
    }


def _gemini(data: Any) -> list[str]:
    known = _gemini_members()
    wrong = [f"{name}: no such member" for name in data if name not in known]
    return [*wrong, *(e for name in data if name in known for e in _errors(known[name], data[name], name))]


def _ollama(data: Any) -> list[str]:
    """The SDK's models drop unknown members, so input and output are compared."""
    from ollama import _types

    try:
        messages = [_types.Message.model_validate(_with_images(message)) for message in data["messages"]]
        read = _types.ChatRequest.model_validate({**data, "messages": messages})
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return list(_missing(data, read.model_dump(exclude_unset=True, by_alias=True, mode="json"), ""))


def _with_images(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "images": [{"value": image} for image in message["images"]]} if "images" in message else message


_NEWER = {"id", "tool_call_id"}  # servers know the calls' ids, the SDK does not yet
_SCHEMA = "parameters"  # JSON Schema, of which the SDK declares only what its own converter writes


def _missing(given: Any, known: Any, place: str) -> Iterator[str]:
    if place.endswith(_SCHEMA):
        return
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known and name not in _NEWER:
                yield f"{place}.{name}: no such member".lstrip(".")
            elif name in known:
                yield from _missing(value, known[name], f"{place}.{name}")
    elif isinstance(given, list) and isinstance(known, list):
        for n, (value, other) in enumerate(zip(given, known, strict=True)):
            yield from _missing(value, other, f"{place}.{n}")


_CHECKS: dict[str, Callable[[Any], list[str]]] = {
    "openai-chat": _typed_dict("openai-chat"),
    "openai-responses": _typed_dict("openai-responses"),
    "anthropic": _typed_dict("anthropic"),
    "gemini": _gemini,
    "ollama": _ollama,
}
