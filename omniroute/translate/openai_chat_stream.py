"""OpenAI chat answers, read: ``chat.completion.chunk`` streams and, through the same code, whole ``chat.completion`` bodies.

Usage, errors and repeated finish reasons may follow the finish reason, so Finish is emitted at ``[DONE]`` or at the end of
the body.  ``openai_chat_calls.py`` puts interleaved calls in sequence.

A stream without ``[DONE]`` and without a finish reason is complete if usage came after its content (Snowflake), else it was
cut off.  Only the first choice is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct

from .conversation import Media
from .events import (
    CUT,
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
)
from .format import BadAnswer, StreamDecoder
from .jsonio import ABSENT, Shape, check_text
from .openai_chat_calls import Row
from .openai_chat_error import WIRE, decode_error
from .openai_chat_shapes import (
    UNFINISHED,
    Choice,
    Chunk,
    Delta,
    Image,
    Logprobs,
    Part,
    is_failure,
    plain_text,
    read_chunk,
)
from .openai_chat_sources import Sources
from .openai_media import media_of_url
from .text_frame import TextFrame, frame_of
from .think import ThinkSplitter
from .usage import from_chat

FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # other vendors' words
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"), "content_filter"),
    **dict.fromkeys(("error", "abort", "network_error", "insufficient_system_resource"), "error"),
    **dict.fromkeys(("function_call_filter", "malformed_function_call"), "error"),
}
_CONTENT: Final = b'"content":'
_NOTHING: Final = (b"", b"null", b'""')
_FRAMES: Final = 4  # attempts to find a stream's frame: some vendors put something new into every chunk


def _finish_of(word: str) -> Finish:
    """Return the neutral finish reason.  Google's endpoint appends a detail after a colon: ``content_filter: SAFETY``."""
    reason = FINISH.get(word) or FINISH.get(word.partition(":")[0].lower())
    return Finish(reason or "other", raw=word if reason in (None, "error") else "")


