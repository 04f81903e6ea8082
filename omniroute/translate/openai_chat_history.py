"""The conversation in an OpenAI chat request, read: content parts, messages, thinking in history."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from msgspec import Raw, Struct

from .conversation import Ask, Block, CacheHint, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from .jsonio import ABSENT, STRING, Shape, bad, join, missing, present
from .openai_chat_error import WIRE
from .openai_chat_shapes import Detail
from .openai_media import document_of, media_of_url

# -- shapes


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
    document_url: Raw = ABSENT
    document_name: str | None = None
    thinking: Raw = ABSENT
    cache_control: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT  # OpenAI's own mark, of newer models


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


_MESSAGES: Final[Shape[list[_Message]]] = Shape(list[_Message])
_URL: Final[Shape[_Url | str]] = Shape(_Url | str)
_AUDIO: Final[Shape[_Audio | str]] = Shape(_Audio | str)
_FILE: Final[Shape[_File]] = Shape(_File)
_CACHE: Final[Shape[_Cache]] = Shape(_Cache)
_DETAILS: Final[Shape[list[Detail]]] = Shape(list[Detail])
_PARTS: Final[Shape[str | list[_Part]]] = Shape(str | list[_Part])
_PART: Final[Shape[_Part]] = Shape(_Part)


# -- content parts


def cache_hint(raw: Raw) -> CacheHint | None:
    found = _CACHE.get(raw) if present(raw) else None
    return CacheHint(found.ttl) if found is not None else None


def _text(part: _Part, path: str) -> Block | None:
    return Text(STRING.read(part.text, join(path, "text")))


def _image(part: _Part, path: str) -> Block | None:
    where = _URL.read(part.image_url, join(path, "image_url"))
    media = media_of_url("image", where if isinstance(where, str) else where.url)
    media.detail = None if isinstance(where, str) else where.detail
    return media


def _video(part: _Part, path: str) -> Block | None:
    where = _URL.read(part.video_url, join(path, "video_url"))
    return media_of_url("video", where if isinstance(where, str) else where.url)


def _audio(part: _Part, path: str) -> Block | None:
    audio = _AUDIO.read(part.input_audio, join(path, "input_audio"))
    if isinstance(audio, str):  # Mistral sends base64 or a link without saying which
        return None
    return Media("audio", mime=f"audio/{audio.format}" if audio.format else "", data=audio.data)


def _file(part: _Part, path: str) -> Block | None:
    file = _FILE.read(part.file, join(path, "file"))
    if file.file_data is None:
        return Media("document", file_id=file.file_id, name=file.filename) if file.file_id else None
    media = document_of(file.file_data)
    media.name = file.filename
    return media


def _document_url(part: _Part, path: str) -> Block | None:
    """Read Mistral's document part: a link or a ``data:`` URL."""
    media = media_of_url("document", STRING.read(part.document_url, join(path, "document_url")))
    media.name = part.document_name
    return media


def _refusal(part: _Part, path: str) -> Block | None:
    return Refusal(STRING.read(part.refusal, join(path, "refusal")))


def _thinking(part: _Part, path: str) -> Block | None:
    """Read Mistral's thinking part, whose text is a list of texts."""
    inner = _PARTS.get(part.thinking)
    if inner is None:
        return None
    return Thinking(inner if isinstance(inner, str) else "".join([STRING.get(p.text) or "" for p in inner]))


# type -> (the member that must be there, its reader; None = keep the part as it is)
_READ: Final[dict[str, tuple[str, Callable[[_Part, str], Block | None]]]] = {
    "text": ("text", _text),
    "image_url": ("image_url", _image),
    "video_url": ("video_url", _video),
    "input_audio": ("input_audio", _audio),
    "file": ("file", _file),
    "document_url": ("document_url", _document_url),
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
        return Text(STRING.read(raw, path))
    part = _PART.read(raw, path)
    member, read = _READ.get(part.type or "", ("", None))
    if read is None:
        return Opaque(WIRE, part.type or "part", data)
    if not present(getattr(part, member)):
        raise missing(join(path, member))
    block = read(part, path) or Opaque(WIRE, part.type or "part", data)
    marked = part.cache_control is not ABSENT or part.prompt_cache_breakpoint is not ABSENT
    if marked and isinstance(block, Text | Media):
        block.cache = cache_hint(part.cache_control) or cache_hint(part.prompt_cache_breakpoint)
    if isinstance(block, Media) and part.type == "document_url":
        block.raw = data
    return block


# -- messages


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
        if present(message.audio):
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
            raise missing(join(path, "function"))
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
    """Read thinking in history: ``reasoning_content`` or ``reasoning``, with signatures in ``reasoning_details``."""
    text = ""
    for raw in (message.reasoning_content, message.reasoning):
        text = text or STRING.get(raw) or ""
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


def read_messages(ask: Ask, raw: Raw) -> None:
    """Read ``messages`` into ``ask.system`` and ``ask.turns``.  Raises ``OmniError("invalid_request")`` naming the field."""
    reader = _Messages(ask)
    for number, message in enumerate(_MESSAGES.read(raw, "messages")):
        reader.add(message, join("messages", number))
