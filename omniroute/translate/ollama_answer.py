"""Ollama answers, written: NDJSON streams and whole objects, for ``/api/chat`` and for ``/api/generate``.

The two endpoints differ only in where the text stands: in ``message``, or in the top-level ``response``.  Lines are prebuilt
byte fragments around the one thing that changes.  A tool call is one line, so its arguments are collected until its end.
An error is the last line of a stream.

Durations (nanoseconds) are 0: clients expect the members, but divide by them only if they are positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Raw

from .collect import Answer
from .conversation import Media, Opaque, Refusal, Text, Thinking, ToolCall
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
from .jsonio import compact, encode, joined
from .names import object_text
from .ollama_error import encode_error
from .ollama_time import rfc3339
from .text_frame import framed

# clients accept any reason; those that look at it know "stop" and "length"
REASON: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "error",
    "other": "stop",
}
_OWN_WORDS: Final = frozenset(("load", "unload"))
_DURATIONS: Final = {"total_duration": 0, "load_duration": 0}


def last_members(finish: Finish, usage: Usage | None) -> dict[str, Any]:
    """Return the members that only the last line has."""
    word = finish.raw if finish.raw in _OWN_WORDS else REASON[finish.reason]
    counts = usage or Usage()
    return {
        "done": True,
        "done_reason": word,
        **_DURATIONS,
        "prompt_eval_count": int(counts.input or 0),
        "prompt_eval_duration": 0,
        "eval_count": int(counts.output or 0),
        "eval_duration": 0,
    }


def _call(call: ToolCall, index: int, stamp: Stamp) -> tuple[dict[str, Any], bool]:
    """Return a call in this wire's shape, and whether its arguments had to be wrapped in an object."""
    arguments, wrapped = object_text(call.arguments, call.kind)
    name = stamp.names.get(call.name, call.name)
    id_ = call.id or "call_" + sha256(f"{stamp.id} {index} {name}".encode("utf-8", "replace")).hexdigest()[:24]
    return {"id": id_, "function": {"index": index, "name": name, "arguments": Raw(compact(arguments))}}, wrapped


def _held(media: Media) -> bool:
    return media.kind == "image" and media.data is not None


# -- whole answers


class _Words:
    """Sorts the blocks of an answer into the members of one message."""

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp
        self.texts: list[str] = []
        self.thinking: list[str] = []
        self.images: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.lost = Losses()

    def add(self, block: object) -> None:
        if isinstance(block, Text):
            self.texts.append(block.text)
            self.lost.add(Lost.CITATIONS, bool(block.citations))
        elif isinstance(block, Thinking):
            self.thinking.append(block.text)
            if block.signature:
                self.lost.add(lost_proof(block.redacted))
        elif isinstance(block, ToolCall):
            call, wrapped = _call(block, len(self.calls), self.stamp)
            self.calls.append(call)
            self.lost.add(Lost.TOOL_ARGUMENTS, wrapped)
        elif isinstance(block, Refusal):
            self.texts.append(block.text)
            self.lost.add(Lost.REFUSAL)
        elif isinstance(block, Media):
            self._media(block)
        elif isinstance(block, Opaque):
            self.lost.add(Lost.SERVER_BLOCKS)

    def _media(self, media: Media) -> None:
        if _held(media):
            self.images.append(media.data or "")
            return
        self.texts += [media.transcript] if media.transcript else []
        self.lost.add(Lost.MEDIA_OUTPUT)

    def members(self, text: str) -> dict[str, Any]:
        """The members; the text is named *text*."""
        out: dict[str, Any] = {text: "".join(self.texts)}
        if any(self.thinking):
            out["thinking"] = "".join(self.thinking)
        if self.calls:
            out["tool_calls"] = self.calls
        return out


def _whole(answer: Answer, stamp: Stamp, chat: bool) -> Rendered:
    words = _Words(stamp)
    for block in answer.blocks:
        words.add(block)
    body: dict[str, Any] = {
        "model": answer.start.model or stamp.model,
        "created_at": rfc3339(answer.start.created or stamp.created),
    }
    if chat:
        body["message"] = {"role": "assistant"} | words.members("content")
        if words.images:
            body["message"]["images"] = words.images
    else:
        body |= words.members("response")
        if words.images:
            body["image"] = words.images[0]
            words.lost.add(Lost.MEDIA_OUTPUT, len(words.images) > 1)
    finish = answer.finish or Finish("stop")
    if answer.logprobs:
        body["logprobs"] = Raw(joined(answer.logprobs))
    body |= last_members(finish, answer.usage)
    words.lost.update(lost_ending(finish))
    return Rendered(encode(body), words.lost.names())


def encode_answer(answer: Answer, stamp: Stamp) -> Rendered:
    """Return the body of an ``/api/chat`` answer.  A failed answer must go through ``encode_error`` instead."""
    return _whole(answer, stamp, chat=True)


def encode_generated(answer: Answer, stamp: Stamp) -> Rendered:
    """Return the body of an ``/api/generate`` answer."""
    return _whole(answer, stamp, chat=False)


# -- streams


