"""Ollama requests, written: the body of ``POST /api/chat``.

``stream`` is always written, because its absence means true.  A request that was read from this wire keeps its extras;
options without a neutral meaning return to ``options``.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from .conversation import Ask, Reasoning, ResponseFormat, Tool, ToolChoice
from .emulation import TEXT_SCHEMA, effort_of
from .fidelity import Losses, Lost, extra_names, lost_extras, refuse_state
from .format import Rendered, Target
from .jsonio import encode
from .names import chosen, flat
from .ollama_error import WIRE
from .ollama_messages import Messages
from .ollama_request import GENERATE, GENERATE_ONLY

_ANY_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_OPTION: Final = "options."
_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the body of ``POST /api/chat``.  Raises OmniError for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    return _Request(ask, target).render()


class _Request:
    def __init__(self, ask: Ask, target: Target) -> None:
        self.ask = ask
        self.target = target
        self.own = ask.wire in (WIRE, GENERATE)
        self.lost = Losses()
        self.options: dict[str, Any] = {}

    def render(self) -> Rendered:
        ask = self.ask
        messages = Messages(ask, self.lost).render()
        body: dict[str, Any] = {"model": self.target.model, "messages": messages, "stream": ask.stream}
        if tools := [self._tool(tool) for tool in self._offered() if self._held(tool)]:
            body["tools"] = tools
        self.lost.add(Lost.PARALLEL_TOOLS, ask.parallel_tools is False)
        shape = _format(ask.response_format)
        if shape is not None:
            body["format"] = shape
        think = self._think(ask.reasoning) if ask.reasoning is not None else None
        if think is not None:
            body["think"] = think
        self._sampling(body)
        self._rest()
        self._extras(body)
        if self.options:
            body["options"] = self.options
        return Rendered(encode(body), self.lost.names())

    # -- tools

    def _offered(self) -> list[Tool]:
        """The tools to send: none if calls are forbidden, else the allowed ones.  This wire cannot require a call."""
        choice = self.ask.tool_choice or ToolChoice("auto")
        if choice.mode == "none":
            return []
        self.lost.add(Lost.TOOL_CHOICE, choice.mode in ("required", "tool") or choice.required)
        self.lost.add(Lost.ALLOWED_TOOLS, choice.mode == "allowed")
        if choice.mode in ("tool", "allowed"):
            return chosen(self.ask.tools, choice.names)
        return self.ask.tools

    def _held(self, tool: Tool) -> bool:
        held = tool.kind != "server" or (tool.wire == WIRE and tool.raw is not None)
        self.lost.add(Lost.SERVER_TOOLS, not held)
        return held

    def _tool(self, tool: Tool) -> dict[str, Any] | Raw:
        if tool.kind == "server":
            return Raw(tool.raw or b"")
        for name, said in (
            (Lost.DEFERRED_TOOLS, tool.deferred),
            (Lost.CACHE_CONTROL, tool.cache is not None),
            (Lost.TOOL_NAMESPACE, bool(tool.namespace)),
            (Lost.STRICT_TOOLS, bool(tool.strict)),
            (Lost.CUSTOM_TOOLS, tool.kind == "custom"),
        ):
            self.lost.add(name, said)
        function: dict[str, Any] = {"name": flat(tool.name, tool.namespace)}
        if tool.description is not None:
            function["description"] = tool.description
        schema = Raw(tool.schema) if tool.schema is not None else _ANY_SCHEMA
        function["parameters"] = TEXT_SCHEMA if tool.kind == "custom" else schema
        return {"type": "function", "function": function}

    # -- settings

    def _think(self, said: Reasoning) -> bool | str | None:
        """Return ``think``: on, off, or an effort.  Models that cannot think refuse true."""
        self.lost.add(Lost.REASONING_DISPLAY, said.show is not None)
        if said.enabled is False or said.effort == "none":
            return False
        abilities = self.target.abilities
        if abilities and "reasoning" not in abilities and not self.own:
            self.lost.add(Lost.REASONING)
            return None
        if said.effort is not None:
            known = said.effort if self.own else _EFFORTS.get(said.effort, "high")
            self.lost.add(Lost.REASONING_EFFORT, known != said.effort)
            return known
        if said.budget is not None:
            self.lost.add(Lost.REASONING_BUDGET)
            return effort_of(said.budget)
        return True if said.enabled or said.adaptive else None

    def _sampling(self, body: dict[str, Any]) -> None:
        said, options = self.ask.sampling, self.options
        table = (
            *((name, getattr(said, name)) for name in ("temperature", "top_p", "top_k", "min_p", "seed")),
            *((name, getattr(said, name)) for name in ("presence_penalty", "frequency_penalty")),
            ("num_predict", self.ask.max_tokens),
            ("stop", self.ask.stop or None),
        )
        options |= {name: value for name, value in table if value is not None}
        body |= {n: v for n in ("logprobs", "top_logprobs") if (v := getattr(said, n)) is not None}
        self.lost.add(Lost.LOGIT_BIAS, said.logit_bias is not None)
        self.lost.add(Lost.N, said.n is not None and said.n > 1)

    def _rest(self) -> None:
        ask = self.ask
        for name, said in (
            (Lost.VERBOSITY, ask.verbosity),
            (Lost.MODALITIES, set(ask.modalities) - {"text"}),
            (Lost.USER, ask.user),
            (Lost.METADATA, ask.metadata),
            (Lost.SERVICE_TIER, ask.service_tier),
        ):
            self.lost.add(name, bool(said))

    def _extras(self, body: dict[str, Any]) -> None:
        if not self.own:
            self.lost.update(lost_extras(self.ask))
            return
        for name, value in self.ask.extra.items():
            if name.startswith(_OPTION):
                self.options[name.removeprefix(_OPTION)] = Raw(value)
            elif self.ask.wire == GENERATE and name in GENERATE_ONLY:
                self.lost.update(extra_names([name]))
            else:
                body[name] = Raw(value)


def _format(shape: ResponseFormat | None) -> str | Raw | None:
    if shape is None or shape.kind == "text":
        return None
    return Raw(shape.schema) if shape.kind == "schema" and shape.schema is not None else "json"
