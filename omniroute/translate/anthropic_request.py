"""Anthropic Messages requests, read (the vendor's API reference, "Messages").

Unknown top-level members are kept in ``Ask.extra``, unknown blocks as Opaque, unknown tools as server tools.  A known member
of a wrong type is the client's mistake; the error names its path (``messages.0.content.1.source``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from .anthropic_answer import WIRE, read_citation
from .conversation import (
    Ask,
    Block,
    CacheHint,
    Media,
    Opaque,
    Reasoning,
    ResponseFormat,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from .jsonio import (
    ABSENT,
    BOOL,
    FLOAT,
    INT,
    ITEMS,
    STRING,
    STRING_OR_ITEMS,
    STRINGS,
    Shape,
    bad,
    bytes_or_none,
    encode,
    join,
    members,
    missing,
    present,
)
from .request_fields import Reader, field_readers

# -- shapes


class _Cache(Struct):
    ttl: str | None = None

    def hint(self) -> CacheHint:
        return CacheHint(self.ttl)


class _Typed(Struct):
    type: str


class _Cached(Struct, kw_only=True):
    cache_control: _Cache | None = None

    @property
    def cache(self) -> CacheHint | None:
        return self.cache_control.hint() if self.cache_control else None


class _Text(_Cached):
    text: str
    citations: list[Raw] | None = None


class _Source(Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = ABSENT


class _Citations(Struct):
    enabled: bool | None = None


class _Media(_Cached):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Citations | None = None


class _Thinking(Struct):
    thinking: str
    signature: str | None = None


class _Redacted(Struct):
    data: str


class _ToolUse(_Cached):
    id: str
    name: str
    input: Raw = ABSENT


class _ToolResult(_Cached):
    tool_use_id: str
    content: Raw = ABSENT
    is_error: bool | None = None


class _Reference(Struct):
    tool_name: str


class _Summary(Struct):
    content: str


class _Found(Struct):
    source: str
    title: str
    content: list[_Text]


class _Message(Struct):
    role: str
    content: Raw


class _Tool(_Cached):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    defer_loading: bool | None = None
    input_examples: Raw = ABSENT
    allowed_callers: Raw = ABSENT

    def extra(self) -> tuple[str, ...]:
        return tuple(name for name in ("input_examples", "allowed_callers") if present(getattr(self, name)))


class _ToolKind(Struct):
    type: str | None = None
    name: str | None = None


class _Choice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thought(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(Struct):
    type: str
    schema: Raw = ABSENT


class _Metadata(Struct):
    user_id: str | None = None


_DEEPEST: Final = 24  # steps in the path of a block; the API itself accepts two levels of content
_TYPE: Final[Shape[_Typed]] = Shape(_Typed)
_MESSAGE: Final[Shape[_Message]] = Shape(_Message)
_TEXT: Final[Shape[_Text]] = Shape(_Text)
_MEDIA: Final[Shape[_Media]] = Shape(_Media)
_THINKING: Final[Shape[_Thinking]] = Shape(_Thinking)
_REDACTED: Final[Shape[_Redacted]] = Shape(_Redacted)
_TOOL_USE: Final[Shape[_ToolUse]] = Shape(_ToolUse)
_TOOL_RESULT: Final[Shape[_ToolResult]] = Shape(_ToolResult)
_REFERENCE: Final[Shape[_Reference]] = Shape(_Reference)
_FOUND: Final[Shape[_Found]] = Shape(_Found)
_SUMMARY: Final[Shape[_Summary]] = Shape(_Summary)
_TOOL: Final[Shape[_Tool]] = Shape(_Tool)
_TOOL_KIND: Final[Shape[_ToolKind]] = Shape(_ToolKind)
_CHOICE: Final[Shape[_Choice]] = Shape(_Choice)
_THOUGHT: Final[Shape[_Thought]] = Shape(_Thought)
_FORMAT: Final[Shape[_Format]] = Shape(_Format)
_METADATA: Final[Shape[_Metadata]] = Shape(_Metadata)

# -- blocks


def _text(raw: Raw, path: str) -> Block:
    block = _TEXT.read(raw, path)
    return Text(block.text, block.cache, [read_citation(c) for c in block.citations or ()])


def _media(raw: Raw, path: str, kind: str) -> Block:
    block = _MEDIA.read(raw, path)
    source = block.source
    media = Media(
        kind="image" if kind == "image" else "document",
        mime=source.media_type or "",
        name=block.title,
        context=block.context,
        citations=bool(block.citations and block.citations.enabled),
        cache=block.cache,
    )
    at = join(path, "source")
    match source.type:
        case "base64":
            media.data = _needed(source.data, at, "data")
        case "text":
            media.text = _needed(source.data, at, "data")
        case "url":
            media.url = _needed(source.url, at, "url")
        case "file":
            media.file_id = _needed(source.file_id, at, "file_id")
        case "content" if present(source.content):
            media.blocks = _blocks(source.content, join(at, "content"))
        case _:
            return Opaque(WIRE, f"{kind}:{source.type}", bytes(raw))
    return media


def _needed(value: str | None, path: str, name: str) -> str:
    if value is None:
        raise missing(join(path, name))
    return value


def _image(raw: Raw, path: str) -> Block:
    return _media(raw, path, "image")


def _document(raw: Raw, path: str) -> Block:
    return _media(raw, path, "document")


def _thinking(raw: Raw, path: str) -> Block:
    block = _THINKING.read(raw, path)
    return Thinking(block.thinking, block.signature or None, wire=WIRE if block.signature else "")


def _redacted(raw: Raw, path: str) -> Block:
    return Thinking("", _REDACTED.read(raw, path).data, redacted=True, wire=WIRE)


def _tool_use(raw: Raw, path: str) -> Block:
    block = _TOOL_USE.read(raw, path)
    arguments = bytes(block.input).decode() if present(block.input) else "{}"
    return ToolCall(block.id, block.name, arguments, cache=block.cache)


def _tool_result(raw: Raw, path: str) -> Block:
    block = _TOOL_RESULT.read(raw, path)
    content = _blocks(block.content, join(path, "content"))
    return ToolResult(block.tool_use_id, content, bool(block.is_error), cache=block.cache)


_READ: Final[dict[str, Callable[[Raw, str], Block]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}


def _opaque(raw: Raw, kind: str) -> Opaque:
    """Return a block without a neutral meaning.  Search results and compaction summaries get a text for other wires."""
    text = ""
    if kind == "tool_reference" and (tool := _REFERENCE.get(raw)) is not None:
        text = f"Tool found: {tool.tool_name}"
    elif kind == "search_result" and (found := _FOUND.get(raw)) is not None:
        text = "\n".join([found.title, found.source, *(part.text for part in found.content)])
    elif kind == "compaction" and (summary := _SUMMARY.get(raw)) is not None:
        text = summary.content
    return Opaque(WIRE, kind, bytes(raw), text)


def _blocks(raw: Raw, path: str) -> list[Block]:
    """Read content, which is a string or a list of blocks."""
    if not present(raw):
        return []
    if path.count(".") > _DEEPEST:
        raise bad(path, "Content is nested too deeply")
    content = STRING_OR_ITEMS.read(raw, path)
    if isinstance(content, str):
        return [Text(content)]
    blocks: list[Block] = []
    for number, item in enumerate(content):
        at = join(path, number)
        kind = _TYPE.read(item, at).type
        read = _READ.get(kind)
        blocks.append(read(item, at) if read else _opaque(item, kind))
    return blocks


# -- messages

_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}


def _turns(raw: Raw) -> list[Turn]:
    turns: list[Turn] = []
    for number, item in enumerate(ITEMS.read(raw, "messages")):
        path = join("messages", number)
        message = _MESSAGE.read(item, path)
        role = _ROLES.get(message.role)
        if role is None:
            at = join(path, "role")
            raise bad(at, f"Invalid value for '{at}': expected user, assistant or system.")
        blocks = _blocks(message.content, join(path, "content"))
        # On this wire tool results stand in user messages, before anything else.
        results: list[Block] = [block for block in blocks if isinstance(block, ToolResult)]
        rest: list[Block] = [block for block in blocks if not isinstance(block, ToolResult)]
        if results:
            turns.append(Turn("tool", results))
        if rest or not results:
            turns.append(Turn(role, rest))
    return turns


# -- tools


_CLIENT_TOOLS: Final = (None, "custom")


def _tools(raw: Raw) -> list[Tool]:
    return [_tool(item, join("tools", number)) for number, item in enumerate(ITEMS.read(raw, "tools"))]


def _tool(raw: Raw, path: str) -> Tool:
    tool = _TOOL.get(raw)
    if tool is None or tool.type not in _CLIENT_TOOLS:
        kind = _TOOL_KIND.read(raw, path)
        if kind.type not in _CLIENT_TOOLS:
            return Tool(kind.name or kind.type or "", kind="server", wire=WIRE, raw=bytes(raw))
        tool = _TOOL.read(raw, path)
    return Tool(
        tool.name,
        tool.description,
        bytes_or_none(tool.input_schema),
        strict=tool.strict,
        deferred=bool(tool.defer_loading),
        cache=tool.cache,
        wire=WIRE,
        raw=bytes(raw),
        extra=tool.extra(),
    )


def _tool_choice(ask: Ask, raw: Raw) -> None:
    choice = _CHOICE.read(raw, "tool_choice")
    match choice.type:
        case "auto" | "none":
            ask.tool_choice = ToolChoice("auto" if choice.type == "auto" else "none")
        case "any":
            ask.tool_choice = ToolChoice("required")
        case "tool":
            ask.tool_choice = ToolChoice("tool", (_needed(choice.name, "tool_choice", "name"),))
        case _:
            ask.extra["tool_choice"] = bytes(raw)
    if choice.disable_parallel_tool_use is not None:
        ask.parallel_tools = not choice.disable_parallel_tool_use


# -- settings


def _reasoning(ask: Ask) -> Reasoning:
    if ask.reasoning is None:
        ask.reasoning = Reasoning()
    return ask.reasoning


def _thought(ask: Ask, raw: Raw) -> None:
    thought = _THOUGHT.read(raw, "thinking")
    if thought.type not in ("enabled", "adaptive", "disabled"):
        ask.extra["thinking"] = bytes(raw)
        return
    reasoning = _reasoning(ask)
    reasoning.enabled = thought.type != "disabled"
    reasoning.adaptive = thought.type == "adaptive"
    reasoning.budget = thought.budget_tokens
    reasoning.show = thought.display


def _output_config(ask: Ask, raw: Raw) -> None:
    config = members(raw, "output_config")
    if (effort := config.pop("effort", None)) is not None:
        _reasoning(ask).effort = STRING.read(effort, "output_config.effort")
    if (shape := config.pop("format", None)) is not None:
        _format(ask, shape, "output_config.format")
    if config:
        ask.extra["output_config"] = encode(config)


def _format(ask: Ask, raw: Raw, path: str = "output_format") -> None:
    shape = _FORMAT.read(raw, path)
    if shape.type == "json_schema" and present(shape.schema):
        ask.response_format = ResponseFormat("schema", bytes(shape.schema))
    else:
        ask.extra[path.partition(".")[0]] = encode({"format": raw}) if "." in path else bytes(raw)


def _metadata(ask: Ask, raw: Raw) -> None:
    ask.user = _METADATA.read(raw, "metadata").user_id
    if set(members(raw, "metadata")) - {"user_id"}:
        ask.metadata = bytes(raw)


def _system(ask: Ask, raw: Raw) -> None:
    ask.system = _blocks(raw, "system")


def _messages(ask: Ask, raw: Raw) -> None:
    ask.turns = _turns(raw)


def _declared(ask: Ask, raw: Raw) -> None:
    ask.tools = _tools(raw)


_TOP: Final[dict[str, Reader]] = {
    **field_readers(
        {
            "model": (STRING, "model"),
            "stream": (BOOL, "stream"),
            "max_tokens": (INT, "max_tokens"),
            "stop_sequences": (STRINGS, "stop"),
            "service_tier": (STRING, "service_tier"),
            "temperature": (FLOAT, "sampling.temperature"),
            "top_p": (FLOAT, "sampling.top_p"),
            "top_k": (INT, "sampling.top_k"),
        }
    ),
    "system": _system,
    "messages": _messages,
    "tools": _declared,
    "tool_choice": _tool_choice,
    "thinking": _thought,
    "output_config": _output_config,
    "output_format": _format,
    "metadata": _metadata,
}


def decode_request(body: bytes) -> Ask:
    """Read a whole request.  Raises ``OmniError("invalid_request")`` naming the member."""
    top = members(body)
    for name in ("model", "messages"):
        if name not in top:
            raise missing(name)
    ask = Ask(wire=WIRE)
    for name, raw in top.items():
        read = _TOP.get(name)
        if read is not None:
            read(ask, raw)
        else:
            ask.extra[name] = bytes(raw)
    return ask
