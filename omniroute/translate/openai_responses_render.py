"""OpenAI Responses requests, written.

Quirks of the target that matter: ``developer_role``, ``no_sampling``, ``sampling_unless_reasoning``, ``reasoning_content``
(accepts thinking as text in history).  A request that was read from this wire keeps its extras, tool groups and vendor
items.  For a request from another wire ``store`` defaults to false, since its client does not expect the vendor to store it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw

from . import openai_chat_error as chat
from .conversation import Ask, Reasoning, ResponseFormat, Sampling, Tool
from .fidelity import Lost, extra_names, refuse_state
from .format import Rendered, Target
from .jsonio import encode
from .names import Names
from .openai_responses_error import WIRE
from .openai_responses_input import Input
from .openai_responses_request import LOGPROBS
from .openai_responses_tools import NAME_LIMIT, write_choice, write_tools

_LEAST_OUTPUT: Final = 16  # tokens; the API refuses less
_USER_LIMIT: Final = 64  # characters
_TIERS: Final = frozenset(("auto", "default", "flex", "priority", "scale"))
_BANDS: Final = ((0, "none"), (1024, "low"), (10240, "medium"))  # largest budget -> effort; above: high
_SHOW: Final = {"summarized": "auto", "omitted": None}
_OPENAI_WIRES: Final = frozenset((WIRE, chat.WIRE))
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
        self.lost: list[str] = []
        self.body: Json = {"model": target.model}

    def render(self) -> Rendered:
        ask, body = self.ask, self.body
        given = Input(ask, self.target, self.names)
        items = given.render()
        if given.instructions is not None:
            body["instructions"] = given.instructions
        if items or not self.own:
            body["input"] = items
        self.lost += given.lost
        self._tools()
        self._sampling(ask.sampling)
        self._reasoning(ask.reasoning)
        if ask.max_tokens is not None:
            low = not self.own and ask.max_tokens < _LEAST_OUTPUT
            body["max_output_tokens"] = _LEAST_OUTPUT if low else ask.max_tokens
            self._lose(Lost.MAX_TOKENS, low)
        if text := text_settings(ask):
            body["text"] = text
        self._rest()
        if ask.stream:
            body["stream"] = True
        self._extra()
        return Rendered(encode(body), tuple(dict.fromkeys(map(str, self.lost))), self.names.renamed)

    def _lose(self, name: Lost, lost: bool = True) -> None:
        if lost:
            self.lost.append(name)

    # ------------------------------------------------------------------ tools

    def _tools(self) -> None:
        ask = self.ask
        tools = [tool for tool in ask.tools if tool.placed is None] if self.own else ask.tools
        for tool in tools:
            self._lose_of(tool)
        written = write_tools(tools, self.names, self.own)
        if written:
            self.body["tools"] = written
        if ask.tool_choice is not None and (written or self.own):
            self.body["tool_choice"] = write_choice(ask.tool_choice, ask.tools, self.names, self.own)
        if ask.parallel_tools is not None and (written or self.own):
            self.body["parallel_tool_calls"] = ask.parallel_tools

    def _lose_of(self, tool: Tool) -> None:
        self._lose(Lost.SERVER_TOOLS, tool.kind == "server" and tool.wire != WIRE)
        self._lose(Lost.CACHE_CONTROL, tool.cache is not None)
        self._lose(Lost.DEFERRED_TOOLS, tool.deferred and not self.own)
        self._lose(Lost.TOOL_NAMESPACE, bool(tool.namespace) and not self.own)

    # ------------------------------------------------------------------ settings

    def _sampling(self, said: Sampling) -> None:
        refused = "no_sampling" in self.target.quirks and not self.own
        for name, lost in (("temperature", Lost.TEMPERATURE), ("top_p", Lost.TOP_P)):
            value = getattr(said, name)
            if value is not None and not refused:
                self.body[name] = value
            self._lose(lost, value is not None and refused)
        for name, lost in _NO_SUCH_SETTING:
            self._lose(lost, getattr(said, name) is not None)
        self._lose(Lost.N, said.n is not None and said.n > 1)
        if said.top_logprobs is not None:
            self.body["top_logprobs"] = said.top_logprobs
        if said.logprobs and not self.own:
            self.body["include"] = [LOGPROBS]

    def _reasoning(self, said: Reasoning | None) -> None:
        if said is None:
            return
        effort = said.effort
        if effort is None and said.budget is not None and said.enabled is not False:
            effort = next((word for most, word in _BANDS if said.budget <= most), "high")
            self._lose(Lost.REASONING_BUDGET)
        elif said.enabled is False:
            effort = "none"
        elif effort is None and said.enabled and not (said.adaptive or self.own):
            able = self.target.abilities
            if able and "reasoning" not in able:
                self._lose(Lost.REASONING)
                return
            effort = "medium"  # some models do not think unless an effort is given
        out: Json = {}
        if effort == "none" and not self.own:
            self._lose(Lost.REASONING)  # models that cannot stop thinking refuse "none"
        elif effort is not None:
            out["effort"] = "xhigh" if effort == "max" and not self.own else effort
            if "sampling_unless_reasoning" in self.target.quirks and not self.own:
                self._lose(Lost.TEMPERATURE, self.body.pop("temperature", None) is not None)
                self._lose(Lost.TOP_P, self.body.pop("top_p", None) is not None)
        shown = said.show or ("auto" if (said.enabled or said.adaptive) and not self.own else None)
        if shown is not None and (show := _SHOW.get(shown, shown)) is not None:
            out["summary"] = show
        if out:
            self.body["reasoning"] = out

    def _rest(self) -> None:
        ask, body = self.ask, self.body
        self._lose(Lost.STOP, bool(ask.stop))
        self._lose(Lost.MODALITIES, any(kind != "text" for kind in ask.modalities))
        if ask.user is not None:
            long = len(ask.user) > _USER_LIMIT and not self.own
            body["user"] = sha256(ask.user.encode("utf-8", "replace")).hexdigest() if long else ask.user
            self._lose(Lost.USER, long)
        if ask.metadata is not None:
            self._lose(Lost.METADATA, ask.wire not in _OPENAI_WIRES)
            if ask.wire in _OPENAI_WIRES:
                body["metadata"] = Raw(ask.metadata)
        if ask.service_tier is not None:
            held = self.own or ask.service_tier in _TIERS
            self._lose(Lost.SERVICE_TIER, not held)
            if held:
                body["service_tier"] = ask.service_tier

    def _extra(self) -> None:
        body, extra = self.body, self.ask.extra
        if not self.own:
            shared: Json = {name: Raw(extra[name]) for name in _SHARED if name in extra and self.ask.wire in _OPENAI_WIRES}
            body |= {"store": False, **shared}
            self.lost += extra_names(name for name in extra if name not in shared)
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