class ChatDecoder(StreamDecoder):
    """See :class:`~.format.StreamDecoder`."""

    def __init__(self) -> None:
        self._start = Start()
        self._started = False
        self._ended = False
        self._done = False  # [DONE] was seen
        self._finish: Finish | None = None
        self._failure: Failure | None = None
        self._said = False  # a choice was seen
        self._told = False  # a choice that held more than a piece of text made some event
        self._messages = False  # this vendor sends ``message`` in place of ``delta``
        self._usage_last = False  # usage came with or after the last content
        self._vendor_usage: list[Event] = []
        self._row = Row(self._start)
        self._frame: TextFrame | None = None
        self._frames = _FRAMES
        self._sources = Sources()
        self._marked: ThinkSplitter | None = None  # in text that is marked as thinking, up to the end of that
        self._audio: list[str] = []
        self._transcript: list[str] = []

    # -- the protocol

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._ended:
            return ()
        if data[:1] != b"{":
            return self._not_an_object(data)
        if self._frame is not None and not name and (text := self._frame.text(data)) and self._row.clear:
            return self._piece(text)
        chunk = read_chunk(data)
        if self._started and not name and self._marked is None and (text := plain_text(chunk)) and self._row.clear:
            if self._frames:
                self._frames -= 1
                self._frame = frame_of(data, _CONTENT, text) or self._frame
            return self._piece(text)
        if name == b"error" or ((chunk.error is not ABSENT or chunk.choices is None) and _is_error(chunk)):
            return self.fail(chunk, data)
        return self.take(chunk)

    def frame(self, last: tuple[bytes, bytes]) -> TextFrame | None:
        name, data = last
        if self._frame is None or name or not self._frame.text(data) or not self._row.clear or self._ended:
            return None
        return self._frame.of_event(b"")

    def _piece(self, text: str) -> Sequence[Event]:
        self._usage_last = False
        self._row.text_open = True
        return (TextDelta(text),)

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
        if self._marked is not None:
            self._put_marked(self._marked.feed([Finish("stop")])[:-1], not self._marked.tagged(), out)
        if self._failure is None and not self._complete():
            self._failure = Failure(502, CUT, wire="")
        self._row.flush(out)
        if self._audio or self._transcript:
            out.append(
                MediaPart(Media("audio", data="".join(self._audio) or None, transcript="".join(self._transcript) or None))
            )
        if self._row.text_open:
            out += map(CitationDelta, self._sources.not_annotated())
        out += self._vendor_usage
        out.append(self._failure or self._reason())
        return out

    def _complete(self) -> bool:
        return self._said and (self._done or self._finish is not None or self._usage_last)

    def fail(self, chunk: Chunk, data: bytes) -> Sequence[Event]:
        """End the answer with an error, which came alone or inside a chunk; content in that chunk is emitted first."""
        out: list[Event] = list(self.take(chunk)) if chunk.choices else []
        if not self._ended:
            self._failure = decode_error(0, data)
            out += self.eof()
        return out

    def _reason(self) -> Finish:
        finish = self._finish or Finish("stop")
        if self._row.called and finish.reason == "stop":
            finish.reason = "tool_calls"
        return finish

    # -- chunks

    def take(self, chunk: Chunk) -> Sequence[Event]:
        """Return the events of one chunk, or of a whole answer (``message`` in place of ``delta``)."""
        out: list[Event] = []
        start = self._start
        if not self._started:
            start.id = start.id or chunk.id or ""
            start.model = start.model or chunk.model or ""
            start.created = start.created or int(chunk.created or 0)
        for choice in chunk.choices or ():
            if not choice.index:  # a vendor that does not number choices splits one answer into several
                self._choice(choice, out)
        self._sources.note(chunk)
        if chunk.usage is not None:
            self._begin(out)
            out.append(from_chat(chunk.usage))
            self._usage_last = not chunk.choices
            self._vendor_usage = []
        elif chunk.x_groq is not None:
            if chunk.x_groq.usage is not None:
                self._vendor_usage = [from_chat(chunk.x_groq.usage)]
            if chunk.x_groq.error:
                self._failure = Failure(502, chunk.x_groq.error, wire=WIRE)
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
        delta = choice.delta
        if delta is None and (self._messages or not (self._told or self._row.text_open)):
            delta = choice.message  # after deltas it repeats the whole answer
            self._messages = delta is not None
        if delta is not None:
            before = len(out)
            self._usage_last = False
            content = delta.content
            if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
                self._reasoning(delta, out)
            elif text := delta.reasoning_text or delta.thinking:
                self._row.put(ThinkingDelta(text), out)
            if content:
                if isinstance(content, str) and (self._marked is not None or delta.extra_content is not None):
                    self._mark(content, choice, out)
                elif isinstance(content, str):
                    self._text(content, choice.logprobs, out)
                else:
                    self._parts(content, out)
            elif choice.logprobs is not None and (self._row.text_open or self._begins(content, len(out) > before)):
                self._text("", choice.logprobs, out)
            if delta.tool_calls:
                for position, call in enumerate(delta.calls()):
                    self._row.call(call, position, out)
            self._rest(delta, out)
            self._told = self._told or len(out) > before
        if choice.finish_reason and self._finish is None and choice.finish_reason not in UNFINISHED:
            self._end(choice, choice.finish_reason)

    def _begins(self, content: object, more: bool) -> bool:
        """Whether an empty piece begins the text: the first token can be a part of a character, which has no text yet."""
        return content == "" and not (self._told or more)

    def _end(self, choice: Choice, word: str) -> None:
        """Note the finish reason and what some vendors put beside it: the usage, or the error."""
        self._finish = _finish_of(word)
        if choice.usage is not None:
            self._vendor_usage = [from_chat(choice.usage)]
        if self._finish.reason == "error" and bytes(choice.error) not in _NOTHING:
            self._failure = decode_error(0, b'{"error":%b}' % bytes(choice.error))

    def _text(self, text: str, logprobs: Logprobs | None, out: list[Event]) -> None:
        if not self._row.clear:
            self._row.put(TextDelta(text, _array(logprobs)), out)
            return
        self._row.text_open = True
        if logprobs is None:
            out.append(TextDelta(text))
        elif text or _array(logprobs):
            out.append(TextDelta(text, _array(logprobs)))

    def _mark(self, text: str, choice: Choice, out: list[Event]) -> None:
        """Add text of Google's, which is thinking if it is marked so, or else stands between tags that begin in marked text.

        The closing tag comes with the answer's first text, which has no mark.
        """
        delta = choice.delta
        google = delta.extra_content.google if delta is not None and delta.extra_content is not None else None
        marked = google is not None and bool(google.thought)
        if marked and (self._marked is None or not self._marked.inside()):
            self._marked = ThinkSplitter()
            self._frame, self._frames = None, _FRAMES  # the answer's first text can look like any, but for the closing tag
        if self._marked is None:
            self._text(text, choice.logprobs, out)
            return
        events = self._marked.feed([TextDelta(text, _array(choice.logprobs))])
        self._put_marked(events, marked and not self._marked.tagged(), out)
        if not marked and self._marked.over():
            self._marked = None

    def _put_marked(self, events: Sequence[Event], thinking: bool, out: list[Event]) -> None:
        for event in events:
            self._row.put(ThinkingDelta(event.text) if thinking and isinstance(event, TextDelta) else event, out)

    def _reasoning(self, delta: Delta, out: list[Event]) -> None:
        details = delta.reasoning_details or ()
        text = delta.reasoning_content or delta.reasoning or "".join([d.text or d.summary or "" for d in details])
        if text:
            self._row.put(ThinkingDelta(text), out)
        for detail in details:
            for proof, redacted in ((detail.signature, False), (detail.data, True)):
                if proof:
                    self._row.put(Signature(proof, redacted, WIRE), out)

    def _parts(self, parts: list[Part], out: list[Event]) -> None:
        for part in parts:
            inner = part.thinking if part.thinking is not None else part.summary
            if inner is not None:
                text = inner if isinstance(inner, str) else "".join([p.text or "" for p in inner])
                if text:
                    self._row.put(ThinkingDelta(text), out)
            elif part.image_url is not None:
                self._image(Image(part.image_url), out)
            elif part.refusal:
                self._row.put(RefusalDelta(part.refusal), out)
            elif part.text:
                self._text(part.text, None, out)

    def _image(self, image: Image, out: list[Event]) -> None:
        where = image.image_url
        url = where if isinstance(where, str) else where.url if where is not None else None
        if url:
            self._row.put(MediaPart(media_of_url("image", url)), out)

    def _rest(self, delta: Delta, out: list[Event]) -> None:
        """Emit the members that few answers have."""
        if delta.refusal:
            self._row.put(RefusalDelta(delta.refusal), out)
        if delta.function_call is not None:
            self._row.legacy(delta.function_call, out)
        for raw in delta.annotations or ():
            if (citation := self._sources.annotation(raw)) is not None:
                self._row.put(CitationDelta(citation), out)
        for image in delta.images or ():
            self._image(image, out)
        if delta.audio is not None:
            for parts, piece in ((self._audio, delta.audio.data), (self._transcript, delta.audio.transcript)):
                if piece:
                    parts.append(piece)
                    self._row.hold(len(piece))


