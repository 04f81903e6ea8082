"""OpenAI Responses answers, written: whole ``response`` objects and event streams.

The events of a stream are numbered without gaps: ``response.created``, ``response.in_progress``, then each item (announced,
sent in deltas, ended with its whole content), last ``response.completed``, ``incomplete`` or ``failed`` with the whole
response.  Consecutive texts are the parts of one message.  A call of a custom tool that was sent upstream as a function
becomes a custom call again, with the text from its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Raw

from . import openai_responses_events as say
from .collect import Answer
from .conversation import Block, Media, Opaque, Refusal, Text, Thinking, ToolCall
from .events import (
    CUT,
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
from .fidelity import Losses, Lost, lost_ending, lost_proof
from .format import Rendered, Stamp, StreamEncoder
from .jsonio import compact, encode
from .openai_responses_error import WIRE, failed_error
from .openai_responses_items import (
    Envelope,
    Items,
    Json,
    all_tokens,
    annotation,
    free_input,
    image_item,
    incomplete_reason,
    message_item,
    reasoning_item,
    refusal_part,
    search_arguments,
    summary_part,
    text_part,
    tokens_of,
)
from .text_frame import escape, unescape

# -- whole answers


class _Output:
    """Writes the blocks of an answer as items; consecutive texts become one message."""

    def __init__(self, answer: Answer, stamp: Stamp) -> None:
        self.items = Items(stamp)
        self.out: list[Json | Raw] = []
        self.lost = Losses()
        self._parts: list[bytes] = []  # of the message that is being put together
        self._logprobs = list(answer.logprobs)  # of all texts; written with the first one

    def add(self, block: Block) -> None:
        if isinstance(block, Text):
            self._parts.append(self._text(block))
            return
        if isinstance(block, Refusal):
            self._parts.append(refusal_part(encode(block.text)))
            return
        self._end_message()
        if isinstance(block, Thinking):
            self._thinking(block)
        elif isinstance(block, ToolCall):
            self._call(block)
        elif isinstance(block, Opaque) and block.wire == WIRE:
            self.out.append(Raw(block.raw))
        elif isinstance(block, Media):
            self._media(block)
        else:
            self.lost.add(Lost.SERVER_BLOCKS)

    def close(self, finish: Finish) -> list[bytes]:
        self._end_message()
        last = self.out[-1] if self.out else None
        if incomplete_reason(finish) and isinstance(last, dict) and "status" in last:
            last["status"] = "incomplete"
        return [encode(item) for item in self.out]

    def _text(self, block: Text) -> bytes:
        found = [annotation(citation) for citation in block.citations]
        if None in found:
            self.lost.add(Lost.CITATIONS)
        logprobs, self._logprobs = self._logprobs, []
        notes = [note for note in found if note is not None]
        return text_part(encode(block.text), notes, all_tokens(logprobs))

    def _end_message(self) -> None:
        if self._parts:
            self.out.append(message_item(self.items.id("msg", len(self.out)), self._parts))
            self._parts = []

    def _thinking(self, block: Thinking) -> None:
        own = block.signature if block.wire == WIRE else None
        if block.signature and not own:
            self.lost.add(lost_proof(block.redacted))
        if own or not block.redacted:
            id_ = self.items.id("rs", len(self.out), block.id)
            self.out.append(reasoning_item(id_, encode(block.text) if block.text else b"", own))

    def _call(self, call: ToolCall) -> None:
        item = self.items.call(call.name, call.kind, call.namespace, call.id, len(self.out), call.item_id)
        item["status"] = "completed"
        if item["type"] == "tool_search_call":
            item["arguments"] = search_arguments(call.arguments)
        elif "input" not in item:
            item["arguments"] = call.arguments or "{}"
        else:
            item["input"] = call.arguments if call.kind == "custom" else free_input(call.arguments)
        self.out.append(item)

    def _media(self, media: Media) -> None:
        if (item := image_item(self.items.id("ig", len(self.out)), media)) is not None:
            self.out.append(item)
            return
        self.lost.add(Lost.MEDIA_OUTPUT)
        if media.transcript:
            self._parts.append(text_part(encode(media.transcript), [], b"[]"))


def encode_answer(answer: Answer, stamp: Stamp) -> Rendered:
    """Return a ``response``.  A failed answer must go through ``encode_error`` instead."""
    output = _Output(answer, stamp)
    for block in answer.blocks:
        output.add(block)
    finish = answer.finish or Finish("stop")
    _, body = Envelope(stamp, answer.start).finish(finish, output.close(finish), answer.usage)
    output.lost.update(lost_ending(finish))
    return Rendered(body, output.lost.names())


# -- streams

_NONE, _MESSAGE, _REASONING, _FUNCTION, _CUSTOM, _WRAPPED, _SEARCH = range(7)
_NO_PART, _TEXT_PART, _REFUSAL_PART = range(3)
_EMPTY_TEXT: Final = text_part(b'""', [], b"[]")
_EMPTY_REFUSAL: Final = refusal_part(b'""')
_CALLS: Final = {"function_call": _FUNCTION, "custom_tool_call": _CUSTOM, "tool_search_call": _SEARCH}


class ResponsesEncoder(StreamEncoder):
    """See :class:`~.format.StreamEncoder`.  ``_open``: the kind of the open item; ``_part``: of the message's open part.

    ``openai_responses_events.py`` has the patterns of the events.
    """

    def __init__(self, stamp: Stamp) -> None:
        self.dropped: list[str] = []
        self._stamp = stamp
        self._items = Items(stamp)
        self._envelope: Envelope | None = None  # None until Start
        self._sequence = 0
        self._ended = False
        self._usage: Usage | None = None
        self._done: list[bytes] = []  # finished items
        self._open = _NONE
        self._part = _NO_PART
        self._id = b""  # of the open item, as a JSON string
        self._call: Json = {}  # the open item if it is a call
        self._parts: list[bytes] = []  # finished parts of the open message
        self._texts: list[bytes] = []  # escaped deltas of the open part or item
        self._notes: list[Raw | Json] = []  # annotations of the open part
        self._logprobs: list[bytes] = []
        self._prefix = b""  # the bytes of a delta event before its text
        self._encrypted = ""

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            if type(event) is TextDelta and self._part == _TEXT_PART and event.logprobs is None:
                self._say(out, event.text, say.TEXT_TAIL)
            else:
                if self._envelope is None and not isinstance(event, (Start, Failure)):
                    self._on_start(Start(), out)
                _STEP[type(event)](self, event, out)
        return b"".join(out)

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        if self._part != _TEXT_PART or self._ended:
            return super().escaped(texts)
        self._texts += texts
        count = len(texts)
        row = [self._prefix] * (3 * count)
        row[1::3] = texts
        row[2::3] = say.text_tails(self._sequence, count)
        self._sequence += count
        return b"".join(row)

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure: they were cut off."""
        return self.fail(Failure(502, CUT))

    def fail(self, failure: Failure) -> bytes:
        if self._ended:
            return b""
        out: list[bytes] = []
        if self._envelope is None:
            self._on_start(Start(), out)
        assert self._envelope is not None
        # the open item goes into the response, but without its end event: clients act on the end of an item
        sequence = self._sequence
        self._close([], "incomplete")
        self._sequence = sequence
        response = self._envelope.write("failed", self._done, error=failed_error(failure))
        self._event(out, say.ENDED["failed"], response)
        self._ended = True
        return b"".join(out)

    def _event(self, out: list[bytes], pattern: bytes, *values: bytes | int) -> None:
        out.append(pattern % (self._sequence, *values))
        self._sequence += 1

    def _say(self, out: list[bytes], text: str, tail: bytes = say.TAIL) -> None:
        if text:
            escaped = escape(text)
            self._texts.append(escaped)
            out += (self._prefix, escaped, tail % self._sequence)
            self._sequence += 1

    def _said(self) -> bytes:
        """The deltas so far as one JSON string."""
        return b'"%b"' % b"".join(self._texts)

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(str(name))

    # -- items and parts

    def _next(self) -> int:
        """The place of the next item."""
        return len(self._done) + (self._open != _NONE)

    def _enter(self, out: list[bytes], kind: int, id_: bytes, item: bytes) -> None:
        """End the open item and announce another."""
        self._close(out)
        self._open, self._id, self._texts = kind, id_, []
        self._event(out, say.ITEM_ADDED, len(self._done), item)

    def _close(self, out: list[bytes], status: str = "completed") -> None:
        """End the open item."""
        if self._open == _NONE:
            return
        if self._open == _MESSAGE:
            self._close_part(out)
            item = encode(message_item(Raw(self._id), self._parts, status))
            self._parts = []
        elif self._open == _REASONING:
            item = encode(self._end_reasoning(out))
        else:
            item = encode(self._end_call(out, status))
        self._event(out, say.ITEM_DONE, len(self._done), item)
        self._done.append(item)
        self._open = _NONE

    def _whole(self, out: list[bytes], item: bytes) -> None:
        """Write an item that is complete when it is announced."""
        self._close(out)
        for pattern in (say.ITEM_ADDED, say.ITEM_DONE):
            self._event(out, pattern, len(self._done), item)
        self._done.append(item)

    def _enter_part(self, out: list[bytes], kind: int) -> None:
        if self._part == kind:
            return
        if self._open != _MESSAGE:
            self._close(out)
            self._open, self._id = _MESSAGE, encode(self._items.id("msg", len(self._done)))
            self._event(out, say.MESSAGE_ADDED, len(self._done), self._id)
        self._close_part(out)
        self._part, self._texts, self._notes, self._logprobs = kind, [], [], []
        place = (self._id, len(self._done), len(self._parts))
        text = kind == _TEXT_PART
        self._event(out, say.PART_ADDED, *place, _EMPTY_TEXT if text else _EMPTY_REFUSAL)
        self._prefix = (say.TEXT_DELTA if text else say.REFUSAL_DELTA) % place

    def _close_part(self, out: list[bytes]) -> None:
        if self._part == _NO_PART:
            return
        text, place = self._said(), (self._id, len(self._done), len(self._parts))
        if self._part == _TEXT_PART:
            tokens = all_tokens(self._logprobs)
            part = text_part(text, self._notes, tokens)
            self._event(out, say.TEXT_DONE, *place, text, tokens)
        else:
            part = refusal_part(text)
            self._event(out, say.REFUSAL_DONE, *place, text)
        self._event(out, say.PART_DONE, *place, part)
        self._parts.append(part)
        self._part = _NO_PART

    def _enter_reasoning(self, out: list[bytes], given: str | None) -> None:
        if self._open != _REASONING:
            id_ = self._items.id("rs", self._next(), given)
            self._enter(out, _REASONING, encode(id_), encode(reasoning_item(id_, b"", None)))
            self._encrypted = ""
            self._prefix = say.SUMMARY_DELTA % (self._id, len(self._done))

    def _end_reasoning(self, out: list[bytes]) -> Json:
        text, place = self._said(), (self._id, len(self._done))
        if self._texts:
            self._event(out, say.SUMMARY_TEXT_DONE, *place, text)
            self._event(out, say.SUMMARY_DONE, *place, summary_part(text))
        return reasoning_item(Raw(self._id), text if self._texts else b"", self._encrypted or None)

    def _end_call(self, out: list[bytes], status: str) -> Json:
        place = (self._id, len(self._done))
        if self._open == _WRAPPED:
            text, self._texts = free_input(unescape(self._texts)), []
            self._say(out, text)
        elif self._open == _FUNCTION and not self._texts:
            self._say(out, "{}")  # clients parse the text
        if self._open == _SEARCH:
            return {**self._call, "status": status, "arguments": search_arguments(unescape(self._texts))}
        said = self._said()
        if self._open == _FUNCTION:
            self._event(out, say.ARGUMENTS_DONE, *place, encode(self._call["name"]), said)
            return {**self._call, "status": status, "arguments": Raw(said)}
        self._event(out, say.INPUT_DONE, *place, said)
        return {**self._call, "status": status, "input": Raw(said)}

    # -- one method per event

    def _on_start(self, event: Start, out: list[bytes]) -> None:
        if self._envelope is None:
            self._envelope = Envelope(self._stamp, event)
            response = self._envelope.write("in_progress")
            out.append(say.BEGUN % (0, response, 1, response))
            self._sequence = 2

    def _on_text(self, event: TextDelta, out: list[bytes]) -> None:
        self._enter_part(out, _TEXT_PART)
        if event.logprobs is None:
            self._say(out, event.text, say.TEXT_TAIL)
            return
        self._logprobs.append(event.logprobs)
        escaped = escape(event.text)
        self._texts.append(escaped)
        out += (self._prefix, escaped, say.LOGPROBS_TAIL % (tokens_of(event.logprobs), self._sequence))
        self._sequence += 1

    def _on_refusal(self, event: RefusalDelta, out: list[bytes]) -> None:
        self._enter_part(out, _REFUSAL_PART)
        self._say(out, event.text)

    def _on_thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        self._enter_reasoning(out, event.id)
        if event.text and not self._texts:
            self._event(out, say.SUMMARY_ADDED, self._id, len(self._done), summary_part(b'""'))
        self._say(out, event.text)

    def _on_signature(self, event: Signature, out: list[bytes]) -> None:
        if event.wire != WIRE:
            self._drop(lost_proof(event.redacted))
            return
        self._enter_reasoning(out, event.id)
        self._encrypted += event.signature

    def _on_tool(self, event: ToolStart, out: list[bytes]) -> None:
        item = self._items.call(event.name, event.kind, event.namespace, event.id, self._next(), event.item_id)
        kind = _CALLS[item["type"]]
        if kind == _CUSTOM and event.kind != "custom":
            kind = _WRAPPED
        self._enter(out, kind, encode(item["id"]), encode(item))
        self._call = item
        self._prefix = (say.ARGUMENTS_DELTA if kind == _FUNCTION else say.INPUT_DELTA) % (self._id, len(self._done))

    def _on_arguments(self, event: ToolArguments, out: list[bytes]) -> None:
        if self._open in (_WRAPPED, _SEARCH):
            self._texts.append(escape(event.text))
        elif self._open in (_FUNCTION, _CUSTOM):
            self._say(out, event.text)

    def _on_media(self, event: MediaPart, out: list[bytes]) -> None:
        media = event.media
        item = image_item(self._items.id("ig", self._next()), media)
        if item is not None:
            self._whole(out, encode(item))
            return
        self._drop(Lost.MEDIA_OUTPUT)
        if media.transcript:
            self._close_part(out)
            self._on_text(TextDelta(media.transcript), out)

    def _on_citation(self, event: CitationDelta, out: list[bytes]) -> None:
        note = annotation(event.citation)
        if note is None:
            self._drop(Lost.CITATIONS)
            return
        self._enter_part(out, _TEXT_PART)
        place = (self._id, len(self._done), len(self._parts), len(self._notes))
        self._event(out, say.ANNOTATION, *place, encode(note))
        self._notes.append(note)

    def _on_opaque(self, event: OpaquePart, out: list[bytes]) -> None:
        if event.wire == WIRE:
            self._whole(out, compact(event.raw))
        else:
            self._drop(Lost.SERVER_BLOCKS)

    def _on_end(self, event: BlockEnd, out: list[bytes]) -> None:
        if self._open == _MESSAGE:
            self._close_part(out)
        else:
            self._close(out)

    def _on_usage(self, event: Usage, out: list[bytes]) -> None:
        self._usage = merged(self._usage, event)

    def _on_finish(self, event: Finish, out: list[bytes]) -> None:
        for name in lost_ending(event):
            self._drop(name)
        self._close(out, "incomplete" if incomplete_reason(event) else "completed")
        assert self._envelope is not None
        status, response = self._envelope.finish(event, self._done, self._usage)
        self._event(out, say.ENDED[status], response)
        self._ended = True

    def _on_failure(self, event: Failure, out: list[bytes]) -> None:
        out.append(self.fail(event))


_STEP: Final[dict[type, Callable[[ResponsesEncoder, Any, list[bytes]], None]]] = {
    Start: ResponsesEncoder._on_start,
    TextDelta: ResponsesEncoder._on_text,
    ThinkingDelta: ResponsesEncoder._on_thinking,
    Signature: ResponsesEncoder._on_signature,
    RefusalDelta: ResponsesEncoder._on_refusal,
    ToolStart: ResponsesEncoder._on_tool,
    ToolArguments: ResponsesEncoder._on_arguments,
    MediaPart: ResponsesEncoder._on_media,
    CitationDelta: ResponsesEncoder._on_citation,
    OpaquePart: ResponsesEncoder._on_opaque,
    BlockEnd: ResponsesEncoder._on_end,
    Usage: ResponsesEncoder._on_usage,
    Finish: ResponsesEncoder._on_finish,
    Failure: ResponsesEncoder._on_failure,
}
