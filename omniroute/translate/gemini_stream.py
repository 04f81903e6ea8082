"""Gemini answers, read: the chunks of ``streamGenerateContent`` and, through the same code, whole answers.

A stream has no end mark, and text may follow a finish reason (code execution), so Finish is emitted when the body ends.
Only the first candidate is read.  A blocked prompt has no candidates at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from .events import (
    CUT,
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    MediaPart,
    OpaquePart,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from .format import BadAnswer, StreamDecoder
from .gemini_error import WIRE, decode_error
from .gemini_grounding import Said, read_citations, read_logprobs
from .gemini_partial_args import PartialArgs
from .gemini_shapes import (
    MARKS,
    UNFINISHED,
    Call,
    Candidate,
    Chunk,
    Part,
    label_of,
    media_of_blob,
    media_of_file,
    raw_parts,
    read_finish,
)
from .jsonio import ABSENT, ITEMS, OBJECT, VALUES, check_text, compact, mended
from .usage import GeminiUsage, from_gemini

_decode: Final = msgspec.json.Decoder(Chunk).decode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOTHING: Final = (b"", b"null")


class Decoder(StreamDecoder):
    """See :class:`~.format.StreamDecoder`.  ``whole``: the only chunk is a whole answer, so it cannot have been cut off."""

    def __init__(self, whole: bool = False) -> None:
        self._whole = whole
        self._started = False
        self._done = False
        self._said = False  # a candidate was seen
        self._finish: Finish | None = None
        self._called = False
        self._open: ToolStart | None = None  # a call whose arguments come in pieces
        self._pieces = PartialArgs({})  # of the open call
        self._text = Said()  # so far
        self._usage: GeminiUsage | None = None
        self._grounding: Raw = ABSENT
        self._citations: Raw = ABSENT
        self._read = b""  # the chunk whose unparsed parts ``_raw`` holds
        self._raw: list[Raw] = []

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._done:
            return ()
        try:
            chunk = _decode(data)
        except _UNREADABLE as error:
            return self.feed(name, whole) if (whole := mended(data)) is not None else self._odd(data, error)
        if chunk.error is not ABSENT and bytes(chunk.error) not in _NOTHING:
            return self._fail(decode_error(0, data))
        out: list[Event] = []
        usage = chunk.usageMetadata
        if not self._started:
            self._begin(chunk, out)
        if chunk.candidates:
            for candidate in chunk.candidates:
                if not candidate.index:
                    self._candidate(candidate, data, out)
        if usage is not None:
            if self._usage is not None:
                usage.merge(self._usage)
            self._usage = usage
        feedback = chunk.promptFeedback
        if feedback is not None and feedback.blockReason and not self._said:
            self._finish = Finish("content_filter", raw=str(feedback.blockReason))
        return out

    def _begin(self, chunk: Chunk, out: list[Event]) -> None:
        """Emit Start, and the prompt's token count at once, since other wires have it in their first event."""
        self._started = True
        out.append(Start(chunk.responseId or "", chunk.modelVersion or ""))
        counts = chunk.usageMetadata
        if counts is not None and counts.promptTokenCount is not None and not self._whole:
            out.append(Usage(input=counts.promptTokenCount, cache_read=counts.cachedContentTokenCount))

    def eof(self) -> Sequence[Event]:
        if self._done:
            return ()
        self._done = True
        out: list[Event] = [] if self._started else [Start()]
        self._end_call(out)
        if self._grounding is not ABSENT or self._citations is not ABSENT:
            citations = read_citations(self._grounding, self._citations, self._text.text())
            out += [CitationDelta(citation) for citation in citations]
        if self._usage is not None:
            out.append(from_gemini(self._usage))
        if self._finish is None and not self._whole:
            out.append(Failure(502, CUT))
            return out
        finish = self._finish or Finish("stop")
        if self._called and finish.reason == "stop":
            finish.reason = "tool_calls"
        elif not self._called and finish.reason == "tool_calls":
            finish.reason = "error"
        out.append(finish)
        return out

    # -- odd events

    def _odd(self, data: bytes, error: Exception) -> Sequence[Event]:
        """Handle data that is not a chunk: an end mark, an error in another shape, or garbage."""
        text = data.strip()
        if text in (b"", b"[DONE]", b"null"):
            return ()
        found = OBJECT.get(text[1:-1] if text[:1] == b"[" else text)
        if found is not None and "error" in found:
            return self._fail(decode_error(0, data))
        raise BadAnswer(f"unreadable event: {error}") from None

    def _fail(self, failure: Failure) -> Sequence[Event]:
        self._done = True
        out: list[Event] = [] if self._started else [Start()]
        if self._usage is not None:
            out.append(from_gemini(self._usage))
        return [*out, failure]

    # -- candidates

    def _candidate(self, candidate: Candidate, data: bytes, out: list[Event]) -> None:
        self._said = True
        logprobs = read_logprobs(candidate.logprobsResult) if candidate.logprobsResult is not ABSENT else None
        content = candidate.content
        if content is not None and content.parts:
            for place, part in enumerate(content.parts):
                text = part.text
                if text is not None and part.thoughtSignature is None and not part.thought:
                    if text or logprobs is not None:  # many streams end with an empty text, even after a tool call
                        self._text.add(text)
                        out.append(TextDelta(text, logprobs))
                        logprobs = None
                else:
                    self._part(part, place, data, out)
        if logprobs is not None:
            out.append(TextDelta("", logprobs))
        if candidate.finishReason not in UNFINISHED:
            self._finish = read_finish(candidate.finishReason)
        if candidate.groundingMetadata is not ABSENT or candidate.citationMetadata is not ABSENT:
            check_text(data)
        if candidate.groundingMetadata is not ABSENT:
            self._grounding = candidate.groundingMetadata
        if candidate.citationMetadata is not ABSENT:
            self._citations = candidate.citationMetadata

    def _part(self, part: Part, place: int, data: bytes, out: list[Event]) -> None:
        """Emit any part but plain text.  A signature follows what it signs; images drafted while thinking are opaque."""
        signature = part.thoughtSignature
        if part.functionCall is not None:
            self._call(part.functionCall, signature, out)
        elif part.text is not None:
            if part.thought:
                out.append(ThinkingDelta(part.text))
            elif part.text:
                self._text.add(part.text)
                out.append(TextDelta(part.text))
            if signature:
                out.append(Signature(signature, wire=WIRE))
                out.append(BlockEnd())
        elif part.inlineData is not None and not part.thought:
            out.append(MediaPart(media_of_blob(part.inlineData, signature)))
        elif part.fileData is not None and not part.thought:
            out.append(MediaPart(media_of_file(part.fileData, signature)))
        else:
            self._opaque(place, data, signature, out)

    def _call(self, call: Call, signature: str | None, out: list[Event]) -> None:
        if not call.name:
            self._piece(call, signature, out)
            return
        self._end_call(out)
        self._called = True
        start = ToolStart(call.id or "", call.name, signature=signature or None)
        if call.willContinue or call.partialArgs:
            self._open, self._pieces = start, PartialArgs(VALUES.get(call.args) or {})
            self._piece(call, signature, out)
            return
        arguments = bytes(call.args) if bytes(call.args) in _NOTHING else compact(call.args)
        text = arguments.decode("utf-8", "replace") if arguments not in _NOTHING else "{}"
        out += (start, ToolArguments(text), BlockEnd())

    def _piece(self, call: Call, signature: str | None, out: list[Event]) -> None:
        """Add a piece of the open call's arguments."""
        if self._open is None:
            return
        self._open.signature = self._open.signature or signature or None
        self._pieces.add(call.partialArgs or ())
        if not call.willContinue:
            self._end_call(out)

    def _end_call(self, out: list[Event]) -> None:
        if self._open is not None:
            out += (self._open, ToolArguments(self._pieces.json()), BlockEnd())
            self._open = None

    def _opaque(self, place: int, data: bytes, signature: str | None, out: list[Event]) -> None:
        if self._read is not data:
            check_text(data)
            self._read, self._raw = data, raw_parts(data)
        raw = self._raw[place]
        label = label_of(raw)
        if label:
            out.append(OpaquePart(WIRE, label, bytes(raw)))
        elif signature:
            out.append(Signature(signature, wire=WIRE))
            out.append(BlockEnd())


def decode_answer(body: bytes) -> list[Event]:
    """Read a whole answer or a list of chunks; an error under status 200 becomes a Failure.  Raises BadAnswer."""
    data = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    check_text(data)
    decoder = Decoder(whole=True)
    events: list[Event] = []
    for chunk in _chunks(data):
        events += decoder.feed(b"", chunk)
    return [*events, *decoder.eof()]


def _chunks(data: bytes) -> list[bytes]:
    if data[:1] == b"[":
        listed = [bytes(raw) for raw in ITEMS.answer(data)]
        if not listed:
            raise BadAnswer("an empty list")
        return listed
    found = OBJECT.answer(data)
    if "error" not in found and not any(mark in found for mark in MARKS):
        raise BadAnswer("an answer without candidates")
    return [data]
