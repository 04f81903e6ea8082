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
from .anthropic_history import NAME_LIMIT, Blocks, Json, Messages, cached
from .conversation import NO_SAMPLING, Ask, Reasoning, ResponseFormat, Sampling, Tool, system_and_turns
from .emulation import TEXT_SCHEMA, effort_of, json_instruction
from .fidelity import Losses, Lost, lost_extras, refuse_state
from .format import Rendered, Target
from .jsonio import ANY, OBJECT, encode
from .max_tokens import FEWEST_THOUGHTS
from .names import Names, chosen

_DEFAULT_MAX_TOKENS: Final = 4096
_THINKING_MAX_TOKENS: Final = 32_000  # used for thinking models when neither the client nor the catalogue says
_BREAKPOINTS: Final = 4
LEAST_TOP_P: Final = 0.95  # with thinking
_MODES: Final = {"auto": "auto", "none": "none", "required": "any"}
_TIERS: Final = ("auto", "standard_only")
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
_EMPTY_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')

_NO_SUCH_SETTING: Final = (
    ("min_p", Lost.MIN_P),
    ("seed", Lost.SEED),
    ("frequency_penalty", Lost.FREQUENCY_PENALTY),
    ("presence_penalty", Lost.PRESENCE_PENALTY),
    ("logit_bias", Lost.LOGIT_BIAS),
    ("logprobs", Lost.LOGPROBS),
    ("top_logprobs", Lost.LOGPROBS),
)


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the request body.  Raises ``OmniError("invalid_request")`` for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    return _Request(ask, target).render()


