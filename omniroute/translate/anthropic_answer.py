"""Anthropic Messages answers: whole bodies, read and written, and what the streaming modules share with them.

Source: the vendor's API reference, "Messages" (response, usage, stop reasons), and what its clients send back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from msgspec import Raw, Struct

from .collect import Answer
from .conversation import Block, Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
from .events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
    OpaquePart,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)
from .fidelity import Losses, Lost
from .format import BadAnswer, Rendered, Stamp
from .jsonio import ABSENT, Shape, encode, is_utf8, present
from .names import fit, object_text
from .usage import AnthropicUsage, from_anthropic

WIRE: Final = "anthropic"
_ID: Final = 64  # characters; the longest tool call id


# -- errors

STATUS_OF_TYPE: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class _Error(Struct):
    type: str | None = None
    message: str | None = None
    code: str | int | None = None


class _ErrorBody(Struct):
    error: _Error | str
    message: str | None = None


_ERROR_BODY: Final[Shape[_ErrorBody]] = Shape(_ErrorBody)


def read_error(data: bytes, status: int = 0) -> Failure | None:
    """Read the error object in *data*; None if there is none.  ``status`` 0 (in a stream): taken from its type, else 500."""
    body = _ERROR_BODY.get(data)
    if body is None:
        return None
    error = body.error if isinstance(body.error, _Error) else _Error(message=body.error)
    kind = error.type or ""
    code = "" if error.code is None else str(error.code)
    if not status:
        numeric = int(code) if code.isdecimal() and len(code) == 3 and code[0] in "45" else 500
        status = STATUS_OF_TYPE.get(kind) or numeric
    message = error.message or body.message or kind or "The provider reported an error without a message."
    return Failure(status, message, type=kind, code=code, wire=WIRE, raw=data)


def is_error(data: bytes) -> bool:
    """Whether *data* is an error body in this wire's own shape."""
    return is_utf8(data) and _OWN_ERROR.get(data) is not None


class _OwnErrorDetail(Struct):
    type: str
    message: str


class _OwnErrorBody(Struct):
    type: Literal["error"]
    error: _OwnErrorDetail


_OWN_ERROR: Final[Shape[_OwnErrorBody]] = Shape(_OwnErrorBody)

# -- usage


USAGE: Final[Shape[AnthropicUsage]] = Shape(AnthropicUsage)


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """Return the usage object.  The wire requires whole numbers, so unknown counts are 0."""
    usage = usage.plausible() if usage is not None else Usage()
    read, write = usage.cache_read or 0, usage.cache_write or 0
    prompt = read + write if usage.input is None else usage.input
    read = min(read, prompt)  # some vendors count more from the cache than the whole prompt has
    write = min(write, prompt - read)
    out: dict[str, Any] = {
        "input_tokens": prompt - read - write,
        "cache_creation_input_tokens": write,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output or 0,
    }
    if usage.cache_write_1h is not None:
        hour = min(usage.cache_write_1h, write)
        out["cache_creation"] = {"ephemeral_5m_input_tokens": write - hour, "ephemeral_1h_input_tokens": hour}
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return out


# -- stop reasons

_FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "other",
}
_STOP_REASON: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
    "other": "end_turn",
}
_PLAIN: Final = frozenset({"end_turn", "max_tokens", "tool_use", "refusal", "pause_turn"})


def read_finish(reason: str, stop_sequence: str | None) -> Finish:
    """Return the neutral reason.  ``raw`` keeps the vendor's word where the neutral one is less specific."""
    raw = "" if reason in _PLAIN else reason
    return Finish(_FINISH.get(reason, "other"), stop_sequence, "" if raw == "stop_sequence" else raw)


def write_finish(finish: Finish | None, tools: bool, refused: bool) -> tuple[str, str | None]:
    """Return ``(stop_reason, stop_sequence)``.  *tools* and *refused*: some vendors report a plain "stop" for these."""
    finish = finish or Finish("stop")
    if refused:
        return "refusal", None
    if tools and finish.reason in ("stop", "other"):
        return "tool_use", None
    if finish.reason == "stop" and finish.stop_sequence is not None:
        return "stop_sequence", finish.stop_sequence
    if _FINISH.get(finish.raw) == finish.reason:
        return finish.raw, None
    return _STOP_REASON[finish.reason], None


# -- blocks, read


class _Text(Struct):
    text: str = ""
    citations: list[Raw] | None = None


class _Thinking(Struct):
    thinking: str | None = None
    signature: str | None = None


class _Redacted(Struct):
    data: str = ""


class ToolUse(Struct):
    id: str = ""
    name: str = ""
    input: Raw = ABSENT


class _Citation(Struct):
    cited_text: str | None = None
    url: str | None = None
    title: str | None = None
    document_title: str | None = None


class _Typed(Struct):
    type: str


_TYPED: Final[Shape[_Typed]] = Shape(_Typed)
_TEXT: Final[Shape[_Text]] = Shape(_Text)
_THINKING: Final[Shape[_Thinking]] = Shape(_Thinking)
_REDACTED: Final[Shape[_Redacted]] = Shape(_Redacted)
TOOL_USE: Final[Shape[ToolUse]] = Shape(ToolUse)
_CITATION: Final[Shape[_Citation]] = Shape(_Citation)


def block_type(raw: Raw) -> str:
    return _TYPED.answer(raw).type


def read_citation(raw: Raw) -> Citation:
    known = _CITATION.get(raw)
    if known is None:
        return Citation(wire=WIRE)
    return Citation(
        url=known.url, title=known.title or known.document_title, text=known.cited_text, wire=WIRE, raw=bytes(raw)
    )


