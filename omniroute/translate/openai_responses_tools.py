"""Tools of the OpenAI Responses wire: functions, custom tools with grammars, ``namespace`` groups, the vendor's own tools.

A group is flattened into tools that carry its name; names in a tool choice are flat (``names.flat``).  A custom tool's
grammar is kept in the chat wire's nested shape.  ``additional_tools`` items in the input declare tools in mid-conversation:
``Tool.placed`` says where.  A ``tool_search`` that the client runs is sent to other vendors as a function, and the tools
that it found are declared to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import Tool, ToolChoice
from .jsonio import ABSENT, ITEMS, Shape, bytes_or_none, encode, join, missing, present
from .names import Names, flat, tools_by_name
from .openai_responses_error import WIRE
from .schema import with_properties

NAME_LIMIT: Final = 64
Json = dict[str, Any]


class _Tool(Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    defer_loading: bool | None = None
    format: Raw = ABSENT
    tools: list[Raw] | None = None
    execution: str | None = None
    output_schema: Raw = ABSENT
    allowed_callers: Raw = ABSENT

    def extra(self) -> tuple[str, ...]:
        return tuple(name for name in ("output_schema", "allowed_callers") if present(getattr(self, name)))


class _Grammar(Struct):
    type: str
    definition: str | None = None
    syntax: str | None = None
    grammar: Raw = ABSENT


class _Choice(Struct):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[_Choice] | None = None

    def flat(self) -> str | None:
        named = self.type in ("function", "custom") and self.name
        return flat(named, self.namespace) if named else None


_TOOL: Final[Shape[_Tool]] = Shape(_Tool)
_GRAMMAR: Final[Shape[_Grammar]] = Shape(_Grammar)
_CHOICE: Final[Shape[str | _Choice]] = Shape(str | _Choice)
_PLAIN: Final = {mode: ToolChoice(mode) for mode in ("auto", "none", "required")}
SEARCH: Final = "tool_search"


# -- read


def read_tools(raw: Raw, path: str, placed: int | None = None) -> list[Tool]:
    """Read declared tools, groups flattened."""
    tools: list[Tool] = []
    for number, item in enumerate(ITEMS.read(raw, path)):
        at = join(path, number)
        tool = _TOOL.read(item, at)
        if tool.type == "namespace" and tool.name and tool.tools is not None:
            for inner, child in enumerate(tool.tools):
                found = _read_tool(child, join(join(at, "tools"), inner), placed)
                found.namespace, found.group = tool.name, tool.description
                tools.append(found)
        else:
            tools.append(_read_tool(item, at, placed))
    return tools


def _read_tool(raw: Raw, path: str, placed: int | None) -> Tool:
    tool = _TOOL.read(raw, path)
    if tool.type == SEARCH and tool.execution == "client":
        schema = bytes_or_none(tool.parameters)
        return Tool(SEARCH, tool.description, schema, "search", wire=WIRE, raw=bytes(raw), placed=placed)
    if tool.type not in ("function", "custom"):
        return Tool(tool.type, kind="server", wire=WIRE, raw=bytes(raw), placed=placed)
    if not tool.name:
        raise missing(join(path, "name"))
    found = Tool(tool.name, tool.description, deferred=bool(tool.defer_loading), placed=placed, extra=tool.extra())
    if tool.type == "custom":
        found.kind, found.grammar = "custom", _nested(bytes_or_none(tool.format))
    else:
        found.schema, found.strict = bytes_or_none(tool.parameters), tool.strict
    return found


def repeated(tool: Tool) -> Tool:
    """Return a repeated declaration of *tool* for this wire only: other vendors accept each name once."""
    raw = tool.raw or encode(_write_tool(tool, Names(NAME_LIMIT), own=True))
    name, space = tool.name, tool.namespace
    return Tool(name, kind="server", wire=WIRE, raw=raw, namespace=space, group=tool.group, placed=tool.placed)


def _nested(grammar: bytes | None) -> bytes | None:
    """``{type, definition, syntax}`` -> ``{type, grammar: {definition, syntax}}``."""
    found = _GRAMMAR.get(grammar) if grammar is not None else None
    if found is None or found.type != "grammar" or found.definition is None:
        return grammar
    return encode({"type": "grammar", "grammar": {"definition": found.definition, "syntax": found.syntax or "lark"}})


def read_choice(raw: Raw) -> ToolChoice | None:
    """Read a tool choice; None if it names a tool of the vendor's own or is of an unknown kind."""
    choice = _CHOICE.read(raw, "tool_choice")
    if isinstance(choice, str):
        return _PLAIN.get(choice)
    if choice.type == "allowed_tools":
        names = tuple(name for tool in choice.tools or () if (name := tool.flat()))
        return ToolChoice("allowed", names, required=choice.mode == "required")
    name = choice.flat()
    return ToolChoice("tool", (name,)) if name else None


