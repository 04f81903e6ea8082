"""Anthropic Messages requests, written (the vendor's API reference, "Messages").

Quirks and abilities of the target that matter here: ``reasoning`` (can think), ``adaptive_thinking`` (accepts an effort and
chooses its own budget), ``output_format`` or ``json_schema`` (structured outputs), ``mid_system`` (accepts the role
``system`` in mid-conversation), ``no_sampling`` (refuses temperature, top_p and top_k).
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from msgspec import Raw

from .anthropic_answer import WIRE
from .anthropic_history import NAME_LIMIT, Blocks, Json, Messages, Notes, cached
from .conversation import NO_SAMPLING, Ask, Reasoning, Tool, first_turn
from .fidelity import Lost, extra_names, refuse_state
from .format import Rendered, Target
from .jsonio import Shape, compact, encode
from .names import Names, flat

DEFAULT_MAX_TOKENS: Final = 4096
_THINKING_MAX_TOKENS: Final = 32_000  # used for thinking models when neither the client nor the catalogue says
_LEAST_BUDGET: Final = 1024
_BREAKPOINTS: Final = 4
_BUDGET_OF_EFFORT: Final = {
    "minimal": 1024,
    "low": 1024,
    "medium": 10_240,
    "high": 131_072,
    "xhigh": 131_072,
    "max": 131_072,
}
_EFFORT: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_SHOW: Final = {"auto": "summarized", "concise": "summarized", "detailed": "summarized"}
_HIDDEN: Final = Reasoning(show="omitted")  # how to show thinking, without asking for any
_SCHEMA_INSTRUCTION: Final = (
    "Answer only with a JSON value that conforms to the following JSON Schema, "
    "without any other text and without code fences.\n%s"
)
_JSON_INSTRUCTION: Final = "Answer only with a single valid JSON object, without any other text and without code fences."
_CUSTOM_SCHEMA: Final = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
_EMPTY_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')

_ANY: Final[Shape[Any]] = Shape(Any)
_MEMBERS: Final[Shape[dict[str, Raw]]] = Shape(dict[str, Raw])


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the request body.  Raises ``OmniError("invalid_request")`` for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    notes, names = Notes(), Names(NAME_LIMIT)
    able = target.abilities | target.quirks
    tools = _tools(ask, able, names, notes)
    blocks = Blocks(ask, names, notes)
    system = blocks.system(ask.system)
    first = first_turn(ask)
    for turn in ask.turns[:first]:
        system += blocks.system(turn.blocks)
    messages = Messages(blocks, notes, "mid_system" in able).write(ask.turns[first:])
    body: Json = {"model": target.model}
    if ask.stream:
        body["stream"] = True
    choice = _tool_choice(ask, tools, names, notes)
    output = _response_format(ask, able, system, notes)
    _reasoning(body, output, ask, target, messages, choice, notes)
    if ask.sampling != NO_SAMPLING:
        _sampling(body, ask, able, notes)
    if system:
        body["system"] = system
    if tools:
        body["tools"] = tools
    if choice:
        body["tool_choice"] = choice
    body["messages"] = messages
    _rest(body, output, ask, notes)
    _limit_breakpoints(body, notes)
    return Rendered(encode(body), tuple(notes.names), names.renamed)


# --------------------------------------------------------------------------- tools


def _tools(ask: Ask, able: frozenset[str], names: Names, notes: Notes) -> list[Json]:
    tools = ask.tools
    if ask.tool_choice is not None and ask.tool_choice.mode == "allowed":
        notes.add(Lost.ALLOWED_TOOLS)
        allowed = set(ask.tool_choice.names)
        tools = [tool for tool in tools if tool.name in allowed or flat(tool.name, tool.namespace) in allowed]
    return [out for tool in tools if (out := _tool(tool, able, names, notes)) is not None]


def _tool(tool: Tool, able: frozenset[str], names: Names, notes: Notes) -> Json | None:
    own = tool.wire == WIRE and tool.raw is not None
    if tool.kind == "server" and not own:
        notes.add(Lost.SERVER_TOOLS)
        return None
    if own and (raw := _MEMBERS.get(tool.raw or b"")) is not None:
        return dict(raw)
    if tool.namespace:
        notes.add(Lost.TOOL_NAMESPACE)
    out: Json = {"name": names.sent(tool.name, tool.namespace)}
    if tool.description:
        out["description"] = tool.description
    if tool.kind == "custom":
        notes.add(Lost.CUSTOM_TOOLS)
        out["input_schema"] = _CUSTOM_SCHEMA
        return cached(out, tool.cache)
    out["input_schema"] = _input_schema(tool.schema)
    if tool.strict:
        if _structured(able) and _is_strict(tool.schema):
            out["strict"] = True
        else:
            notes.add(Lost.STRICT_TOOLS)
    if tool.deferred:
        notes.add(Lost.DEFERRED_TOOLS)
    return cached(out, tool.cache)


def _input_schema(schema: bytes | None) -> Raw:
    """Return the schema with the ``"type": "object"`` that the API requires."""
    members = _MEMBERS.get(schema) if schema is not None else None
    if not members:
        return _EMPTY_SCHEMA
    if "type" in members or schema is None:
        return Raw(schema or b"{}")
    return Raw(encode({"type": "object", **members}))


def _tool_choice(ask: Ask, tools: list[Json], names: Names, notes: Notes) -> Json | None:
    choice = ask.tool_choice
    if not tools:
        if choice is not None and choice.mode not in ("auto", "none"):
            notes.add(Lost.TOOL_CHOICE)
        return None
    out: Json | None = None
    match choice.mode if choice is not None else "":
        case "auto":
            out = {"type": "auto"}
        case "none":
            return {"type": "none"}
        case "required":
            out = {"type": "any"}
        case "tool" if choice is not None and choice.names:
            out = {"type": "tool", "name": names.sent(choice.names[0])}
        case "allowed":
            out = {"type": "any" if choice is not None and choice.required else "auto"}
    if ask.parallel_tools is not None:
        out = {**(out or {"type": "auto"}), "disable_parallel_tool_use": not ask.parallel_tools}
    return out


# --------------------------------------------------------------------------- structured output


def _structured(able: frozenset[str]) -> bool:
    return "output_format" in able or "json_schema" in able


def _response_format(ask: Ask, able: frozenset[str], system: list[Any], notes: Notes) -> Json:
    """Return ``output_config`` with the schema; where that is not possible, add an instruction to the system prompt."""
    wish = ask.response_format
    if wish is None or wish.kind == "text":
        return {}
    if wish.kind == "schema" and wish.schema is not None:
        if ask.wire == WIRE or (_structured(able) and _is_strict(wish.schema)):
            return {"format": {"type": "json_schema", "schema": Raw(wish.schema)}}
        text = _SCHEMA_INSTRUCTION % compact(wish.schema).decode()
    else:
        text = _JSON_INSTRUCTION
    notes.add(Lost.RESPONSE_FORMAT)
    system.append({"type": "text", "text": text})
    return {}


_REFUSED: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)


def _is_strict(schema: bytes | None) -> bool:
    """Whether structured outputs accept the schema: closed objects only, no numeric or length limits."""
    value = _ANY.get(schema) if schema is not None else None
    return isinstance(value, dict) and _closed(value)


def _closed(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_closed, value))
    if not isinstance(value, dict):
        return True
    kind = value.get("type")
    if (kind == "object" or "properties" in value) and value.get("additionalProperties") is not False:
        return False
    if _REFUSED & value.keys() and isinstance(kind, (str, list)):
        return False
    return all(_closed(inner) for inner in value.values())


# --------------------------------------------------------------------------- thinking


def _reasoning(
    body: Json, output: Json, ask: Ask, target: Target, messages: list[Json], choice: Json | None, notes: Notes
) -> None:
    """Set ``max_tokens``, which the API requires, and thinking, whose budget must stay below it."""
    most = target.max_output
    body["max_tokens"] = (most or DEFAULT_MAX_TOKENS) if ask.max_tokens is None else ask.max_tokens
    if most and body["max_tokens"] > most:
        notes.add(Lost.MAX_TOKENS)
        body["max_tokens"] = most
    wish = ask.reasoning
    if wish is None:
        return
    able = target.abilities | target.quirks
    adaptive = "adaptive_thinking" in able
    asked_so = ask.wire == WIRE and wish.adaptive
    if wish.enabled is False or wish.effort == "none":
        if ask.wire == WIRE or adaptive:
            body["thinking"] = {"type": "disabled"}
        return
    if wish == _HIDDEN:
        return
    if ask.wire == WIRE and wish.enabled is None:  # on this wire an effort alone does not switch thinking on
        _effort(output, wish, adaptive, notes)
        return
    if target.abilities and not adaptive and "reasoning" not in able:
        notes.add(Lost.REASONING)
        return
    if (not asked_so and _forced(choice)) or _must_not_think(messages, adaptive):
        notes.add(Lost.REASONING)
        return
    if adaptive:
        body["thinking"] = {"type": "adaptive"}
        _effort(output, wish, adaptive, notes)
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": _budget(body, ask, wish, target, notes)}
    if wish.show:
        body["thinking"]["display"] = _SHOW.get(wish.show, wish.show)


def _effort(output: Json, wish: Reasoning, adaptive: bool, notes: Notes) -> None:
    effort = wish.effort
    if adaptive and effort is None and wish.budget is not None:
        notes.add(Lost.REASONING_BUDGET)
        effort = "low" if wish.budget <= 1024 else "medium" if wish.budget <= 10_240 else "high"
    if effort is not None and adaptive:
        output["effort"] = _EFFORT.get(effort, effort)
    elif effort is not None:
        notes.add(Lost.REASONING_EFFORT)


def _budget(body: Json, ask: Ask, wish: Reasoning, target: Target, notes: Notes) -> int:
    """Return the budget, at least 1024.  Increases ``max_tokens`` where the client's limit leaves no room for it."""
    if wish.budget is None:
        notes.add(Lost.REASONING_EFFORT)
        limit = ask.max_tokens or target.max_output or _THINKING_MAX_TOKENS
        budget = min(_BUDGET_OF_EFFORT.get(wish.effort or "medium", 10_240), limit * 4 // 5)
    else:
        budget = wish.budget
        limit = ask.max_tokens or target.max_output or budget + DEFAULT_MAX_TOKENS
        if budget < _LEAST_BUDGET:
            notes.add(Lost.REASONING_BUDGET)
    budget = max(budget, _LEAST_BUDGET)
    if limit <= budget:
        limit += budget
    if target.max_output and limit > target.max_output:
        limit = target.max_output
        budget = max(min(budget, limit * 4 // 5), _LEAST_BUDGET)
    body["max_tokens"] = limit
    return budget


def _forced(choice: Json | None) -> bool:
    """Whether the choice forces a tool.  The API then refuses thinking, but for some models with adaptive thinking."""
    return choice is not None and choice["type"] in ("any", "tool")


def _must_not_think(messages: list[Json], adaptive: bool) -> bool:
    """Whether the API would refuse thinking: the client has begun the answer or, unless thinking is adaptive, the message
    with the last tool call does not begin with its thinking.  A final message that ends in a block of the vendor's own is a
    turn that the vendor paused, not a begun answer."""
    last: list[Any] = next((message["content"] for message in reversed(messages) if message["role"] == "assistant"), [])
    if messages[-1]["role"] == "assistant" and not isinstance(last[-1], Raw):
        return True
    kinds = [block["type"] for block in last if isinstance(block, dict)]
    bare = "tool_use" in kinds or messages[-1]["role"] == "assistant"
    return not adaptive and bare and kinds[:1] not in (["thinking"], ["redacted_thinking"])


# --------------------------------------------------------------------------- sampling and the rest

_NO_SUCH_SETTING: Final = (
    ("min_p", Lost.MIN_P),
    ("seed", Lost.SEED),
    ("frequency_penalty", Lost.FREQUENCY_PENALTY),
    ("presence_penalty", Lost.PRESENCE_PENALTY),
    ("logit_bias", Lost.LOGIT_BIAS),
    ("logprobs", Lost.LOGPROBS),
    ("top_logprobs", Lost.LOGPROBS),
)


def _sampling(body: Json, ask: Ask, able: frozenset[str], notes: Notes) -> None:
    sampling = ask.sampling
    for name, lost in _NO_SUCH_SETTING:
        if getattr(sampling, name):
            notes.add(lost)
    if sampling.n is not None and sampling.n > 1:
        notes.add(Lost.N)
    thinking = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    fixed = "no_sampling" in able
    if sampling.temperature is not None:
        clamped = min(1.0, max(0.0, sampling.temperature))
        if clamped != sampling.temperature or ((thinking or fixed) and clamped != 1):
            notes.add(Lost.TEMPERATURE)
        if not fixed and (not thinking or clamped == 1):
            body["temperature"] = clamped
    if sampling.top_p is not None:
        if fixed or (thinking and sampling.top_p < 0.95) or (ask.wire != WIRE and "temperature" in body):
            notes.add(Lost.TOP_P)  # newer models refuse temperature and top_p together
        else:
            body["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        if fixed or thinking:
            notes.add(Lost.TOP_K)
        else:
            body["top_k"] = sampling.top_k


def _rest(body: Json, output: Json, ask: Ask, notes: Notes) -> None:
    stop = [text for text in ask.stop if text.strip()]
    if len(stop) < len(ask.stop):
        notes.add(Lost.STOP)
    if stop:
        body["stop_sequences"] = stop
    if ask.service_tier in ("auto", "standard_only"):
        body["service_tier"] = ask.service_tier
    elif ask.service_tier is not None and ask.service_tier != "default":
        notes.add(Lost.SERVICE_TIER)
    if ask.metadata is not None and ask.wire == WIRE:
        body["metadata"] = Raw(ask.metadata)
    elif ask.user is not None:
        body["metadata"] = {"user_id": ask.user}
    if ask.metadata is not None and ask.wire != WIRE:
        notes.add(Lost.METADATA)
    if ask.verbosity is not None:
        notes.add(Lost.VERBOSITY)
    if any(kind != "text" for kind in ask.modalities):
        notes.add(Lost.MODALITIES)
    extra = ask.extra if ask.wire == WIRE else {}
    config = _MEMBERS.get(extra.get("output_config", b"{}")) or {}
    if output or config:
        body["output_config"] = {**config, **output}
    for name, raw in extra.items():
        if name != "output_config":
            body.setdefault(name, Raw(raw))
    if ask.wire != WIRE:
        for name in extra_names(ask.extra):
            notes.add(name)


def _limit_breakpoints(body: Json, notes: Notes) -> None:
    """Keep the last four cache breakpoints, which cover the most; the API accepts no more."""
    messages = chain.from_iterable(m["content"] for m in body["messages"] if isinstance(m["content"], list))
    marked: list[Json] = []
    for block in chain(body.get("tools", ()), body.get("system", ()), messages):
        if not isinstance(block, dict):
            continue
        inner = block.get("content")
        both = (*(inner if isinstance(inner, list) else ()), block)
        marked += [one for one in both if isinstance(one, dict) and "cache_control" in one]
    for block in marked[:-_BREAKPOINTS]:
        notes.add(Lost.CACHE_CONTROL)
        del block["cache_control"]
