"""The conversation in an OpenAI Responses request, read: ``input`` items and their content parts.

The assistant's output is a sequence of items (reasoning, message, calls).  Consecutive ones are one turn, so that parallel
calls stay together.  Items without a neutral meaning are kept as they are, in the assistant's turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from .conversation import (
    Ask,
    Block,
    CacheHint,
    Citation,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from .jsonio import ABSENT, STRING, STRING_OR_ITEMS, Shape, bad, join, missing, present
from .names import flat
from .openai_media import document_of, media_of_url
from .openai_responses_error import WIRE
from .openai_responses_shapes import read_annotation, text_of
from .openai_responses_tools import SEARCH, read_tools, repeated


class _Typed(Struct):
    type: str | None = None
    role: str | None = None


class _Message(Struct):
    role: str
    content: str | list[Raw] | None = None


class _Call(Struct):
    name: str
    call_id: str | None = None
    id: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None


class _Result(Struct):
    call_id: str
    output: str | list[Raw] | None = None


class _Reasoning(Struct):
    id: str | None = None
    summary: Raw = ABSENT
    content: Raw = ABSENT
    encrypted_content: str | None = None


class _Declares(Struct):
    tools: Raw = ABSENT
    call_id: str | None = None
    execution: str | None = None


class _Search(Struct):
    call_id: str | None = None
    id: str | None = None
    execution: str | None = None
    arguments: Raw = ABSENT


class _Sound(Struct):
    data: str
    format: str | None = None


class _Part(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    image_url: Raw = ABSENT
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _Sound | None = None
    prompt_cache_breakpoint: Raw = ABSENT


class _Url(Struct):
    url: str


_TYPED: Final[Shape[_Typed]] = Shape(_Typed)
_MESSAGE: Final[Shape[_Message]] = Shape(_Message)
_CALL: Final[Shape[_Call]] = Shape(_Call)
_RESULT: Final[Shape[_Result]] = Shape(_Result)
_REASONING: Final[Shape[_Reasoning]] = Shape(_Reasoning)
_SEARCH: Final[Shape[_Search]] = Shape(_Search)
_DECLARES: Final[Shape[_Declares]] = Shape(_Declares)
_PART: Final[Shape[_Part]] = Shape(_Part)
_URL: Final[Shape[str | _Url]] = Shape(str | _Url)


# -- content parts


def _text(part: _Part, path: str) -> Block | None:
    if part.text is None:
        raise missing(join(path, "text"))
    return Text(part.text, citations=[_citation(raw) for raw in part.annotations or ()])


def _citation(raw: Raw) -> Citation:
    return read_annotation(raw) or Citation(wire=WIRE, raw=bytes(raw))


def _refusal(part: _Part, path: str) -> Block | None:
    return Refusal(part.refusal or "")


def _image(part: _Part, path: str) -> Block | None:
    if present(part.image_url):
        where = _URL.read(part.image_url, join(path, "image_url"))
        media = media_of_url("image", where if isinstance(where, str) else where.url)
    elif part.file_id:
        media = Media("image", file_id=part.file_id)
    else:
        return None
    media.detail = part.detail
    return media


def _file(part: _Part, path: str) -> Block | None:
    if part.file_data is not None:
        media = document_of(part.file_data)
    elif part.file_url is not None:
        media = Media("document", url=part.file_url)
    elif part.file_id is not None:
        media = Media("document", file_id=part.file_id)
    else:
        return None
    media.name = part.filename
    media.detail = part.detail
    return media


def _audio(part: _Part, path: str) -> Block | None:
    sound = part.input_audio
    if sound is None:
        return None
    return Media("audio", mime=f"audio/{sound.format}" if sound.format else "", data=sound.data)


_PARTS: Final[dict[str, Callable[[_Part, str], Block | None]]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def _blocks(content: str | list[Raw] | None, path: str) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_block(raw, join(path, number)) for number, raw in enumerate(content)]


def _block(raw: Raw, path: str) -> Block:
    if bytes(raw)[:1] == b'"':
        return Text(STRING.read(raw, path))
    part = _PART.read(raw, path)
    read = _PARTS.get(part.type or "")
    block = read(part, path) if read is not None else None
    mark = part.prompt_cache_breakpoint
    if mark is not ABSENT and present(mark) and isinstance(block, Text | Media):
        block.cache = CacheHint()
    return block or Opaque(WIRE, part.type or "part", bytes(raw))


# -- items


class _Input:
    """Items -> system blocks and turns.  Leading system texts are the system prompt, later ones stay where they are."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.turns = ask.turns
        self.groups: set[str | None] = set()
        self.known: set[str] = set()  # names of the tools declared so far
        for tool in ask.tools:
            self._know(tool)

    def add(self, raw: Raw, path: str) -> None:
        item = _TYPED.read(raw, path)
        kind = item.type or ("message" if item.role is not None else "item_reference")
        read = _ITEMS.get(kind)
        if read is None:
            self._did(Opaque(WIRE, kind, bytes(raw)))
        else:
            read(self, raw, path)

    def _did(self, *blocks: Block) -> None:
        """Add blocks to the assistant's turn."""
        if self.turns and self.turns[-1].role == "assistant":
            self.turns[-1].blocks.extend(blocks)
        else:
            self.turns.append(Turn("assistant", list(blocks)))

    def _message(self, raw: Raw, path: str) -> None:
        message = _MESSAGE.read(raw, path)
        blocks = _blocks(message.content, join(path, "content"))
        if message.role == "assistant":
            self._did(*blocks)
        elif message.role == "user":
            self.turns.append(Turn("user", blocks))
        elif message.role not in ("system", "developer"):
            at = join(path, "role")
            raise bad(at, f"Invalid value for '{at}': expected one of assistant, system, developer, user.")
        elif self.turns:
            self.turns.append(Turn("system", blocks))
        else:
            self.ask.system.extend(blocks)

    def _call(self, raw: Raw, path: str) -> None:
        call = _CALL.read(raw, path)
        if call.call_id is None:
            raise missing(join(path, "call_id"))
        # a tool found by tool search has its own name as its namespace
        namespace = None if call.namespace == call.name and call.name not in self.groups else call.namespace
        if call.arguments is None and call.input is not None:
            block = ToolCall(call.call_id, call.name, call.input, "custom", namespace, item_id=call.id)
        else:
            block = ToolCall(call.call_id, call.name, call.arguments or "{}", namespace=namespace, item_id=call.id)
        self._did(block)

    def _result(self, raw: Raw, path: str) -> None:
        item = _RESULT.read(raw, path)
        result = ToolResult(item.call_id, _blocks(item.output, join(path, "output")))
        if _TYPED.read(raw).type == "custom_tool_call_output":
            result.kind = "custom"
        self._got(result)

    def _got(self, result: ToolResult) -> None:
        if self.turns and self.turns[-1].role == "tool":
            self.turns[-1].blocks.append(result)
        else:
            self.turns.append(Turn("tool", [result]))

    def _search(self, raw: Raw, path: str) -> None:
        call = _SEARCH.read(raw, path)
        if call.call_id is None or call.execution != "client":  # the search ran at the vendor
            self._did(Opaque(WIRE, "tool_search_call", bytes(raw)))
            return
        arguments = bytes(call.arguments).decode() if present(call.arguments) else "{}"
        self._did(ToolCall(call.call_id, SEARCH, arguments, "search", item_id=call.id))

    def _found(self, raw: Raw, path: str) -> None:
        """Declare the tools that a search found, from here on, unless they are known already."""
        result = _DECLARES.read(raw, path)
        found = read_tools(result.tools, join(path, "tools")) if present(result.tools) else []
        if result.call_id is None or result.execution == "server":
            self._did(Opaque(WIRE, "tool_search_output", bytes(raw)))
        else:
            self._got(ToolResult(result.call_id, [Text(bytes(result.tools).decode() if found else "[]")], kind="search"))
        new = [tool for tool in found if flat(tool.name, tool.namespace) not in self.known]
        for tool in new:
            tool.placed, tool.found, tool.deferred = len(self.turns), True, False
            self._declare(tool)

    def _reasoning(self, raw: Raw, path: str) -> None:
        item = _REASONING.read(raw, path)
        text = text_of(item.content) or text_of(item.summary)
        self._did(Thinking(text, item.encrypted_content or None, wire=WIRE, id=item.id))

    def _tools(self, raw: Raw, path: str) -> None:
        declared = _DECLARES.read(raw, path).tools
        if present(declared):
            tools = read_tools(declared, join(path, "tools"), placed=len(self.turns))
            for tool in [repeated(tool) if flat(tool.name, tool.namespace) in self.known else tool for tool in tools]:
                self._declare(tool)

    def _declare(self, tool: Tool) -> None:
        self.ask.tools.append(tool)
        self._know(tool)

    def _know(self, tool: Tool) -> None:
        self.groups.add(tool.namespace)
        if tool.kind != "server":
            self.known.add(flat(tool.name, tool.namespace))


_ITEMS: Final[dict[str, Callable[[_Input, Raw, str], None]]] = {
    "message": _Input._message,
    "function_call": _Input._call,
    "custom_tool_call": _Input._call,
    "function_call_output": _Input._result,
    "custom_tool_call_output": _Input._result,
    "reasoning": _Input._reasoning,
    "tool_search_call": _Input._search,
    "tool_search_output": _Input._found,
    "additional_tools": _Input._tools,
}


def read_input(ask: Ask, raw: Raw) -> None:
    """Read ``input`` into ``ask.system``, ``ask.turns`` and, for tools declared in it, ``ask.tools`` (already read)."""
    given = STRING_OR_ITEMS.read(raw, "input")
    if isinstance(given, str):
        ask.turns.append(Turn("user", [Text(given)]))
        return
    reader = _Input(ask)
    for number, item in enumerate(given):
        reader.add(item, join("input", number))