class OllamaEncoder(StreamEncoder):
    """See :class:`~.format.StreamEncoder`."""

    text = b'"message":{"role":"assistant","content":'  # the bytes before the text of a line
    close = b"}"  # and after it
    no_text = b'"message":{"role":"assistant","content":"",'
    image = b'"images":[%b]'

    def __init__(self, stamp: Stamp) -> None:
        self.dropped: list[str] = []
        self._stamp = stamp
        self._usage: Usage | None = None
        self._envelope = b""  # the members common to all lines; b"" until Start
        self._head = b""  # the bytes before the text of a text line
        self._tail = self.close + b',"done":false}\n'
        self._ended = False
        self._calls = 0
        self._open: ToolCall | None = None
        self._parts: list[str] = []  # pieces of its arguments

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            if type(event) is TextDelta and self._plain() and event.logprobs is None:
                if event.text:
                    out += (self._head, encode(event.text), self._tail)
                continue
            if not self._head and not isinstance(event, (Start, Failure)):
                self._start(Start())
            out.append(_WRITE[type(event)](self, event))
        return b"".join(out)

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        return framed(texts, self._head, self._tail) if self._plain() else super().escaped(texts)

    def _plain(self) -> bool:
        """Whether a text delta needs nothing written before it."""
        return bool(self._head) and self._open is None and not self._ended

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure: they were cut off."""
        return self.fail(Failure(502, CUT))

    def fail(self, failure: Failure) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return encode_error(failure) + b"\n"

    # -- one method per event

    def _start(self, event: Start) -> bytes:
        if not self._head:
            created = rfc3339(event.created or self._stamp.created)
            self._envelope = encode({"model": event.model or self._stamp.model, "created_at": created})[:-1] + b","
            self._head = self._envelope + self.text
        return b""

    def _line(self, members: bytes) -> bytes:
        """Return a line with *members* and an empty text."""
        return self._end_call() + self._envelope + self.no_text + members + self._tail

    def _end_call(self) -> bytes:
        if self._open is None:
            return b""
        call, self._open = self._open, None
        call.arguments = "".join(self._parts)
        shape, wrapped = _call(call, self._calls, self._stamp)
        self._calls += 1
        if wrapped:
            self._drop(Lost.TOOL_ARGUMENTS)
        return self._line(b'"tool_calls":' + encode([shape]))

    def _text(self, event: TextDelta) -> bytes:
        before = self._end_call()
        if event.logprobs is None:
            return before + (self._head + encode(event.text) + self._tail if event.text else b"")
        logprobs = self.close + b',"logprobs":' + compact(event.logprobs) + b',"done":false}\n'
        return before + self._head + encode(event.text) + logprobs

    def _thinking(self, event: ThinkingDelta) -> bytes:
        return self._line(b'"thinking":' + encode(event.text)) if event.text else b""

    def _signature(self, event: Signature) -> bytes:
        return self._drop(lost_proof(event.redacted))

    def _refusal(self, event: RefusalDelta) -> bytes:
        return self._drop(Lost.REFUSAL) + self._text(TextDelta(event.text))

    def _tool(self, event: ToolStart) -> bytes:
        before = self._end_call()
        self._open, self._parts = ToolCall(event.id, event.name, kind=event.kind), []
        return before

    def _arguments(self, event: ToolArguments) -> bytes:
        self._parts.append(event.text)
        return b""

    def _media(self, event: MediaPart) -> bytes:
        media = event.media
        if _held(media):
            return self._line(self.image % encode(media.data))
        return self._drop(Lost.MEDIA_OUTPUT) + self._text(TextDelta(media.transcript or ""))

    def _citation(self, event: CitationDelta) -> bytes:
        return self._drop(Lost.CITATIONS)

    def _opaque(self, event: OpaquePart) -> bytes:
        return self._drop(Lost.SERVER_BLOCKS)

    def _block_end(self, event: BlockEnd) -> bytes:
        return self._end_call()

    def _note_usage(self, event: Usage) -> bytes:
        self._usage = merged(self._usage, event)
        return b""

    def _finish(self, event: Finish) -> bytes:
        for name in lost_ending(event):
            self._drop(name)
        before = self._end_call()
        self._ended = True
        return before + self._head + b'""' + self.close + b"," + encode(last_members(event, self._usage))[1:] + b"\n"

    def _drop(self, name: str) -> bytes:
        if name not in self.dropped:
            self.dropped.append(str(name))
        return b""


class GenerateEncoder(OllamaEncoder):
    """Writes streams of ``/api/generate``."""

    text = b'"response":'
    close = b""
    no_text = b'"response":"",'
    image = b'"image":%b'


_WRITE: Final[dict[Any, Any]] = {
    Start: OllamaEncoder._start,
    TextDelta: OllamaEncoder._text,
    ThinkingDelta: OllamaEncoder._thinking,
    Signature: OllamaEncoder._signature,
    RefusalDelta: OllamaEncoder._refusal,
    ToolStart: OllamaEncoder._tool,
    ToolArguments: OllamaEncoder._arguments,
    MediaPart: OllamaEncoder._media,
    CitationDelta: OllamaEncoder._citation,
    OpaquePart: OllamaEncoder._opaque,
    BlockEnd: OllamaEncoder._block_end,
    Usage: OllamaEncoder._note_usage,
    Finish: OllamaEncoder._finish,
    Failure: OllamaEncoder.fail,
}
