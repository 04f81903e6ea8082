"""Same-wire relaying of Anthropic streams.

Clients of this wire do not retry after the first ``content_block_stop``.  The stop event of a leading thinking block
therefore waits until the next block starts or the turn ends, so that the client still retries after an error in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from .events import Failure, Usage
from .relay import UNREADABLE, Tap, boundary_before, data_of, event_at, first_of, read_whole
from .usage import AnthropicUsage, from_anthropic, with_asides


class _Delta(Struct):
    stop_reason: str | None = None


class _Message(Struct):
    model: str | None = None
    usage: AnthropicUsage | None = None


class _ContentBlock(Struct):
    type: str = ""


class _Event(Struct):
    type: str = ""
    message: _Message | None = None
    content_block: _ContentBlock | None = None
    delta: _Delta | None = None
    usage: AnthropicUsage | None = None


_event = msgspec.json.Decoder(_Event)
_THINKING: Final = ("thinking", "redacted_thinking")
_COMMITS: Final = ("content_block_delta", "content_block_stop", "message_delta", "message_stop")


_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_WORDS: Final = (b"content_block_st", b"message_", b'"error"', b"event: error")


class AnthropicTap(Tap):
    """Anthropic ``message_*`` and ``content_block_*`` streams, with the leading thinking block's stop held back."""

    def __init__(self, encode_failure: Callable[[Failure], bytes], decode_error: Callable[[int, bytes], Failure]) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error
        self._leading = True  # only thinking blocks have been closed so far
        self._thinking = False  # the open block is thinking
        self._stopped = False
        self._held: list[bytes] = []

    def _look(self, blob: bytes) -> bytes:
        """Read events.  Deltas, nearly all of them, pass unread once something was said and nothing is held back."""
        places = [blob.find(word) for word in _WORDS]
        if max(places) < 0 and self.meaningful and not self._held:
            if self._frames:
                self._learn_frame(blob)
            return blob
        out: list[bytes] = []
        start, plain, end = 0, b"\r" not in blob, len(blob)
        while start < end:
            if self.meaningful and not self._held:
                first = first_of(_WORDS, blob, start, places)
                begin = boundary_before(blob, first, start) if first < end else end
                out.append(blob[start:begin])
                start = begin
            if start < end:
                event = event_at(blob, start, plain)
                out.append(self._pass(event, data_of(event)))
                start += len(event)
        return b"".join(out)

    def _pass(self, raw: bytes, data: bytes) -> bytes:
        try:
            event = _event.decode(data)
        except UNREADABLE:
            return self._after_held(raw) if not self._held else self._hold(raw)
        if event.type in _COMMITS:
            self.meaningful = True
        if event.type == "error":
            self.failure = self.failure or self._decode_error(0, data)
            self._held.clear()
            return raw
        self._note(event)
        if event.type == "content_block_stop" and self._thinking and self._leading:
            return self._hold(raw)
        if self._held and event.type in ("ping", ""):
            return self._hold(raw)
        if event.type == "content_block_stop":
            self._leading = False
        return self._after_held(raw)

    def _note(self, event: _Event) -> None:
        if event.message is not None:
            self.model = self.model or event.message.model or ""
            if event.message.usage is not None:
                self._learn(from_anthropic(event.message.usage))
        if event.usage is not None:
            self._learn(_later(self.usage, event.usage))
        if event.content_block is not None:
            self._thinking = event.content_block.type in _THINKING
        self._stopped = self.ended = self._stopped or event.type == "message_stop"
        if self._stopped or (event.delta is not None and event.delta.stop_reason):
            self.finished = True

    def _hold(self, raw: bytes) -> bytes:
        self._frame = None  # nothing passes unread meanwhile
        self._held.append(raw)
        return b""

    def _flush(self) -> bytes:
        return self._after_held(b"")

    def _after_held(self, raw: bytes) -> bytes:
        if not self._held:
            return raw
        out = b"".join([*self._held, raw])
        self._held.clear()
        return out

    def _close(self) -> bytes:
        """Return what is still to be written at the end of a turn without an error."""
        if not self.finished or self._stopped or self.failure is not None:
            return self._after_held(b"") if self.finished else b""
        self._stopped = True
        return self._after_held((b"\n\n" if self.torn else b"") + _MESSAGE_STOP)


def _later(known: Usage | None, counts: AnthropicUsage) -> Usage:
    """Merge the counts of ``message_delta``, which repeats only some; without cache counts the prompt's total stays.

    The result is what the call is charged for, so runs beside the answer are included.
    """
    later = from_anthropic(counts)
    if known is not None and later.input is not None and later.cache_read is None and later.cache_write is None:
        cached = (known.cache_read or 0) + (known.cache_write or 0)
        later.input += cached
    return with_asides(later, counts.iterations)


_message = msgspec.json.Decoder(_Message)


def anthropic_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole message.  Raises ``BadAnswer`` if the body is not a JSON object."""
    message = read_whole(_message, body)
    if message is None:
        return "", None
    return message.model or "", _later(None, message.usage) if message.usage is not None else None
