"""OpenAI chat requests, read.

Source: the API reference of ``POST /v1/chat/completions`` and what its speakers add to it (``reasoning``, ``thinking``,
``enable_thinking``, ``top_k``, ``cache_control`` …).  Members of a known name must have a known type; unknown members,
parts and tools travel as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import (
    Ask,
    Block,
    CacheHint,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from .jsonio import Shape, bad, join, members
from .openai_chat_error import WIRE
from .openai_chat_media import media_of_url
from .openai_chat_shapes import ABSENT, Detail

# --------------------------------------------------------------------------- shapes


class _Cache(Struct):
    ttl: str | None = None


class _Function(Struct):
    name: str
    arguments: str | None = None


class _Custom(Struct):
    name: str
    input: str | None = None


class _Call(Struct):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(Struct):
    role: str
    content: str | list[Raw] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    refusal: str | None = None
    audio: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    reasoning: Raw = ABSENT
    reasoning_details: Raw = ABSENT


class _Part(Struct):
    type: str | None = None
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    image_url: Raw = ABSENT
    video_url: Raw = ABSENT
    input_audio: Raw = ABSENT
    file: Raw = ABSENT
    thinking: Raw = ABSENT
    cache_control: Raw = ABSENT


class _Url(Struct):
    url: str
    detail: str | None = None


class _Audio(Struct):
    data: str
    format: str | None = None


class _File(Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


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
    """The members of vendors' ways to steer thinking, under whatever name they come."""

    effort: str | None = None
    max_tokens: int | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    type: str | None = None
    enable_thinking: bool | None = None
    thinking: bool | None = None
    summary: str | None = None


_STRING: Final[Shape[str]] = Shape(str)
_STRINGS: Final[Shape[list[str]]] = Shape(list[str])
_STRING_OR_STRINGS: Final[Shape[str | list[str]]] = Shape(str | list[str])
_BOOL: Final[Shape[bool]] = Shape(bool)
_INT: Final[Shape[int]] = Shape(int)
_FLOAT: Final[Shape[float]] = Shape(float)
_OBJECT: Final[Shape[dict[str, Raw]]] = Shape(dict[str, Raw])
_ITEMS: Final[Shape[list[Raw]]] = Shape(list[Raw])
_MESSAGES: Final[Shape[list[_Message]]] = Shape(list[_Message])
_PART: Final[Shape[_Part]] = Shape(_Part)
_URL: Final[Shape[_Url | str]] = Shape(_Url | str)
_AUDIO: Final[Shape[_Audio | str]] = Shape(_Audio | str)
_FILE: Final[Shape[_File]] = Shape(_File)
_CACHE: Final[Shape[_Cache]] = Shape(_Cache)
_DETAILS: Final[Shape[list[Detail]]] = Shape(list[Detail])
_PARTS: Final[Shape[str | list[_Part]]] = Shape(str | list[_Part])
_TOOL: Final[Shape[_Tool]] = Shape(_Tool)
_DECLARED: Final[Shape[_Declared]] = Shape(_Declared)
_CHOICE: Final[Shape[str | _Choice]] = Shape(str | _Choice)
_FORMAT: Final[Shape[_Format]] = Shape(_Format)
_SCHEMA: Final[Shape[_Schema]] = Shape(_Schema)
_STREAM_OPTIONS: Final[Shape[_StreamOptions]] = Shape(_StreamOptions)
_THOUGHT: Final[Shape[_Thought]] = Shape(_Thought)


