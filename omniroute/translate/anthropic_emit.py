"""Anthropic Messages streams, written: whatever comes in, the sequence that comes out is legal.

A stream is ``message_start``, complete blocks with contiguous indexes, and one ending.  Clients of this wire retry a broken
stream only until they have seen a ``content_block_stop``.  The stop of a leading thinking block is therefore held back until
the next block starts or the turn ends well, so that after an error in between the client can still retry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..errors import wire_words
from .anthropic_answer import STATUS_OF_TYPE, WIRE, ToolUseIds, message_id, write_finish, write_usage
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
from .fidelity import THREAD_NOT_FOUND, Lost, lost_proof
from .format import Stamp, StreamEncoder
from .jsonio import VALUES, compact, encode
from .text_frame import framed

_NONE, _TEXT, _THINKING, _TOOL, _CUSTOM = range(5)
_END: Final = b"}}\n\n"
_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":'
_TEXT_DELTA: Final = b'"text_delta","text":'
_THINKING_DELTA: Final = b'"thinking_delta","thinking":'
_ARGUMENTS_DELTA: Final = b'"input_json_delta","partial_json":'


def sse(name: str, payload: object) -> bytes:
    """Return one server-sent event.  On this wire the event's name is also the ``type`` in its payload."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(payload))


def error_body(failure: Failure) -> dict[str, Any]:
    """Return the error object, with the failure's own type if this wire knows it, else with the type for its status."""
    kind = failure.type if failure.type in STATUS_OF_TYPE else wire_words(failure.status).anthropic_type
    error: dict[str, Any] = {"type": kind, "message": failure.message}
    if failure.code:
        error["code"] = failure.code
    if failure.code == THREAD_NOT_FOUND:  # the vendor's SDK looks for the code here
        error["details"] = {"error_code": failure.code}
    return {"type": "error", "error": error}


