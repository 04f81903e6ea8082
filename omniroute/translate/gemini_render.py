"""Gemini requests, written (the vendor's reference, "GenerateContentRequest").

What depends on the model is in ``gemini_traits.py``.  Schemas are sent unchanged to models that accept JSON Schema, and
rewritten for others (``schema.py``).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from .conversation import NO_SAMPLING, Ask, Reasoning, ResponseFormat, Sampling, Tool, system_and_turns
from .emulation import TEXT_SCHEMA, effort_of, json_instruction
from .fidelity import Losses, Lost, lost_extras, refuse_state
from .format import Rendered, Target
from .gemini_error import WIRE
from .gemini_history import Contents, GeminiNames, Json, Written
from .gemini_traits import Traits
from .jsonio import ANY, OBJECT, encode
from .names import chosen
from .schema import reduce, reduce_object

_STOPS: Final = 5
_LARGEST_SEED: Final = 2**31 - 1
_BUDGET_OF_EFFORT: Final = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
_LEVEL_OF_EFFORT: Final = {"minimal": "minimal", "low": "low", "medium": "medium"}  # else high
_LEAST_BUDGET_OF_PRO: Final = 128
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode_request(ask: Ask, target: Target) -> Rendered:
    """Return the body of ``:generateContent``.  Raises OmniError for what must be rejected (``fidelity.py``)."""
    refuse_state(ask, WIRE)
    return _Request(ask, target).render()


class _Request:
    def __init__(self, ask: Ask, target: Target) -> None:
        self.ask = ask
        self.target = target
        self.own = ask.wire == WIRE
        self.traits = Traits(target)
        self.names = GeminiNames()
        self.lost = Losses()
        self.extra = {name: Raw(raw) for name, raw in ask.extra.items()} if self.own else {}
        self.config: Json = {}
        self.system: list[Written] = []

    def render(self) -> Rendered:
        ask = self.ask
        contents = Contents(ask, self.names, self.traits, self.lost)
        prompt, turns = system_and_turns(ask)
        self.system = contents.system(prompt)
        body: Json = {"contents": contents.write(turns)}
        tools = self._tools()
        if ask.sampling != NO_SAMPLING:
            self._sampling(ask.sampling)
        self._limits()
        self._response_format(ask.response_format, any("functionDeclarations" in tool for tool in tools))
        self._reasoning(ask.reasoning)
        if self.system:
            body["systemInstruction"] = {"parts": self.system}
        if tools:
            body["tools"] = tools
        if (choice := self._tool_config(bool(tools))) is not None:
            body["toolConfig"] = choice
        self.config |= self._rest_of("generationConfig")
        if self.config:
            body["generationConfig"] = self.config
        self._rest(body)
        return Rendered(encode(body), self.lost.names(), self.names.renamed)

    def _rest_of(self, name: str) -> dict[str, Raw]:
        """What a client of this wire sent under *name* that has no neutral meaning."""
        raw = self.extra.pop(name, None)
        return (OBJECT.get(raw) or {}) if raw is not None else {}

    # -- tools

    def _tools(self) -> list[Json]:
        functions: list[Json] = []
        servers: list[Json] = []
        for tool in self._offered():
            if tool.kind != "server":
                functions.append(self._function(tool))
            elif tool.wire == WIRE and tool.raw is not None:
                servers.append(dict(OBJECT.get(tool.raw) or {}))
            else:
                self.lost.add(Lost.SERVER_TOOLS)
        return [*([{"functionDeclarations": functions}] if functions else []), *servers]

    def _offered(self) -> list[Tool]:
        """All tools, or the allowed ones: the wire's own list of allowed names would also force a call."""
        choice = self.ask.tool_choice
        if choice is None or choice.mode != "allowed" or choice.required or self.own:
            return self.ask.tools
        self.lost.add(Lost.ALLOWED_TOOLS)
        return chosen(self.ask.tools, choice.names)

    def _function(self, tool: Tool) -> Json:
        self.lost.add(Lost.CACHE_CONTROL, tool.cache is not None)
        self.lost.add(Lost.DEFERRED_TOOLS, tool.deferred)
        self.lost.add(Lost.TOOL_NAMESPACE, bool(tool.namespace))
        self.lost.add(Lost.STRICT_TOOLS, bool(tool.strict))
        self.lost.add(Lost.CUSTOM_TOOLS, tool.kind == "custom")
        out: Json = {"name": self.names.sent(tool.name, tool.namespace)}
        if tool.description:
            out["description"] = tool.description
        schema = ANY.get(tool.schema) if tool.schema is not None else None
        if tool.kind == "custom":
            schema = TEXT_SCHEMA
        if isinstance(schema, dict) and schema:
            self._parameters(out, schema, tool)
        if tool.wire == WIRE and tool.raw is not None:
            out |= OBJECT.get(tool.raw) or {}
        return out

    def _parameters(self, out: Json, schema: Json, tool: Tool) -> None:
        if self.traits.json_schema:
            fine = schema.get("type") == "object" and tool.kind != "custom"
            raw = Raw(tool.schema) if fine and tool.schema is not None else {**schema, "type": "object"}
            out["parametersJsonSchema"] = raw
            return
        reduced = reduce_object(schema)
        self.lost.add(Lost.TOOL_SCHEMA, reduced.lossy)
        if reduced.schema.get("properties"):  # an object without properties is refused
            out["parameters"] = reduced.schema

    def _tool_config(self, tools: bool) -> Json | None:
        choice, out = self.ask.tool_choice, dict[str, Any](self._rest_of("toolConfig"))
        self.lost.add(Lost.PARALLEL_TOOLS, tools and self.ask.parallel_tools is False)
        if choice is not None and tools:
            calling: Json = {"mode": _MODES.get(choice.mode, "ANY")}
            if choice.mode == "allowed" and not choice.required:
                calling = {"mode": "AUTO"}
            elif choice.mode in ("tool", "allowed"):
                calling["allowedFunctionNames"] = self.names.sent_for(choice, self.ask.tools)
            out = {"functionCallingConfig": calling, **out}
        elif choice is not None:
            self.lost.add(Lost.TOOL_CHOICE, choice.mode not in ("auto", "none"))
        return out or None

    # -- generationConfig

    def _sampling(self, said: Sampling) -> None:
        seed = said.seed
        if seed is not None and not -_LARGEST_SEED <= seed <= _LARGEST_SEED:
            self.lost.add(Lost.SEED)
            seed %= _LARGEST_SEED
        table = (
            ("temperature", said.temperature),
            ("topP", said.top_p),
            ("topK", said.top_k),
            ("seed", seed),
            ("presencePenalty", said.presence_penalty),
            ("frequencyPenalty", said.frequency_penalty),
            ("candidateCount", said.n),
            ("responseLogprobs", said.logprobs),
            ("logprobs", said.top_logprobs if said.logprobs or self.own else None),
        )
        self.config |= {name: value for name, value in table if value is not None}
        self.lost.add(Lost.MIN_P, said.min_p is not None)
        self.lost.add(Lost.LOGIT_BIAS, said.logit_bias is not None)

    def _limits(self) -> None:
        ask, most = self.ask, self.target.max_output
        if ask.max_tokens is not None:
            over = bool(most) and ask.max_tokens > most and not self.own
            self.lost.add(Lost.MAX_TOKENS, over)
            self.config["maxOutputTokens"] = most if over else ask.max_tokens
        if ask.stop:
            self.config["stopSequences"] = ask.stop if self.own else ask.stop[:_STOPS]
            self.lost.add(Lost.STOP, len(self.config["stopSequences"]) < len(ask.stop))
        if self.own and ask.modalities:
            self.config["responseModalities"] = [word.upper() for word in ask.modalities]
        elif "image" in ask.modalities:
            self.config["responseModalities"] = [word.upper() for word in ask.modalities if word != "audio"]
        self.lost.add(Lost.MODALITIES, "audio" in ask.modalities and not self.own)

    def _response_format(self, wish: ResponseFormat | None, functions: bool) -> None:
        if wish is None or wish.kind == "text":
            return
        if functions and not self.own and not self.traits.json_with_tools:  # older models refuse the combination
            self.lost.add(Lost.RESPONSE_FORMAT)
            self.system.append({"text": json_instruction(wish.schema)})
            return
        self.config["responseMimeType"] = "application/json"
        if wish.schema is None:
            return
        if self.traits.json_schema:
            self.config["responseJsonSchema"] = Raw(wish.schema)
        else:
            reduced = reduce(ANY.get(wish.schema))
            self.lost.add(Lost.RESPONSE_FORMAT, reduced.lossy)
            self.config["responseSchema"] = reduced.schema

    def _reasoning(self, said: Reasoning | None) -> None:
        if said is None:
            return
        if not self.traits.thinks and not self.own:
            self.lost.add(Lost.REASONING, said.enabled is not False and said.effort != "none")
            return
        off = said.enabled is False or said.effort == "none"
        thinking: Json = self._off() if off and not self.own else self._amount(said)
        if self.own:
            if said.show is not None:
                thinking["includeThoughts"] = said.show != "omitted"
        elif not off:
            thinking["includeThoughts"] = said.show != "omitted"
        self.lost.add(Lost.REASONING_DISPLAY, said.show in ("concise", "detailed") and not self.own)
        if thinking:
            self.config["thinkingConfig"] = thinking

    def _off(self) -> Json:
        """The least thinking that the model supports; only some can switch it off."""
        if self.traits.levels:
            self.lost.add(Lost.REASONING)
            return {"thinkingLevel": "minimal" if self.traits.flash else "low"}
        if self.traits.pro:
            self.lost.add(Lost.REASONING)
            return {"thinkingBudget": _LEAST_BUDGET_OF_PRO}
        return {"thinkingBudget": 0}

    def _amount(self, said: Reasoning) -> Json:
        out: Json = {}
        if self.own:  # as the client sent it
            if said.budget is not None or said.adaptive:
                out["thinkingBudget"] = -1 if said.budget is None else said.budget
            if said.effort is not None:
                out["thinkingLevel"] = said.effort
            return out
        if self.traits.levels:
            return self._level(said)
        if said.budget is not None:
            out["thinkingBudget"] = said.budget
        elif said.effort is not None:
            self.lost.add(Lost.REASONING_EFFORT)
            out["thinkingBudget"] = _BUDGET_OF_EFFORT.get(said.effort, 8192)
        elif said.adaptive:
            out["thinkingBudget"] = -1
        return out

    def _level(self, said: Reasoning) -> Json:
        if said.effort is None and said.budget is None:
            return {}
        if said.effort is not None:
            level = _LEVEL_OF_EFFORT.get(said.effort, "high")
            if level == "minimal" and not self.traits.flash:
                level = "low"
        else:
            level = effort_of(said.budget or 0)
            self.lost.add(Lost.REASONING_BUDGET)
        return {"thinkingLevel": level}

    # -- the rest

    def _rest(self, body: Json) -> None:
        ask = self.ask
        for name, lost in (
            (Lost.VERBOSITY, ask.verbosity is not None),
            (Lost.USER, ask.user is not None),
            (Lost.METADATA, ask.metadata is not None),
            (Lost.SERVICE_TIER, ask.service_tier not in (None, "auto", "default")),
        ):
            self.lost.add(name, lost)
        body |= self.extra
        if not self.own:
            self.lost.update(lost_extras(ask))
