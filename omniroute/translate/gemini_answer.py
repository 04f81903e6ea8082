"""Gemini answers, written: whole ``GenerateContentResponse`` objects and streams of them.

Each chunk of a stream is a response with one part.  A function call is one part with its whole arguments, so arguments are
collected first.  The last chunk has the finish reason and the token counts.  Clients that do not ask for ``alt=sse`` get the
chunks as one JSON array (:class:`ArrayEncoder`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Raw

from .collect import Answer
from .conversation import Block, Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
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
from .fidelity import Lost, lost_ending, lost_proof
from .format import Rendered, Stamp, StreamEncoder
from .gemini_error import ERROR_MARK, WIRE, encode_stream_error
from .gemini_grounding import Said, write_citations, write_logprobs
from .gemini_shapes import usage_object, write_finish
from .jsonio import compact, encode
from .names import object_text
from .text_frame import framed, unescape

_EMPTY: Final = [{"text": ""}]
_DEFAULT_MIME: Final = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}


def media_part(media: Media) -> dict[str, Any] | None:
    """Return an ``inlineData`` or ``fileData`` part; None when there are neither bytes nor a link."""
    mime = media.mime or _DEFAULT_MIME[media.kind]
    if media.data is not None:
        part: dict[str, Any] = {"inlineData": {"mimeType": mime, "data": media.data}}
    elif media.url or media.file_id:
        part = {"fileData": {"mimeType": mime, "fileUri": media.url or media.file_id}}
    else:
        return None
    return signed(part, media.signature)


def signed(part: dict[str, Any], signature: str | None) -> dict[str, Any]:
    """Add the signature, if any, to *part* and return it."""
    if signature:
        part["thoughtSignature"] = signature
    return part


class _Parts:
    """Blocks -> parts, and the names of what the parts cannot represent."""

    def __init__(self, stamp: Stamp) -> None:
        self._names = stamp.names
        self.dropped: list[str] = []

    def drop(self, name: Lost) -> None:
        if name not in self.dropped:
            self.dropped.append(name)

    def of(self, block: Block) -> list[dict[str, Any] | Raw]:
        match block:
            case Text():
                return [signed({"text": block.text}, block.signature)]
            case Refusal():
                self.drop(Lost.REFUSAL)
                return [{"text": block.text}]
            case Thinking():
                return self._thinking(block)
            case ToolCall():
                return [self.call(block)]
            case Media():
                return self._media(block)
            case Opaque() if block.wire == WIRE:
                return [Raw(compact(block.raw))]
        self.drop(Lost.SERVER_BLOCKS)
        return []

    def _thinking(self, block: Thinking) -> list[dict[str, Any] | Raw]:
        own = block.wire == WIRE
        if block.signature and not own:
            self.drop(lost_proof(block.redacted))
        signature = block.signature if own else None
        if not block.text:  # the vendor, too, sends a signature without thoughts on a part with an empty text
            return [signed({"text": ""}, signature)] if signature else []
        return [signed({"text": block.text, "thought": True}, signature)]

    def call(self, call: ToolCall) -> dict[str, Any]:
        text, wrapped = object_text(call.arguments, call.kind)
        if wrapped:
            self.drop(Lost.TOOL_ARGUMENTS)
        function: dict[str, Any] = {"name": self._names.get(call.name, call.name), "args": Raw(compact(text))}
        if call.id:
            function["id"] = call.id
        return signed({"functionCall": function}, call.signature)

    def _media(self, media: Media) -> list[dict[str, Any] | Raw]:
        part = media_part(media)
        if part is not None:
            return [part]
        self.drop(Lost.MEDIA_OUTPUT)
        return [{"text": media.transcript}] if media.transcript else []

    def citations(self, citations: list[Citation], text: str | None) -> dict[str, Any]:
        members, lost = write_citations(citations, text)
        if lost:
            self.drop(Lost.CITATIONS)
        return members

    def finish(self, finish: Finish) -> str:
        for name in lost_ending(finish):
            self.drop(name)
        return write_finish(finish)


def encode_answer(answer: Answer, stamp: Stamp) -> Rendered:
    """Return a whole response.  A failed answer must go through ``encode_error`` instead."""
    parts = _Parts(stamp)
    written = [part for block in answer.blocks for part in parts.of(block)]
    texts = [block for block in answer.blocks if isinstance(block, Text)]
    citations = [c for block in texts for c in block.citations]
    candidate: dict[str, Any] = {
        "content": {"parts": written or _EMPTY, "role": "model"},
        "finishReason": parts.finish(answer.finish or Finish("stop")),
        "index": 0,
    }
    if citations:
        candidate |= parts.citations(citations, "".join([block.text for block in texts]))
    if (logprobs := write_logprobs(answer.logprobs)) is not None:
        candidate["logprobsResult"] = logprobs
    body: dict[str, Any] = {"candidates": [candidate]}
    if answer.usage is not None:
        body["usageMetadata"] = usage_object(answer.usage)
    body["modelVersion"] = answer.start.model or stamp.model
    body["responseId"] = answer.start.id or stamp.id
    return Rendered(encode(body), tuple(parts.dropped))


# -- streams


class Encoder(StreamEncoder):
    """See :class:`~.format.StreamEncoder`.  ``_call`` is the tool call whose arguments are being collected."""

    _opening, _before, _after, _closing, _failing = b"", b"data: ", b"\n\n", b"", ERROR_MARK

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._parts = _Parts(stamp)
        self.dropped = self._parts.dropped
        self._head = b""  # the bytes of a chunk before its part; b"" until Start
        self._tail = b""  # the bytes after it
        self._ended = False
        self._call: ToolCall | None = None
        self._arguments: list[str] = []
        self._citations: list[Citation] = []
        self._text = Said()  # so far
        self._usage: Usage | None = None
        self._pieces = False  # a chunk has been written

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and self._plain and event.logprobs is None:
                if event.text:
                    self._text.add(event.text)
                    out += (self._head, b'{"text":', encode(event.text), b"}", self._tail)
            elif not self._ended:
                if not self._head:
                    self._begin(event if isinstance(event, Start) else Start())
                _STEP[type(event)](self, event, out)
        return b"".join(out)

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        if not self._plain:
            return super().escaped(texts)
        self._text.add(unescape(texts))
        return framed(texts, self._head + b'{"text":', b"}" + self._tail)

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure: they were cut off."""
        return self.fail(Failure(502, CUT))

    def fail(self, failure: Failure) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        before = b"" if self._pieces else self._opening
        return before + self._before + encode_stream_error(failure) + self._after + self._failing

    @property
    def _plain(self) -> bool:
        """Whether a text delta needs nothing written before it."""
        return self._pieces and self._call is None and not self._ended

    # -- chunks

    def _begin(self, start: Start) -> None:
        stamp = self._stamp
        ends = encode({"modelVersion": start.model or stamp.model, "responseId": start.id or stamp.id})[1:]
        self._ends = ends + self._after
        self._head = self._before + b'{"candidates":[{"content":{"parts":['
        self._tail = b'],"role":"model"},"index":0}],' + self._ends

    def _put(self, parts: Sequence[dict[str, Any] | Raw], out: list[bytes]) -> None:
        for part in parts:
            self._raw(encode(part), out)

    def _raw(self, part: bytes, out: list[bytes]) -> None:
        self._first(out)
        out += (self._head, part, self._tail)

    def _first(self, out: list[bytes]) -> None:
        if not self._pieces:
            self._pieces = True
            out.append(self._opening)

    def _end_call(self, out: list[bytes]) -> None:
        if self._call is not None:
            call, self._call = self._call, None
            call.arguments = "".join(self._arguments)
            self._arguments = []
            self._put([self._parts.call(call)], out)

    # -- one method per event

    def _on_start(self, event: Start, out: list[bytes]) -> None:
        pass

    def _on_text(self, event: TextDelta | RefusalDelta, out: list[bytes]) -> None:
        self._end_call(out)
        if isinstance(event, RefusalDelta):
            self._parts.drop(Lost.REFUSAL)
        else:
            self._text.add(event.text)
        logprobs = write_logprobs([event.logprobs]) if isinstance(event, TextDelta) and event.logprobs else None
        if logprobs is not None:
            content = {"parts": [{"text": event.text}], "role": "model"}
            self._candidate({"content": content, "index": 0, "logprobsResult": logprobs}, out)
        elif event.text:
            self._raw(b'{"text":' + encode(event.text) + b"}", out)

    def _on_thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        self._end_call(out)
        if event.text:
            self._raw(b'{"text":' + encode(event.text) + b',"thought":true}', out)

    def _on_signature(self, event: Signature, out: list[bytes]) -> None:
        self._end_call(out)
        self._put(self._parts.of(Thinking("", event.signature, event.redacted, event.wire)), out)

    def _on_tool(self, event: ToolStart, out: list[bytes]) -> None:
        self._end_call(out)
        self._call = ToolCall(event.id, event.name, kind=event.kind, signature=event.signature)

    def _on_arguments(self, event: ToolArguments, out: list[bytes]) -> None:
        self._arguments.append(event.text)

    def _on_media(self, event: MediaPart, out: list[bytes]) -> None:
        self._end_call(out)
        self._put(self._parts.of(event.media), out)

    def _on_citation(self, event: CitationDelta, out: list[bytes]) -> None:
        self._citations.append(event.citation)

    def _on_opaque(self, event: OpaquePart, out: list[bytes]) -> None:
        self._end_call(out)
        self._put(self._parts.of(Opaque(event.wire, event.label, event.raw)), out)

    def _on_end(self, event: BlockEnd, out: list[bytes]) -> None:
        self._end_call(out)

    def _on_usage(self, event: Usage, out: list[bytes]) -> None:
        self._usage = merged(self._usage, event)

    def _on_finish(self, event: Finish, out: list[bytes]) -> None:
        self._end_call(out)
        reason = self._parts.finish(event)
        candidate: dict[str, Any] = {"content": {"parts": _EMPTY, "role": "model"}, "finishReason": reason, "index": 0}
        if self._citations:
            candidate |= self._parts.citations(self._citations, self._text.text())
        self._candidate(candidate, out, self._usage)
        out.append(self._closing)
        self._ended = True

    def _candidate(self, candidate: dict[str, Any], out: list[bytes], usage: Usage | None = None) -> None:
        self._first(out)
        counts = b'"usageMetadata":' + encode(usage_object(usage)) + b"," if usage is not None else b""
        out += (self._before, b'{"candidates":[', encode(candidate), b"],", counts, self._ends)

    def _on_failure(self, event: Failure, out: list[bytes]) -> None:
        out.append(self.fail(event))


