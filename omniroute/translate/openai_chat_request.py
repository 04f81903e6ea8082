"""OpenAI chat requests, read.

Source: the API reference of ``POST /v1/chat/completions`` and what other vendors add to it (``reasoning``, ``thinking``,
``enable_thinking``, ``top_k``, ``cache_control`` …).  A known member must have the right type; unknown members, parts and
tools are kept as they are.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct

from .conversation import (
    Ask,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from .jsonio import (
    ABSENT,
    BOOL,
    FLOAT,
    INT,
    ITEMS,
    OBJECT,
    STRING,
    STRING_OR_STRINGS,
    STRINGS,
    Shape,
    bytes_or_none,
    join,
    members,
    missing,
    present,
)
from .openai_chat_error import WIRE
from .openai_chat_history import cache_hint, read_messages
from .request_fields import Reader, field_readers

# -- shapes


class _Declared(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    format: Raw = ABSENT


class _Tool(Struct):
    type: str | None = None
    function: Raw = ABSENT
    custom: Raw = ABSENT
    cache_control: Raw = ABSENT


class _Named(Struct):
    name: str | None = None


class _Allowed(Struct):
    mode: str | None = None
    tools: list[_Choice] | None = None


class _Choice(Struct):
    type: str | None = None
    name: str | None = None
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _Allowed | None = None
    mode: str | None = None
    tools: list[_Choice] | None = None

    def named(self) -> str | None:
        return (self.function and self.function.name) or (self.custom and self.custom.name) or self.name


class _Schema(Struct):
    schema: Raw = ABSENT
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(Struct):
    type: str
    json_schema: Raw = ABSENT


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Thought(Struct):
    """The settings in the vendors' various thinking members."""

    effort: str | None = None
    max_tokens: int | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    type: str | None = None
    enable_thinking: bool | None = None
    thinking: bool | None = None
    summary: str | None = None
    exclude: bool | None = None


_NO_THOUGHT: Final = _Thought()
_TOOL: Final[Shape[_Tool]] = Shape(_Tool)
_DECLARED: Final[Shape[_Declared]] = Shape(_Declared)
_CHOICE: Final[Shape[str | _Choice]] = Shape(str | _Choice)
_FORMAT: Final[Shape[_Format]] = Shape(_Format)
_SCHEMA: Final[Shape[_Schema]] = Shape(_Schema)
_STREAM_OPTIONS: Final[Shape[_StreamOptions]] = Shape(_StreamOptions)
_THOUGHT: Final[Shape[_Thought]] = Shape(_Thought)


# -- tools


def _tools(ask: Ask, raw: Raw) -> None:
    for number, item in enumerate(ITEMS.read(raw, "tools")):
        path = join("tools", number)
        tool = _TOOL.read(item, path)
        if present(tool.function) and tool.type in ("function", None):
            ask.tools.append(_function(tool.function, join(path, "function")))
            ask.tools[-1].cache = cache_hint(tool.cache_control)
        elif tool.type == "function":
            raise missing(join(path, "function"))
        elif tool.type == "custom" and present(tool.custom):
            custom = _DECLARED.read(tool.custom, join(path, "custom"))
            ask.tools.append(Tool(custom.name, custom.description, kind="custom", grammar=bytes_or_none(custom.format)))
        else:
            ask.tools.append(Tool(tool.type or "tool", kind="server", wire=WIRE, raw=bytes(item)))


def _function(raw: Raw, path: str) -> Tool:
    function = _DECLARED.read(raw, path)
    return Tool(function.name, function.description, bytes_or_none(function.parameters), strict=function.strict)


def _functions(ask: Ask, raw: Raw) -> None:
    for number, item in enumerate(ITEMS.read(raw, "functions")):
        ask.tools.append(_function(item, join("functions", number)))


_MODES: Final = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("required"),
    "any": ToolChoice("required"),  # Mistral, Anthropic
}


def _tool_choice(ask: Ask, raw: Raw, param: str = "tool_choice") -> None:
    choice = _CHOICE.read(raw, param)
    if isinstance(choice, str):
        found = _MODES.get(choice)
    elif choice.type == "allowed_tools":
        allowed = choice.allowed_tools or _Allowed(choice.mode, choice.tools)
        names = tuple(name for tool in allowed.tools or () if (name := tool.named()))
        found = ToolChoice("allowed", names, required=allowed.mode == "required")
    elif name := choice.named():
        found = ToolChoice("tool", (name,))
    else:
        found = _MODES.get(choice.type or "")
    if found is None:
        ask.extra[param] = bytes(raw)
    else:
        ask.tool_choice = found


def _function_call(ask: Ask, raw: Raw) -> None:
    if ask.tool_choice is None:
        _tool_choice(ask, raw, "function_call")


# -- settings


def _reasoning(ask: Ask) -> Reasoning:
    if ask.reasoning is None:
        ask.reasoning = Reasoning()
    return ask.reasoning


_EFFORTS: Final = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))


def _effort(ask: Ask, raw: Raw) -> None:
    """Read the effort.  A vendor's own value (Groq's ``default``) is kept for this wire only."""
    effort = STRING.read(raw, EFFORT)
    if effort in _EFFORTS:
        _set_effort(_reasoning(ask), effort)
    else:
        ask.extra[EFFORT] = bytes(raw)


def _set_effort(reasoning: Reasoning, effort: str) -> None:
    reasoning.effort = effort
    if effort == "none":
        reasoning.enabled = False


