"""The contents of a Gemini request, read: turns and parts.

The wire accepts member names in camelCase and in snake_case.  Tool results stand among the user's parts and become turns of
their own.  Google's SDKs keep each chunk of a streamed answer as a separate content; these become one turn again, and a call
whose arguments were streamed becomes one call.  Unknown parts become Opaque blocks.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from .conversation import Block, Media, Opaque, Role, Text, Thinking, ToolCall, ToolResult, Turn
from .format import BadAnswer
from .gemini_error import WIRE
from .gemini_partial_args import PartialArg, PartialArgs
from .gemini_shapes import ABOUT, Blob, FileData, label_of, media_of_blob, media_of_file
from .jsonio import ANY, BOOL, ITEMS, OBJECT, STRING, Shape, bad, compact, encode, join, members, missing

_SNAKE: Final = re.compile(r"_([a-z0-9])")
_NUMBER: Final[Shape[int | float]] = Shape(int | float)
# a function response whose only member has one of these names is a wrapper
_WRAPS: Final = frozenset({"output", "result", "return_value", "content", "error"})
BESIDE: Final = "part."  # prefix of the label of an Opaque block that describes the part before it
_ROLE: Final[dict[str, Role]] = {
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
    "function": "user",
    "tool": "user",
    "system": "system",
}


def camel(name: str) -> str:
    """``function_call`` -> ``functionCall``."""
    return _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def fields(raw: Raw | bytes, path: str) -> dict[str, Raw]:
    """Return the members of an object of this wire under their camelCase names, without null ones."""
    given = members(raw, path)
    return {camel(name): value for name, value in given.items()} if "_" in "".join(given) else given


def text_of(given: dict[str, Raw], name: str, path: str) -> str | None:
    """Return the string member *name*; None if absent.  Raises ``OmniError("invalid_request")`` for another type."""
    return STRING.read(given[name], join(path, name)) if name in given else None


def items(raw: Raw | bytes, path: str) -> list[Raw]:
    """Read a list; a single object counts as a list of one."""
    return [Raw(bytes(raw))] if bytes(raw)[:1] == b"{" else ITEMS.read(raw, path)


# -- turns


def read_turns(raw: Raw, path: str = "contents") -> list[Turn]:
    """Read ``contents``.  Raises ``OmniError("invalid_request")`` naming the member."""
    turns: list[Turn] = []
    pieces: list[str] = []  # of the text that ends the last turn, joined once at its end
    streamed = _Streamed()
    for place, content in enumerate(items(raw, path)):
        read = _content(content, join(path, place), streamed)
        if turns and read and turns[-1].role == read[0].role == "assistant":
            _continue(turns[-1].blocks, read.pop(0).blocks, pieces)
        if read:
            _join(turns, pieces)
        turns += read
    _join(turns, pieces)
    streamed.end()
    return turns


def _continue(said: list[Block], more: list[Block], pieces: list[str]) -> None:
    """Append *more* to *said*.  A text or thought that continues the last one is added to *pieces*, to be joined later."""
    end, first = said[-1], more[0]
    if isinstance(end, Text | Thinking) and isinstance(first, type(end)) and not end.signature:
        pieces += (first.text,) if pieces else (end.text, first.text)
        end.signature = first.signature
        more = more[1:]
    if more:
        _join_last(said, pieces)
    said += more


def _join(turns: list[Turn], pieces: list[str]) -> None:
    if turns:
        _join_last(turns[-1].blocks, pieces)


def _join_last(said: list[Block], pieces: list[str]) -> None:
    """Set the last block's text to the joined *pieces*."""
    if pieces and isinstance(end := said[-1], Text | Thinking):
        end.text = "".join(pieces)
        pieces.clear()


def _content(raw: Raw, path: str, streamed: _Streamed) -> list[Turn]:
    turns: list[Turn] = []
    given = fields(raw, path)
    word = text_of(given, "role", path) or "user"
    role = _ROLE.get(word)
    if role is None:
        raise bad(join(path, "role"), f"Invalid value for '{join(path, 'role')}': expected user or model, got '{word}'.")
    run: list[Block] = []
    kind: Role = role
    for block in read_parts(given.get("parts", Raw(b"[]")), join(path, "parts"), streamed):
        wanted: Role = "tool" if isinstance(block, ToolResult) else role
        if run and wanted != kind:
            turns.append(Turn(kind, run))
            run = []
        kind = wanted
        run.append(block)
    if run:
        turns.append(Turn(kind, run))
    return turns


def read_system(raw: Raw) -> list[Block]:
    """Read ``systemInstruction``: a text, a content, or its parts."""
    if bytes(raw)[:1] == b'"':
        return [Text(STRING.read(raw, "systemInstruction"))]
    given = fields(raw, "systemInstruction")
    parts = given.get("parts", raw if "text" in given else Raw(b"[]"))
    return read_parts(parts, "systemInstruction.parts")


def read_parts(raw: Raw, path: str, streamed: _Streamed | None = None) -> list[Block]:
    """Read parts.  What describes a part beside its data (the clip range of a video …) follows it as an Opaque block."""
    blocks: list[Block] = []
    streamed = streamed or _Streamed()
    for place, part in enumerate(items(raw, path)):
        at = join(path, place)
        given = fields(part, at)
        about: dict[str, Raw] = {}
        if not (ABOUT.isdisjoint(given) or "functionResponse" in given):
            about = {name: given.pop(name) for name in list(given) if name in ABOUT}
        if about and not given:
            blocks.append(Opaque(WIRE, next(iter(about)), encode(about)))
            continue
        block = _part(given, at, streamed)
        if block is not None:
            blocks.append(block)
        blocks += [Opaque(WIRE, BESIDE + name, encode({name: value})) for name, value in about.items()]
    return blocks