def _array(logprobs: Logprobs | None) -> bytes | None:
    raw = bytes(logprobs.content) if logprobs is not None else b""
    if raw[:1] != b"[" or raw == b"[]":
        return None
    check_text(raw)
    return raw


def decode_answer(body: bytes) -> list[Event]:
    """Read a whole ``chat.completion``; an error under status 200 becomes a Failure.  Raises BadAnswer."""
    data = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:1] == b"[" and _listed_error(data):  # Google wraps errors in a list
        return [Start(), decode_error(0, data)]
    if data[:1] != b"{":
        raise BadAnswer("not a JSON object")
    check_text(data)
    chunk = read_chunk(data)
    if not chunk.choices and not _is_error(chunk):
        raise BadAnswer("an answer without choices")
    number = 0
    for choice in chunk.choices or ():
        choice.delta = choice.message or choice.delta  # some vendor puts an empty delta beside the message
        if choice.delta is None:
            continue
        choice.delta.extra_content = None  # one mark for all of the text, of which only a part may be thinking
        for call in choice.delta.calls():
            call.index, number = number, number + 1  # each call is whole, even if it shares its index or id with another
    decoder = ChatDecoder()
    events = decoder.fail(chunk, data) if _is_error(chunk) else decoder.take(chunk)
    return [*events, *decoder.feed(b"", b"[DONE]")]


def _listed_error(data: bytes) -> bool:
    listed: list[_Listed] | None = _LISTED.get(data)
    return bool(listed) and all(item.error is not ABSENT for item in listed or ())


class _Listed(Struct):
    error: Raw = ABSENT


_LISTED: Final[Shape[list[_Listed]]] = Shape(list[_Listed])


def _is_error(chunk: Chunk) -> bool:
    """Whether there is an ``error`` member, or an error of another shape in place of the choices."""
    if bytes(chunk.error) not in _NOTHING:
        return True
    if chunk.choices is not None:
        return False
    others = chunk.detail, chunk.message
    return any(other is not ABSENT for other in others) or chunk.object == "error" or is_failure(chunk.base_resp)