class ArrayEncoder(Encoder):
    """The same chunks as one JSON array, for clients that do not ask for ``alt=sse``."""

    _opening, _before, _after, _closing, _failing = b"[", b",\r\n", b"", b"]", b"]"

    def feed(self, events: Sequence[Event]) -> bytes:
        return self._unled(super().feed(events))

    def fail(self, failure: Failure) -> bytes:
        return self._unled(super().fail(failure))

    @staticmethod
    def _unled(out: bytes) -> bytes:
        """Remove the comma before the first chunk."""
        return b"[" + out[4:] if out.startswith(b"[,\r\n") else out


_STEP: Final[dict[type, Callable[[Encoder, Any, list[bytes]], None]]] = {
    Start: Encoder._on_start,
    TextDelta: Encoder._on_text,
    ThinkingDelta: Encoder._on_thinking,
    Signature: Encoder._on_signature,
    RefusalDelta: Encoder._on_text,
    ToolStart: Encoder._on_tool,
    ToolArguments: Encoder._on_arguments,
    MediaPart: Encoder._on_media,
    CitationDelta: Encoder._on_citation,
    OpaquePart: Encoder._on_opaque,
    BlockEnd: Encoder._on_end,
    Usage: Encoder._on_usage,
    Finish: Encoder._on_finish,
    Failure: Encoder._on_failure,
}