class _Request:
    def __init__(self, ask: Ask, target: Target) -> None:
        self.ask = ask
        self.target = target
        self.own = ask.wire == WIRE
        self.able = target.abilities | target.quirks
        self.adaptive = "adaptive_thinking" in self.able
        self.names = Names(NAME_LIMIT)
        self.lost = Losses()
        self.body: Json = {"model": target.model}
        self.output: Json = {}  # output_config

    def render(self) -> Rendered:
        ask, body = self.ask, self.body
        tools = self._tools()
        blocks = Blocks(ask, self.names, self.lost)
        prompt, turns = system_and_turns(ask)
        system = blocks.system(prompt)
        messages = Messages(blocks, self.lost, "mid_system" in self.able).write(turns)
        if ask.stream:
            body["stream"] = True
        choice = self._tool_choice(bool(tools))
        self._response_format(ask.response_format, system)
        self._max_tokens()
        if ask.reasoning is not None:
            self._reasoning(ask.reasoning, messages, choice)
        if ask.sampling != NO_SAMPLING:
            self._sampling(ask.sampling)
        if system:
            body["system"] = system
        if tools:
            body["tools"] = tools
        if choice:
            body["tool_choice"] = choice
        body["messages"] = messages
        self._rest()
        self._extras()
        raw = encode(body)
        if raw.count(b'"cache_control"') > _BREAKPOINTS:
            self._limit_breakpoints()
            raw = encode(body)
        return Rendered(raw, self.lost.names(), self.names.renamed)

    # -- tools

    def _tools(self) -> list[Json]:
        tools, choice = self.ask.tools, self.ask.tool_choice
        if choice is not None and choice.mode == "allowed":
            self.lost.add(Lost.ALLOWED_TOOLS)
            tools = chosen(tools, choice.names)
        return [out for tool in tools if (out := self._tool(tool)) is not None]

    def _tool(self, tool: Tool) -> Json | None:
        own = tool.wire == WIRE and tool.raw is not None
        if tool.kind == "server" and not own:
            self.lost.add(Lost.SERVER_TOOLS)
            return None
        if own and (raw := OBJECT.get(tool.raw or b"")) is not None:
            return dict(raw)
        self.lost.add(Lost.TOOL_NAMESPACE, bool(tool.namespace))
        out: Json = {"name": self.names.sent(tool.name, tool.namespace)}
        if tool.description:
            out["description"] = tool.description
        if tool.kind == "custom":
            self.lost.add(Lost.CUSTOM_TOOLS)
            out["input_schema"] = TEXT_SCHEMA
            return cached(out, tool.cache)
        out["input_schema"] = _input_schema(tool.schema)
        if tool.strict:
            held = self._holds(tool.schema)
            self.lost.add(Lost.STRICT_TOOLS, not held)
            if held:
                out["strict"] = True
        self.lost.add(Lost.DEFERRED_TOOLS, tool.deferred)
        return cached(out, tool.cache)

    def _tool_choice(self, tools: bool) -> Json | None:
        choice, parallel = self.ask.tool_choice, self.ask.parallel_tools
        if not tools:
            self.lost.add(Lost.TOOL_CHOICE, choice is not None and choice.mode not in ("auto", "none"))
            return None
        if choice is None and parallel is None:
            return None
        if choice is None:
            out: Json = {"type": "auto"}
        elif choice.mode == "tool":
            out = {"type": "tool", "name": self.names.sent_for(choice, self.ask.tools)[0]}
        elif choice.mode == "allowed":
            out = {"type": "any" if choice.required else "auto"}
        else:
            out = {"type": _MODES[choice.mode]}
        if parallel is not None and out["type"] != "none":
            out["disable_parallel_tool_use"] = not parallel
        return out

    # -- structured output

    def _holds(self, schema: bytes | None) -> bool:
        """Whether the model can be held to *schema*."""
        return ("output_format" in self.able or "json_schema" in self.able) and _is_strict(schema)

    def _response_format(self, wish: ResponseFormat | None, system: list[Any]) -> None:
        """Set the schema; where that is not possible, add an instruction to the system prompt."""
        if wish is None or wish.kind == "text":
            return
        if wish.schema is not None and (self.own or self._holds(wish.schema)):
            self.output["format"] = {"type": "json_schema", "schema": Raw(wish.schema)}
            return
        self.lost.add(Lost.RESPONSE_FORMAT)
        system.append({"type": "text", "text": json_instruction(wish.schema)})

    # -- thinking

    def _max_tokens(self) -> None:
        """Set ``max_tokens``, which the API requires."""
        asked, most = self.ask.max_tokens, self.target.max_output
        self.lost.add(Lost.MAX_TOKENS, asked is not None and 0 < most < asked)
        limit = (most or _DEFAULT_MAX_TOKENS) if asked is None else asked
        self.body["max_tokens"] = min(limit, most) if most else limit

    def _reasoning(self, wish: Reasoning, messages: list[Json], choice: Json | None) -> None:
        """Set thinking; a budget must stay below ``max_tokens``."""
        if wish.enabled is False or wish.effort == "none":
            if self.own or self.adaptive:
                self.body["thinking"] = {"type": "disabled"}
        elif wish == _HIDDEN:
            pass
        elif self.own and wish.enabled is None:  # on this wire an effort alone does not switch thinking on
            self._effort(wish)
        elif 0 < self.target.max_output <= FEWEST_THOUGHTS or self._must_not_think(wish, messages, choice):
            self.lost.add(Lost.REASONING)
        else:
            if self.adaptive:
                self.body["thinking"] = {"type": "adaptive"}
                self._effort(wish)
            else:
                self.body["thinking"] = {"type": "enabled", "budget_tokens": self._budget(wish)}
            if wish.show:
                self.body["thinking"]["display"] = _SHOW.get(wish.show, wish.show)

    def _must_not_think(self, wish: Reasoning, messages: list[Json], choice: Json | None) -> bool:
        """Whether the API would refuse thinking: with a model that cannot, a forced tool, or such messages.

        Some models with adaptive thinking accept a forced tool: a client of this wire is taken at its word.
        """
        if self.target.abilities and not self.adaptive and "reasoning" not in self.able:
            return True
        forced = choice is not None and choice["type"] in ("any", "tool") and not (self.own and wish.adaptive)
        return forced or _forbid_thinking(messages, self.adaptive)

    def _effort(self, wish: Reasoning) -> None:
        effort = wish.effort
        if self.adaptive and effort is None and wish.budget is not None:
            self.lost.add(Lost.REASONING_BUDGET)
            effort = effort_of(wish.budget)
        if effort is not None and self.adaptive:
            self.output["effort"] = _EFFORT.get(effort, effort)
        self.lost.add(Lost.REASONING_EFFORT, effort is not None and not self.adaptive)

    def _budget(self, wish: Reasoning) -> int:
        """Return the budget, at least 1024.  Increases ``max_tokens`` where the client's limit leaves no room for it."""
        limit, most = self.ask.max_tokens or self.target.max_output, self.target.max_output
        if wish.budget is None:
            self.lost.add(Lost.REASONING_EFFORT)
            limit = limit or _THINKING_MAX_TOKENS
            budget = min(_BUDGET_OF_EFFORT.get(wish.effort or "medium", 10_240), limit * 4 // 5)
        else:
            self.lost.add(Lost.REASONING_BUDGET, wish.budget < FEWEST_THOUGHTS)
            budget = wish.budget
            limit = limit or budget + _DEFAULT_MAX_TOKENS
        budget = max(budget, FEWEST_THOUGHTS)
        if limit <= budget:
            limit += budget
        if most and limit > most:
            limit = most
            budget = max(min(budget, limit * 4 // 5), FEWEST_THOUGHTS)
        self.body["max_tokens"] = limit
        return budget

    # -- sampling and the rest

    def _sampling(self, said: Sampling) -> None:
        body = self.body
        for name, lost in _NO_SUCH_SETTING:
            if getattr(said, name):
                self.lost.add(lost)
        self.lost.add(Lost.N, said.n is not None and said.n > 1)
        thinking = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
        fixed = "no_sampling" in self.able
        if said.temperature is not None:
            clamped = min(1.0, max(0.0, said.temperature))
            self.lost.add(Lost.TEMPERATURE, clamped != said.temperature or ((thinking or fixed) and clamped != 1))
            if not fixed and (not thinking or clamped == 1):
                body["temperature"] = clamped
        if said.top_p is not None:
            both = not self.own and "temperature" in body  # newer models refuse them together
            refused = fixed or both or (thinking and said.top_p < LEAST_TOP_P)
            self.lost.add(Lost.TOP_P, refused)
            if not refused:
                body["top_p"] = said.top_p
        if said.top_k is not None:
            self.lost.add(Lost.TOP_K, fixed or thinking)
            if not (fixed or thinking):
                body["top_k"] = said.top_k

    def _rest(self) -> None:
        ask, body = self.ask, self.body
        stop = [text for text in ask.stop if text.strip()]
        self.lost.add(Lost.STOP, len(stop) < len(ask.stop))
        if stop:
            body["stop_sequences"] = stop
        if ask.service_tier in _TIERS:
            body["service_tier"] = ask.service_tier
        self.lost.add(Lost.SERVICE_TIER, ask.service_tier not in (None, "default", *_TIERS))
        if ask.metadata is not None and self.own:
            body["metadata"] = Raw(ask.metadata)
        elif ask.user is not None:
            body["metadata"] = {"user_id": ask.user}
        self.lost.add(Lost.METADATA, ask.metadata is not None and not self.own)
        self.lost.add(Lost.VERBOSITY, ask.verbosity is not None)
        self.lost.add(Lost.MODALITIES, any(kind != "text" for kind in ask.modalities))

    def _extras(self) -> None:
        """Write what only this wire knows back to it; name it for a request from another."""
        extra = self.ask.extra if self.own else {}
        config = (OBJECT.get(extra["output_config"]) if "output_config" in extra else None) or {}
        if self.output or config:
            self.body["output_config"] = {**config, **self.output}
        for name, raw in extra.items():
            if name != "output_config":
                self.body.setdefault(name, Raw(raw))
        if not self.own:
            self.lost.update(lost_extras(self.ask))

    def _limit_breakpoints(self) -> None:
        """Keep the last four cache breakpoints, which cover the most; the API accepts no more."""
        body = self.body
        messages = chain.from_iterable(m["content"] for m in body["messages"] if isinstance(m["content"], list))
        marked: list[Json] = []
        for block in chain(body.get("tools", ()), body.get("system", ()), messages):
            if not isinstance(block, dict):
                continue
            inner = block.get("content")
            both = (*(inner if isinstance(inner, list) else ()), block)
            marked += [one for one in both if isinstance(one, dict) and "cache_control" in one]
        for block in marked[:-_BREAKPOINTS]:
            self.lost.add(Lost.CACHE_CONTROL)
            del block["cache_control"]


def _input_schema(schema: bytes | None) -> Raw:
    """Return the schema with the ``"type": "object"`` that the API requires."""
    members = OBJECT.get(schema) if schema is not None else None
    if not members:
        return _EMPTY_SCHEMA
    if "type" in members or schema is None:
        return Raw(schema or b"{}")
    return Raw(encode({"type": "object", **members}))


_REFUSED: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)


def _is_strict(schema: bytes | None) -> bool:
    """Whether structured outputs accept the schema: closed objects only, no numeric or length limits."""
    value = ANY.get(schema) if schema is not None else None
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


def _forbid_thinking(messages: list[Json], adaptive: bool) -> bool:
    """Whether these messages forbid thinking: the client has begun the answer or, unless thinking is adaptive, the message
    with the last tool call does not begin with its thinking.  A final message that ends in a block of the vendor's own is a
    turn that the vendor paused, not a begun answer."""
    last: list[Any] = next((message["content"] for message in reversed(messages) if message["role"] == "assistant"), [])
    if messages[-1]["role"] == "assistant" and not isinstance(last[-1], Raw):
        return True
    kinds = [block["type"] for block in last if isinstance(block, dict)]
    bare = "tool_use" in kinds or messages[-1]["role"] == "assistant"
    return not adaptive and bare and kinds[:1] not in (["thinking"], ["redacted_thinking"])