# -- written


def write_tools(tools: Iterable[Tool], names: Names, own: bool) -> list[Json | Raw]:
    """Write the declarations.  *own*: the request is from this wire, so groups are kept and nothing is renamed."""
    out: list[Json | Raw] = []
    groups: dict[str, list[Json | Raw]] = {}
    for tool in tools:
        written = _write_tool(tool, names, own)
        if written is None:
            continue
        if not (own and tool.namespace):
            out.append(written)
        elif tool.namespace in groups:
            groups[tool.namespace].append(written)
        else:
            group = groups[tool.namespace] = [written]
            out.append({"type": "namespace", "name": tool.namespace, "description": tool.group or "", "tools": group})
    return out


def _write_tool(tool: Tool, names: Names, own: bool) -> Json | Raw | None:
    if tool.kind in ("server", "search"):
        return Raw(tool.raw) if tool.wire == WIRE and tool.raw is not None else None
    if tool.found and own:
        return None  # the search result declares it
    out: Json = {"type": tool.kind, "name": tool.name if own else names.sent(tool.name, tool.namespace)}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.kind == "custom":
        if tool.grammar is not None:
            out["format"] = _flattened(tool.grammar)
    else:
        out["parameters"] = Raw(tool.schema) if own and tool.schema is not None else with_properties(tool.schema)
        # on this wire schemas are strict by default, on no other
        if tool.strict is not None or not own:
            out["strict"] = bool(tool.strict)
    if tool.deferred and own:
        out["defer_loading"] = True
    return out


def _flattened(grammar: bytes) -> Raw | Json:
    found = _GRAMMAR.get(grammar)
    inner = _GRAMMAR_INNER.get(found.grammar) if found is not None and present(found.grammar) else None
    if inner is None:
        return Raw(grammar)
    return {"type": "grammar", "definition": inner.definition, "syntax": inner.syntax}


class _Inner(Struct):
    definition: str
    syntax: str


_GRAMMAR_INNER: Final[Shape[_Inner]] = Shape(_Inner)


def write_choice(choice: ToolChoice, tools: list[Tool], names: Names, own: bool) -> str | Json:
    """Write ``tool_choice``; for *own* see :func:`write_tools`."""
    known = tools_by_name(tools) if choice.names else {}
    if choice.mode == "allowed":
        allowed = [_named(name, known, names, own) for name in choice.names]
        return {"type": "allowed_tools", "mode": "required" if choice.required else "auto", "tools": allowed}
    if choice.mode == "tool":
        return _named(choice.names[0], known, names, own)
    return choice.mode


def _named(name: str, tools: Mapping[str, Tool], names: Names, own: bool) -> Json:
    tool = tools.get(name)
    if tool is None:
        return {"type": "function", "name": names.sent(name)}
    out: Json = {"type": tool.kind, "name": tool.name if own else names.sent(tool.name, tool.namespace)}
    if own and tool.namespace:
        out["namespace"] = tool.namespace
    return out
