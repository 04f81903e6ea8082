"""Tool names, call ids and arguments, made to fit another wire's grammar."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from .conversation import Tool, ToolChoice
from .jsonio import OBJECT, encode

_ILLEGAL: Final = re.compile(r"[^a-zA-Z0-9_-]")
_BLANK: Final = frozenset({"", "null"})


def fit(name: str, limit: int) -> str:
    """Return *name* if it matches ``^[a-zA-Z0-9_-]{1,limit}$``, else a stable and unique stand-in."""
    if 0 < len(name) <= limit and (
        (name.isalnum() and name.isascii()) or _ILLEGAL.search(name) is None
    ):  # the quick way first
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{_ILLEGAL.sub('_', name)[: limit - 11]}_{digest}"


def flat(name: str, namespace: str | None) -> str:
    """Return a tool's flat name: ``namespace__name``, or the bare name in the implicit ``functions`` namespace."""
    return name if not namespace or namespace == "functions" else f"{namespace}__{name}"


def tools_by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The client's tools by their flat names, and also by their bare names where these are not ambiguous."""
    own = [tool for tool in tools if tool.kind != "server"]
    found: dict[str, Tool] = {}
    for tool in own:
        found.setdefault(flat(tool.name, tool.namespace), tool)
    for tool in own:
        found.setdefault(tool.name, tool)
    return found


def chosen(tools: Iterable[Tool], names: Iterable[str]) -> list[Tool]:
    """Return those of *tools* that *names* refer to, by bare or flat name."""
    wanted = set(names)
    return [tool for tool in tools if tool.name in wanted or flat(tool.name, tool.namespace) in wanted]


class SentIds:
    """The call ids of one request: each fits the wire's grammar and belongs to one call only.

    Some vendors reuse ids in later turns; a result belongs to the last call written with its id.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: dict[str, str] = {}  # the client's id -> the id last written for it
        self._used: set[str] = set()

    def new(self, given: str) -> str:
        """Return the id to write for a call."""
        sent = fit(given, self._limit)
        while sent in self._used:
            sent = fit(f"{sent}.{len(self._used)}", self._limit)
        self._used.add(sent)
        self._last[given] = sent
        return sent

    def last(self, given: str) -> str | None:
        """Return the id written for the call that a result answers; None if no call had it."""
        return self._last.get(given)


class CallIds:
    """The call ids of one answer: the upstream's, or a new one where it gave none or repeated one."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._used: set[str] = set()

    def next(self, given: str) -> str:
        if not given or given in self._used:
            given = f"call_{self._stem}_{len(self._used)}"
        self._used.add(given)
        return given


class Names:
    """The tool names of one request: ``sent`` makes a name fit the wire; ``renamed`` maps it back to the client's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.renamed: dict[str, str] = {}

    def sent(self, name: str, namespace: str | None = None) -> str:
        own = flat(name, namespace)
        fitted = fit(own, self._limit)
        if fitted != own:
            self.renamed[fitted] = own
        return fitted

    def sent_for(self, choice: ToolChoice, tools: Iterable[Tool]) -> list[str]:
        """Return the names under which the tools of *choice* are sent; it may refer to them by bare or flat name."""
        known = tools_by_name(tools)
        found = ((known.get(name), name) for name in choice.names)
        return [self.sent(tool.name, tool.namespace) if tool is not None else self.sent(name) for tool, name in found]


def object_text(arguments: str, kind: str = "function") -> tuple[bytes, bool]:
    """Return the arguments as the text of a JSON object, and whether they had to be wrapped to become one.

    Free text of custom tools becomes ``{"input": text}``, anything else that is not an object ``{"INVALID_JSON": text}``.
    """
    if kind == "custom":
        return encode({"input": arguments}), False
    if arguments.strip() in _BLANK:
        return b"{}", False
    data = arguments.encode("utf-8", "replace")
    if OBJECT.get(data) is not None:
        return data, False
    return encode({"INVALID_JSON": data.decode()}), True