def _said(raw: Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _bytes(raw: Raw) -> bytes | None:
    """What only travels; None = not said."""
    return bytes(raw) if _said(raw) else None


# --------------------------------------------------------------------------- content parts


def _cache(raw: Raw) -> CacheHint | None:
    found = _CACHE.get(raw) if _said(raw) else None
    return CacheHint(found.ttl) if found is not None else None


def _text(part: _Part, path: str) -> Block | None:
    return Text(_STRING.read(part.text, join(path, "text")), _cache(part.cache_control))


def _image(part: _Part, path: str) -> Block | None:
    where = _URL.read(part.image_url, join(path, "image_url"))
    media = media_of_url("image", where if isinstance(where, str) else where.url)
    media.detail = None if isinstance(where, str) else where.detail
    media.cache = _cache(part.cache_control)
    return media


def _video(part: _Part, path: str) -> Block | None:
    where = _URL.read(part.video_url, join(path, "video_url"))
    return media_of_url("video", where if isinstance(where, str) else where.url)


def _audio(part: _Part, path: str) -> Block | None:
    audio = _AUDIO.read(part.input_audio, join(path, "input_audio"))
    if isinstance(audio, str):  # Mistral: base64 or a link, nobody says which
        return None
    return Media("audio", mime=f"audio/{audio.format}" if audio.format else "", data=audio.data)


def _file(part: _Part, path: str) -> Block | None:
    file = _FILE.read(part.file, join(path, "file"))
    if file.file_data is None:
        return Media("document", file_id=file.file_id, name=file.filename) if file.file_id else None
    media = media_of_url("document", file.file_data)
    if media.url is not None and "://" not in media.url[:10]:
        media.data, media.url = media.url, None  # bare base64
    media.name = file.filename
    media.cache = _cache(part.cache_control)
    return media


def _refusal(part: _Part, path: str) -> Block | None:
    return Refusal(_STRING.read(part.refusal, join(path, "refusal")))


def _thinking(part: _Part, path: str) -> Block | None:
    """Mistral's thinking part, whose text is a list of texts."""
    inner = _PARTS.get(part.thinking)
    if inner is None:
        return None
    return Thinking(inner if isinstance(inner, str) else "".join([_STRING.get(p.text) or "" for p in inner]))


# type -> (the member that must be there, its reader; None = keep the part as it is)
_READ: Final[dict[str, tuple[str, Callable[[_Part, str], Block | None]]]] = {
    "text": ("text", _text),
    "image_url": ("image_url", _image),
    "video_url": ("video_url", _video),
    "input_audio": ("input_audio", _audio),
    "file": ("file", _file),
    "refusal": ("refusal", _refusal),
    "thinking": ("thinking", _thinking),
}


def _blocks(content: str | list[Raw] | None, path: str) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_block(raw, join(path, number)) for number, raw in enumerate(content)]


def _block(raw: Raw, path: str) -> Block:
    data = bytes(raw)
    if data[:1] == b'"':
        return Text(_STRING.read(raw, path))
    part = _PART.read(raw, path)
    member, read = _READ.get(part.type or "", ("", None))
    if read is None:
        return Opaque(WIRE, part.type or "part", data)
    if not _said(getattr(part, member)):
        raise _missing(join(path, member))
    return read(part, path) or Opaque(WIRE, part.type or "part", data)


def _missing(param: str) -> Exception:
    return bad(param, f"Missing required parameter: '{param}'.")


# --------------------------------------------------------------------------- messages


class _Messages:
    """Messages -> system blocks and turns.  Leading system texts are the system prompt, later ones stay where they are."""

    def __init__(self, ask: Ask) -> None:
        self.system = ask.system
        self.turns = ask.turns
        self.legacy: dict[str, str] = {}  # function name -> id of its last call

    def add(self, message: _Message, path: str) -> None:
        add = _ROLES.get(message.role)
        if add is None:
            at = join(path, "role")
            raise bad(at, f"Invalid value for '{at}': expected one of {', '.join(_ROLES)}.")
        add(self, message, path)

    def _system(self, message: _Message, path: str) -> None:
        blocks = _blocks(message.content, join(path, "content"))
        if self.turns:
            self.turns.append(Turn("system", blocks, message.name))
        else:
            self.system.extend(blocks)

    def _user(self, message: _Message, path: str) -> None:
        self.turns.append(Turn("user", _blocks(message.content, join(path, "content")), message.name))

    def _assistant(self, message: _Message, path: str) -> None:
        blocks = [*_thoughts(message), *_blocks(message.content, join(path, "content"))]
        if message.refusal:
            blocks.append(Refusal(message.refusal))
        if _said(message.audio):
            blocks.append(Opaque(WIRE, "audio", bytes(message.audio)))
        for number, call in enumerate(message.tool_calls or ()):
            blocks.append(self._call(call, join(join(path, "tool_calls"), number)))
        if message.function_call is not None:
            name = message.function_call.name
            seed = f"{len(self.turns)} {name}"
            self.legacy[name] = "call_" + sha256(seed.encode()).hexdigest()[:24]
            blocks.append(ToolCall(self.legacy[name], name, message.function_call.arguments or "{}"))
        self.turns.append(Turn("assistant", blocks, message.name))

    def _call(self, call: _Call, path: str) -> Block:
        if call.custom is not None and call.custom.name:
            return ToolCall(call.id or "", call.custom.name, call.custom.input or "", kind="custom")
        if call.function is None:
            raise _missing(join(path, "function"))
        return ToolCall(call.id or "", call.function.name, call.function.arguments or "{}")

    def _tool(self, message: _Message, path: str) -> None:
        id_ = message.tool_call_id or self.legacy.get(message.name or "", "")
        result = ToolResult(id_, _blocks(message.content, join(path, "content")), name=message.name or "")
        if self.turns and self.turns[-1].role == "tool":
            self.turns[-1].blocks.append(result)
        else:
            self.turns.append(Turn("tool", [result]))


