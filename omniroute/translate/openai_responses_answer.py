"""OpenAI Responses answers, written: whole ``response`` objects and event streams.

The events of a stream are numbered without gaps: ``response.created``, ``response.in_progress``, then each item (announced,
sent in deltas, ended with its whole content), last ``response.completed``, ``incomplete`` or ``failed`` with the whole
response.  Consecutive texts are the parts of one message.  A call of a custom tool that was sent upstream as a function
becomes a custom call again, with the text from its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from msgspec import Raw

from .collect import Answer
from .conversation import Block, Media, Opaque, Refusal, Text, Thinking, ToolCall
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
from .fidelity import Losses, Lost, lost_ending, lost_proof
from .format import Rendered, Stamp, StreamEncoder
from .jsonio import compact, encode
from .openai_responses_error import WIRE, failed_error
from .openai_responses_items import (
    Envelope,
    Items,
    Json,
    annotation,
    free_input,
    image_item,
    incomplete_reason,
    message_item,
    reasoning_item,
    refusal_part,
    search_arguments,
    text_part,
    tokens_of,
)
from .text_frame import literals

_CUT: Final = "The upstream's stream ended before the answer was complete"


# -- whole answers


class _Output:
    """Writes the blocks of an answer as items; consecutive texts become one message."""

    def __init__(self, answer: Answer, stamp: Stamp) -> None:
        self.items = Items(stamp)
        self.out: list[Json | Raw] = []
        self.lost = Losses()
        self._parts: list[Json | Raw] = []
        self._logprobs = list(answer.logprobs)  # of all texts; written with the first one

    def add(self, block: Block) -> None:
        if isinstance(block, Text):
            self._parts.append(self._text(block))
            return
        if isinstance(block, Refusal):
            self._parts.append(refusal_part(block.text))
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

    def _text(self, block: Text) -> Json:
        found = [annotation(citation) for citation in block.citations]
        if None in found:
            self.lost.add(Lost.CITATIONS)
        logprobs, self._logprobs = self._logprobs, []
        return text_part(block.text, [note for note in found if note is not None], logprobs)

    def _end_message(self) -> None:
        if self._parts:
            self.out.append(message_item(self.items.id("msg", len(self.out)), self._parts))
            self._parts = []

    def _thinking(self, block: Thinking) -> None:
        own = block.signature if block.wire == WIRE else None
        if block.signature and not own:
            self.lost.add(lost_proof(block.redacted))
        if own or not block.redacted:
            self.out.append(reasoning_item(self.items.id("rs", len(self.out), block.id), block.text, own))

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
            self._parts.append(text_part(media.transcript, [], []))


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
_DELTA: Final = b'event: %b\ndata: {"type":"%b","item_id":%b,"output_index":%d,%b"delta":'
_TEXT_TAIL: Final = b',"logprobs":[],"sequence_number":%d}\n\n'
_TAIL: Final = b',"sequence_number":%d}\n\n'


@cache
def _opening(name: str) -> bytes:
    """The beginning of an event; the few names there are stand in this file."""
    return f'event: {name}\ndata: {{"type":"{name}","sequence_number":'.encode()


class ResponsesEncoder(StreamEncoder):
    """See :class:`~.format.StreamEncoder`.  ``_open``: the kind of the open item; ``_part``: of the message's open part."""

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
        self._item: Json = {}  # the open item
        self._parts: list[Json | Raw] = []  # finished parts of the open message
        self._texts: list[str] = []  # deltas of the open part or item
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
                if event.text:
                    self._texts.append(event.text)
                    out += (self._prefix, encode(event.text), _TEXT_TAIL % self._sequence)
                    self._sequence += 1
            else:
                if self._envelope is None and not isinstance(event, (Start, Failure)):
                    self._on_start(Start(), out)
                _STEP[type(event)](self, event, out)
        return b"".join(out)

    def texts(self, texts: Sequence[str]) -> bytes:
        if self._part != _TEXT_PART or self._ended:
            return super().texts(texts)
        self._texts += texts
        first, self._sequence = self._sequence, self._sequence + len(texts)
        fields: list[Any] = [None] * (2 * len(texts))
        fields[::2] = literals(texts)
        fields[1::2] = range(first, self._sequence)
        return (self._prefix.replace(b"%", b"%%") + b"%b" + _TEXT_TAIL) * len(texts) % tuple(fields)

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure: they were cut off."""
        return self.fail(Failure(502, _CUT))

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
        self._event(out, "response.failed", {"response": Raw(response)})
        self._ended = True
        return b"".join(out)

    def _event(self, out: list[bytes], name: str, members: Json) -> None:
        out.append(b"%b%d,%b\n\n" % (_opening(name), self._sequence, encode(members)[1:]))
        self._sequence += 1

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(str(name))

    # -- items and parts

    def _at(self, **more: object) -> Json:
        return {"item_id": self._item["id"], "output_index": len(self._done), **more}

    def _enter(self, out: list[bytes], kind: int, item: Json) -> None:
        """End the open item and announce another."""
        self._close(out)
        self._open, self._item, self._texts = kind, item, []
        self._event(out, "response.output_item.added", {"output_index": len(self._done), "item": item})

    def _deltas(self, name: bytes, place: bytes = b"") -> None:
        """Prepare the bytes that precede the text of the following deltas."""
        self._prefix = _DELTA % (name, name, encode(self._item["id"]), len(self._done), place)

    def _say(self, out: list[bytes], text: str) -> None:
        if text:
            self._texts.append(text)
            out += (self._prefix, encode(text), _TAIL % self._sequence)
            self._sequence += 1

    def _close(self, out: list[bytes], status: str = "completed") -> None:
        """End the open item."""
        if self._open == _NONE:
            return
        if self._open == _MESSAGE:
            self._close_part(out)
            item = message_item(self._item["id"], self._parts, status)
            self._parts = []
        elif self._open == _REASONING:
            item = self._end_reasoning(out)
        else:
            item = self._end_call(out, status)
        done = encode(item)
        self._event(out, "response.output_item.done", {"output_index": len(self._done), "item": Raw(done)})
        self._done.append(done)
        self._open = _NONE

    def _whole(self, out: list[bytes], item: Json | Raw) -> None:
        """Write an item that is complete when it is announced."""
        self._close(out)
        place = len(self._done)
        self._event(out, "response.output_item.added", {"output_index": place, "item": item})
        self._event(out, "response.output_item.done", {"output_index": place, "item": item})
        self._done.append(compact(encode(item)))

    def _enter_part(self, out: list[bytes], kind: int) -> None:
        if self._part == kind:
            return
        if self._open != _MESSAGE:
            id_ = self._items.id("msg", len(self._done) + (self._open != _NONE))
            self._enter(out, _MESSAGE, message_item(id_, [], "in_progress"))
        self._close_part(out)
        self._part, self._texts, self._notes, self._logprobs = kind, [], [], []
        place = len(self._parts)
        part = text_part("", [], []) if kind == _TEXT_PART else refusal_part("")
        self._event(out, "response.content_part.added", self._at(content_index=place, part=part))
        name = b"response.output_text.delta" if kind == _TEXT_PART else b"response.refusal.delta"
        self._deltas(name, b'"content_index":%d,' % place)

    def _close_part(self, out: list[bytes]) -> None:
        if self._part == _NO_PART:
            return
        text, place = Raw(encode("".join(self._texts))), len(self._parts)
        if self._part == _TEXT_PART:
            part = text_part(text, self._notes, self._logprobs)
            done = self._at(content_index=place, text=text, logprobs=part["logprobs"])
            self._event(out, "response.output_text.done", done)
        else:
            part = refusal_part(text)
            self._event(out, "response.refusal.done", self._at(content_index=place, refusal=text))
        written = Raw(encode(part))
        self._event(out, "response.content_part.done", self._at(content_index=place, part=written))
        self._parts.append(written)
        self._part = _NO_PART

    def _enter_reasoning(self, out: list[bytes], given: str | None) -> None:
        if self._open != _REASONING:
            id_ = self._items.id("rs", len(self._done) + (self._open != _NONE), given)
            self._enter(out, _REASONING, reasoning_item(id_, "", None))
            self._encrypted = ""
            self._deltas(b"response.reasoning_summary_text.delta", b'"summary_index":0,')

    def _end_reasoning(self, out: list[bytes]) -> Json:
        text = "".join(self._texts)
        if text:
            part = {"type": "summary_text", "text": text}
            self._event(out, "response.reasoning_summary_text.done", self._at(summary_index=0, text=text))
            self._event(out, "response.reasoning_summary_part.done", self._at(summary_index=0, part=part))
        return reasoning_item(self._item["id"], text, self._encrypted or None)

    def _end_call(self, out: list[bytes], status: str) -> Json:
        if self._open == _WRAPPED:
            text, self._texts = free_input("".join(self._texts)), []
            self._say(out, text)
        elif self._open == _FUNCTION and not self._texts:
            self._say(out, "{}")  # clients parse the text
        text = "".join(self._texts)
        if self._open == _SEARCH:
            return {**self._item, "status": status, "arguments": search_arguments(text)}
        if self._open == _FUNCTION:
            done = self._at(name=self._item["name"], arguments=text)
            self._event(out, "response.function_call_arguments.done", done)
            return {**self._item, "status": status, "arguments": text}
        self._event(out, "response.custom_tool_call_input.done", self._at(input=text))
        return {**self._item, "status": status, "input": text}

    # -- one method per event

    def _on_start(self, event: Start, out: list[bytes]) -> None:
        if self._envelope is None:
            self._envelope = Envelope(self._stamp, event)
            response = {"response": Raw(self._envelope.write("in_progress"))}
            self._event(out, "response.created", response)
            self._event(out, "response.in_progress", response)

    def _on_text(self, event: TextDelta, out: list[bytes]) -> None:
        self._enter_part(out, _TEXT_PART)
        if event.logprobs is None:
            if event.text:
                self._texts.append(event.text)
                out += (self._prefix, encode(event.text), _TEXT_TAIL % self._sequence)
                self._sequence += 1
            return
        self._texts.append(event.text)
        self._logprobs.append(event.logprobs)
        tail = b',"logprobs":%b' % tokens_of(event.logprobs) + _TAIL % self._sequence
        out += (self._prefix, encode(event.text), tail)
        self._sequence += 1

    def _on_refusal(self, event: RefusalDelta, out: list[bytes]) -> None:
        self._enter_part(out, _REFUSAL_PART)
        self._say(out, event.text)

    def _on_thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        self._enter_reasoning(out, event.id)
        if event.text and not self._texts:
            part = {"type": "summary_text", "text": ""}
            self._event(out, "response.reasoning_summary_part.added", self._at(summary_index=0, part=part))
        self._say(out, event.text)

    def _on_signature(self, event: Signature, out: list[bytes]) -> None:
        if event.wire != WIRE:
            self._drop(lost_proof(event.redacted))
            return
        self._enter_reasoning(out, event.id)
        self._encrypted += event.signature

    def _on_tool(self, event: ToolStart, out: list[bytes]) -> None:
        place = len(self._done) + (self._open != _NONE)
        item = self._items.call(event.name, event.kind, event.namespace, event.id, place, event.item_id)
        custom = item["type"] == "custom_tool_call"
        if item["type"] == "tool_search_call":
            self._enter(out, _SEARCH, item)
            return
        self._enter(out, _FUNCTION if not custom else _CUSTOM if event.kind == "custom" else _WRAPPED, item)
        name = b"response.custom_tool_call_input.delta" if custom else b"response.function_call_arguments.delta"
        self._deltas(name)

    def _on_arguments(self, event: ToolArguments, out: list[bytes]) -> None:
        if self._open in (_WRAPPED, _SEARCH):
            self._texts.append(event.text)
        elif self._open in (_FUNCTION, _CUSTOM):
            self._say(out, event.text)

    def _on_media(self, event: MediaPart, out: list[bytes]) -> None:
        media = event.media
        item = image_item(self._items.id("ig", len(self._done) + (self._open != _NONE)), media)
        if item is not None:
            self._whole(out, item)
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
        place = self._at(content_index=len(self._parts), annotation_index=len(self._notes), annotation=note)
        self._event(out, "response.output_text.annotation.added", place)
        self._notes.append(note)

    def _on_opaque(self, event: OpaquePart, out: list[bytes]) -> None:
        if event.wire == WIRE:
            self._whole(out, Raw(compact(event.raw)))
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
        self._event(out, f"response.{status}", {"response": Raw(response)})
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
