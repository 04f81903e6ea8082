"""The one list of wire formats, and of what same-wire relaying needs to know of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from . import anthropic, openai_chat
from .events import Failure
from .format import Format
from .peek import Peek, patch
from .relay import AnthropicTap, ChatTap, Pipe

FORMATS: Final[dict[str, Format]] = {f.name: f for f in (openai_chat.FORMAT, anthropic.FORMAT)}


class RelayRules(Struct, frozen=True):
    """How one wire is relayed: the types of its main request members, the request's patches, the tap on its streams.

    ``prepare(peek, model, quirks)`` gives the request to send and whether the usage chunk must be taken out of the answer.
    """

    fields: Mapping[str, str]
    required: tuple[str, ...]
    prepare: Callable[[Peek, str, frozenset[str]], tuple[bytes, bool]]
    tap: Callable[[Callable[[Failure], bytes], bool], Pipe]


def _model_patch(found: Peek, model: str) -> dict[str, bytes | None]:
    return {} if model == found.model else {"model": msgspec.json.encode(model)}


def _prepare_plain(found: Peek, model: str, quirks: frozenset[str]) -> tuple[bytes, bool]:
    changes = _model_patch(found, model)
    return (patch(found, changes) if changes else found.raw), False


def _prepare_chat(found: Peek, model: str, quirks: frozenset[str]) -> tuple[bytes, bool]:
    """Streams are always asked for their usage; who did not ask for it does not see it."""
    if not found.stream or found.include_usage or "no_stream_options" in quirks:
        return _prepare_plain(found, model, quirks)
    changes = _model_patch(found, model)
    options = found.members.get("stream_options")
    wish = msgspec.json.decode(options) if options is not None else None
    changes["stream_options"] = msgspec.json.encode({**(wish or {}), "include_usage": True})
    return patch(found, changes), True


RELAYS: Final[dict[str, RelayRules]] = {
    "openai-chat": RelayRules(
        fields={
            "model": "string",
            "messages": "array",
            "stream": "boolean",
            "stream_options": "object",
            "temperature": "number",
            "top_p": "number",
            "n": "number",
            "max_tokens": "number",
            "max_completion_tokens": "number",
            "stop": "string|array",
            "tools": "array",
            "tool_choice": "string|object",
            "response_format": "object",
            "frequency_penalty": "number",
            "presence_penalty": "number",
            "seed": "number",
            "logprobs": "boolean",
            "user": "string",
        },
        required=("messages",),
        prepare=_prepare_chat,
        tap=lambda fail, strip: ChatTap(fail, openai_chat.FORMAT.decode_error, strip),
    ),
    "anthropic": RelayRules(
        fields={
            "model": "string",
            "messages": "array",
            "system": "string|array",
            "stream": "boolean",
            "max_tokens": "number",
            "temperature": "number",
            "top_p": "number",
            "top_k": "number",
            "stop_sequences": "array",
            "tools": "array",
            "tool_choice": "object",
            "thinking": "object",
            "metadata": "object",
        },
        required=("messages",),
        prepare=_prepare_plain,
        tap=lambda fail, strip: AnthropicTap(fail, anthropic.FORMAT.decode_error),
    ),
}
