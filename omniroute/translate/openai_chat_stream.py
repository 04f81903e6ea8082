"""OpenAI chat answers, read: ``chat.completion.chunk`` streams and, through the same code, whole ``chat.completion`` bodies.

Two things make this more than field names.  *Parallel calls may interleave*, and our events may not: the first call is
streamed, what follows waits until that call is complete: its arguments are a whole JSON value, or the answer ends.
*The end comes late*: usage, errors and repeated finish reasons follow the finish reason, so Finish is given out at
``[DONE]`` or at the end of the body.

A stream without ``[DONE]`` and without finish reason is complete when usage came after its content (Snowflake), else it was
cut.  Only the first choice is the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Literal

from msgspec import Raw, Struct, field

from .conversation import Citation, Media
from .events import (
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
    MediaPart,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
)
from .format import BadAnswer
from .jsonio import Shape, encode, is_json
from .openai_chat_error import WIRE, decode_error
from .openai_chat_media import media_of_url
from .openai_chat_shapes import (
    ABSENT,
    CallDelta,
    Choice,
    Chunk,
    Delta,
    Function,
    Image,
    Logprobs,
    Part,
    UrlCitation,
    read_chunk,
)
from .usage import from_chat

HELD_CHARACTERS: Final = 32 * 1024 * 1024  # of tool arguments and audio in one answer; an answer is never that long

FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # other vendors' words
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "error": "error",
    "insufficient_system_resource": "error",
}
_MOST_CHECKS: Final = 64
CUT: Final = "The upstream's stream ended before the answer was complete"


class _Call(Struct):
    """One tool call while it is put together.  ``parts``: its arguments so far."""

    key: int | str
    id: str = ""
    name: str = ""
    kind: Literal["function", "custom"] = "function"
    parts: list[str] = field(default_factory=list)
    state: Literal["new", "waiting", "open", "closed"] = "new"
    checks: int = 0

    def complete(self) -> bool:
        """Whether the arguments are a whole JSON value.  Asked a bounded number of times, each costs their length."""
        if self.kind == "custom" or self.checks >= _MOST_CHECKS or not self.parts:
            return False
        if self.parts[-1].rstrip()[-1:] not in ("}", '"', "]", ""):
            return False
        self.checks += 1
        self.parts = ["".join(self.parts)]
        return is_json(self.parts[0])


class _FlatCitation(UrlCitation, gc=False):
    """Annotations: OpenAI nests the members under ``url_citation``, others do not."""

    type: str | None = None
    url_citation: UrlCitation | None = None


_ANNOTATION: Final[Shape[_FlatCitation]] = Shape(_FlatCitation)


class ChatDecoder:
    """See :class:`~.format.StreamDecoder`."""

    def __init__(self) -> None:
        self._start = Start()
        self._started = False
        self._ended = False
        self._done = False  # [DONE] was seen
        self._finish: Finish | None = None
        self._failure: Failure | None = None
        self._said = False  # there was a choice
        self._usage_last = False  # usage came with or after the last content
        self._vendor_usage: list[Event] = []
        self._text_open = False
        self._calls: dict[int | str, _Call] = {}
        self._keys: dict[str, int | str] = {}  # call id -> key
        self._last: int | str = 0  # key of the last call
        self._made = 0  # calls so far
        self._ids: set[str] = set()  # given out
        self._open: _Call | None = None  # the call that is being streamed
        self._waiting: deque[_Call | Event] = deque()  # what came while the open call was incomplete
        self._audio: list[str] = []
        self._transcript: list[str] = []
        self._held = 0

    # ------------------------------------------------------------------ the protocol

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._ended:
            return ()
        if data[:1] != b"{":
            return self._not_an_object(data)
        chunk = read_chunk(data)
        if name == b"error" or ((chunk.error is not ABSENT or chunk.choices is None) and _is_error(chunk)):
            return self._fail(chunk, data)
        return self.take(chunk)

    def _not_an_object(self, data: bytes) -> Sequence[Event]:
        text = data.strip()
        if text == b"[DONE]":
            self._done = True
            return self.eof()
        if not text or text == b"null":
            return ()
        if text[:1] == b"{":
            return self.feed(b"", text)
        raise BadAnswer(f"not a chat chunk: {data[:80]!r}")

    def eof(self) -> Sequence[Event]:
        if self._ended:
            return ()
        self._ended = True
        out: list[Event] = []
        self._begin(out)
        if self._failure is None and not self._complete():
            self._failure = Failure(502, CUT, wire="")
        self._flush(out)
        out += self._vendor_usage
        out.append(self._failure or self._reason())
        return out

    def _complete(self) -> bool:
        return self._said and (self._done or self._finish is not None or self._usage_last)

    def _fail(self, chunk: Chunk, data: bytes) -> Sequence[Event]:
        """An error object, alone or inside a chunk: the content counts, then the answer has failed."""
        out: list[Event] = list(self.take(chunk)) if chunk.choices else []
        if not self._ended:
            self._failure = decode_error(0, data)
            out += self.eof()
        return out

    def _reason(self) -> Finish:
        finish = self._finish or Finish("stop")
        if self._ids and finish.reason == "stop":
            finish.reason = "tool_calls"
        return finish

    # ------------------------------------------------------------------ chunks

    def take(self, chunk: Chunk) -> Sequence[Event]:
        """The events of one chunk, or of a whole answer (which has ``message`` for ``delta``)."""
        out: list[Event] = []
        start = self._start
        if not self._started:
            start.id = start.id or chunk.id or ""
            start.model = start.model or chunk.model or ""
            start.created = start.created or int(chunk.created or 0)
        for choice in chunk.choices or ():
            if not choice.index:
                self._choice(choice, out)
        if chunk.usage is not None:
            self._begin(out)
            out.append(from_chat(chunk.usage))
            self._usage_last = not chunk.choices
            self._vendor_usage = []
        elif chunk.x_groq is not None and chunk.x_groq.usage is not None:
            self._vendor_usage = [from_chat(chunk.x_groq.usage)]
        return out

    def _begin(self, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(self._start)

    def _choice(self, choice: Choice, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(self._start)
        self._said = True
        delta = choice.delta or choice.message
        if delta is not None:
            self._usage_last = False
            content = delta.content
            if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
                self._reasoning(delta, out)
            if content:
                if isinstance(content, str):
                    self._text(content, choice.logprobs, out)
                else:
                    self._parts(content, out)
            elif choice.logprobs is not None and self._text_open:
                self._text("", choice.logprobs, out)
            if delta.tool_calls:
                for position, call in enumerate(delta.tool_calls):
                    self._call(call, position, out)
            self._rest(delta, out)
        if choice.finish_reason and self._finish is None:
            reason = FINISH.get(choice.finish_reason)
            self._finish = Finish(reason or "other", raw="" if reason else choice.finish_reason)

    def _text(self, text: str, logprobs: Logprobs | None, out: list[Event]) -> None:
        if self._open is not None or self._waiting:
            self._put(TextDelta(text, _array(logprobs)), out)
            return
        self._text_open = True
        if logprobs is None:
            out.append(TextDelta(text))
        elif text or _array(logprobs):
            out.append(TextDelta(text, _array(logprobs)))

    def _put(self, event: Event, out: list[Event]) -> None:
        """Any event but those of tool calls: it waits while a call before it is incomplete."""
        if self._open is not None or self._waiting:
            self._waiting.append(event)
            self._hold(len(event.text) if isinstance(event, (TextDelta, ThinkingDelta, RefusalDelta)) else 1)
            self._advance(out)
            return
        self._text_open = isinstance(event, (TextDelta, CitationDelta))
        out.append(event)

    def _advance(self, out: list[Event]) -> None:
        """Let out what waits, as far as the open call and calls without a name allow."""
        while self._waiting:
            if self._open is not None:
                if not self._open.complete():
                    return
                self._close_call()
            item = self._waiting[0]
            if isinstance(item, _Call):
                if not item.name:
                    return
                self._emit(item, out)
                self._open = item
            else:
                self._text_open = isinstance(item, (TextDelta, CitationDelta))
                out.append(item)
            self._waiting.popleft()

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > HELD_CHARACTERS:
            raise BadAnswer("the answer is too long")

    def _reasoning(self, delta: Delta, out: list[Event]) -> None:
        details = delta.reasoning_details or ()
        text = delta.reasoning_content or delta.reasoning or "".join([d.text or d.summary or "" for d in details])
        if text:
            self._put(ThinkingDelta(text), out)
        for detail in details:
            for proof, redacted in ((detail.signature, False), (detail.data, True)):
                if proof:
                    self._put(Signature(proof, redacted, WIRE), out)

    def _parts(self, parts: list[Part], out: list[Event]) -> None:
        for part in parts:
            if part.thinking is not None:
                inner = part.thinking
                text = inner if isinstance(inner, str) else "".join([p.text or "" for p in inner])
                if text:
                    self._put(ThinkingDelta(text), out)
            elif part.image_url is not None:
                self._image(Image(part.image_url), out)
            elif part.refusal:
                self._put(RefusalDelta(part.refusal), out)
            elif part.text:
                self._text(part.text, None, out)

    def _image(self, image: Image, out: list[Event]) -> None:
        where = image.image_url
        url = where if isinstance(where, str) else where.url if where is not None else None
        if url:
            self._put(MediaPart(media_of_url("image", url)), out)

    def _rest(self, delta: Delta, out: list[Event]) -> None:
        """The members that few answers have."""
        if delta.refusal:
            self._put(RefusalDelta(delta.refusal), out)
        legacy = delta.function_call
        if legacy is not None and (legacy.name or legacy.arguments):
            self._arguments(self._call_at("legacy", ""), legacy.name, legacy, out)
        for raw in delta.annotations or ():
            self._annotation(raw, out)
        for image in delta.images or ():
            self._image(image, out)
        if delta.audio is not None:
            for parts, piece in ((self._audio, delta.audio.data), (self._transcript, delta.audio.transcript)):
                if piece:
                    parts.append(piece)
                    self._hold(len(piece))

    def _annotation(self, raw: Raw, out: list[Event]) -> None:
        found = _ANNOTATION.get(raw)
        if found is None:
            return
        at = found.url_citation or found
        citation = Citation(at.url, at.title, at.content, at.start_index, at.end_index, WIRE, bytes(raw))
        self._put(CitationDelta(citation), out)

    # ------------------------------------------------------------------ tool calls

    def _call(self, delta: CallDelta, position: int, out: list[Event]) -> None:
        custom = delta.custom
        if custom is not None and (custom.name or custom.input):
            call = self._call_at(self._key(delta, position), delta.id or "")
            call.kind = "custom"
            self._arguments(call, custom.name, Function(arguments=custom.input), out)
            return
        function = delta.function or Function()
        key = self._key(delta, position)
        known = self._calls.get(key)
        if known is not None and function.name and delta.id and known.id and delta.id != known.id:
            del self._calls[key]  # a vendor that gives index 0 to every call
        self._arguments(self._call_at(key, delta.id or ""), function.name, function, out)

    def _key(self, delta: CallDelta, position: int) -> int | str:
        """What tells the calls apart: the index, else the id; a delta with neither continues the last call."""
        if delta.index is not None:
            return delta.index
        if delta.id:
            return self._keys.get(delta.id, f"id {delta.id}")
        if delta.function is not None and delta.function.name:
            return f"unnamed {self._made} {position}"
        return self._last

    def _call_at(self, key: int | str, id_: str) -> _Call:
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call(key)
            self._made += 1
        self._last = key
        if id_ and not call.id:
            call.id = id_
            self._keys[id_] = key
        return call

    def _arguments(self, call: _Call, name: str | None, function: Function, out: list[Event]) -> None:
        text = function.arguments
        if text is not None and not isinstance(text, str):
            text = encode(text).decode()
        call.name = call.name or name or ""
        if call.state == "closed" or not (text or call.name):
            return
        if text:
            call.parts.append(text)
            self._hold(len(text))
        if call.state == "open":
            if text:
                out.append(ToolArguments(text))
            return
        if call.state == "new":
            call.state = "waiting"
            self._waiting.append(call)
        self._advance(out)

    def _emit(self, call: _Call, out: list[Event]) -> None:
        self._text_open = False
        call.state = "open"
        out.append(ToolStart(self._unique_id(call), call.name, call.kind))
        if call.parts:
            out.append(ToolArguments("".join(call.parts)))

    def _unique_id(self, call: _Call) -> str:
        """The vendor's id, or a made one where it is missing or has already been used in this answer."""
        if not call.id or call.id in self._ids:
            seed = f"{self._start.id} {len(self._ids)} {call.name}"
            call.id = "call_" + sha256(seed.encode("utf-8", "replace")).hexdigest()[:24]
        self._ids.add(call.id)
        return call.id

    def _close_call(self) -> None:
        assert self._open is not None
        self._open.state = "closed"
        self._open.parts = []
        self._open = None

    def _flush(self, out: list[Event]) -> None:
        """The answer is over: nothing has to wait any more."""
        for item in self._waiting:
            if isinstance(item, _Call):
                self._emit(item, out)
            else:
                out.append(item)
        self._waiting.clear()
        if self._audio or self._transcript:
            media = Media("audio", data="".join(self._audio) or None, transcript="".join(self._transcript) or None)
            out.append(MediaPart(media))


