"""Ollama answers, read: NDJSON streams and, through the same code, whole objects.

A line may hold thinking, text, images and tool calls at once, in this order.  Calls come whole, with their arguments as an
object, and mostly without an id.  An id is then made from the answer's time and the call's place: reading the same answer
again gives the same id, another turn a different one.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from msgspec import Raw

from .conversation import Media
from .events import (
    CUT,
    Event,
    Failure,
    Finish,
    FinishReason,
    MediaPart,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
)
from .format import BadAnswer, StreamDecoder
from .jsonio import ABSENT, STRING, compact
from .ollama_error import decode_error
from .ollama_shapes import Call, Line, read_line
from .ollama_time import unix_of
from .usage import from_ollama

FINISH: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_NOTHING: Final = (b"", b"null", b'""')


class OllamaDecoder(StreamDecoder):
    """See :class:`~.format.StreamDecoder`."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._seed = ""
        self._ids: set[str] = set()

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._ended:
            return ()
        line = read_line(data)
        out: list[Event] = []
        if not self._started:
            self._begin(line, out)
        message = line.message
        if message is not None:
            if message.thinking:
                out.append(ThinkingDelta(message.thinking))
            if message.content:
                out.append(TextDelta(message.content) if line.logprobs is ABSENT else _with_logprobs(message.content, line))
            if message.images or message.tool_calls:
                self._rest(message.images or (), message.tool_calls or (), out)
        elif line.response is not None:
            self._generated(line, out)
        if line.error is not ABSENT and bytes(line.error) not in _NOTHING:
            self._ended = True
            out.append(decode_error(0, data))
        elif line.done:
            self._finish(line, out)
        return out

    def eof(self) -> Sequence[Event]:
        if self._ended:
            return ()
        self._ended = True
        start: list[Event] = [] if self._started else [Start()]
        return [*start, Failure(502, CUT)]

    def _begin(self, line: Line, out: list[Event]) -> None:
        self._started = True
        self._seed = line.created_at or ""
        out.append(Start("", line.model or "", unix_of(self._seed)))

    def _generated(self, line: Line, out: list[Event]) -> None:
        """Emit the text of ``/api/generate``, which has no ``message``."""
        if line.thinking:
            out.append(ThinkingDelta(line.thinking))
        if line.response:
            out.append(_with_logprobs(line.response, line))
        self._rest([line.image] if line.image else (), line.tool_calls or (), out)

    def _rest(self, images: Sequence[str], calls: Sequence[Call], out: list[Event]) -> None:
        out.extend(MediaPart(Media("image", data=data)) for data in images)
        for call in calls:
            if call.function is not None and call.function.name:
                out.append(ToolStart(self._id(call, call.function.name), call.function.name))
                out.append(ToolArguments(_arguments(call.function.arguments)))

    def _id(self, call: Call, name: str) -> str:
        id_ = call.id or ""
        if not id_ or id_ in self._ids:
            seed = f"{self._seed} {len(self._ids)} {name}"
            id_ = "call_" + sha256(seed.encode("utf-8", "replace")).hexdigest()[:24]
        self._ids.add(id_)
        return id_

    def _finish(self, line: Line, out: list[Event]) -> None:
        self._ended = True
        usage = from_ollama(line)
        if usage is not None:
            out.append(usage)
        word = line.done_reason or "stop"
        reason = FINISH.get(word)
        if reason == "stop" and self._ids:
            reason = "tool_calls"
        out.append(Finish(reason or "other", raw="" if reason else word))


def _with_logprobs(text: str, line: Line) -> TextDelta:
    raw = bytes(line.logprobs)
    return TextDelta(text, raw if raw[:1] == b"[" and raw != b"[]" else None)


def _arguments(raw: Raw) -> str:
    """Return the arguments as JSON text.  Some servers send that text in a string."""
    data = bytes(raw)
    if data in _NOTHING:
        return "{}"
    if data[:1] == b'"':
        return STRING.answer(raw)
    return compact(raw).decode("utf-8", "replace")


def decode_answer(body: bytes) -> list[Event]:
    """Read a whole answer, or the lines of a stream; an error under status 200 becomes a Failure.  Raises BadAnswer."""
    decoder = OllamaDecoder()
    data = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:1] != b"{":
        raise BadAnswer("not a JSON object")
    try:
        return _complete(decoder, [data])
    except BadAnswer:
        lines = [line for line in data.split(b"\n") if line.strip()]
        if len(lines) < 2:
            raise
        return _complete(OllamaDecoder(), lines)


def _complete(decoder: OllamaDecoder, lines: list[bytes]) -> list[Event]:
    events = [event for line in lines for event in decoder.feed(b"", line)]
    if len(events) == 1 and len(lines) == 1:
        raise BadAnswer("an answer without a message")
    return [*events, *decoder.eof()]
