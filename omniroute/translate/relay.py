"""Same wire in and out: the bytes go through unchanged while a tap reads along.

A tap learns the usage and the model, whether the stream has said anything meaningful yet (until then another attempt can
still hide a failure), whether it reached its end, and whether the upstream reported an error.  It lets only whole SSE events
through, so that a stream that dies inside an event can still be ended with a well-formed error.

It holds back two things.  A usage chunk that the gateway asked for and the client did not is removed.  And since Anthropic
clients do not retry after the first ``content_block_stop``, the stop event of a leading thinking block waits until the next
block starts or the turn ends, so that the client still retries after an error in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

from .events import Failure, Usage, merged
from .format import BadAnswer
from .jsonio import is_json, mended
from .openai_chat_shapes import is_failure
from .usage import AnthropicUsage, ChatUsage, from_anthropic, from_chat, with_asides

W = TypeVar("W")
HELD_BYTES: Final = 64 * 1024  # of one incomplete event; a larger one goes through in parts
_SHORT: Final = 32  # bytes; anything shorter is a comment or an end mark, not an event with text
READ_BYTES: Final = 16 * 1024 * 1024  # of an event that goes through in parts; a larger one is not read
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what msgspec raises for bad bytes


class Pipe(Protocol):
    """What connects an upstream's stream with a client: a tap (here) or a translation (in the gateway)."""

    usage: Usage | None
    model: str
    meaningful: bool  # content went out, so the client would notice another attempt
    finished: bool  # the answer reached its end
    ended: bool  # the wire's own last event has come: nothing can follow it
    failure: Failure | None  # the upstream reported this error in its stream
    pieces: int  # approximate number of events so far: the token count, when the upstream reports no usage
    torn: bool  # part of an event has gone out, so nothing else may be written before its rest

    def feed(self, data: bytes) -> bytes:
        """Upstream bytes in, client bytes out."""
        ...

    def eof(self) -> bytes:
        """The upstream's body ended cleanly; ``finished`` then says whether the answer did."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """End the client's stream with an error."""
        ...


_BOUNDARY: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r|\n\r\n")
_WITH_CR: Final = (b"\r\n\r\n", b"\r\r", b"\n\r\n")
_EVENT: Final = re.compile(rb".*?(?:\n\n|\r\n\r\n|\r\r|\n\r\n)|.+\Z", re.DOTALL)
_DATA: Final = re.compile(rb"^data: ?([^\r\n]*)", re.MULTILINE)
_ONE_LINE: Final = re.compile(rb"(?:event:[^\r\n]*\n)?data: ?([^\r\n]*)\n*")  # the usual event


def data_of(event: bytes) -> bytes:
    """Return the data of one SSE event; several ``data`` lines are joined with LF."""
    if usual := _ONE_LINE.fullmatch(event):
        return usual[1]
    lines = _DATA.findall(event if b"\r" not in event else event.replace(b"\r", b"\n"))
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def last_boundary(blob: bytes) -> int:
    """Return the offset at which the last whole event of *blob* ends; 0 if it has none."""
    end = blob.rfind(b"\n\n") + 2
    if b"\r" in blob:
        end = max([end, *(at + len(mark) for mark in _WITH_CR if (at := blob.rfind(mark)) >= 0)])
    return end if end > 1 else 0


def boundary_before(blob: bytes, at: int, start: int = 0) -> int:
    """Return the offset at which the event that contains *at* begins.  *start* must be the beginning of an event."""
    if blob.find(b"\r", start, at) < 0:
        end = blob.rfind(b"\n\n", start, at) + 2
        return end if end > 1 else start
    end = start
    for found in _BOUNDARY.finditer(blob, start, at):
        end = found.end()
    return end


def first_of(words: Sequence[bytes], blob: bytes, start: int, places: list[int]) -> int:
    """Return the lowest offset from *start* on at which one of *words* is found, ``len(blob)`` if none is.

    *places* holds the last offset of each word (-1 at first), so that calls with increasing *start* search nothing twice.
    """
    for number, at in enumerate(places):
        if at < start:
            at = blob.find(words[number], start)
            places[number] = at if at >= 0 else len(blob)
    return min(places)


