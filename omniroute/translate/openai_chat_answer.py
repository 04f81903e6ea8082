"""OpenAI chat answers, written: whole ``chat.completion`` objects and ``chat.completion.chunk`` streams.

Chunks are prebuilt byte fragments around the one thing that changes.  A stream is a role chunk, the deltas, one chunk with
the finish reason, one with usage and no choices (if the client asked for it), ``[DONE]``.  After an error event, on which
the SDKs raise, there is no ``[DONE]``.

Thinking is sent as ``reasoning_content``, the member that clients of reasoning models read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from .collect import Answer
from .conversation import Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
from .events import (
    CUT,
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
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
from .names import CallIds
from .openai_chat_error import WIRE, encode_stream_error
from .openai_media import url_of_media
from .text_frame import framed

# there is no word for "error"; "length" at least says that the answer is incomplete
REASON: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "length",
    "other": "stop",
}
_DONE: Final = b"data: [DONE]\n\n"


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return ``usage`` with every member that clients read; ``total_tokens`` is the sum, as the wire defines it."""
    prompt, output = usage.input or 0, usage.output or 0
    details: dict[str, int] = {"cached_tokens": usage.cache_read or 0}
    if usage.cache_write is not None:
        details["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
    }


def _annotation(citation: Citation) -> Raw | dict[str, Any] | None:
    """Return a link with its span in the text; None for citations of documents, which this wire cannot express."""
    if citation.wire == WIRE and citation.raw is not None:
        return Raw(compact(citation.raw))
    if citation.url is None:
        return None
    link = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }
    return {"type": "url_citation", "url_citation": link}


def _image(media: Media) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url_of_media(media)}}


def _lost_media(media: Media) -> bool:
    return media.kind not in ("image", "audio") or not (media.data or media.url or media.transcript)


# -- whole answers


class _Message:
    """Sorts the blocks of an answer into the members of one message."""

    def __init__(self, stamp: Stamp) -> None:
        self.names = stamp.names
        self.id = stamp.id
        self.ids = CallIds(stamp.id)
        self.texts: list[str] = []
        self.thinking: list[str] = []
        self.refusals: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.annotations: list[Raw | dict[str, Any]] = []
        self.audio: Media | None = None
        self.lost = Losses()

    def add(self, block: object) -> None:
        if isinstance(block, Text):
            self.texts.append(block.text)
            for citation in block.citations:
                self._cite(citation)
        elif isinstance(block, Thinking):
            self.thinking.append(block.text)
            if block.signature:
                self.lost.add(lost_proof(block.redacted))
        elif isinstance(block, ToolCall):
            self.calls.append(self._call(block))
        elif isinstance(block, Refusal):
            self.refusals.append(block.text)
        elif isinstance(block, Media) and not _lost_media(block):
            if block.kind == "image":
                self.images.append(_image(block))
            else:
                self.audio = block
        else:
            self.lost.add(Lost.SERVER_BLOCKS if isinstance(block, Opaque) else Lost.MEDIA_OUTPUT)

    def _cite(self, citation: Citation) -> None:
        annotation = _annotation(citation)
        if annotation is None:
            self.lost.add(Lost.CITATIONS)
        else:
            self.annotations.append(annotation)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        id_ = self.ids.next(call.id)
        name = self.names.get(call.name, call.name)
        if call.kind == "custom":
            return {"id": id_, "type": "custom", "custom": {"name": name, "input": call.arguments}}
        written = {"id": id_, "type": "function", "function": {"name": name, "arguments": call.arguments or "{}"}}
        return written if call.extra is None else written | {"extra_content": Raw(compact(call.extra))}

    def object(self) -> dict[str, Any]:
        text = "".join(self.texts)
        silent = not text and (self.calls or self.refusals or self.audio)
        message: dict[str, Any] = {"role": "assistant", "content": None if silent else text}
        message["refusal"] = "".join(self.refusals) or None
        if any(self.thinking):
            message["reasoning_content"] = "".join(self.thinking)
        if self.calls:
            message["tool_calls"] = self.calls
        if self.images:
            message["images"] = self.images
        if self.annotations:
            message["annotations"] = self.annotations
        if self.audio is not None:
            audio = {"id": f"audio_{self.id}", "data": self.audio.data or "", "expires_at": 0}
            message["audio"] = audio | {"transcript": self.audio.transcript or ""}
        return message


