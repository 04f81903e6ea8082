"""Same-wire relaying of Gemini streams: SSE unchanged, or the JSON array that clients get without ``alt=sse``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from .events import Failure, Usage
from .gemini_error import encode_stream_error
from .json_array import MOST
from .jsonio import compact
from .relay import UNREADABLE, Tap, events_of, read_whole
from .usage import GeminiUsage, from_gemini


class _Content(Struct):
    parts: list[Raw] | None = None


class _Candidate(Struct):
    content: _Content | None = None
    finishReason: Raw = Raw(b"")


class _Feedback(Struct):
    blockReason: Raw = Raw(b"")


class _Chunk(Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: GeminiUsage | None = None
    promptFeedback: _Feedback | None = None
    modelVersion: str | None = None
    error: Raw = Raw(b"")


class _Whole(Struct):
    modelVersion: str | None = None
    usageMetadata: GeminiUsage | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_whole = msgspec.json.Decoder(_Whole | list[_Whole])
_NOTHING: Final = (b"", b"null")


class GeminiTap(Tap):
    """``GenerateContentResponse`` streams.  Each chunk has the counts so far, so only the last of a read is read closely."""

    def __init__(self, encode_failure: Callable[[Failure], bytes], decode_error: Callable[[int, bytes], Failure]) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error

    def _look(self, blob: bytes) -> bytes:
        for _, data in events_of(blob):
            self._note(data)
        return blob

    def _note(self, data: bytes) -> None:
        try:
            chunk = _chunk.decode(data)
        except UNREADABLE:
            return
        self.model = self.model or chunk.modelVersion or ""
        if bytes(chunk.error) not in _NOTHING:
            self.failure = self.failure or self._decode_error(0, data)
        for candidate in chunk.candidates or ():
            if candidate.content is not None and candidate.content.parts:
                self.meaningful = True
            if bytes(candidate.finishReason) not in _NOTHING:
                self.meaningful = self.finished = True
        if chunk.promptFeedback is not None and bytes(chunk.promptFeedback.blockReason) not in _NOTHING:
            self.meaningful = self.finished = True
        if chunk.usageMetadata is not None:
            self._learn(from_gemini(chunk.usageMetadata))


class GeminiArrayTap(GeminiTap):
    """SSE in, one JSON array out: the data of each event unchanged, with brackets and commas around it."""

    held_bytes = MOST  # an array item cannot be sent in parts

    def __init__(self, decode_error: Callable[[int, bytes], Failure]) -> None:
        super().__init__(encode_stream_error, decode_error)
        self._begun = False
        self._ended = False

    def _look(self, blob: bytes) -> bytes:
        out: list[bytes] = []
        for _, data in events_of(blob):
            self._note(data)
            if data.strip():
                out += (self._lead(), compact(data))
        return b"".join(out)

    def _lead(self) -> bytes:
        lead = b",\r\n" if self._begun else b"["
        self._begun = True
        return lead

    def _close(self) -> bytes:
        """Close the array once the answer has ended; before that, ``fail`` may still add an error."""
        if self._ended or not (self.finished or self.failure is not None):
            return b""
        self._ended = True
        return b"]" if self._begun else b"[]"

    def eof(self) -> bytes:
        begun = self._begun
        out = super().eof()
        if not out:
            self._begun = begun  # the incomplete event was not sent after all
        return out

    def fail(self, failure: Failure) -> bytes:
        if self.finished or self._ended:
            return self._close()
        self._ended = True
        return self._lead() + encode_stream_error(failure) + b"]"


def gemini_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole answer.  Raises ``BadAnswer`` if the body is not a JSON object or array."""
    found = read_whole(_whole, body, (b"{", b"["))
    if found is None:
        return "", None
    last = (found[-1] if found else _Whole()) if isinstance(found, list) else found
    return last.modelVersion or "", from_gemini(last.usageMetadata) if last.usageMetadata is not None else None
