"""The one list of wire formats, and what same-wire relaying needs to know about each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from . import anthropic, gemini, ollama, openai_chat, openai_responses
from .events import Failure, Usage
from .format import Format, Stamp, StreamEncoder
from .peek import Peek, patch
from .relay import Tap
from .relay_anthropic import AnthropicTap, anthropic_usage
from .relay_gemini import GeminiArrayTap, GeminiTap, gemini_usage
from .relay_ollama import OllamaTap, ollama_usage
from .relay_openai_chat import ChatTap, chat_usage
from .relay_openai_responses import ResponsesTap, responses_usage

FORMATS: Final[dict[str, Format]] = {
    f.name: f
    for f in (
        *(openai_chat.FORMAT, openai_responses.FORMAT, anthropic.FORMAT),
        *(gemini.FORMAT, ollama.FORMAT, ollama.GENERATE),
    )
}
# The alternative form of a wire's streams: one JSON array instead of events.
ARRAY_ENCODERS: Final[dict[str, Callable[[Stamp], StreamEncoder]]] = {"gemini": gemini.array_encoder}
ARRAY_TAPS: Final[dict[str, Callable[[], Tap]]] = {"gemini": lambda: GeminiArrayTap(gemini.FORMAT.decode_error)}


class _Common(Struct):
    model: str | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tools: list[Raw] | None = None


class _ChatMembers(_Common):
    stream_options: dict[str, Raw] | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    tool_choice: str | dict[str, Raw] | None = None
    response_format: dict[str, Raw] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    logprobs: bool | None = None
    user: str | None = None


class _ResponsesMembers(Struct):
    model: str | None = None
    input: str | list[Raw] | None = None
    instructions: str | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    tools: list[Raw] | None = None
    tool_choice: str | dict[str, Raw] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Raw] | None = None
    text: dict[str, Raw] | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    user: str | None = None


class _AnthropicMembers(_Common):
    system: str | list[Raw] | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tool_choice: dict[str, Raw] | None = None
    thinking: dict[str, Raw] | None = None
    metadata: dict[str, Raw] | None = None


class _StreamsByDefault(Struct):
    model: str | None = None
    stream: bool | None = None
    options: dict[str, Raw] | None = None
    format: str | dict[str, Raw] | None = None
    think: bool | str | None = None

    def __post_init__(self) -> None:
        if self.stream is None:
            self.stream = True


class _OllamaMembers(_StreamsByDefault):
    messages: list[Raw] | None = None
    tools: list[Raw] | None = None


class _GenerateMembers(_StreamsByDefault):
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None


class _GeminiMembers(Struct):
    contents: list[Raw] | dict[str, Raw] | None = None
    tools: list[Raw] | dict[str, Raw] | None = None
    generationConfig: dict[str, Raw] | None = None
    model: str | None = None  # None: the path says the model, as it says the mode
    stream: bool | None = None


class RelayRules(Struct, frozen=True):
    """How one wire is relayed: the types of its main request members, the changes to the request, the tap on its streams.

    ``prepare(peek, model, quirks)`` returns the request to send and whether to remove the usage chunk from the answer.
    """

    members: msgspec.json.Decoder[Any]
    required: tuple[str, ...]
    prepare: Callable[[Peek, str, frozenset[str]], tuple[bytes, bool]]
    tap: Callable[[Callable[[Failure], bytes], bool], Tap]
    usage: Callable[[bytes], tuple[str, Usage | None]]  # (model, usage) of a whole answer


def _model_patch(found: Peek, model: str) -> dict[str, bytes | None]:
    return {} if model == found.model else {"model": msgspec.json.encode(model)}


def _prepare_plain(found: Peek, model: str, quirks: frozenset[str]) -> tuple[bytes, bool]:
    changes = _model_patch(found, model)
    return (patch(found, changes) if changes else found.raw), False


def _prepare_path(found: Peek, model: str, quirks: frozenset[str]) -> tuple[bytes, bool]:
    """Change nothing: on this wire the path says the model."""
    return found.raw, False


def _prepare_chat(found: Peek, model: str, quirks: frozenset[str]) -> tuple[bytes, bool]:
    """Request usage with every stream; it is removed again for a client that did not ask for it."""
    if not found.stream or found.include_usage or "no_stream_options" in quirks:
        return _prepare_plain(found, model, quirks)
    changes = _model_patch(found, model)
    options = found.members.get("stream_options")
    wish = msgspec.json.decode(options) if options is not None else None
    changes["stream_options"] = msgspec.json.encode({**(wish or {}), "include_usage": True})
    return patch(found, changes), True


RELAYS: Final[dict[str, RelayRules]] = {
    "openai-chat": RelayRules(
        members=msgspec.json.Decoder(_ChatMembers),
        required=("messages",),
        prepare=_prepare_chat,
        tap=lambda fail, strip: ChatTap(fail, openai_chat.FORMAT.decode_error, strip),
        usage=chat_usage,
    ),
    "openai-responses": RelayRules(
        members=msgspec.json.Decoder(_ResponsesMembers),
        required=(),  # a conversation kept by the vendor or a stored prompt can replace the input
        prepare=_prepare_plain,
        tap=lambda fail, strip: ResponsesTap(fail, openai_responses.FORMAT.decode_error),
        usage=responses_usage,
    ),
    "anthropic": RelayRules(
        members=msgspec.json.Decoder(_AnthropicMembers),
        required=("messages",),
        prepare=_prepare_plain,
        tap=lambda fail, strip: AnthropicTap(fail, anthropic.FORMAT.decode_error),
        usage=anthropic_usage,
    ),
    "ollama": RelayRules(
        members=msgspec.json.Decoder(_OllamaMembers),
        required=("messages",),
        prepare=_prepare_plain,
        tap=lambda fail, strip: OllamaTap(fail, ollama.FORMAT.decode_error),
        usage=ollama_usage,
    ),
    "gemini": RelayRules(
        members=msgspec.json.Decoder(_GeminiMembers),
        required=("contents",),
        prepare=_prepare_path,
        tap=lambda fail, strip: GeminiTap(fail, gemini.FORMAT.decode_error),
        usage=gemini_usage,
    ),
    "ollama-generate": RelayRules(  # for clients only: no request is sent upstream on this wire
        members=msgspec.json.Decoder(_GenerateMembers),
        required=("prompt",),
        prepare=_prepare_plain,
        tap=lambda fail, strip: OllamaTap(fail, ollama.GENERATE.decode_error),
        usage=ollama_usage,
    ),
}
