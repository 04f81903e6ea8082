"""OpenAI Responses requests, written.

Quirks of the target that matter: ``developer_role``, ``no_sampling``, ``sampling_unless_reasoning``, ``reasoning_content``
(accepts thinking as text in history).  A request that was read from this wire keeps its extras, tool groups and vendor
items.  For a request from another wire ``store`` defaults to false, since its client does not expect the vendor to store it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from .conversation import Ask, Reasoning, ResponseFormat, Sampling, Tool
from .fidelity import Losses, Lost, lost_extras, refuse_state
from .format import Rendered, Target
from .jsonio import encode
from .names import Names
from .openai_chat_error import OPENAI_WIRES
from .openai_responses_error import WIRE
from .openai_responses_input import Input
from .openai_responses_request import LOGPROBS
from .openai_responses_tools import NAME_LIMIT, write_choice, write_tools
from .openai_settings import accepts_strictly, effort_for, forget_sampling, user_id, write_metadata

_LEAST_OUTPUT: Final = 16  # tokens; the API refuses less
_TIERS: Final = frozenset(("auto", "default", "flex", "priority", "scale"))
_SHOW: Final = {"summarized": "auto", "omitted": None}
_SHARED: Final = ("store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier")  # extras of both OpenAI wires
Json = dict[str, Any]


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the body of ``POST /v1/responses``.  Raises OmniError for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    return _Request(ask, target).render()


def text_settings(ask: Ask) -> Json:
    """Return the ``text`` member: format and verbosity of the answer."""
    text: Json = {}
    if ask.response_format is not None:
        text["format"] = _format(ask.response_format)
    if ask.verbosity is not None:
        text["verbosity"] = ask.verbosity
    return text


def _format(shape: ResponseFormat) -> Json:
    if shape.kind != "schema":
        return {"type": "json_object" if shape.kind == "json" else "text"}
    out: Json = {"type": "json_schema", "name": shape.name or "response"}
    if shape.description is not None:
        out["description"] = shape.description
    out["schema"] = Raw(shape.schema) if shape.schema is not None else {}
    if shape.strict is not None:
        out["strict"] = shape.strict
    return out


class _Request:
    def __init__(self, ask: Ask, target: Target) -> None:
        self.ask = ask
        self.target = target
        self.own = ask.wire == WIRE
        self.names = Names(NAME_LIMIT)
        self.lost = Losses()
        self.body: Json = {"model": target.model}

    def render(self) -> Rendered:
        ask, body = self.ask, self.body
        given = Input(ask, self.target, self.names, self.lost)
        items = given.render()
        if given.instructions is not None:
            body["instructions"] = given.instructions
        if items or not self.own:
            body["input"] = items
        self._tools()
        self._sampling(ask.sampling)
        self._reasoning(ask.reasoning)
        if ask.max_tokens is not None:
            low = not self.own and ask.max_tokens < _LEAST_OUTPUT
            body["max_output_tokens"] = _LEAST_OUTPUT if low else ask.max_tokens
            self.lost.add(Lost.MAX_TOKENS, low)
        if text := text_settings(ask):
            body["text"] = text
        self._rest()
        if ask.stream:
            body["stream"] = True
        self._extra()
        return Rendered(encode(body), self.lost.names(), self.names.renamed)

    # -- tools

    def _tools(self) -> None:
        ask = self.ask
        tools = [tool for tool in ask.tools if tool.placed is None] if self.own else ask.tools
        written = write_tools(map(self._declared, tools), self.names, self.own)
        if written:
            self.body["tools"] = written
        if ask.tool_choice is not None and (written or self.own):
            self.body["tool_choice"] = write_choice(ask.tool_choice, ask.tools, self.names, self.own)
        if ask.parallel_tools is not None and (written or self.own):
            self.body["parallel_tool_calls"] = ask.parallel_tools

    def _declared(self, tool: Tool) -> Tool:
        """Name what is lost of *tool*; return what can be declared of it."""
        self.lost.add(Lost.SERVER_TOOLS, tool.kind == "server" and tool.wire != WIRE)
        self.lost.add(Lost.CACHE_CONTROL, tool.cache is not None)
        self.lost.add(Lost.DEFERRED_TOOLS, tool.deferred and not self.own)
        self.lost.add(Lost.TOOL_NAMESPACE, bool(tool.namespace) and not self.own)
        if not tool.strict or self.ask.wire in OPENAI_WIRES or accepts_strictly(tool.schema):
            return tool
        self.lost.add(Lost.STRICT_TOOLS)
        return msgspec.structs.replace(tool, strict=False)

    # -- settings

    def _sampling(self, said: Sampling) -> None:
        refused = "no_sampling" in self.target.quirks and not self.own
        for name, lost in (("temperature", Lost.TEMPERATURE), ("top_p", Lost.TOP_P)):
            value = getattr(said, name)
            if value is not None and not refused:
                self.body[name] = value
            self.lost.add(lost, value is not None and refused)
        for name, lost in _NO_SUCH_SETTING:
            self.lost.add(lost, getattr(said, name) is not None)
        self.lost.add(Lost.N, said.n is not None and said.n > 1)
        if said.top_logprobs is not None:
            self.body["top_logprobs"] = said.top_logprobs
        if said.logprobs and not self.own:
            self.body["include"] = [LOGPROBS]

    def _reasoning(self, said: Reasoning | None) -> None:
        if said is None:
            return
        able = self.target.abilities
        if able and "reasoning" not in able and not self.own:  # such a model refuses the whole member
            asked = said.effort not in (None, "none") or said.budget is not None or (said.enabled and not said.adaptive)
            self.lost.add(Lost.REASONING, bool(asked) and said.enabled is not False)
            return
        effort = effort_for(said, self.own, self.lost)
        out: Json = {}
        if effort == "none" and not self.own:
            self.lost.add(Lost.REASONING)  # models that cannot stop thinking refuse "none"
        elif effort is not None:
            out["effort"] = effort
            if "sampling_unless_reasoning" in self.target.quirks and not self.own:
                forget_sampling(self.body, self.lost)
        shown = said.show or ("auto" if (said.enabled or said.adaptive) and not self.own else None)
        if shown is not None and (show := _SHOW.get(shown, shown)) is not None:
            out["summary"] = show
        if out:
            self.body["reasoning"] = out

    def _rest(self) -> None:
        ask, body = self.ask, self.body
        self.lost.add(Lost.STOP, bool(ask.stop))
        self.lost.add(Lost.MODALITIES, any(kind != "text" for kind in ask.modalities))
        if ask.user is not None:
            body["user"] = user_id(ask.user, self.own, self.lost)
        write_metadata(body, ask, self.lost)
        if ask.service_tier is not None:
            held = self.own or ask.service_tier in _TIERS
            self.lost.add(Lost.SERVICE_TIER, not held)
            if held:
                body["service_tier"] = ask.service_tier

    def _extra(self) -> None:
        body, extra = self.body, self.ask.extra
        if not self.own:
            shared: Json = {name: Raw(extra[name]) for name in _SHARED if name in extra and self.ask.wire in OPENAI_WIRES}
            body |= {"store": False, **shared}
            self.lost.update(lost_extras(self.ask, shared))
            return
        for name, raw in extra.items():
            if name in ("reasoning", "text") and name in body:
                body[name] = {**body[name], **msgspec.json.decode(raw, type=dict[str, Raw])}
            else:
                body[name] = Raw(raw)


_NO_SUCH_SETTING: Final = (
    ("top_k", Lost.TOP_K),
    ("min_p", Lost.MIN_P),
    ("seed", Lost.SEED),
    ("frequency_penalty", Lost.FREQUENCY_PENALTY),
    ("presence_penalty", Lost.PRESENCE_PENALTY),
    ("logit_bias", Lost.LOGIT_BIAS),
)