def read_block(raw: Raw, kind: str) -> Iterator[Event]:
    """The events of a block that arrived in one piece, but for its ``BlockEnd``."""
    if kind == "text":
        text = _TEXT.answer(raw)
        yield TextDelta(text.text)
        for citation in text.citations or ():
            yield CitationDelta(read_citation(citation))
    elif kind == "thinking":
        thinking = _THINKING.answer(raw)
        yield ThinkingDelta(thinking.thinking or "")
        if thinking.signature:
            yield Signature(thinking.signature, wire=WIRE)
    elif kind == "redacted_thinking":
        yield Signature(_REDACTED.answer(raw).data, redacted=True, wire=WIRE)
    elif kind == "tool_use":
        call = TOOL_USE.answer(raw)
        yield ToolStart(call.id, call.name)
        yield ToolArguments(arguments_text(call))
    else:
        yield OpaquePart(WIRE, kind, bytes(raw))


def arguments_text(call: ToolUse) -> str:
    """Return a call's arguments as JSON text."""
    return bytes(call.input).decode() if present(call.input) else "{}"


# -- whole answers


class Message(Struct):
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Raw = ABSENT


MESSAGE: Final[Shape[Message]] = Shape(Message)


def decode_answer(body: bytes) -> list[Event]:
    """Return the events of a whole answer; an error object becomes a Failure.  Raises BadAnswer."""
    body = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if body[:1] != b"{" or not is_utf8(body):
        raise BadAnswer("not a JSON object in UTF-8")
    message = MESSAGE.answer(body)
    if message.content is None:
        if (failure := read_error(body)) is not None:
            return [Start(), failure]
        raise BadAnswer("an answer without content")
    events: list[Event] = [Start(message.id or "", message.model or "")]
    tools = False
    for raw in message.content:
        kind = block_type(raw)
        tools |= kind == "tool_use"
        events += read_block(raw, kind)
        events.append(BlockEnd())
    if (usage := USAGE.get(message.usage)) is not None:
        events.append(from_anthropic(usage))
    events.append(read_finish(message.stop_reason or ("tool_use" if tools else "end_turn"), message.stop_sequence))
    return events


def message_id(upstream: str, stamp: Stamp) -> str:
    """Return *upstream* if it is an id of this wire (``msg_…``), else one made from the stamp."""
    if upstream.startswith("msg_"):
        return upstream
    return stamp.id if stamp.id.startswith("msg_") else f"msg_{fit(stamp.id, 60)}"


class ToolUseIds:
    """Tool call ids that the wire accepts, unique within one answer."""

    def __init__(self, stamp: Stamp) -> None:
        self._stem = fit(stamp.id.removeprefix("msg_") or "call", 48)
        self._used: set[str] = set()

    def next(self, upstream: str) -> str:
        number = len(self._used)
        given = fit(upstream, _ID) if upstream else f"toolu_{self._stem}_{number}"
        if given in self._used:
            given = fit(f"{given}.{number}", _ID)
        self._used.add(given)
        return given


def encode_answer(answer: Answer, stamp: Stamp) -> Rendered:
    """Return a whole message object."""
    lost = Losses()
    ids = ToolUseIds(stamp)
    content = [written for block in answer.blocks if (written := _write_block(block, stamp, ids, lost)) is not None]
    if answer.logprobs:
        lost.add(Lost.LOGPROBS)
    tools = any(isinstance(block, ToolCall) for block in answer.blocks)
    refused = any(isinstance(block, Refusal) for block in answer.blocks)
    reason, sequence = write_finish(answer.finish, tools, refused)
    body = {
        "id": message_id(answer.start.id, stamp),
        "type": "message",
        "role": "assistant",
        "model": answer.start.model or stamp.model,
        "content": content or [{"type": "text", "text": ""}],  # clients read content[0]
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": write_usage(answer.usage),
    }
    return Rendered(encode(body), lost.names())


def _write_block(block: Block, stamp: Stamp, ids: ToolUseIds, lost: Losses) -> dict[str, Any] | Raw | None:
    match block:
        case Text():
            return _write_text(block, lost)
        case Refusal():
            return {"type": "text", "text": block.text}
        case Thinking():
            return _write_thinking(block, lost)
        case ToolCall():
            text, wrapped = object_text(block.arguments, block.kind)
            if wrapped:
                lost.add(Lost.TOOL_ARGUMENTS)
            name = stamp.names.get(block.name, block.name)
            return {"type": "tool_use", "id": ids.next(block.id), "name": name, "input": Raw(text)}
        case Opaque() if block.wire == WIRE:
            return Raw(block.raw)
        case Media():
            lost.add(Lost.MEDIA_OUTPUT)
            return {"type": "text", "text": block.transcript} if block.transcript else None
    lost.add(Lost.SERVER_BLOCKS)
    return None


def _write_text(block: Text, lost: Losses) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "text", "text": block.text}
    own = [Raw(c.raw) for c in block.citations if c.wire == WIRE and c.raw is not None]
    if len(own) < len(block.citations):
        lost.add(Lost.CITATIONS)
    if own:
        out["citations"] = own
    return out


def _write_thinking(block: Thinking, lost: Losses) -> dict[str, Any] | None:
    own = block.wire == WIRE
    if block.redacted:
        if not own:
            lost.add(Lost.REDACTED_THINKING)
            return None
        return {"type": "redacted_thinking", "data": block.signature or ""}
    if block.signature and not own:
        lost.add(Lost.THINKING_SIGNATURE)
    return {"type": "thinking", "thinking": block.text, "signature": (block.signature or "") if own else ""}
