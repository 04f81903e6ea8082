"""OpenAI Responses requests, read (the vendor's API reference, "Responses", and what its clients send).

Members without a neutral meaning (``store``, ``include``, ``prompt_cache_key``, ``client_metadata`` …) are kept in
``Ask.extra``.  So are references to state kept by the vendor, which ``fidelity.refuse_state`` refuses on other wires.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import Ask, Reasoning, ResponseFormat, Text
from .fidelity import STATE
from .jsonio import Shape, encode, members
from .openai_chat_history import missing, said, sent
from .openai_chat_shapes import ABSENT
from .openai_responses_error import WIRE
from .openai_responses_history import read_input
from .openai_responses_tools import read_choice, read_tools

LOGPROBS: Final = "message.output_text.logprobs"


class _Format(Struct):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


_STRING: Final[Shape[str]] = Shape(str)
_STRINGS: Final[Shape[list[str]]] = Shape(list[str])
_BOOL: Final[Shape[bool]] = Shape(bool)
_INT: Final[Shape[int]] = Shape(int)
_FLOAT: Final[Shape[float]] = Shape(float)
_OBJECT: Final[Shape[dict[str, Raw]]] = Shape(dict[str, Raw])
_FORMAT: Final[Shape[_Format]] = Shape(_Format)


def _tools(ask: Ask, raw: Raw) -> None:
    ask.tools += read_tools(raw, "tools")


def _instructions(ask: Ask, raw: Raw) -> None:
    ask.system.append(Text(_STRING.read(raw, "instructions")))


def _tool_choice(ask: Ask, raw: Raw) -> None:
    ask.tool_choice = read_choice(raw)
    if ask.tool_choice is None:
        ask.extra["tool_choice"] = bytes(raw)


def _reasoning(ask: Ask, raw: Raw) -> None:
    given = members(raw, "reasoning")
    effort = given.pop("effort", None)
    show = given.pop("summary", None) or given.pop("generate_summary", None)
    if effort is not None or show is not None:
        ask.reasoning = Reasoning()
    if effort is not None and ask.reasoning is not None:
        ask.reasoning.effort = _STRING.read(effort, "reasoning.effort")
        ask.reasoning.enabled = False if ask.reasoning.effort == "none" else None
    if show is not None and ask.reasoning is not None:
        ask.reasoning.show = _STRING.read(show, "reasoning.summary")
    if given:
        ask.extra["reasoning"] = encode(given)


def _text(ask: Ask, raw: Raw) -> None:
    given = members(raw, "text")
    if (verbosity := given.pop("verbosity", None)) is not None:
        ask.verbosity = _STRING.read(verbosity, "text.verbosity")
    shape = given.get("format")
    if shape is not None and (found := _format(shape)) is not None:
        ask.response_format = found
        del given["format"]
    if given:
        ask.extra["text"] = encode(given)


def _format(raw: Raw) -> ResponseFormat | None:
    shape = _FORMAT.read(raw, "text.format")
    if shape.type == "text":
        return ResponseFormat("text")
    if shape.type == "json_object":
        return ResponseFormat("json")
    if shape.type != "json_schema":
        return None
    if not said(shape.schema):
        raise missing("text.format.schema")
    return ResponseFormat("schema", sent(shape.schema), shape.name, shape.description, shape.strict)


def _include(ask: Ask, raw: Raw) -> None:
    if LOGPROBS in _STRINGS.read(raw, "include"):
        ask.sampling.logprobs = True
    ask.extra["include"] = bytes(raw)


def _metadata(ask: Ask, raw: Raw) -> None:
    _OBJECT.read(raw, "metadata")
    ask.metadata = bytes(raw)


# member -> (its type, the field of Ask); "sampling.": a field of Sampling
_PLAIN: Final[dict[str, tuple[Shape[Any], str]]] = {
    "model": (_STRING, "model"),
    "stream": (_BOOL, "stream"),
    "max_output_tokens": (_INT, "max_tokens"),
    "parallel_tool_calls": (_BOOL, "parallel_tools"),
    "user": (_STRING, "user"),
    "service_tier": (_STRING, "service_tier"),
    "temperature": (_FLOAT, "sampling.temperature"),
    "top_p": (_FLOAT, "sampling.top_p"),
    "top_logprobs": (_INT, "sampling.top_logprobs"),
}
_SPECIAL: Final[dict[str, Callable[[Ask, Raw], None]]] = {
    "tools": _tools,
    "instructions": _instructions,
    "input": read_input,
    "tool_choice": _tool_choice,
    "reasoning": _reasoning,
    "text": _text,
    "include": _include,
    "metadata": _metadata,
}


def decode_request(body: bytes) -> Ask:
    """Read the body of ``POST /v1/responses``.  Raises ``OmniError("invalid_request")`` naming the field."""
    given = members(body)
    ask = Ask(wire=WIRE)
    if "input" not in given and not STATE & given.keys():
        raise missing("input")
    for name, (shape, attribute) in _PLAIN.items():
        if name in given:
            value = shape.read(given.pop(name), name)
            where, _, leaf = attribute.rpartition(".")
            setattr(ask.sampling if where else ask, leaf, value)
    for name, read in _SPECIAL.items():
        if name in given:
            read(ask, given.pop(name))
    ask.extra |= {name: bytes(raw) for name, raw in given.items()}
    return ask
