"""Ollama requests, read: ``POST /api/chat`` and ``POST /api/generate``.

Source: Ollama's ``docs/api.md`` and ``api/types.go``.  ``stream`` defaults to true.  Options without a neutral meaning
(``num_ctx``, ``mirostat`` …) are kept as ``extra["options.<name>"]`` and return to ``options`` on the same wire.  A known
member must have the right type; an empty ``format`` or ``suffix`` counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from .conversation import Ask, Block, Media, Reasoning, ResponseFormat, Text, Thinking, Tool, ToolCall, ToolResult, Turn
from .jsonio import (
    ABSENT,
    BOOL,
    FLOAT,
    INT,
    ITEMS,
    OBJECT,
    STRING,
    STRING_OR_STRINGS,
    STRINGS,
    Shape,
    bad,
    bytes_or_none,
    compact,
    join,
    members,
    missing,
    present,
)
from .ollama_error import WIRE
from .request_fields import Reader, field_readers

GENERATE: Final = "ollama-generate"  # the same wire by its other endpoint, used by clients only
GENERATE_ONLY: Final = ("raw", "template", "context")

# -- shapes


class _Function(Struct):
    name: str
    arguments: Raw = ABSENT


class _Call(Struct):
    function: _Function
    id: str | None = None


class _Message(Struct):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    name: str | None = None  # the older name of tool_name
    tool_call_id: str | None = None


class _Declared(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT


class _Tool(Struct):
    type: str | None = None
    function: Raw = ABSENT


_NUMBER: Final[Shape[int | float]] = Shape(int | float)
_MESSAGES: Final[Shape[list[_Message]]] = Shape(list[_Message])
_TOOL: Final[Shape[_Tool]] = Shape(_Tool)
_DECLARED: Final[Shape[_Declared]] = Shape(_Declared)
_THINK: Final[Shape[bool | str]] = Shape(bool | str)
_FORMAT: Final[Shape[str | dict[str, Raw]]] = Shape(str | dict[str, Raw])


# -- messages


def _content(message: _Message) -> list[Block]:
    return [*_texts(message.content), *_images(message.images)]


def _texts(text: str | None) -> list[Block]:
    return [Text(text)] if text else []


def _images(images: list[str] | None) -> list[Block]:
    """Read images: bare base64, or ``data:`` URLs, which the JavaScript client lets through."""
    return [_image(data) for data in images or ()]


def _image(data: str) -> Block:
    head, comma, rest = data.partition(",")
    if comma and head[:5].lower() == "data:":
        return Media("image", mime=head[5:].partition(";")[0], data=rest)
    return Media("image", data=data)


def _assistant(message: _Message, path: str) -> list[Block]:
    thinking: list[Block] = [Thinking(message.thinking)] if message.thinking else []
    calls = [_call(call, join(join(path, "tool_calls"), number)) for number, call in enumerate(message.tool_calls or ())]
    return [*thinking, *_content(message), *calls]


def _call(call: _Call, path: str) -> Block:
    """Read a call.  Its arguments are kept as JSON text; a client may also send that text in a string."""
    raw = call.function.arguments
    given = bytes_or_none(raw)
    if given is None:
        return ToolCall(call.id or "", call.function.name)
    if given[:1] == b'"':
        return ToolCall(call.id or "", call.function.name, STRING.read(raw, join(path, "function.arguments")) or "{}")
    OBJECT.read(raw, join(path, "function.arguments"))
    return ToolCall(call.id or "", call.function.name, compact(given).decode("utf-8", "replace"))


def _message(ask: Ask, message: _Message, path: str) -> None:
    role = message.role
    if role == "system" and not ask.turns:
        ask.system.extend(_content(message))
    elif role == "system":
        ask.turns.append(Turn("system", _content(message)))
    elif role == "user":
        ask.turns.append(Turn("user", _content(message)))
    elif role == "assistant":
        ask.turns.append(Turn("assistant", _assistant(message, path)))
    elif role == "tool":
        result = ToolResult(message.tool_call_id or "", _content(message), name=message.tool_name or message.name or "")
        if ask.turns and ask.turns[-1].role == "tool":
            ask.turns[-1].blocks.append(result)
        else:
            ask.turns.append(Turn("tool", [result]))
    else:
        at = join(path, "role")
        raise bad(at, f"Invalid value for '{at}': expected one of system, user, assistant, tool.")


def _messages(ask: Ask, raw: Raw) -> None:
    for number, message in enumerate(_MESSAGES.read(raw, "messages")):
        _message(ask, message, join("messages", number))


# -- tools and settings


def _tools(ask: Ask, raw: Raw) -> None:
    for number, item in enumerate(ITEMS.read(raw, "tools")):
        path = join("tools", number)
        tool = _TOOL.read(item, path)
        if tool.type not in ("function", None):
            ask.tools.append(Tool(tool.type, kind="server", wire=WIRE, raw=bytes(item)))
            continue
        at = join(path, "function")
        if not present(tool.function):
            raise missing(at)
        function = _DECLARED.read(tool.function, at)
        ask.tools.append(Tool(function.name, function.description, bytes_or_none(function.parameters)))


def _format(ask: Ask, raw: Raw) -> None:
    shape = _FORMAT.read(raw, "format")
    if isinstance(shape, dict):
        ask.response_format = ResponseFormat("schema", bytes(raw))
    elif shape == "json":
        ask.response_format = ResponseFormat("json")
    elif shape:
        raise bad("format", "Invalid value for 'format': expected 'json' or a JSON schema.")


def _think(ask: Ask, raw: Raw) -> None:
    think = _THINK.read(raw, "think")
    if isinstance(think, bool):
        ask.reasoning = Reasoning(enabled=think)
    elif think:
        ask.reasoning = Reasoning(enabled=think != "none", effort=think)


def _number(raw: Raw, path: str) -> float:
    return FLOAT.read(raw, path)


def _integer(raw: Raw, path: str) -> int:
    """Read an integer, also written as 5.0; fractions are cut off, as servers do."""
    return int(_NUMBER.read(raw, path))


# name of the option and of the field of Ask.sampling -> its reader
_SAMPLING: Final[dict[str, Callable[[Raw, str], float]]] = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), _number),
    **dict.fromkeys(("top_k", "seed"), _integer),
}


def _options(ask: Ask, raw: Raw) -> None:
    given = members(raw, "options")
    for name, read in _SAMPLING.items():
        if name in given:
            setattr(ask.sampling, name, read(given.pop(name), join("options", name)))
    if "stop" in given:
        stop = STRING_OR_STRINGS.read(given.pop("stop"), "options.stop")
        ask.stop = [stop] if isinstance(stop, str) else stop
    if "num_predict" in given:
        limit = _integer(given["num_predict"], "options.num_predict")
        if limit > 0:  # -1 means unlimited, -2 until the context is full
            ask.max_tokens = limit
            del given["num_predict"]
    ask.extra |= {f"options.{name}": bytes(value) for name, value in given.items()}


_SHARED: Final[dict[str, Reader]] = {
    **field_readers({"model": (STRING, "model"), "stream": (BOOL, "stream")}),
    "format": _format,
    "think": _think,
    "options": _options,
    **field_readers({"logprobs": (BOOL, "sampling.logprobs"), "top_logprobs": (INT, "sampling.top_logprobs")}),
}
_CHAT: Final = {**_SHARED, "messages": _messages, "tools": _tools}


def _read(body: bytes, wire: str, known: dict[str, Reader]) -> tuple[Ask, dict[str, Raw]]:
    """Read the known members into an Ask; return it with the other members."""
    given = members(body)
    ask = Ask(stream=True, wire=wire)
    for name, read in known.items():
        if name in given:
            read(ask, given.pop(name))
    return ask, given


def decode_request(body: bytes) -> Ask:
    """Read the body of ``POST /api/chat``.  Raises ``OmniError("invalid_request")`` naming the field."""
    ask, rest = _read(body, WIRE, _CHAT)
    ask.extra |= {name: bytes(raw) for name, raw in rest.items()}
    return ask


def decode_generate(body: bytes) -> Ask:
    """Read the body of ``POST /api/generate`` as an Ask with one user turn.

    ``raw``, ``template`` and ``context`` become extras; ``suffix`` is refused, since a chat model cannot fill in the middle.
    Raises ``OmniError("invalid_request")`` naming the field.
    """
    ask, rest = _read(body, GENERATE, _SHARED)
    if "suffix" in rest and STRING.read(rest.pop("suffix"), "suffix"):
        raise bad("suffix", "Filling in between 'prompt' and 'suffix' is not offered: leave 'suffix' out.")
    for name in GENERATE_ONLY:
        if name in rest and bytes(rest[name]) in (b"false", b'""', b"[]"):
            del rest[name]
    if "system" in rest:
        ask.system.extend(_texts(STRING.read(rest.pop("system"), "system")))
    prompt = STRING.read(rest.pop("prompt"), "prompt") if "prompt" in rest else ""
    images = STRINGS.read(rest.pop("images"), "images") if "images" in rest else []
    ask.turns.append(Turn("user", [*_texts(prompt), *_images(images)]))
    ask.extra |= {name: bytes(raw) for name, raw in rest.items()}
    return ask
