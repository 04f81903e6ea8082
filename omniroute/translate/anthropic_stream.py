"""Anthropic Messages streams, read (the vendor's "Streaming messages" page).

Tolerates what real vendors send: missing or repeated parts, ``[DONE]``, null counts, no ``message_stop``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from .anthropic_answer import (
    MESSAGE,
    TOOL_USE,
    USAGE,
    WIRE,
    Message,
    ToolUse,
    arguments_text,
    block_type,
    read_block,
    read_citation,
    read_error,
    read_finish,
)
from .events import (
    CUT,
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    OpaquePart,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
)
from .format import BadAnswer, StreamDecoder
from .jsonio import ABSENT, OBJECT, STRING, VALUES, encode, mended, present
from .text_frame import TextFrame, frame_of
from .usage import AnthropicUsage, from_anthropic


class _Delta(Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(Struct, gc=False):
    """The members of all events in one struct: cheaper than a tagged union, and ``type`` need not come first."""

    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    content_block: Raw = ABSENT
    message: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


_decode: Final = msgspec.json.Decoder(_Event).decode
_KNOWN_DELTAS: Final = frozenset({"text_delta", "thinking_delta", "signature_delta", "citations_delta", "input_json_delta"})
HELD_BYTES: Final = 32 * 1024 * 1024  # for blocks gathered whole; no real answer is that long
_TEXT: Final = b'"text":'


def _delta_type(event: dict[str, Raw]) -> str | None:
    delta = OBJECT.get(event.get("delta", ABSENT))
    return STRING.get(delta.get("type", ABSENT)) if delta is not None else None


class Decoder(StreamDecoder):
    """Decodes one stream.  An unknown block is gathered with its deltas into one OpaquePart."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._kind = ""  # type of the open block, "" = none
        self._index: int | None = None
        self._closed: set[int] = set()
        self._whole: dict[str, Any] = {}  # the open block, if its type is unknown
        self._texts: dict[str, list[str]] = {}  # what its deltas add, by member; "partial_json" is its input
        self._held = 0  # characters gathered
        self._call = ToolUse()  # the open tool call
        self._arguments = False  # the open call has received arguments
        self._tools = False
        self._usage = AnthropicUsage()
        self._stop = ""
        self._stop_sequence: str | None = None

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._done:
            return ()
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self.feed(name, whole) if (whole := mended(data)) is not None else self._led(self._odd(data, error))
        delta = event.delta
        if event.type == "content_block_delta" and delta is not None:
            if event.index == self._index:
                if delta.type == "text_delta" and self._kind == "text":
                    return (TextDelta(delta.text),)
                if delta.type == "input_json_delta" and self._kind == "tool_use":
                    self._arguments |= delta.partial_json != ""
                    return (ToolArguments(delta.partial_json),)
                if delta.type == "thinking_delta" and self._kind == "thinking":
                    return (ThinkingDelta(delta.thinking),)
            return self._led(self._delta(event, delta, data))
        handler = _ON.get(event.type)
        if handler is not None:
            return self._led(handler(self, event, data))
        return self._led(self._error(event, data)) if present(event.error) else ()

    def frame(self, last: tuple[bytes, bytes]) -> TextFrame | None:
        if self._kind != "text" or self._done:
            return None
        name, data = last
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        delta = event.delta
        if event.type != "content_block_delta" or event.index != self._index or delta is None or delta.type != "text_delta":
            return None
        found = frame_of(data, _TEXT, delta.text)
        return found.of_event(name) if found is not None else None

    def eof(self) -> Sequence[Event]:
        if self._done:
            return ()
        return self._led(self._finish() if self._stop else self._fail(Failure(502, CUT)))

    def _led(self, events: Sequence[Event]) -> Sequence[Event]:
        """Put a Start before the first events if the vendor sent none."""
        if self._started or not events:
            return events
        self._started = True
        return events if isinstance(events[0], Start) else [Start(), *events]

    # -- one method per event of the wire

    def _odd(self, data: bytes, error: Exception) -> Sequence[Event]:
        """Handle data that does not parse: an end mark, an event of an unknown type, or garbage."""
        text = data.strip()
        if text in (b"", b"[DONE]"):
            return ()
        event = OBJECT.get(data)
        kind = STRING.get(event.get("type", ABSENT)) if event is not None else None
        if event is None or kind in ("message_start", "content_block_start", "message_delta"):
            raise BadAnswer(f"unreadable event: {error}") from None
        if "error" in event and (failure := read_error(data)) is not None:
            return self._fail(failure)
        if kind == "content_block_delta":
            if self._whole:
                return self._gather(data)
            if _delta_type(event) in _KNOWN_DELTAS:
                raise BadAnswer(f"unreadable delta: {error}") from None
        return ()

    def _message_start(self, event: _Event, data: bytes) -> Sequence[Event]:
        if self._started:
            return ()  # some proxies send it twice
        message = MESSAGE.answer(event.message) if present(event.message) else Message()
        events: list[Event] = [Start(message.id or "", message.model or "")]
        events += self._note_usage(message.usage)
        for raw in message.content or ():
            kind = block_type(raw)
            self._tools |= kind == "tool_use"
            events += read_block(raw, kind)
            events.append(BlockEnd())
        return events

    def _block_start(self, event: _Event, data: bytes) -> Sequence[Event]:
        if not present(event.content_block):
            raise BadAnswer("content_block_start without content_block")
        events = self._close()
        raw = event.content_block
        kind = self._kind = block_type(raw)
        self._index = event.index
        if event.index is not None:
            self._closed.discard(event.index)
        if kind == "tool_use":
            self._tools = True
            self._call, self._arguments = TOOL_USE.answer(raw), False
            events.append(ToolStart(self._call.id, self._call.name))
        elif kind in ("text", "thinking", "redacted_thinking"):
            events += read_block(raw, kind)
        else:
            self._whole, self._texts = VALUES.answer(raw), {}
        return events

    def _delta(self, event: _Event, delta: _Delta, data: bytes) -> Sequence[Event]:
        """Handle every delta but a plain one of the open block."""
        if event.index != self._index and event.index in self._closed:
            raise BadAnswer("interleaved content blocks")
        if self._whole:
            return self._gather(data)
        events: list[Event] = []
        kind = _BLOCK_OF_DELTA.get(delta.type, "")
        if kind and kind != self._kind:  # the delta came without a block start, or with the start of another kind
            events += self._close()
            self._kind, self._index = kind, event.index
        match delta.type:
            case "text_delta":
                events.append(TextDelta(delta.text))
            case "thinking_delta":
                events.append(ThinkingDelta(delta.thinking))
            case "signature_delta":
                events.append(Signature(delta.signature, wire=WIRE))
            case "citations_delta" if present(delta.citation):
                events.append(CitationDelta(read_citation(delta.citation)))
            case "input_json_delta":
                if self._kind != "tool_use":
                    raise BadAnswer("tool arguments without a tool call")
                self._arguments |= delta.partial_json != ""
                events.append(ToolArguments(delta.partial_json))
        return events

    def _block_stop(self, event: _Event, data: bytes) -> Sequence[Event]:
        if event.index != self._index and event.index in self._closed:
            return ()
        return self._close()

    def _message_delta(self, event: _Event, data: bytes) -> Sequence[Event]:
        events = self._close()
        if event.delta is not None and event.delta.stop_reason:
            self._stop = event.delta.stop_reason
            self._stop_sequence = event.delta.stop_sequence
        events += self._note_usage(event.usage)
        return events

    def _message_stop(self, event: _Event, data: bytes) -> Sequence[Event]:
        return self._finish()

    def _ping(self, event: _Event, data: bytes) -> Sequence[Event]:
        return ()

    def _error(self, event: _Event, data: bytes) -> Sequence[Event]:
        return self._fail(read_error(data) or Failure(500, "The provider reported an error.", wire=WIRE, raw=data))

    # -- parts of them

    def _fail(self, failure: Failure) -> Sequence[Event]:
        self._done = True
        return (failure,)

    def _finish(self) -> Sequence[Event]:
        events = self._close()
        self._done = True
        events.append(read_finish(self._stop or ("tool_use" if self._tools else "end_turn"), self._stop_sequence))
        return events

    def _close(self) -> list[Event]:
        kind, self._kind = self._kind, ""
        if not kind:
            return []
        if self._index is not None:
            self._closed.add(self._index)
        self._index = self._frame = None
        if self._whole:
            return [OpaquePart(WIRE, kind, self._take_whole())]
        if kind == "tool_use" and not self._arguments:
            return [ToolArguments(arguments_text(self._call)), BlockEnd()]
        return [BlockEnd()]

    def _take_whole(self) -> bytes:
        whole, self._whole = self._whole, {}
        for key, pieces in self._texts.items():
            text = "".join(pieces)
            if key == "partial_json":
                whole["input"] = VALUES.get(text.encode()) or {}
            else:
                start = whole.get(key)
                whole[key] = start + text if isinstance(start, str) else text
        return encode(whole)

    def _gather(self, data: bytes) -> Sequence[Event]:
        """Add a delta to the unknown block: ``partial_json`` to its input, citations to its list, texts to their member."""
        delta = VALUES.answer(data).get("delta")
        self._held += len(data)
        if self._held > HELD_BYTES:
            raise BadAnswer("the answer is too long")
        for key, value in delta.items() if isinstance(delta, dict) else ():
            if key == "citation":
                known = self._whole.get("citations")
                self._whole["citations"] = [*(known if isinstance(known, list) else ()), value]
            elif isinstance(value, str) and key != "type":
                self._texts.setdefault(key, []).append(value)
            elif key != "type":
                self._whole[key] = value
        return ()

    def _note_usage(self, raw: Raw) -> list[Event]:
        usage = USAGE.get(raw) if present(raw) else None
        if usage is None:
            return []
        self._usage.merge(usage)
        return [from_anthropic(self._usage)]


_BLOCK_OF_DELTA: Final = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}
_ON: Final[dict[str, Callable[[Decoder, _Event, bytes], Sequence[Event]]]] = {
    "message_start": Decoder._message_start,
    "content_block_start": Decoder._block_start,
    "content_block_stop": Decoder._block_stop,
    "message_delta": Decoder._message_delta,
    "message_stop": Decoder._message_stop,
    "ping": Decoder._ping,
    "error": Decoder._error,
}
