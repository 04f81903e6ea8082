"""The types of a Gemini answer (the vendor's reference, "GenerateContentResponse"), as far as they are read.

Everything is optional: vendors omit parts, candidates and finish reasons.  Vertex can send enums as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import Media
from .events import Finish, FinishReason, Usage
from .gemini_partial_args import PartialArg
from .jsonio import ABSENT, VALUES, Shape
from .usage import GeminiUsage


class Call(Struct, gc=False):
    name: str | None = None
    id: str | None = None
    args: Raw = ABSENT
    partialArgs: list[PartialArg] | None = None
    willContinue: bool | None = None


class Blob(Struct, gc=False):
    mimeType: str | None = None
    data: str | None = None
    displayName: str | None = None


class FileData(Struct, gc=False):
    mimeType: str | None = None
    fileUri: str | None = None
    displayName: str | None = None


class Part(Struct, gc=False):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    functionCall: Call | None = None
    inlineData: Blob | None = None
    fileData: FileData | None = None


class Content(Struct, gc=False):
    parts: list[Part] | None = None


class Candidate(Struct, gc=False):
    content: Content | None = None
    index: int | None = None
    finishReason: str | int | None = None
    groundingMetadata: Raw = ABSENT
    citationMetadata: Raw = ABSENT
    logprobsResult: Raw = ABSENT


class Feedback(Struct, gc=False):
    blockReason: str | int | None = None


class Chunk(Struct, gc=False):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    usageMetadata: GeminiUsage | None = None
    promptFeedback: Feedback | None = None
    modelVersion: str | None = None
    responseId: str | None = None
    error: Raw = ABSENT


class _RawContent(Struct):
    parts: list[Raw] | None = None


class _RawCandidate(Struct):
    content: _RawContent | None = None
    index: int | None = None


class _RawChunk(Struct):
    candidates: list[_RawCandidate] | None = None


CHUNK: Final[Shape[Chunk]] = Shape(Chunk)
_RAW_CHUNK: Final[Shape[_RawChunk]] = Shape(_RawChunk)
# members that describe a part, beside its data
ABOUT: Final = frozenset({"videoMetadata", "mediaResolution", "partMetadata"})
_DESCRIBES: Final = frozenset({"thought", "thoughtSignature", *ABOUT})
# an object with one of these members is a response, even without candidates
MARKS: Final = ("candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId")


def raw_parts(data: bytes) -> list[Raw]:
    """The parts of the first candidate, unparsed."""
    chunk = _RAW_CHUNK.answer(data)
    first = next((c for c in chunk.candidates or () if not c.index), None)
    return (first.content.parts or []) if first is not None and first.content is not None else []


def label_of(part: Mapping[str, Any] | Raw) -> str:
    """The name of the member that holds a part's data (``executableCode`` …); ``""`` if there is none."""
    fields = VALUES.get(part) or {} if isinstance(part, Raw) else part
    return next((name for name, value in fields.items() if name not in _DESCRIBES and value is not None), "")


def media_kind(mime: str) -> Any:
    """``image/png`` -> ``image``; anything but image, audio and video is a document."""
    head = mime.partition("/")[0]
    return head if head in ("image", "audio", "video") else "document"


def media_of_blob(blob: Blob, signature: str | None = None) -> Media:
    mime = blob.mimeType or ""
    return Media(media_kind(mime), mime=mime, data=blob.data or "", name=blob.displayName, signature=signature)


_OWN_FILES: Final = ("https://generativelanguage.googleapis.com/", "gs://", "files/")


def media_of_file(file: FileData, signature: str | None = None) -> Media:
    """A link, or the id of a file in the vendor's own storage."""
    mime, uri = file.mimeType or "", file.fileUri or ""
    media = Media(media_kind(mime), mime=mime, name=file.displayName, signature=signature)
    if uri.startswith(_OWN_FILES):
        media.file_id = uri
    else:
        media.url = uri
        if not mime and "youtu" in uri:
            media.kind = "video"
    return media


# -- finish reasons

FINISH: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "tool_calls",  # a call of a tool that was not offered; the client will answer that there is none
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "OTHER": "other",
    "NO_IMAGE": "other",
    "IMAGE_OTHER": "other",
}
UNFINISHED: Final = (None, 0, "", "FINISH_REASON_UNSPECIFIED")
# Vertex's FinishReason enum
FINISH_NUMBER: Final[dict[int, str]] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT",
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
    10: "MODEL_ARMOR",
    11: "IMAGE_SAFETY",
    12: "IMAGE_PROHIBITED_CONTENT",
    13: "IMAGE_RECITATION",
    14: "IMAGE_OTHER",
    15: "UNEXPECTED_TOOL_CALL",
    16: "NO_IMAGE",
}
REASON: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "error": "MALFORMED_RESPONSE",
    "other": "OTHER",
}


def read_finish(given: str | int) -> Finish:
    """Return the neutral reason.  ``raw`` keeps the vendor's word where the neutral one is less specific."""
    word = FINISH_NUMBER.get(given, str(given)) if isinstance(given, int) else given
    return Finish(FINISH.get(word, "other"), raw="" if word in ("STOP", "MAX_TOKENS") else word)


def write_finish(finish: Finish) -> str:
    """Return the wire's reason: ``raw`` if it is one of this wire and means the same, else the closest one."""
    return finish.raw if FINISH.get(finish.raw) == finish.reason else REASON[finish.reason]


# -- usage


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return ``usageMetadata``.  Its ``candidatesTokenCount`` excludes thinking tokens."""
    prompt, output = usage.input or 0, usage.output or 0
    thoughts = min(usage.reasoning or 0, output)  # some vendors report more thinking than output tokens
    out: dict[str, Any] = {"promptTokenCount": prompt, "candidatesTokenCount": output - thoughts}
    if usage.cache_read:
        out["cachedContentTokenCount"] = usage.cache_read
    if thoughts:
        out["thoughtsTokenCount"] = thoughts
    out["totalTokenCount"] = prompt + output
    return out
