"""Puts the output items of a Responses stream in sequence: they may overlap on the wire, neutral blocks may not.

The open item is streamed.  Thinking and text are closed when the next item starts.  A call stays open until its end arrives
or its arguments are a whole JSON value; the events of other items wait until then.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from msgspec import Raw, Struct, field

from .events import BlockEnd, Event, MediaPart, OpaquePart, TextDelta, ThinkingDelta, ToolArguments
from .format import BadAnswer
from .jsonio import ABSENT, is_json

CALLS: Final[dict[str, Literal["function", "custom"]]] = {"function_call": "function", "custom_tool_call": "custom"}
HELD_CHARACTERS: Final = 32 * 1024 * 1024  # limit for one answer; no real one is that long
_MOST_CHECKS: Final = 64
_BLOCKLESS: Final = (BlockEnd, MediaPart, OpaquePart)


class Open(Struct):
    """One output item that is being received."""

    index: int | None
    kind: str
    id: str = ""
    raw: Raw = ABSENT  # the item as announced
    started: bool = False  # its ToolStart was emitted
    said: bool = False  # its current part, or its arguments, had a delta
    told: bool = False  # any of its content was received
    parted: bool = False  # its current part has ended
    done: bool = False
    block: bool = False  # a block of it is open
    source: str = ""  # which of its thinking is used: full text or summary
    first: str = ""  # the arguments in its first event
    annotations: int = 0  # number emitted in its current part
    parts: list[str] = field(default_factory=list)  # arguments so far
    checked: int = 0  # length of ``parts`` at the last completeness check
    checks: int = 0
    waiting: list[Event] = field(default_factory=list)


class Queue:
    """Each method appends the events that are due to *out*."""

    def __init__(self) -> None:
        self.open: Open | None = None
        self.called = False  # a call was seen
        self._items: dict[int | str, Open] = {}
        self._line: deque[Open] = deque()  # the items with events in ``waiting``, in order
        self._all: list[Open] = []
        self._held = 0

    def add(self, item: Open) -> Open:
        if item.index is not None:
            self._items[item.index] = item
        if item.id:
            self._items[item.id] = item
        self.called |= item.kind in CALLS
        self._all.append(item)
        return item

    def find(self, index: int | None, id_: str | None) -> Open | None:
        """Find an item by index, else by id; without either, the last one."""
        if index is not None:
            return self._items.get(index)
        if id_:
            return self._items.get(id_)
        return self._all[-1] if self._all else None

    def unended(self) -> list[Open]:
        """Items without an end, in the order of their announcement."""
        return [item for item in self._all if not item.done]

    def argument(self, item: Open, text: str) -> ToolArguments:
        """Record a piece of the arguments of *item* and return its event."""
        item.said = True
        if item.kind == "function_call":
            item.parts.append(text)
            self._hold(len(text))
        return ToolArguments(text)

    def put(self, item: Open, event: Event, out: list[Event]) -> None:
        """Emit an event of *item* if it is the open one, else keep it until its turn."""
        if self.open is item:
            self._emit(item, event, out)
            return
        if not item.waiting:
            self._line.append(item)
        item.waiting.append(event)  # before _advance: it may emit a complete item and close it at once
        self._advance(out)
        if item.waiting:
            self._hold(len(event.text) if isinstance(event, (TextDelta, ThinkingDelta)) else 1)

    def end(self, item: Open, out: list[Event]) -> None:
        item.done = True
        if self.open is item:
            self._close(out)
            self._advance(out)

    def flush(self, out: list[Event]) -> None:
        """Emit everything that still waits, at the end of the answer."""
        if self.open is not None:
            self._close(out)
        for item in self._line:
            for event in item.waiting:
                self._emit(item, event, out)
            self._part(item, out)
        self._line.clear()

    def _emit(self, item: Open, event: Event, out: list[Event]) -> None:
        item.block = not isinstance(event, _BLOCKLESS)
        out.append(event)

    def _advance(self, out: list[Event]) -> None:
        """Emit the waiting items, up to one that must stay open."""
        while self._line:
            if self.open is not None:
                if not _gives_way(self.open):
                    return
                self._close(out)
            item = self.open = self._line.popleft()
            for event in item.waiting:
                self._emit(item, event, out)
            item.waiting = []
            if item.done:
                self._close(out)

    def _close(self, out: list[Event]) -> None:
        item, self.open = self.open, None
        assert item is not None
        self._part(item, out)
        item.parts, item.checked = [], 0

    def _part(self, item: Open, out: list[Event]) -> None:
        if item.block:
            if item.first and not item.said:
                item.said = True
                out.append(ToolArguments(item.first))
            item.block = False
            out.append(BlockEnd())

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > HELD_CHARACTERS:
            raise BadAnswer("the answer is too long")


def _gives_way(item: Open) -> bool:
    return item.done or item.kind not in CALLS or _complete(item)


def _complete(item: Open) -> bool:
    """Whether the arguments are a whole JSON value.  Each check costs their length, so the number of checks is bounded."""
    if not item.said:
        return bool(item.first) and is_json(item.first)
    if len(item.parts) == item.checked or item.checks >= _MOST_CHECKS or item.parts[-1].rstrip()[-1:] not in ("}", ""):
        return False
    item.parts = ["".join(item.parts)]
    item.checked = 1
    item.checks += 1
    return is_json(item.parts[0])
