"""OpenAI Responses requests, read (the vendor's API reference, "Responses", and what its clients send).

Members without a neutral meaning (``store``, ``include``, ``prompt_cache_key``, ``client_metadata`` …) are kept in
``Ask.extra``.  So are references to state kept by the vendor, which ``fidelity.refuse_state`` refuses on other wires.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct

from .conversation import Ask, Reasoning, ResponseFormat, Text
from .fidelity import STATE
from .jsonio import (
    ABSENT,
    BOOL,
    FLOAT,
    INT,
    OBJECT,
    STRING,
    STRINGS,
    Shape,
    bytes_or_none,
    encode,
    members,
    missing,
    present,
)
from .openai_responses_error import WIRE
from .openai_responses_history import read_input
from .openai_responses_tools import read_choice, read_tools
from .request_fields import Reader, field_readers

LOGPROBS: Final = "message.output_text.logprobs"


class _Format(Struct):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


_FORMAT: Final[Shape[_Format]] = Shape(_Format)


def _tools(ask: Ask, raw: Raw) -> None:
    ask.tools += read_tools(raw, "tools")


def _instructions(ask: Ask, raw: Raw) -> None:
    ask.system.append(Text(STRING.read(raw, "instructions")))


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
        ask.reasoning.effort = STRING.read(effort, "reasoning.effort")
        ask.reasoning.enabled = False if ask.reasoning.effort == "none" else None
    if show is not None and ask.reasoning is not None:
        ask.reasoning.show = STRING.read(show, "reasoning.summary")
    if given:
        ask.extra["reasoning"] = encode(given)


def _text(ask: Ask, raw: Raw) -> None:
    given = members(raw, "text")
    if (verbosity := given.pop("verbosity", None)) is not None:
        ask.verbosity = STRING.read(verbosity, "text.verbosity")
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
    if not present(shape.schema):
        raise missing("text.format.schema")
    return ResponseFormat("schema", bytes_or_none(shape.schema), shape.name, shape.description, shape.strict)


def _include(ask: Ask, raw: Raw) -> None:
    if LOGPROBS in STRINGS.read(raw, "include"):
        ask.sampling.logprobs = True
    ask.extra["include"] = bytes(raw)


def _metadata(ask: Ask, raw: Raw) -> None:
    OBJECT.read(raw, "metadata")
    ask.metadata = bytes(raw)


_READERS: Final[dict[str, Reader]] = {
    **field_readers(
        {
            "model": (STRING, "model"),
            "stream": (BOOL, "stream"),
            "max_output_tokens": (INT, "max_tokens"),
            "parallel_tool_calls": (BOOL, "parallel_tools"),
            "user": (STRING, "user"),
            "service_tier": (STRING, "service_tier"),
            "temperature": (FLOAT, "sampling.temperature"),
            "top_p": (FLOAT, "sampling.top_p"),
            "top_logprobs": (INT, "sampling.top_logprobs"),
        }
    ),
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
    for name, read in _READERS.items():
        if name in given:
            read(ask, given.pop(name))
    ask.extra |= {name: bytes(raw) for name, raw in given.items()}
    return ask