_ROLES: Final[dict[str, Callable[[_Messages, _Message, str], None]]] = {
    "system": _Messages._system,
    "developer": _Messages._system,
    "user": _Messages._user,
    "assistant": _Messages._assistant,
    "tool": _Messages._tool,
    "function": _Messages._tool,
}


def _thoughts(message: _Message) -> list[Block]:
    """Thinking in history: ``reasoning_content`` or ``reasoning``, with signatures in ``reasoning_details``."""
    text = ""
    for raw in (message.reasoning_content, message.reasoning):
        text = text or _STRING.get(raw) or ""
    details = [d for d in _DETAILS.get(message.reasoning_details) or () if d.text or d.summary or d.signature or d.data]
    if not details:
        return [Thinking(text)] if text else []
    said = any(d.text or d.summary for d in details)
    blocks: list[Block] = []
    for position, detail in enumerate(details):
        own = detail.text or detail.summary or ("" if said or position else text)
        proof = detail.signature or detail.data
        redacted = bool(detail.data and not own)
        blocks.append(Thinking(own, proof or None, redacted, WIRE if proof else ""))
    return blocks


def _messages(ask: Ask, raw: Raw) -> None:
    reader = _Messages(ask)
    for number, message in enumerate(_MESSAGES.read(raw, "messages")):
        reader.add(message, join("messages", number))


# --------------------------------------------------------------------------- tools


def _tools(ask: Ask, raw: Raw) -> None:
    for number, item in enumerate(_ITEMS.read(raw, "tools")):
        path = join("tools", number)
        tool = _TOOL.read(item, path)
        if _said(tool.function) and tool.type in ("function", None):
            ask.tools.append(_function(tool.function, join(path, "function")))
            ask.tools[-1].cache = _cache(tool.cache_control)
        elif tool.type == "function":
            raise _missing(join(path, "function"))
        elif tool.type == "custom" and _said(tool.custom):
            custom = _DECLARED.read(tool.custom, join(path, "custom"))
            ask.tools.append(Tool(custom.name, custom.description, kind="custom", grammar=_bytes(custom.format)))
        else:
            ask.tools.append(Tool(tool.type or "tool", kind="server", wire=WIRE, raw=bytes(item)))


def _function(raw: Raw, path: str) -> Tool:
    function = _DECLARED.read(raw, path)
    return Tool(function.name, function.description, _bytes(function.parameters), strict=function.strict)


def _functions(ask: Ask, raw: Raw) -> None:
    for number, item in enumerate(_ITEMS.read(raw, "functions")):
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


# --------------------------------------------------------------------------- settings


def _reasoning(ask: Ask) -> Reasoning:
    if ask.reasoning is None:
        ask.reasoning = Reasoning()
    return ask.reasoning


def _effort(ask: Ask, raw: Raw) -> None:
    _set_effort(_reasoning(ask), _STRING.read(raw, "reasoning_effort"))


def _set_effort(reasoning: Reasoning, effort: str) -> None:
    reasoning.effort = effort
    if effort == "none":
        reasoning.enabled = False


def _thought(ask: Ask, name: str, raw: Raw) -> None:
    """A vendor's way to steer thinking.  Understood as far as it goes, and kept for its own wire."""
    ask.extra[name] = bytes(raw)
    reasoning = _reasoning(ask)
    if (on := _BOOL.get(raw)) is not None:
        reasoning.enabled = on
    elif (budget := _INT.get(raw)) is not None:
        reasoning.budget = budget
    elif (thought := _THOUGHT.get(raw)) is not None:
        on = next((v for v in (thought.enabled, thought.enable_thinking, thought.thinking) if v is not None), None)
        if thought.type is not None:
            on = thought.type != "disabled"
        reasoning.enabled = on if on is not None else reasoning.enabled
        reasoning.adaptive = reasoning.adaptive or thought.type == "adaptive"
        reasoning.budget = thought.max_tokens or thought.budget_tokens or reasoning.budget
        reasoning.show = thought.summary or reasoning.show
        if thought.effort is not None and reasoning.effort is None:
            _set_effort(reasoning, thought.effort)