def encode_answer(answer: Answer, stamp: Stamp) -> Rendered:
    """Return a ``chat.completion``.  A failed answer must go through ``encode_error`` instead."""
    message = _Message(stamp)
    for block in answer.blocks:
        message.add(block)
    finish = answer.finish or Finish("stop")
    choice = {
        "index": 0,
        "message": message.object(),
        "logprobs": {"content": Raw(joined(answer.logprobs)), "refusal": None} if answer.logprobs else None,
        "finish_reason": REASON[finish.reason],
    }
    body: dict[str, Any] = {
        "id": answer.start.id or stamp.id,
        "object": "chat.completion",
        "created": answer.start.created or stamp.created,
        "model": answer.start.model or stamp.model,
        "choices": [choice],
    }
    if answer.usage is not None:
        body["usage"] = usage_object(answer.usage)
    message.lost.update(lost_ending(finish))
    return Rendered(encode(body), message.lost.names())


# -- streams


class ChatEncoder(StreamEncoder):
    """See :class:`~.format.StreamEncoder`."""

    def __init__(self, stamp: Stamp) -> None:
        self.dropped: list[str] = []
        self._stamp = stamp
        self._usage: Usage | None = None
        self._head = b""  # the bytes of a chunk before its delta; b"" until Start
        self._tail = b""  # the bytes after it, in an ordinary chunk
        self._ended = False
        self._calls = 0
        self._images = 0
        self._sources: list[Raw | dict[str, Any]] = []
        self._ids = CallIds(stamp.id)
        self._custom = False  # the open call is of a custom tool
        self._bare = False  # the open call has had no arguments yet

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        plain = self._plain()
        for event in events:
            if plain and type(event) is TextDelta and event.text and event.logprobs is None:
                out += (self._head, b'{"content":', encode(event.text), self._tail)
            elif not self._ended:
                if not self._head and not isinstance(event, (Start, Failure)):
                    out.append(self._start(Start()))
                out.append(_WRITE[type(event)](self, event))
                plain = self._plain()
        return b"".join(out)

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        return framed(texts, self._head + b'{"content":', self._tail) if self._plain() else super().escaped(texts)

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure: they were cut off."""
        return self.fail(Failure(502, CUT))

    def fail(self, failure: Failure) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return encode_stream_error(failure)

    def _plain(self) -> bool:
        """Whether a text delta needs nothing written before it."""
        return bool(self._head) and not self._ended and not self._bare

    # -- one method per event

    def _start(self, event: Start) -> bytes:
        if self._head:
            return b""
        stamp = self._stamp
        envelope = {
            "id": event.id or stamp.id,
            "object": "chat.completion.chunk",
            "created": event.created or stamp.created,
            "model": event.model or stamp.model,
        }
        self._envelope = b"data: " + encode(envelope)[:-1]
        self._head = self._envelope + b',"choices":[{"index":0,"delta":'
        self._close = b'}],"usage":null}\n\n' if stamp.include_usage else b"}]}\n\n"
        self._tail = b'},"logprobs":null,"finish_reason":null' + self._close
        return self._delta(b'"role":"assistant","content":"","refusal":null')

    def _delta(self, members: bytes) -> bytes:
        return self._end_call() + self._head + b"{" + members + self._tail

    def _end_call(self) -> bytes:
        """End the open call.  One without arguments gets ``{}``, since clients parse the text."""
        if not self._bare:
            return b""
        self._bare = False
        return b"" if self._custom else self._arguments(ToolArguments("{}"))

    def _text(self, event: TextDelta) -> bytes:
        if event.logprobs is None:
            return self._delta(b'"content":' + encode(event.text)) if event.text else b""
        end = b'},"logprobs":{"content":' + compact(event.logprobs) + b',"refusal":null},"finish_reason":null' + self._close
        before = self._end_call()
        return before + self._head + b'{"content":' + encode(event.text) + end

    def _thinking(self, event: ThinkingDelta) -> bytes:
        return self._delta(b'"reasoning_content":' + encode(event.text)) if event.text else b""

    def _signature(self, event: Signature) -> bytes:
        return self._drop(lost_proof(event.redacted))

    def _refusal(self, event: RefusalDelta) -> bytes:
        return self._delta(b'"refusal":' + encode(event.text)) if event.text else b""

    def _tool(self, event: ToolStart) -> bytes:
        before = self._end_call()
        index, self._calls = self._calls, self._calls + 1
        self._custom, kind = event.kind == "custom", event.kind
        body = {
            "name": self._stamp.names.get(event.name, event.name),
            "input" if self._custom else "arguments": "",
        }
        call = {"index": index, "id": self._ids.next(event.id), "type": kind, kind: body}
        if event.extra is not None:
            call["extra_content"] = Raw(compact(event.extra))
        out = before + self._delta(b'"tool_calls":' + encode([call]))
        self._bare = True
        return out

    def _arguments(self, event: ToolArguments) -> bytes:
        if not event.text:
            return b""
        self._bare = False
        start = b'"tool_calls":[{"index":%d,' % (self._calls - 1)
        member = b'"custom":{"input":' if self._custom else b'"function":{"arguments":'
        return self._delta(start + member + encode(event.text) + b"}}]")

    def _media(self, event: MediaPart) -> bytes:
        media = event.media
        if _lost_media(media):
            return self._drop(Lost.MEDIA_OUTPUT)
        if media.kind == "image":
            image = {**_image(media), "index": self._images}  # clients join the items of a list only by their index
            self._images += 1
            return self._delta(b'"images":' + encode([image]))
        audio = {"id": f"audio_{self._stamp.id}", "data": media.data or "", "transcript": media.transcript or ""}
        return self._delta(b'"audio":' + encode(audio))

    def _citation(self, event: CitationDelta) -> bytes:
        """Keep it for the end: annotations have no index, so clients that join deltas need them in one chunk."""
        annotation = _annotation(event.citation)
        if annotation is None:
            return self._drop(Lost.CITATIONS)
        self._sources.append(annotation)
        return b""

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
        out = [self._end_call()]
        if self._sources:
            out.append(self._delta(b'"annotations":' + encode(self._sources)))
        reason = b'{},"logprobs":null,"finish_reason":"%s"' % REASON[event.reason].encode()
        out += (self._head, reason, self._close)
        if self._usage is not None and self._stamp.include_usage:
            out += (self._envelope, b',"choices":[],"usage":', encode(usage_object(self._usage)), b"}\n\n")
        out.append(_DONE)
        self._ended = True
        return b"".join(out)

    def _drop(self, name: str) -> bytes:
        if name not in self.dropped:
            self.dropped.append(str(name))
        return b""


_WRITE: Final[dict[type, Any]] = {
    Start: ChatEncoder._start,
    TextDelta: ChatEncoder._text,
    ThinkingDelta: ChatEncoder._thinking,
    Signature: ChatEncoder._signature,
    RefusalDelta: ChatEncoder._refusal,
    ToolStart: ChatEncoder._tool,
    ToolArguments: ChatEncoder._arguments,
    MediaPart: ChatEncoder._media,
    CitationDelta: ChatEncoder._citation,
    OpaquePart: ChatEncoder._opaque,
    BlockEnd: ChatEncoder._block_end,
    Usage: ChatEncoder._note_usage,
    Finish: ChatEncoder._finish,
    Failure: ChatEncoder.fail,
}
