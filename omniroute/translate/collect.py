"""Events collected into a whole answer: one code path for streams and whole bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct, field

from .conversation import Block, Opaque, Refusal, Text, Thinking, ToolCall
from .events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
    OpaquePart,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
    merged,
)

ENDED_BADLY: Final = "The provider ended the answer with an error"
# Reasons by which a provider means itself; the others are for what the model made, such as a call that is not JSON.
_OUTAGES: Final = frozenset(("", "error", "abort", "network_error", "insufficient_system_resource"))


def bad_ending(finish: Finish) -> Failure:
    """The failure of an answer whose finish reason is "error"."""
    message = ENDED_BADLY + (f" ({finish.raw})." if finish.raw else ".")
    return Failure(502, message, slip=finish.raw not in _OUTAGES)


class Answer(Struct):
    """A whole answer.  ``failure`` is set if the upstream reported an error after the answer began, or as its ending."""

    start: Start = field(default_factory=Start)
    blocks: list[Block] = field(default_factory=list)
    usage: Usage | None = None
    finish: Finish | None = None
    failure: Failure | None = None
    logprobs: list[bytes] = field(default_factory=list)


class Collector:
    """Feed it every event in order, then call ``close``.  Text is joined once per block, so the cost is linear."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._open: Text | Thinking | Refusal | ToolCall | None = None
        self._parts: list[str] = []
        self._signatures: list[str] = []  # of the open block: some vendors send a signature in pieces

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            _FOLD[type(event)](self, event)

    def close(self) -> Answer:
        """Complete the open block and return the answer."""
        self._close_block()
        return self.answer

    def _close_block(self) -> None:
        block = self._open
        if block is None:
            return
        text = "".join(self._parts)
        if isinstance(block, ToolCall):
            block.arguments = text
        else:
            block.text = text
        if isinstance(block, Thinking) and self._signatures:
            block.signature = "".join(self._signatures)
        self._open = None
        self._parts, self._signatures = [], []

    def _enter(self, block: Text | Thinking | Refusal | ToolCall) -> None:
        self._close_block()
        self._open = block
        self.answer.blocks.append(block)

    def _start(self, event: Start) -> None:
        self.answer.start = event

    def _text(self, event: TextDelta) -> None:
        if not isinstance(self._open, Text):
            self._enter(Text(""))
        self._parts.append(event.text)
        if event.logprobs:
            self.answer.logprobs.append(event.logprobs)

    def _thinking(self, event: ThinkingDelta) -> None:
        if not isinstance(self._open, Thinking) or self._open.redacted:
            self._enter(Thinking(id=event.id))
        self._parts.append(event.text)

    def _signature(self, event: Signature) -> None:
        if not isinstance(self._open, Thinking) or self._open.redacted or event.redacted:
            self._enter(Thinking(redacted=event.redacted, id=event.id))
        assert isinstance(self._open, Thinking)
        self._signatures.append(event.signature)
        self._open.wire = event.wire

    def _refusal(self, event: RefusalDelta) -> None:
        if not isinstance(self._open, Refusal):
            self._enter(Refusal(""))
        self._parts.append(event.text)

    def _tool(self, event: ToolStart) -> None:
        self._enter(
            ToolCall(
                event.id,
                event.name,
                kind=event.kind,
                namespace=event.namespace,
                signature=event.signature,
                item_id=event.item_id,
                extra=event.extra,
            )
        )

    def _arguments(self, event: ToolArguments) -> None:
        self._parts.append(event.text)

    def _media(self, event: MediaPart) -> None:
        self._close_block()
        self.answer.blocks.append(event.media)

    def _citation(self, event: CitationDelta) -> None:
        if not isinstance(self._open, Text):
            self._enter(Text(""))
        assert isinstance(self._open, Text)
        self._open.citations.append(event.citation)

    def _opaque(self, event: OpaquePart) -> None:
        self._close_block()
        self.answer.blocks.append(Opaque(event.wire, event.label, event.raw))

    def _end(self, event: BlockEnd) -> None:
        self._close_block()

    def _usage(self, event: Usage) -> None:
        self.answer.usage = merged(self.answer.usage, event)

    def _finish(self, event: Finish) -> None:
        self.answer.finish = event
        if event.reason == "error":  # few wires have this reason, and an error can still replace a whole answer
            self.answer.failure = bad_ending(event)

    def _failure(self, event: Failure) -> None:
        self.answer.failure = event


_FOLD: Final[dict[type, Callable[[Collector, Any], None]]] = {
    Start: Collector._start,
    TextDelta: Collector._text,
    ThinkingDelta: Collector._thinking,
    Signature: Collector._signature,
    RefusalDelta: Collector._refusal,
    ToolStart: Collector._tool,
    ToolArguments: Collector._arguments,
    MediaPart: Collector._media,
    CitationDelta: Collector._citation,
    OpaquePart: Collector._opaque,
    BlockEnd: Collector._end,
    Usage: Collector._usage,
    Finish: Collector._finish,
    Failure: Collector._failure,
}


def collect(events: Iterable[Event]) -> Answer:
    """Return the answer that a complete sequence of events makes."""
    collector = Collector()
    collector.feed(events)
    return collector.close()