# vendors' names: OpenRouter; Anthropic-like (DeepSeek, Z.ai, Kimi); Qwen; Ollama; vLLM
DIALECTS: Final = ("reasoning", "thinking", "enable_thinking", "thinking_budget", "think", "chat_template_kwargs")


def _response_format(ask: Ask, raw: Raw) -> None:
    shape = _FORMAT.read(raw, "response_format")
    if shape.type == "text":
        ask.response_format = ResponseFormat("text")
    elif shape.type == "json_object":
        ask.response_format = ResponseFormat("json")
    elif shape.type == "json_schema":
        if not _said(shape.json_schema):
            raise _missing("response_format.json_schema")
        inner = _SCHEMA.read(shape.json_schema, "response_format.json_schema")
        ask.response_format = ResponseFormat("schema", _bytes(inner.schema), inner.name, inner.description, inner.strict)
    else:
        ask.extra["response_format"] = bytes(raw)


def _stop(ask: Ask, raw: Raw) -> None:
    stop = _STRING_OR_STRINGS.read(raw, "stop")
    ask.stop = [stop] if isinstance(stop, str) else stop


def _stream_options(ask: Ask, raw: Raw) -> None:
    ask.include_usage = bool(_STREAM_OPTIONS.read(raw, "stream_options").include_usage)


def _max_tokens(ask: Ask, raw: Raw) -> None:
    if ask.max_tokens is None:
        ask.max_tokens = _INT.read(raw, "max_tokens")


def _metadata(ask: Ask, raw: Raw) -> None:
    _OBJECT.read(raw, "metadata")
    ask.metadata = bytes(raw)


def _logit_bias(ask: Ask, raw: Raw) -> None:
    _OBJECT.read(raw, "logit_bias")
    ask.sampling.logit_bias = bytes(raw)


# member -> (its type, the field of Ask); "sampling." = the field of Sampling
_PLAIN: Final[dict[str, tuple[Shape[Any], str]]] = {
    "model": (_STRING, "model"),
    "stream": (_BOOL, "stream"),
    "max_completion_tokens": (_INT, "max_tokens"),
    "parallel_tool_calls": (_BOOL, "parallel_tools"),
    "verbosity": (_STRING, "verbosity"),
    "modalities": (_STRINGS, "modalities"),
    "user": (_STRING, "user"),
    "service_tier": (_STRING, "service_tier"),
    "temperature": (_FLOAT, "sampling.temperature"),
    "top_p": (_FLOAT, "sampling.top_p"),
    "top_k": (_INT, "sampling.top_k"),
    "min_p": (_FLOAT, "sampling.min_p"),
    "seed": (_INT, "sampling.seed"),
    "frequency_penalty": (_FLOAT, "sampling.frequency_penalty"),
    "presence_penalty": (_FLOAT, "sampling.presence_penalty"),
    "logprobs": (_BOOL, "sampling.logprobs"),
    "top_logprobs": (_INT, "sampling.top_logprobs"),
    "n": (_INT, "sampling.n"),
}
_SPECIAL: Final[dict[str, Callable[[Ask, Raw], None]]] = {
    "messages": _messages,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _tool_choice,
    "function_call": _function_call,
    "max_tokens": _max_tokens,
    "stop": _stop,
    "stream_options": _stream_options,
    "response_format": _response_format,
    "reasoning_effort": _effort,
    "metadata": _metadata,
    "logit_bias": _logit_bias,
}


def decode_request(body: bytes) -> Ask:
    """The body of ``POST /v1/chat/completions`` -> Ask.  Raises ``OmniError("invalid_request")`` naming the field."""
    given = members(body)
    ask = Ask(wire=WIRE)
    if "messages" not in given:
        raise _missing("messages")
    for name, (shape, attribute) in _PLAIN.items():
        if name in given:
            value = shape.read(given.pop(name), name)
            where, _, leaf = attribute.rpartition(".")
            setattr(ask.sampling if where else ask, leaf, value)
    for name, read in _SPECIAL.items():
        if name in given:
            read(ask, given.pop(name))
    for name in DIALECTS:
        if name in given:
            _thought(ask, name, given.pop(name))
    ask.extra |= {name: bytes(raw) for name, raw in given.items()}
    return ask