class Encoder(StreamEncoder):
    """Encodes one stream.  ``_open`` says which kind of block is open."""

    def __init__(self, stamp: Stamp) -> None:
        self.dropped: list[str] = []
        self._stamp = stamp
        self._ids = ToolUseIds(stamp)
        self._start: Start | None = None
        self._begun = False  # message_start has been written
        self._done = False
        self._open = _NONE
        self._index = 0
        self._prefix = b""  # the bytes of the open block's deltas that precede their text
        self._committed = False  # a content_block_stop has been written
        self._held = b""  # the stop event of a leading thinking block
        self._usage: Usage | None = None
        self._tools = False
        self._refused = False
        self._arguments = False  # the open tool call has received arguments

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._done:
                break
            if type(event) is TextDelta and self._open == _TEXT and event.logprobs is None:
                if event.text:
                    out.append(self._prefix + encode(event.text) + _END)
            else:
                _STEP[type(event)](self, event, out)
        if self._start is not None and not self._begun and not self._done:
            self._begin(out)
        return b"".join(out)

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        plain = self._open == _TEXT and not self._done
        return framed(texts, self._prefix, _END) if plain else super().escaped(texts)

    def eof(self) -> bytes:
        """Report an error if the events stopped without Finish or Failure, which every decoder gives: they were cut off."""
        return self.fail(Failure(502, CUT))

    def fail(self, failure: Failure) -> bytes:
        """Write ``event: error`` alone: the open block is not stopped and no ``message_stop`` follows."""
        if self._done:
            return b""
        self._done = True
        return sse("error", error_body(failure))

    # -- blocks

    def _begin(self, out: list[bytes]) -> None:
        self._begun = True
        start = self._start or Start()
        message: dict[str, Any] = {
            "id": message_id(start.id, self._stamp),
            "type": "message",
            "role": "assistant",
            "model": start.model or self._stamp.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage),
        }
        out.append(sse("message_start", {"type": "message_start", "message": message}))

    def _close(self, out: list[bytes], hold: bool = False) -> None:
        """End the open block.  *hold*: keep back the stop event if it ends a leading thinking block."""
        if self._open:
            kind, self._open = self._open, _NONE
            if kind == _CUSTOM:
                out.append(self._prefix + b'"\\"}"' + _END)
            self._held = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index
            self._index += 1
            hold = hold and kind == _THINKING and not self._committed
        if self._held and not hold:
            out.append(self._held)
            self._held = b""
            self._committed = True

    def _enter(self, out: list[bytes], kind: int, block: object, delta: bytes = b"") -> None:
        """End the open block and start another; write ``message_start`` first if it is still missing."""
        if not self._begun:
            self._begin(out)
        self._close(out)
        start = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
        out.append(start % (self._index, encode(block)))
        self._open = kind
        self._prefix = _DELTA % self._index + delta

    def _whole(self, out: list[bytes], block: object) -> None:
        """Write a block that is complete in its start event."""
        self._enter(out, _THINKING, block)  # any kind will do: it only decides whether the stop may be held back
        self._close(out, hold=isinstance(block, dict) and block.get("type") == "redacted_thinking")

    def _enter_text(self, out: list[bytes]) -> None:
        if self._open != _TEXT:
            self._enter(out, _TEXT, {"type": "text", "text": ""}, _TEXT_DELTA)

    def _enter_thinking(self, out: list[bytes]) -> None:
        if self._open != _THINKING:
            self._enter(out, _THINKING, {"type": "thinking", "thinking": "", "signature": ""}, _THINKING_DELTA)

    def _note(self, name: Lost) -> None:
        if name not in self.dropped:
            self.dropped.append(name)

    # -- one method per neutral event

    def _on_start(self, event: Start, out: list[bytes]) -> None:
        self._start = event

    def _on_text(self, event: TextDelta, out: list[bytes]) -> None:
        if event.logprobs is not None:
            self._note(Lost.LOGPROBS)
        self._enter_text(out)
        if event.text:
            out.append(self._prefix + encode(event.text) + _END)

    def _on_refusal(self, event: RefusalDelta, out: list[bytes]) -> None:
        self._refused = True
        self._enter_text(out)
        if event.text:
            out.append(self._prefix + encode(event.text) + _END)

    def _on_thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        self._enter_thinking(out)
        if event.text:
            out.append(self._prefix + encode(event.text) + _END)

    def _on_signature(self, event: Signature, out: list[bytes]) -> None:
        if event.wire != WIRE:
            self._note(lost_proof(event.redacted))
        elif event.redacted:
            self._whole(out, {"type": "redacted_thinking", "data": event.signature})
        else:
            self._enter_thinking(out)
            out.append(_DELTA % self._index + b'"signature_delta","signature":' + encode(event.signature) + _END)

    def _on_tool(self, event: ToolStart, out: list[bytes]) -> None:
        self._tools = True
        self._arguments = False
        name = self._stamp.names.get(event.name, event.name)
        block = {"type": "tool_use", "id": self._ids.next(event.id), "name": name, "input": {}}
        self._enter(out, _CUSTOM if event.kind == "custom" else _TOOL, block, _ARGUMENTS_DELTA)
        if event.kind == "custom":  # free text becomes the only member of an object
            out.append(self._prefix + encode('{"input":"') + _END)

    def _on_arguments(self, event: ToolArguments, out: list[bytes]) -> None:
        text = event.text
        if self._open == _CUSTOM:
            text = encode(text)[1:-1].decode()
        elif not self._arguments and text.strip() in ("", "null"):
            return  # some vendors send null when there are no arguments
        if self._open in (_TOOL, _CUSTOM):
            self._arguments = True
            out.append(self._prefix + encode(text) + _END)

    def _on_media(self, event: MediaPart, out: list[bytes]) -> None:
        self._note(Lost.MEDIA_OUTPUT)
        if event.media.transcript:
            self._close(out)
            self._on_text(TextDelta(event.media.transcript), out)

    def _on_citation(self, event: CitationDelta, out: list[bytes]) -> None:
        citation = event.citation
        if citation.wire != WIRE or citation.raw is None:
            self._note(Lost.CITATIONS)
            return
        self._enter_text(out)
        out.append(_DELTA % self._index + b'"citations_delta","citation":' + compact(citation.raw) + _END)

    def _on_opaque(self, event: OpaquePart, out: list[bytes]) -> None:
        if event.wire != WIRE:
            self._note(Lost.SERVER_BLOCKS)
            return
        block = VALUES.get(event.raw) or {"type": event.label}
        if not event.label.endswith("_tool_use") and event.label != "server_tool_use":
            self._whole(out, block)
            return
        value = block.get("input") or {}
        self._enter(out, _TOOL, {**block, "input": {}}, _ARGUMENTS_DELTA)
        if value:
            out.append(self._prefix + encode(encode(value).decode()) + _END)
        self._close(out)

    def _on_end(self, event: BlockEnd, out: list[bytes]) -> None:
        self._close(out, hold=True)

    def _on_usage(self, event: Usage, out: list[bytes]) -> None:
        self._usage = merged(self._usage, event)

    def _on_finish(self, event: Finish, out: list[bytes]) -> None:
        if event.reason == "error":
            out.append(self.fail(Failure(502, "The provider ended the answer with an error.")))
            return
        if not self._begun:
            self._begin(out)
        self._close(out)
        reason, sequence = write_finish(event, self._tools, self._refused)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        out.append(sse("message_delta", {"type": "message_delta", "delta": delta, "usage": write_usage(self._usage)}))
        out.append(_MESSAGE_STOP)
        self._done = True

    def _on_failure(self, event: Failure, out: list[bytes]) -> None:
        out.append(self.fail(event))


_STEP: Final[dict[type, Callable[[Encoder, Any, list[bytes]], None]]] = {
    Start: Encoder._on_start,
    TextDelta: Encoder._on_text,
    ThinkingDelta: Encoder._on_thinking,
    Signature: Encoder._on_signature,
    RefusalDelta: Encoder._on_refusal,
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
