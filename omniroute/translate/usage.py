"""Token counts of every wire, made one: :class:`~.events.Usage`.

``input`` counts the whole prompt and ``output`` all that was generated.  Anthropic reports cached prompt tokens beside
``input_tokens``; OpenAI, Responses and Gemini inside; Gemini reports thinking beside the candidates' tokens.
"""

from __future__ import annotations

from msgspec import Struct

from .events import Usage

# A vendor that writes 10.0 is read too: equal to 10 wherever it goes, so it is not converted.
Count = int | float | None


class PromptDetails(Struct):
    cached_tokens: Count = None
    cache_write_tokens: Count = None


class OutputDetails(Struct):
    reasoning_tokens: Count = None


class ChatUsage(Struct):
    """OpenAI chat's ``usage``, and other vendors' names for cached tokens in it."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    num_cached_tokens: Count = None
    reasoning_tokens: Count = None


class CacheCreation(Struct):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class ThinkingDetails(Struct):
    thinking_tokens: Count = None


class AnthropicUsage(Struct):
    """Anthropic's ``usage``, of ``message_start`` and ``message_delta`` alike."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: ThinkingDetails | None = None

    def merge(self, later: AnthropicUsage) -> None:
        """Take every count that *later* reports."""
        for name in self.__struct_fields__:
            if (value := getattr(later, name)) is not None:
                setattr(self, name, value)


_NO_PROMPT = PromptDetails()
_NO_OUTPUT = OutputDetails()


def from_chat(usage: ChatUsage) -> Usage:
    """OpenAI chat counts -> ours."""
    prompt = usage.prompt_tokens_details or _NO_PROMPT
    output = usage.completion_tokens_details or _NO_OUTPUT
    cached, written, reasoning = prompt.cached_tokens, prompt.cache_write_tokens, output.reasoning_tokens
    if cached is None:
        cached = _first(usage.prompt_cache_hit_tokens, usage.cache_read_input_tokens, usage.num_cached_tokens)
    return Usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cache_read=cached,
        cache_write=usage.cache_creation_input_tokens if written is None else written,
        reasoning=usage.reasoning_tokens if reasoning is None else reasoning,
        total=usage.total_tokens,
    )


def _first(*values: Count) -> Count:
    for value in values:
        if value is not None:
            return value
    return None


def from_anthropic(usage: AnthropicUsage) -> Usage:
    """Anthropic counts -> ours."""
    fresh, read, write = usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    created, details = usage.cache_creation, usage.output_tokens_details
    return Usage(
        input=None if fresh is None else fresh + (read or 0) + (write or 0),
        output=usage.output_tokens,
        cache_read=read,
        cache_write=write,
        cache_write_1h=created.ephemeral_1h_input_tokens if created else None,
        reasoning=details.thinking_tokens if details else None,
    )