def events_of(blob: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (event as sent, its data) for each SSE event of *blob*, which holds whole events."""
    start, plain = 0, b"\r" not in blob
    while start < len(blob):
        event = _event_at(blob, start, plain)
        start += len(event)
        yield event, data_of(event)


def _event_at(blob: bytes, start: int, plain: bool) -> bytes:
    """The event that begins at *start*; *plain*: all line ends are LF."""
    if plain:
        end = blob.find(b"\n\n", start) + 2
        return blob[start:end] if end > 1 else blob[start:]
    found = _EVENT.match(blob, start)
    assert found is not None  # the pattern matches whatever is left
    return found[0]


def _about(blob: bytes) -> int:
    """Estimate the number of events in *blob* (at least one) by the length of the first; counting is far slower."""
    first = blob.find(b"\n\n") + 2
    return len(blob) // first if first > _SHORT else 1


class Tap:
    """Cuts the stream at event boundaries; subclasses look at the events.  See :class:`Pipe`."""

    held_bytes = HELD_BYTES

    def __init__(self, encode_failure: Callable[[Failure], bytes]) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.meaningful = False
        self.finished = False
        self.ended = False
        self.failure: Failure | None = None
        self.pieces = 0
        self._encode_failure = encode_failure
        self._tail: list[bytes] = []  # the pieces of an incomplete event
        self._tail_size = 0
        self._gone: list[bytes] = []  # the parts already sent of a torn event, to be read once it is whole
        self._gone_size = 0
        self.torn = False
        self.watch: Callable[[bytes], None] | None = None  # called with every whole event that comes in

    def feed(self, data: bytes) -> bytes:
        if not (self._tail or self.torn) and data.endswith(b"\n\n"):
            self.pieces += _about(data)
            if self.watch is not None:
                self.watch(data)
            return self._look(data)
        return self._cut(data)

    def _cut(self, data: bytes) -> bytes:
        """Let whole events through, keep the rest.  Pieces are joined only at line ends, so byte-wise input stays linear."""
        self._tail.append(data)
        self._tail_size += len(data)
        whole = b""
        if b"\n" in data or b"\r" in data:
            blob = b"".join(self._tail)
            if end := last_boundary(blob):
                whole, rest = blob[:end], blob[end:]
                self._tail, self._tail_size = [rest] if rest else [], len(rest)
            else:
                self._tail = [blob]
        out = self._through(whole) if whole else b""
        return out + self._tear() if self._tail_size > self.held_bytes else out

    def _through(self, whole: bytes) -> bytes:
        """Look at whole events and let them through; the first may be the last part of a torn one."""
        self.pieces += _about(whole)
        done = b""
        if self.torn:
            end = self._first_end(whole)
            done, whole = whole[:end], whole[end:]
            self._read_torn(done)
            self.torn = False
            if not whole:
                return done
        if self.watch is not None:
            self.watch(whole)
        return done + self._look(whole)

    def _first_end(self, blob: bytes) -> int:
        """Return where the first event of *blob* ends; there must be one."""
        found = _BOUNDARY.search(blob)
        assert found is not None
        return found.end()

    def _tear(self) -> bytes:
        """Let through what has arrived of an event that is too large to hold, except line ends that may begin a boundary."""
        rest = self._release_tail()
        out = rest[: max(len(rest.rstrip(b"\r\n")), len(rest) - 3)]
        if ends := rest[len(out) :]:
            self._tail, self._tail_size = [ends], len(ends)
        self.torn = True
        self._gone_size += len(out)
        if self._gone_size <= READ_BYTES:
            self._gone.append(out)
        else:
            self._gone.clear()
        return self._flush() + out

    def _read_torn(self, last: bytes) -> None:
        """Read a torn event, *last* being its last part: it may hold the answer's end and usage."""
        if self._gone_size <= READ_BYTES:
            event = b"".join([*self._gone, last])
            if self.watch is not None:
                self.watch(event)
            self._look(event)  # its output is dropped: the event was already sent
        self._gone.clear()
        self._gone_size = 0

    def _flush(self) -> bytes:
        """Return what is held back of earlier events."""
        return b""

    def _release_tail(self) -> bytes:
        rest = b"".join(self._tail)
        self._tail, self._tail_size = [], 0
        return rest

    def eof(self) -> bytes:
        rest = self._release_tail()
        if self.torn:
            self._read_torn(rest + b"\n\n")
            return rest + self._close()
        if not rest:
            return self._close()
        if self.watch is not None:
            self.watch(rest)
        out = self._look(rest + b"\n\n").removesuffix(b"\n\n")
        if not (self.finished or not rest.strip() or is_json(data_of(rest))):
            return self._close()  # half an event
        self.torn = bool(out)
        return out + self._close()

    def fail(self, failure: Failure) -> bytes:
        """End with an error.  What was held back is discarded: the client must not take it for the end of anything.

        An answer that had already reached its end is only closed: an error would revoke it.
        """
        if self.finished:
            return self._close()
        return (b"\n\n" if self.torn else b"") + self._encode_failure(failure)

    def _close(self) -> bytes:
        return b""

    def _look(self, blob: bytes) -> bytes:
        raise NotImplementedError

    def _learn(self, usage: Usage) -> None:
        self.usage = merged(self.usage, usage)


_ABSENT: Final = Raw()


class _ChatDelta(Struct):
    content: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT
    tool_calls: Raw = _ABSENT
    function_call: Raw = _ABSENT
    refusal: Raw = _ABSENT
    audio: Raw = _ABSENT
    images: Raw = _ABSENT


class _ChatChoice(Struct):
    delta: _ChatDelta | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None  # Moonshot's place for it


class _ChatChunk(Struct):
    model: str | None = None
    choices: list[_ChatChoice] | None = None
    usage: ChatUsage | None = None
    error: Raw = _ABSENT
    object: Raw = _ABSENT
    detail: Raw = _ABSENT  # of error objects in other shapes, which have no choices
    message: Raw = _ABSENT
    base_resp: Raw = _ABSENT

    def is_error(self) -> bool:
        if bytes(self.error) not in _NOTHING:
            return True
        if self.choices is not None:
            return False
        others = self.detail, self.message
        return (
            bytes(self.object) == b'"error"'
            or is_failure(self.base_resp)
            or any(bytes(other) not in _NOTHING for other in others)
        )


_chat_chunk = msgspec.json.Decoder(_ChatChunk)
_NOTHING: Final = (b"", b"null", b'""', b"[]")


def _says_something(choice: _ChatChoice) -> bool:
    delta = choice.delta
    return delta is not None and any(
        bytes(value) not in _NOTHING
        for value in (
            delta.content,
            delta.reasoning_content,
            delta.reasoning,
            delta.tool_calls,
            delta.refusal,
            delta.function_call,
            delta.audio,
            delta.images,
        )
    )


_ENDING: Final = 2048  # bytes; only the end of a long read is searched, since finish reason and usage come last
_CHAT_WORDS: Final = (b'"usage":{', b'"usage": {', b'finish_reason":"', b'finish_reason": "', b'"error"', b"[DONE]")


class ChatTap(Tap):
    """``chat.completion.chunk`` streams.  ``strip_usage``: remove the usage chunk that the client did not ask for."""

    def __init__(
        self,
        encode_failure: Callable[[Failure], bytes],
        decode_error: Callable[[int, bytes], Failure],
        strip_usage: bool = False,
    ) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error
        self._strip = strip_usage
        self._unseen = b""  # the part of the last read that was not searched

    def _look(self, blob: bytes) -> bytes:
        """Read only the events that may matter: the first ones, then those from the first of ``_CHAT_WORDS`` on."""
        kept: list[bytes] = []
        start = 0 if self.meaningful else self._begin(blob, kept)
        look = max(start, len(blob) - _ENDING)
        self._unseen = blob[start:look] if look > start else b""
        hits = [at for word in _CHAT_WORDS if (at := blob.find(word, look)) >= 0]
        if not hits:
            return b"".join([*kept, blob[start:]]) if start else blob
        tail = max(start, boundary_before(blob, min(hits)))
        rest = [raw for raw, data in events_of(blob[tail:]) if self._keep(data)]
        return b"".join([*kept, blob[start:tail], *rest])

    def _begin(self, blob: bytes, kept: list[bytes]) -> int:
        """Read events until one says something; return where that one ends."""
        end = 0
        for raw, data in events_of(blob):
            end += len(raw)
            if self._keep(data):
                kept.append(raw)
            if self.meaningful:
                break
        return end

    def _keep(self, data: bytes) -> bool:
        """Learn from one event; return False if it must be removed."""
        if not data:
            return True
        if data.strip() == b"[DONE]":
            self.finished = self.ended = True
            return True
        try:
            chunk = _chat_chunk.decode(data)
        except UNREADABLE:
            return True
        self.model = self.model or chunk.model or ""
        failed = chunk.is_error()
        if failed and self.failure is None:
            self.failure = self._decode_error(0, data)
        choices = chunk.choices or ()
        ended = not failed and any(choice.finish_reason for choice in choices)
        if ended or any(map(_says_something, choices)):
            self.meaningful = True
            self.finished = self.finished or ended
        usage = chunk.usage or next((choice.usage for choice in choices if choice.usage is not None), None)
        if usage is None:
            return True
        self._learn(from_chat(usage))
        return bool(choices) or not self._strip

    def eof(self) -> bytes:
        if self._unseen and not (self.finished and self.usage is not None):  # the end was not found near the end of a read
            for _, data in events_of(self._unseen):
                self._keep(data)
        out = super().eof()
        # some vendors send neither a finish reason nor [DONE]; usage is then the only sign of the end
        self.finished = self.finished or (self.meaningful and self.usage is not None)
        return out


class _Delta(Struct):
    stop_reason: str | None = None


class _Message(Struct):
    model: str | None = None
    usage: AnthropicUsage | None = None


class _ContentBlock(Struct):
    type: str = ""


class _AnthropicEvent(Struct):
    type: str = ""
    message: _Message | None = None
    content_block: _ContentBlock | None = None
    delta: _Delta | None = None
    usage: AnthropicUsage | None = None


_anthropic_event = msgspec.json.Decoder(_AnthropicEvent)
_THINKING: Final = ("thinking", "redacted_thinking")
_COMMITS: Final = ("content_block_delta", "content_block_stop", "message_delta", "message_stop")


_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_ANTHROPIC_WORDS: Final = (b"content_block_st", b"message_", b'"error"', b"event: error")


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
        places = [blob.find(word) for word in _ANTHROPIC_WORDS]
        if max(places) < 0 and self.meaningful and not self._held:
            return blob
        out: list[bytes] = []
        start, plain, end = 0, b"\r" not in blob, len(blob)
        while start < end:
            if self.meaningful and not self._held:
                first = first_of(_ANTHROPIC_WORDS, blob, start, places)
                begin = boundary_before(blob, first, start) if first < end else end
                out.append(blob[start:begin])
                start = begin
            if start < end:
                event = _event_at(blob, start, plain)
                out.append(self._pass(event, data_of(event)))
                start += len(event)
        return b"".join(out)

    def _pass(self, raw: bytes, data: bytes) -> bytes:
        try:
            event = _anthropic_event.decode(data)
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

    def _note(self, event: _AnthropicEvent) -> None:
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


class _ChatWhole(Struct):
    model: str | None = None
    usage: ChatUsage | None = None


class _AnthropicWhole(Struct):
    model: str | None = None
    usage: AnthropicUsage | None = None


_chat_whole = msgspec.json.Decoder(_ChatWhole)
_anthropic_whole = msgspec.json.Decoder(_AnthropicWhole)


def chat_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole chat completion.  Raises ``BadAnswer`` if the body is not a JSON object."""
    whole = read_whole(_chat_whole, body)
    return (
        (whole.model or "", from_chat(whole.usage) if whole.usage is not None else None) if whole is not None else ("", None)
    )


def anthropic_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole message.  Raises ``BadAnswer`` if the body is not a JSON object."""
    whole = read_whole(_anthropic_whole, body)
    return (
        (whole.model or "", _later(None, whole.usage) if whole.usage is not None else None)
        if whole is not None
        else ("", None)
    )


def read_whole(decoder: msgspec.json.Decoder[W], body: bytes, starts: tuple[bytes, ...] = (b"{",)) -> W | None:
    """Decode a whole answer; None if a member has an unexpected type, since the answer is relayed all the same.

    Raises ``BadAnswer`` if the body is not JSON or does not begin with one of *starts*.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        if body.lstrip()[:1] in starts:
            return None
        raise BadAnswer("it is not a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if (whole := mended(body)) is not None:
            return read_whole(decoder, whole, starts)
        raise BadAnswer(f"it is not JSON: {body[:80].decode('utf-8', 'replace')}") from None