# -- parts


def _part(given: dict[str, Raw], path: str, streamed: _Streamed) -> Block | None:
    if len(given) == 1 and "text" in given:  # most parts
        return Text(STRING.read(given["text"], join(path, "text")))
    signature = text_of(given, "thoughtSignature", path)
    if "functionCall" in given:
        return _call(given["functionCall"], join(path, "functionCall"), signature, streamed)
    if "functionResponse" in given:
        return _result(given["functionResponse"], join(path, "functionResponse"))
    thought = "thought" in given and BOOL.read(given["thought"], join(path, "thought"))
    if ("inlineData" in given or "fileData" in given) and not thought:
        return _media(given, path, signature)
    label = label_of(given)
    if label in ("", "text"):
        text = text_of(given, "text", path) or ""
        return Thinking(text, signature, wire=WIRE) if thought else Text(text, signature=signature)
    return Opaque(WIRE, label, encode(given))


def _media(given: dict[str, Raw], path: str, signature: str | None) -> Media:
    name = "inlineData" if "inlineData" in given else "fileData"
    at = join(path, name)
    inner = fields(given[name], at)
    mime, shown = text_of(inner, "mimeType", at), text_of(inner, "displayName", at)
    if name == "inlineData":
        data = _needed(inner, "data", at)
        return media_of_blob(Blob(mime, _standard_base64(data), shown), signature)
    return media_of_file(FileData(mime, _needed(inner, "fileUri", at), shown), signature)


def _standard_base64(data: str) -> str:
    """Convert to the standard alphabet: this wire accepts both alphabets of RFC 4648, others only the standard one."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
        data += "=" * (-len(data) % 4)
    return data


def _needed(given: dict[str, Raw], name: str, path: str) -> str:
    value = text_of(given, name, path)
    if value is None:
        raise missing(join(path, name))
    return value


def _call(raw: Raw, path: str, signature: str | None, streamed: _Streamed) -> ToolCall | None:
    """Read a call; None if it is a piece of the one before."""
    given = fields(raw, path)
    if streamed.call is not None and "name" not in given:
        streamed.call.signature = streamed.call.signature or signature
        streamed.add(given, path)
        return None
    streamed.end()
    name = _needed(given, "name", path)
    arguments = "{}"
    if "args" in given:
        OBJECT.read(given["args"], join(path, "args"))
        arguments = compact(given["args"]).decode()
    call = ToolCall(text_of(given, "id", path) or "", name, arguments, signature=signature)
    if "partialArgs" in given or "willContinue" in given:
        streamed.begin(call)
        streamed.add(given, path)
    return call


class _Streamed:
    """A call whose arguments come in pieces: the calls after it that have no name belong to it, up to the last one."""

    def __init__(self) -> None:
        self.call: ToolCall | None = None
        self._args = PartialArgs({})

    def begin(self, call: ToolCall) -> None:
        self.call, self._args = call, PartialArgs(ANY.read(call.arguments.encode()))

    def add(self, given: dict[str, Raw], path: str) -> None:
        """Add the pieces in *given*, a member ``functionCall``."""
        at = join(path, "partialArgs")
        pieces = items(given.get("partialArgs", Raw(b"[]")), at)
        try:
            self._args.add([_piece(raw, join(at, place)) for place, raw in enumerate(pieces)])
        except BadAnswer as error:
            raise bad(at, f"Invalid value for '{at}': {error}.") from None
        if "willContinue" not in given or not BOOL.read(given["willContinue"], join(path, "willContinue")):
            self.end()

    def end(self) -> None:
        """Set the arguments of the open call."""
        if self.call is not None:
            self.call.arguments = self._args.json()
            self.call = None


def _piece(raw: Raw, path: str) -> PartialArg:
    given = fields(raw, path)
    number = _NUMBER.read(given["numberValue"], join(path, "numberValue")) if "numberValue" in given else None
    truth = BOOL.read(given["boolValue"], join(path, "boolValue")) if "boolValue" in given else None
    return PartialArg(_needed(given, "jsonPath", path), text_of(given, "stringValue", path), number, truth)


def _result(raw: Raw, path: str) -> ToolResult:
    given = fields(raw, path)
    raw, name = given.get("response", Raw(b"{}")), _needed(given, "name", path)
    response = OBJECT.read(raw, join(path, "response"))
    blocks = _said(response, raw, name)
    if "parts" in given:
        blocks += read_parts(given["parts"], join(path, "parts"))
    result = ToolResult(text_of(given, "id", path) or "", blocks, is_error=response.keys() == {"error"}, name=name)
    plain = response.keys() <= {"error"} or response.keys() <= {"output"}
    if not plain or any(bytes(value)[:1] != b'"' for value in response.values()):
        result.raw = compact(raw)
    return result


def _said(response: dict[str, Raw], raw: Raw, name: str) -> list[Block]:
    """The text of a response: the value of its only member (beside ``name``) if that is a wrapper, else the whole object."""
    inner = [(key, value) for key, value in response.items() if key != "name" or STRING.get(value) != name]
    only = inner[0][1] if len(inner) == 1 and inner[0][0] in _WRAPS else raw
    value = ANY.get(only)
    if isinstance(value, str):
        return [Text(value)]
    if isinstance(value, list) and value and all(_is_text(part) for part in value):
        return [Text(part["text"]) for part in value]
    return [] if value in (None, {}) else [Text(bytes(only).decode())]


def _is_text(part: object) -> bool:
    """Whether *part* is a text, perhaps with a name of its own (LangChain)."""
    return isinstance(part, dict) and isinstance(part.get("text"), str) and part.keys() <= {"type", "text", "id"}
