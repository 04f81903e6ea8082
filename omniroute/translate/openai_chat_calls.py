"""Puts the tool calls of a chat stream in sequence: parallel calls may interleave on the wire, neutral events may not.

The first call is streamed; everything after it waits until that call is complete: its arguments are a whole JSON value, or
the answer ends.  Vendors identify calls by index, or by id, or by neither; some give every call the index 0.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct, field

from .events import CitationDelta, Event, RefusalDelta, Start, TextDelta, ThinkingDelta, ToolArguments, ToolStart
from .format import BadAnswer
from .jsonio import ABSENT, check_text, encode, is_json
from .openai_chat_shapes import CallDelta, Function

HELD_CHARACTERS: Final = 32 * 1024 * 1024  # limit for the arguments and audio of one answer; no real one is that long
_MOST_CHECKS: Final = 64


class _Call(Struct):
    """One tool call that is being received.  ``parts``: its arguments so far."""

    key: int | str
    id: str = ""
    name: str = ""
    named: bool = False  # the name is whole: a few vendors send it in pieces, before any arguments
    kind: Literal["function", "custom"] = "function"
    parts: list[str] = field(default_factory=list)
    state: Literal["new", "waiting", "open", "closed"] = "new"
    checks: int = 0
    extra: bytes | None = None

    def complete(self) -> bool:
        """Whether the arguments are a whole JSON value.  The number of checks is bounded, since each costs their length."""
        if self.kind == "custom" or self.checks >= _MOST_CHECKS or not self.parts:
            return False
        if self.parts[-1].rstrip()[-1:] not in ("}", '"', "]", ""):
            return False
        self.checks += 1
        self.parts = ["".join(self.parts)]
        return is_json(self.parts[0])


class Row:
    """Puts the blocks of one answer in sequence.  Each method appends the events that are due to *out*."""

    def __init__(self, start: Start) -> None:
        self.text_open = False
        self.called = False  # a call was emitted
        self._start = start
        self._calls: dict[int | str, _Call] = {}
        self._keys: dict[str, int | str] = {}  # call id -> key
        self._last: int | str = 0  # key of the last call
        self._made = 0  # calls so far
        self._ids: set[str] = set()  # ids emitted so far
        self._open: _Call | None = None  # the call that is being streamed
        self._waiting: deque[_Call | Event] = deque()  # what came while the open call was incomplete
        self._held = 0

    @property
    def clear(self) -> bool:
        """Whether no call is open and nothing waits, so that an event can be emitted at once."""
        return self._open is None and not self._waiting

    def put(self, event: Event, out: list[Event]) -> None:
        """Add any event but those of tool calls; it waits while a call before it is incomplete."""
        if self._open is not None or self._waiting:
            self._waiting.append(event)
            self.hold(len(event.text) if isinstance(event, (TextDelta, ThinkingDelta, RefusalDelta)) else 1)
            self._advance(out)
            return
        self.text_open = isinstance(event, (TextDelta, CitationDelta))
        out.append(event)

    def _advance(self, out: list[Event]) -> None:
        """Emit what waits, up to a call that is incomplete or has no name yet."""
        while self._waiting:
            if self._open is not None:
                if not self._open.complete():
                    return
                self._close_call()
            item = self._waiting[0]
            if isinstance(item, _Call):
                if not item.name or not (item.named or len(self._waiting) > 1):
                    return
                self._emit(item, out)
                self._open = item
            else:
                self.text_open = isinstance(item, (TextDelta, CitationDelta))
                out.append(item)
            self._waiting.popleft()

    def hold(self, size: int) -> None:
        self._held += size
        if self._held > HELD_CHARACTERS:
            raise BadAnswer("the answer is too long")

    def call(self, delta: CallDelta, position: int, out: list[Event]) -> None:
        custom = delta.custom
        if custom is not None and (custom.name or custom.input):
            call = self._call_at(self._key(delta, position), delta.id or "")
            call.kind = "custom"
            self._arguments(call, custom.name, Function(arguments=custom.input), out)
            return
        function = delta.function or Function()
        key = self._key(delta, position)
        known = self._calls.get(key)
        if known is not None and function.name and self._another(known, delta.id, function):
            del self._calls[key]  # some vendors give every call the index 0
        call = self._call_at(key, delta.id or "")
        if delta.extra_content is not ABSENT:
            call.extra = bytes(delta.extra_content)
            check_text(call.extra)
        self._arguments(call, function.name, function, out)

    def _another(self, known: _Call, id_: str | None, function: Function) -> bool:
        """Whether a named delta with the key of *known* begins another call; some vendors repeat the name in every delta."""
        if id_ and known.id:
            return id_ != known.id
        if id_ or not known.name or not (function.arguments or function.name != known.name):
            return False
        return known.state == "closed" or known.complete()

    def _key(self, delta: CallDelta, position: int) -> int | str:
        """Return the key of the delta's call: the index, else the id.  Without either, only a name begins another call."""
        if delta.index is not None:
            return delta.index
        if delta.id:
            return self._keys.get(delta.id, f"id {delta.id}")
        if delta.function is not None and delta.function.name:
            return f"unnamed {self._made} {position}"
        return self._last

    def _call_at(self, key: int | str, id_: str) -> _Call:
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call(key)
            self._made += 1
        self._last = key
        if id_ and not call.id:
            call.id = id_
            self._keys[id_] = key
        return call

    def _arguments(self, call: _Call, name: str | None, function: Function, out: list[Event]) -> None:
        text = function.arguments
        if text is not None and not isinstance(text, str):
            text = encode(text).decode()
        elif text == "null" and not call.parts and call.kind == "function":  # Groq sends null for no arguments
            text = ""
        if name and not call.named and call.state != "open":
            call.name = name if name.startswith(call.name) else call.name + name
        call.named = call.named or (function.arguments is not None and bool(call.name))
        if call.state == "closed" or not (text or call.name):
            return
        if text:
            call.parts.append(text)
            self.hold(len(text))
        if call.state == "open":
            if text:
                out.append(ToolArguments(text))
            return
        if call.state == "new":
            call.state = "waiting"
            self._waiting.append(call)
        self._advance(out)

    def _emit(self, call: _Call, out: list[Event]) -> None:
        self.text_open = False
        call.state, self.called = "open", True
        out.append(ToolStart(self._unique_id(call), call.name, call.kind, extra=call.extra))
        if call.parts:
            out.append(ToolArguments("".join(call.parts)))

    def _unique_id(self, call: _Call) -> str:
        """Return the vendor's id, or a generated one if it is missing or repeated in this answer."""
        if not call.id or call.id in self._ids:
            seed = f"{self._start.id} {len(self._ids)} {call.name}"
            call.id = "call_" + sha256(seed.encode("utf-8", "replace")).hexdigest()[:24]
        self._ids.add(call.id)
        return call.id

    def _close_call(self) -> None:
        assert self._open is not None
        self._open.state = "closed"
        self._open.parts = []
        self._open = None

    def legacy(self, function: Function, out: list[Event]) -> None:
        """Add a ``function_call``, the predecessor of ``tool_calls``."""
        if function.name or function.arguments:
            self._arguments(self._call_at("legacy", ""), function.name, function, out)

    def flush(self, out: list[Event]) -> None:
        """Emit everything that still waits, at the end of the answer."""
        for item in self._waiting:
            if isinstance(item, _Call):
                self._emit(item, out)
            else:
                out.append(item)
        self._waiting.clear()
