"""OpenAI chat requests, written.

How a provider differs from plain OpenAI is said by its quirks (``catalog.toml``): ``max_completion_tokens``,
``developer_role``, ``reasoning_content``, ``cache_control``, ``top_k``, ``no_stream_options``, ``no_user``, ``random_seed``,
``no_sampling``, ``sampling_unless_reasoning``, ``no_effort``, and ``custom_tools``, ``allowed_tools`` for the two tool
features that only OpenAI itself has.
A request that was read from this wire keeps its extras, vendor parts and file ids.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from msgspec import Raw

from .conversation import NO_SAMPLING, Ask, Reasoning, ResponseFormat, Sampling, Tool, ToolChoice
from .emulation import TEXT_SCHEMA
from .fidelity import Losses, Lost, lost_extras, refuse_state
from .format import Rendered, Target
from .jsonio import encode
from .names import Names, chosen, tools_by_name
from .openai_chat_error import OPENAI_WIRES, WIRE
from .openai_chat_messages import Messages
from .openai_chat_request import DIALECTS, EFFORT
from .openai_settings import accepts_strictly, effort_for, forget_sampling, user_id, write_metadata
from .schema import with_properties

NAME_LIMIT: Final = 64
_STOPS: Final = 4
_TIERS: Final = frozenset(("auto", "default", "flex", "priority"))


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the body of ``POST /v1/chat/completions``.  Raises OmniError for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    return _Request(ask, target).render()


class _Request:
    def __init__(self, ask: Ask, target: Target) -> None:
        self.ask = ask
        self.target = target
        self.own = ask.wire == WIRE
        self.names = Names(NAME_LIMIT)
        self.lost = Losses()
        self.body: dict[str, Any] = {}

    def quirk(self, name: str) -> bool:
        return name in self.target.quirks

    def render(self) -> Rendered:
        ask, body = self.ask, self.body
        body["model"] = self.target.model
        body["messages"] = Messages(ask, self.target, self.names, self.native_custom, self.lost).render()
        self._tools()
        if ask.sampling != NO_SAMPLING:
            self._sampling(ask.sampling)
        if ask.max_tokens is not None:
            body["max_completion_tokens" if self.quirk("max_completion_tokens") else "max_tokens"] = ask.max_tokens
        if ask.stop:
            body["stop"] = ask.stop if self.own else ask.stop[:_STOPS]
            self.lost.add(Lost.STOP, len(body["stop"]) < len(ask.stop))
        if ask.response_format is not None:
            body["response_format"] = _response_format(ask.response_format)
        self._reasoning(ask.reasoning)
        self._rest()
        if ask.stream:
            body["stream"] = True
            if not self.quirk("no_stream_options"):
                body["stream_options"] = {"include_usage": True}
        return Rendered(encode(body), self.lost.names(), self.names.renamed)

    # -- tools

    @property
    def native_custom(self) -> bool:
        return self.own or self.quirk("custom_tools")

    def _tools(self) -> None:
        choice = self.ask.tool_choice
        tools = self._offered(choice)
        rendered = [shape for tool in tools if (shape := self._tool(tool)) is not None]
        if not rendered:  # a tool choice without tools is refused
            return
        self.body["tools"] = rendered
        if choice is not None:
            self.body["tool_choice"] = self._choice(choice)
        if self.ask.parallel_tools is not None:
            self.body["parallel_tool_calls"] = self.ask.parallel_tools

    def _offered(self, choice: ToolChoice | None) -> list[Tool]:
        """All tools, or only the allowed ones where the provider does not know ``allowed_tools``."""
        if choice is None or choice.mode != "allowed" or self.own or self.quirk("allowed_tools"):
            return self.ask.tools
        self.lost.add(Lost.ALLOWED_TOOLS)
        return chosen(self.ask.tools, choice.names)

    def _tool(self, tool: Tool) -> dict[str, Any] | Raw | None:
        if tool.kind == "server":
            own = tool.wire == WIRE and tool.raw is not None
            self.lost.add(Lost.SERVER_TOOLS, not own)
            return Raw(tool.raw) if own and tool.raw is not None else None
        self.lost.add(Lost.DEFERRED_TOOLS, tool.deferred)
        self.lost.add(Lost.CACHE_CONTROL, tool.cache is not None)
        self.lost.add(Lost.TOOL_NAMESPACE, bool(tool.namespace))
        function: dict[str, Any] = {"name": self.names.sent(tool.name, tool.namespace)}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.kind == "custom" and self.native_custom:
            if tool.grammar is not None:
                function["format"] = Raw(tool.grammar)
            return {"type": "custom", "custom": function}
        self.lost.add(Lost.CUSTOM_TOOLS, tool.kind == "custom")
        schema = Raw(tool.schema) if self.own and tool.schema is not None else with_properties(tool.schema)
        function["parameters"] = TEXT_SCHEMA if tool.kind == "custom" else schema
        if tool.strict is not None:
            held = not tool.strict or self.ask.wire in OPENAI_WIRES or accepts_strictly(tool.schema)
            self.lost.add(Lost.STRICT_TOOLS, not held)
            function["strict"] = tool.strict and held
        return {"type": "function", "function": function}

    def _choice(self, choice: ToolChoice) -> str | dict[str, Any]:
        if choice.mode == "tool":
            return self._named(choice.names[0])
        if choice.mode != "allowed":
            return choice.mode
        mode = "required" if choice.required else "auto"
        if not (self.own or self.quirk("allowed_tools")):
            return mode
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [self._named(n) for n in choice.names]}}

    @cached_property
    def _tools_by_name(self) -> dict[str, Tool]:
        return tools_by_name(self.ask.tools)

    def _named(self, name: str) -> dict[str, Any]:
        tool = self._tools_by_name.get(name)
        name = tool.name if tool is not None else name
        kind = "custom" if tool is not None and tool.kind == "custom" and self.native_custom else "function"
        return {"type": kind, kind: {"name": self.names.sent(name, tool.namespace if tool else None)}}

    # -- settings

    def _sampling(self, said: Sampling) -> None:
        refused = self.quirk("no_sampling") and not self.own
        vendors_own = self.own or self.quirk("top_k")
        table = (
            ("temperature", said.temperature, Lost.TEMPERATURE, not refused),
            ("top_p", said.top_p, Lost.TOP_P, not refused),
            ("top_k", said.top_k, Lost.TOP_K, vendors_own and not refused),
            ("min_p", said.min_p, Lost.MIN_P, vendors_own),
            ("random_seed" if self.quirk("random_seed") and not self.own else "seed", said.seed, Lost.SEED, True),
            ("frequency_penalty", said.frequency_penalty, Lost.FREQUENCY_PENALTY, True),
            ("presence_penalty", said.presence_penalty, Lost.PRESENCE_PENALTY, True),
            ("logprobs", said.logprobs, Lost.LOGPROBS, True),
            ("top_logprobs", said.top_logprobs if said.logprobs or self.own else None, Lost.LOGPROBS, True),
            ("n", said.n, Lost.N, True),
        )
        for name, value, lost, held in table:
            if value is not None and held:
                self.body[name] = value
            self.lost.add(lost, value is not None and not held)
        if said.logit_bias is not None:
            self.body["logit_bias"] = Raw(said.logit_bias)

    def _reasoning(self, said: Reasoning | None) -> None:
        if said is None:
            return
        if self.own and (dialects := [self.ask.extra[name] for name in DIALECTS if name in self.ask.extra]):
            if said.effort is not None and not any(b'"effort"' in raw for raw in dialects):
                self.body[EFFORT] = said.effort
            return
        if not self.own and not self._takes_effort():
            self._leave_out_reasoning(said)
            return
        effort = effort_for(said, self.own, self.lost)
        self.lost.add(Lost.REASONING_DISPLAY, said.show is not None)
        if effort == "none" and not self.own:
            self.lost.add(Lost.REASONING)  # models that cannot stop thinking refuse "none"; others do not think unless asked
        elif effort is not None:
            self.body[EFFORT] = effort
            if self.quirk("sampling_unless_reasoning") and not self.own:
                forget_sampling(self.body, self.lost)

    def _takes_effort(self) -> bool:
        """Whether the model takes an effort, as far as is known."""
        able = self.target.abilities
        return not self.quirk("no_effort") and (not able or "reasoning" in able)

    def _leave_out_reasoning(self, said: Reasoning) -> None:
        """Name the wish.  A model that cannot think fulfils the wish not to; one without efforts thinks as it likes."""
        fixed = self.quirk("no_effort")
        if said.enabled is False or said.effort == "none":
            self.lost.add(Lost.REASONING, fixed)
        else:
            much = said.effort is not None or said.budget is not None
            self.lost.add(Lost.REASONING, much or (said.enabled is True and not (said.adaptive or fixed)))
        self.lost.add(Lost.REASONING_DISPLAY, said.show is not None)

    def _rest(self) -> None:
        ask, body = self.ask, self.body
        for name, value in (("verbosity", ask.verbosity), ("modalities", ask.modalities or None)):
            if value is not None:
                body[name] = value
        if ask.user is not None:
            refused = self.quirk("no_user") and not self.own
            self.lost.add(Lost.USER, refused)
            if not refused:
                body["user"] = user_id(ask.user, self.own, self.lost)
        write_metadata(body, ask, self.lost)
        if ask.service_tier is not None:
            held = ask.wire in OPENAI_WIRES or ask.service_tier in _TIERS
            self.lost.add(Lost.SERVICE_TIER, not held)
            if held:
                body["service_tier"] = ask.service_tier
        if self.own:
            body |= {name: Raw(value) for name, value in ask.extra.items()}
        else:
            self.lost.update(lost_extras(ask))


def _response_format(shape: ResponseFormat) -> dict[str, Any]:
    if shape.kind != "schema":
        return {"type": "json_object" if shape.kind == "json" else "text"}
    inner: dict[str, Any] = {"name": shape.name or "response"}
    if shape.description is not None:
        inner["description"] = shape.description
    if shape.schema is not None:
        inner["schema"] = Raw(shape.schema)
    if shape.strict is not None:
        inner["strict"] = shape.strict
    return {"type": "json_schema", "json_schema": inner}
