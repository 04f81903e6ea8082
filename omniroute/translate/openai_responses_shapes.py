"""The types of OpenAI Responses answers, as loose as the vendors' use of them.

Only the members that are read are declared.  The order of members does not matter, nor do events without a name.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from .conversation import Citation
from .format import BadAnswer
from .jsonio import ABSENT, OBJECT, STRING, Shape, mended, present
from .openai_responses_error import WIRE
from .usage import ResponsesUsage


class StreamEvent(Struct, gc=False):
    """The members of all events in one struct: cheaper than a tagged union, and ``type`` need not come first."""

    type: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    delta: str | None = None
    logprobs: Raw = ABSENT
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: Raw = ABSENT
    part: Raw = ABSENT
    annotation: Raw = ABSENT
    response: Raw = ABSENT
    error: Raw = ABSENT


class Item(Struct, gc=False):
    """An output item, of any kind."""

    type: str = ""
    id: str | None = None
    content: Raw = ABSENT
    summary: Raw = ABSENT
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    result: Raw = ABSENT
    output_format: str | None = None


class Part(Struct, gc=False):
    """A content part of a message or of a reasoning item."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT


class Incomplete(Struct, gc=False):
    reason: str | None = None


class Response(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: Raw = ABSENT
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None
    usage: Raw = ABSENT


class _Annotation(Struct):
    type: str | None = None
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


RESPONSE: Final[Shape[Response]] = Shape(Response)
ITEM: Final[Shape[Item]] = Shape(Item)
PART: Final[Shape[Part]] = Shape(Part)
PARTS: Final[Shape[list[Part]]] = Shape(list[Part])
USAGE: Final[Shape[ResponsesUsage]] = Shape(ResponsesUsage)
_ANNOTATION: Final[Shape[_Annotation]] = Shape(_Annotation)
_decode: Final = msgspec.json.Decoder(StreamEvent).decode
# events that the answer depends on: a member of a wrong type in one of these is an error
_ESSENTIAL: Final = (
    "_text.delta",
    "refusal.delta",
    "arguments.delta",
    "input.delta",
    "output_item.added",
    "output_item.done",
)


def read_event(data: bytes) -> StreamEvent:
    """Read one event; of a non-essential one that does not fit, only type, response and error.  Raises BadAnswer."""
    try:
        return _decode(data)
    except msgspec.ValidationError as error:
        event = OBJECT.get(data)
        kind = STRING.get(event["type"]) if event is not None and "type" in event else None
        if event is None or (kind or "").endswith(_ESSENTIAL):
            raise BadAnswer(f"unreadable event: {error}") from None
        return StreamEvent(kind or "", response=event.get("response", ABSENT), error=event.get("error", ABSENT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if (whole := mended(data)) is not None:
            return read_event(whole)
        raise BadAnswer(f"not JSON: {error}") from None


def text_of(parts: Raw) -> str:
    """Return the joined texts of a reasoning item's ``summary`` or ``content``; "" if there are none."""
    found = PARTS.get(parts)
    return "".join([part.text or "" for part in found]) if found else ""


def parts_of(content: Raw) -> list[Part]:
    """Return the content parts of a message; some vendors send a bare text."""
    found = PARTS.get(content)
    if found is None and (text := STRING.get(content)) is not None:
        return [Part(text=text)]
    return found or []


def read_annotation(raw: Raw) -> Citation | None:
    """Read an annotation; None if it has an unknown shape."""
    known = _ANNOTATION.get(raw)
    if known is None:
        return None
    title = known.title or known.filename
    return Citation(known.url, title, start=known.start_index, end=known.end_index, wire=WIRE, raw=bytes(raw))


def array_of(logprobs: Raw) -> bytes | None:
    """Return *logprobs* if it is a non-empty array."""
    raw = bytes(logprobs)
    return raw if raw[:1] == b"[" and raw != b"[]" else None


def free_text(raw: Raw) -> str:
    """Return arguments as text: the wire has a string that holds JSON, but some vendors send the object itself."""
    text = STRING.get(raw)
    if text is not None:
        return text
    return bytes(raw).decode("utf-8", "replace") if present(raw) else ""
