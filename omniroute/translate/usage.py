"""Token counts of every wire, made one: :class:`~.events.Usage`.

``input`` counts the whole prompt and ``output`` all that was generated.  Anthropic reports cached prompt tokens beside
``input_tokens``; OpenAI, Responses and Gemini inside; Gemini reports thinking beside the candidates' tokens.
"""

from __future__ import annotations

from msgspec import Struct

from .events import Usage


class PromptDetails(Struct):
    cached_tokens: float | None = None
    cache_write_tokens: float | None = None


class OutputDetails(Struct):
    reasoning_tokens: float | None = None


class ChatUsage(Struct):
    """OpenAI chat's ``usage``, and other vendors' names for cached tokens in it."""

    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    total_tokens: float | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: float | None = None
    cache_read_input_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    num_cached_tokens: float | None = None
    reasoning_tokens: float | None = None


class CacheCreation(Struct):
    ephemeral_5m_input_tokens: float | None = None
    ephemeral_1h_input_tokens: float | None = None


class ThinkingDetails(Struct):
    thinking_tokens: float | None = None


class AnthropicUsage(Struct):
    """Anthropic's ``usage``, of ``message_start`` and ``message_delta`` alike."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    cache_read_input_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: ThinkingDetails | None = None

    def merge(self, later: AnthropicUsage) -> None:
        """Take every count that *later* reports."""
        for name in self.__struct_fields__:
            if (value := getattr(later, name)) is not None:
                setattr(self, name, value)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def from_chat(usage: ChatUsage) -> Usage:
    """OpenAI chat counts -> ours."""
    prompt, output = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = _first(
        prompt.cached_tokens if prompt else None,
        usage.prompt_cache_hit_tokens,
        usage.cache_read_input_tokens,
        usage.num_cached_tokens,
    )
    reasoning = output.reasoning_tokens if output and output.reasoning_tokens is not None else usage.reasoning_tokens
    return Usage(
        input=_whole(usage.prompt_tokens),
        output=_whole(usage.completion_tokens),
        cache_read=_whole(cached),
        cache_write=_whole(_first(prompt.cache_write_tokens if prompt else None, usage.cache_creation_input_tokens)),
        reasoning=_whole(reasoning),
        total=_whole(usage.total_tokens),
    )


def from_anthropic(usage: AnthropicUsage) -> Usage:
    """Anthropic counts -> ours."""
    read, write = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    fresh = usage.input_tokens
    return Usage(
        input=None if fresh is None else int(fresh + (read or 0) + (write or 0)),
        output=_whole(usage.output_tokens),
        cache_read=_whole(read),
        cache_write=_whole(write),
        cache_write_1h=_whole(usage.cache_creation.ephemeral_1h_input_tokens) if usage.cache_creation else None,
        reasoning=_whole(usage.output_tokens_details.thinking_tokens) if usage.output_tokens_details else None,
    )