def _array(logprobs: Logprobs | None) -> bytes | None:
    raw = bytes(logprobs.content) if logprobs is not None else b""
    return raw if raw[:1] == b"[" and raw != b"[]" else None


def decode_answer(body: bytes) -> list[Event]:
    """A whole ``chat.completion``; an error under status 200 becomes a Failure.  Raises BadAnswer."""
    data = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:1] == b"[" and _listed_error(data):  # Google wraps errors in a list
        return [Start(), decode_error(0, data)]
    if data[:1] != b"{":
        raise BadAnswer("not a JSON object")
    chunk = read_chunk(data)
    if not chunk.choices and not _is_error(chunk):
        raise BadAnswer("an answer without choices")
    decoder = ChatDecoder()
    return [*decoder.feed(b"", data), *decoder.feed(b"", b"[DONE]")]


def _listed_error(data: bytes) -> bool:
    listed: list[_Listed] | None = _LISTED.get(data)
    return bool(listed) and all(item.error is not ABSENT for item in listed or ())


class _Listed(Struct):
    error: Raw = ABSENT


_LISTED: Final[Shape[list[_Listed]]] = Shape(list[_Listed])


def _is_error(chunk: Chunk) -> bool:
    """``error`` beside or instead of choices, or an error of another shape instead of them."""
    if bytes(chunk.error) not in (b"", b"null", b'""'):
        return True
    return chunk.choices is None and (chunk.detail is not ABSENT or chunk.message is not ABSENT or chunk.object == "error")
