"""The neutral answer vocabulary: what a model says, as a sequence of events.

A whole answer is the same sequence (``collect.py`` joins it).  Every decoder keeps these rules, and every encoder relies on
them:

* ``Start`` first and once; ``Finish`` or ``Failure`` last and once; ``Usage`` anywhere between, later fields win.
* Blocks never interleave.  A delta of another kind, ``ToolStart``, ``MediaPart`` or ``OpaquePart`` ends the open block;
  ``BlockEnd`` separates two of the same kind.  ``TextDelta("")`` and ``ThinkingDelta("")`` open an empty one.
* ``ToolArguments`` follow their ``ToolStart``; where a wire interleaves parallel calls, its decoder puts them in sequence.
* ``Signature`` belongs to the open thinking block, or opens one.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import astuple, replace

from .conversation import Citation, Media

MOST_TOKENS: Final = 1 << 40
CUT: Final = "The provider's stream ended before the answer was complete"  # the message of the ``Failure`` for that

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "other"]


class Start(Struct, gc=False):
    """The answer begins.  Empty fields: the upstream did not say.  ``created`` is in Unix seconds."""

    id: str = ""
    model: str = ""
    created: int = 0


class TextDelta(Struct, gc=False):
    """A piece of text."""

    text: str
    logprobs: bytes | None = None  # OpenAI-style JSON array for this piece


class ThinkingDelta(Struct, gc=False):
    """A piece of thinking."""

    text: str
    id: str | None = None  # Responses reasoning item id


class Signature(Struct, gc=False):
    """The signature (if redacted: the encrypted content) of the open thinking block, made by the vendor of ``wire``."""

    signature: str
    redacted: bool = False
    wire: str = ""
    id: str | None = None  # Responses reasoning item id, when the block has no text to carry it


class RefusalDelta(Struct, gc=False):
    """A piece of a refusal."""

    text: str


class ToolStart(Struct, gc=False):
    """A tool call begins; see :class:`~.conversation.ToolCall`."""

    id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None
    signature: str | None = None
    item_id: str | None = None
    extra: bytes | None = None


class ToolArguments(Struct, gc=False):
    """A piece of the open call's arguments: JSON text, or free text for custom tools."""

    text: str


class MediaPart(Struct, gc=False):
    """A whole image, sound or file in the answer."""

    media: Media


class CitationDelta(Struct, gc=False):
    """A source that the open text block cites."""

    citation: Citation


class OpaquePart(Struct, gc=False):
    """A vendor's block without a neutral meaning (server tool calls and results …), written on ``wire`` only."""

    wire: str
    label: str
    raw: bytes


class BlockEnd(Struct, gc=False):
    """The open block is complete."""


class Usage(Struct, gc=False):
    """Token counts; None = not reported.

    ``input`` counts the whole prompt, cached tokens included; ``output`` all generated tokens, thinking included.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None  # the part of cache_write kept for an hour
    reasoning: int | None = None
    total: int | None = None
    estimated: bool = False

    def merge(self, later: Usage) -> None:
        """Take every field that *later* reports."""
        for name, value in zip(self.__struct_fields__, astuple(later), strict=True):
            if value is not None:
                setattr(self, name, value)

    def plausible(self) -> Usage:
        """Return these counts without the impossible ones: below zero, or too large for any column or price."""
        known = [*filter(None, astuple(self))]
        if not known or (min(known) >= 0 and max(known) <= MOST_TOKENS):
            return self
        counts = zip(self.__struct_fields__, astuple(self), strict=True)
        return Usage(**{name: count for name, count in counts if count is not None and 0 <= count <= MOST_TOKENS})


def merged(known: Usage | None, later: Usage) -> Usage:
    """Both in one, *later* first.  May be *known* itself, but never *later*."""
    if known is None:
        return replace(later)
    known.merge(later)
    return known


class Finish(Struct, gc=False):
    """The answer is complete.  ``raw`` is the vendor's own reason where the neutral one does not say as much."""

    reason: FinishReason
    stop_sequence: str | None = None
    raw: str = ""


class Failure(Struct, gc=False):
    """An error the upstream reported, or that happened on the way.

    ``status`` is the HTTP status (for an error inside a stream: derived from its type); ``type`` and ``code`` are the
    vendor's words; ``retry_after`` is in seconds; ``raw`` is the error body as received, for clients of the same ``wire``.
    """

    status: int
    message: str
    type: str = ""
    code: str = ""
    param: str | None = None
    retry_after: float | None = None
    wire: str = ""
    raw: bytes | None = None
    headers: list[tuple[bytes, bytes]] = []  # of the error answer, for clients of the same ``wire``
    slip: bool = False  # the model's own: another attempt may do better, but the provider is well


Event = (
    Start
    | TextDelta
    | ThinkingDelta
    | Signature
    | RefusalDelta
    | ToolStart
    | ToolArguments
    | MediaPart
    | CitationDelta
    | OpaquePart
    | BlockEnd
    | Usage
    | Finish
    | Failure
)