def _set_budget(reasoning: Reasoning, budget: int) -> None:
    reasoning.budget = budget
    if budget == 0:
        reasoning.enabled = False


def _thought(ask: Ask, name: str, raw: Raw) -> None:
    """Read a vendor's thinking member as far as it is known, and keep it for this wire."""
    ask.extra[name] = bytes(raw)
    if (on := BOOL.get(raw)) is not None:
        _reasoning(ask).enabled = on
    elif (budget := INT.get(raw)) is not None:
        _set_budget(_reasoning(ask), budget)
    elif (thought := _THOUGHT.get(raw)) is not None and thought != _NO_THOUGHT:
        reasoning = _reasoning(ask)
        on = next((v for v in (thought.enabled, thought.enable_thinking, thought.thinking) if v is not None), None)
        if thought.type is not None:
            on = thought.type != "disabled"
        reasoning.enabled = on if on is not None else reasoning.enabled
        reasoning.adaptive = reasoning.adaptive or thought.type == "adaptive"
        budget = thought.max_tokens if thought.max_tokens is not None else thought.budget_tokens
        if budget is not None:
            _set_budget(reasoning, budget)
        reasoning.show = "omitted" if thought.exclude else thought.summary or reasoning.show
        if thought.effort is not None and reasoning.effort is None:
            _set_effort(reasoning, thought.effort)


# thinking members of: OpenRouter; Anthropic-like (DeepSeek, Z.ai, Kimi); Qwen; Ollama; vLLM
DIALECTS: Final = ("reasoning", "thinking", "enable_thinking", "thinking_budget", "think", "chat_template_kwargs")
EFFORT: Final = "reasoning_effort"


def _response_format(ask: Ask, raw: Raw) -> None:
    shape = _FORMAT.read(raw, "response_format")
    if shape.type == "text":
        ask.response_format = ResponseFormat("text")
    elif shape.type == "json_object":
        ask.response_format = ResponseFormat("json")
    elif shape.type == "json_schema":
        if not present(shape.json_schema):
            raise missing("response_format.json_schema")
        inner = _SCHEMA.read(shape.json_schema, "response_format.json_schema")
        ask.response_format = ResponseFormat(
            "schema", bytes_or_none(inner.schema), inner.name, inner.description, inner.strict
        )
    else:
        ask.extra["response_format"] = bytes(raw)


def _stop(ask: Ask, raw: Raw) -> None:
    stop = STRING_OR_STRINGS.read(raw, "stop")
    ask.stop = [stop] if isinstance(stop, str) else stop


def _stream_options(ask: Ask, raw: Raw) -> None:
    ask.include_usage = bool(_STREAM_OPTIONS.read(raw, "stream_options").include_usage)


def _max_tokens(ask: Ask, raw: Raw) -> None:
    if ask.max_tokens is None:
        ask.max_tokens = INT.read(raw, "max_tokens")


def _metadata(ask: Ask, raw: Raw) -> None:
    OBJECT.read(raw, "metadata")
    ask.metadata = bytes(raw)


def _logit_bias(ask: Ask, raw: Raw) -> None:
    OBJECT.read(raw, "logit_bias")
    ask.sampling.logit_bias = bytes(raw)


_PLAIN: Final = field_readers(
    {
        "model": (STRING, "model"),
        "stream": (BOOL, "stream"),
        "max_completion_tokens": (INT, "max_tokens"),
        "parallel_tool_calls": (BOOL, "parallel_tools"),
        "verbosity": (STRING, "verbosity"),
        "modalities": (STRINGS, "modalities"),
        "user": (STRING, "user"),
        "service_tier": (STRING, "service_tier"),
        "temperature": (FLOAT, "sampling.temperature"),
        "top_p": (FLOAT, "sampling.top_p"),
        "top_k": (INT, "sampling.top_k"),
        "min_p": (FLOAT, "sampling.min_p"),
        "seed": (INT, "sampling.seed"),
        "frequency_penalty": (FLOAT, "sampling.frequency_penalty"),
        "presence_penalty": (FLOAT, "sampling.presence_penalty"),
        "logprobs": (BOOL, "sampling.logprobs"),
        "top_logprobs": (INT, "sampling.top_logprobs"),
        "n": (INT, "sampling.n"),
    }
)
_SPECIAL: Final[dict[str, Reader]] = {
    "messages": read_messages,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _tool_choice,
    "function_call": _function_call,
    "max_tokens": _max_tokens,
    "stop": _stop,
    "stream_options": _stream_options,
    "response_format": _response_format,
    EFFORT: _effort,
    "metadata": _metadata,
    "logit_bias": _logit_bias,
}


def decode_request(body: bytes) -> Ask:
    """Read the body of ``POST /v1/chat/completions``.  Raises ``OmniError("invalid_request")`` naming the field."""
    given = members(body)
    ask = Ask(wire=WIRE)
    if "messages" not in given:
        raise missing("messages")
    for name in [name for name in given if name in _PLAIN]:
        _PLAIN[name](ask, given.pop(name))
    for name in [name for name in _SPECIAL if name in given]:  # in this order
        _SPECIAL[name](ask, given.pop(name))
    for name in [name for name in DIALECTS if name in given]:
        _thought(ask, name, given.pop(name))
    ask.extra |= {name: bytes(raw) for name, raw in given.items()}
    return ask
