"""Token counts of every wire, converted to :class:`~.events.Usage`.

``input`` counts the whole prompt and ``output`` everything generated.  Anthropic does not include cached prompt tokens in
``input_tokens``; OpenAI, Responses and Gemini do.  Gemini does not include thinking in ``candidatesTokenCount``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from .events import Usage

if TYPE_CHECKING:
    Count = int | None
else:  # some vendors write 10.0, which equals 10 everywhere, so it need not be converted
    Count = int | float | None


class PromptDetails(Struct):
    cached_tokens: Count = None
    cache_write_tokens: Count = None


class OutputDetails(Struct):
    reasoning_tokens: Count = None


class ChatUsage(Struct):
    """OpenAI chat's ``usage``, with other vendors' names for cached tokens."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    num_cached_tokens: Count = None
    cached_tokens: Count = None
    reasoning_tokens: Count = None


class CacheCreation(Struct):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class ThinkingDetails(Struct):
    thinking_tokens: Count = None


class AnthropicUsage(Struct):
    """Anthropic's ``usage``, in ``message_start`` and in ``message_delta``."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: ThinkingDetails | None = None
    iterations: Any = None  # the model runs of this call; see ``with_asides``

    def merge(self, later: AnthropicUsage) -> None:
        """Take every count that *later* reports."""
        for name, value in zip(self.__struct_fields__, astuple(later), strict=True):
            if value is not None:
                setattr(self, name, value)


class _Run(AnthropicUsage):
    type: str = ""


class OllamaUsage(Struct):
    """Ollama's counts, in the last line of an answer."""

    prompt_eval_count: Count = None
    eval_count: Count = None


class GeminiUsage(Struct, gc=False):
    """Gemini's ``usageMetadata``.  ``promptTokenCount`` excludes the prompt tokens of tools that run at the vendor."""

    promptTokenCount: Count = None
    candidatesTokenCount: Count = None
    thoughtsTokenCount: Count = None
    cachedContentTokenCount: Count = None
    toolUsePromptTokenCount: Count = None
    totalTokenCount: Count = None

    def merge(self, earlier: GeminiUsage) -> None:
        """Keep the counts of *earlier* that this one does not report, unless its total shows that they are zero.

        Each chunk of a stream has the counts so far.  If tools run at the vendor, some chunks have those of one round only;
        a count that the last one omits is then zero.
        """
        output = self.candidatesTokenCount, self.thoughtsTokenCount
        parts = (self.promptTokenCount, self.toolUsePromptTokenCount, *output)
        whole = output != (None, None) and self.totalTokenCount == sum(part or 0 for part in parts)
        for name in self.__struct_fields__:
            if getattr(self, name) is None and not (whole and name in _SUMMED):
                setattr(self, name, getattr(earlier, name))


_SUMMED = frozenset({"promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"})
_NO_PROMPT = PromptDetails()
_NO_OUTPUT = OutputDetails()


def from_chat(usage: ChatUsage) -> Usage:
    """Convert OpenAI chat counts.  If the total shows that ``completion_tokens`` excludes thinking, it is added."""
    prompt = usage.prompt_tokens_details or _NO_PROMPT
    output = usage.completion_tokens_details or _NO_OUTPUT
    cached, written, reasoning = prompt.cached_tokens, prompt.cache_write_tokens, output.reasoning_tokens
    if cached is None:
        others = usage.prompt_cache_hit_tokens, usage.cache_read_input_tokens, usage.num_cached_tokens, usage.cached_tokens
        cached = _first(*others)
    if reasoning is None:
        reasoning = usage.reasoning_tokens
    generated = usage.completion_tokens
    if reasoning and generated is not None and usage.total_tokens == (usage.prompt_tokens or 0) + generated + reasoning:
        generated += reasoning
    return Usage(
        input=usage.prompt_tokens,
        output=generated,
        cache_read=cached,
        cache_write=usage.cache_creation_input_tokens if written is None else written,
        reasoning=reasoning,
        total=usage.total_tokens,
    )


def _first(*values: Count) -> Count:
    for value in values:
        if value is not None:
            return value
    return None


def from_anthropic(usage: AnthropicUsage) -> Usage:
    """Convert Anthropic counts; ``input`` includes cached tokens."""
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


_BESIDE: Final = ("compaction", "advisor_message")  # runs of other types are part of the answer's own counts


def with_asides(usage: Usage, iterations: Any) -> Usage:
    """Add to *usage* the runs that are billed beside the answer: context compaction and advisor messages (Anthropic)."""
    for item in iterations if isinstance(iterations, list) and usage.input is not None else ():
        try:
            run = msgspec.convert(item, _Run)
        except msgspec.ValidationError:
            continue
        if run.type in _BESIDE:
            more = from_anthropic(run)
            for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h"):
                if count := getattr(more, name):
                    setattr(usage, name, (getattr(usage, name) or 0) + count)
    return usage


def from_ollama(usage: OllamaUsage) -> Usage | None:
    """Convert Ollama counts; None if there are none."""
    if usage.prompt_eval_count is None and usage.eval_count is None:
        return None
    return Usage(input=usage.prompt_eval_count, output=usage.eval_count)


def from_gemini(usage: GeminiUsage) -> Usage:
    """Convert Gemini counts.  If the output is not reported, it is the total minus the prompt."""
    prompt, candidates, thoughts = usage.promptTokenCount, usage.candidatesTokenCount, usage.thoughtsTokenCount
    output: Count = None
    if candidates is not None or thoughts is not None:
        output = (candidates or 0) + (thoughts or 0)
    elif prompt is not None and usage.totalTokenCount is not None:
        output = max(0, usage.totalTokenCount - prompt - (usage.toolUsePromptTokenCount or 0))
    return Usage(
        input=prompt,
        output=output,
        cache_read=usage.cachedContentTokenCount,
        reasoning=thoughts,
        total=usage.totalTokenCount,
    )


class ResponsesUsage(Struct):
    """OpenAI Responses' ``usage``."""

    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_tokens_details: PromptDetails | None = None
    output_tokens_details: OutputDetails | None = None


def from_responses(usage: ResponsesUsage) -> Usage:
    """Convert OpenAI Responses counts."""
    prompt = usage.input_tokens_details or _NO_PROMPT
    output = usage.output_tokens_details or _NO_OUTPUT
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=prompt.cached_tokens,
        cache_write=prompt.cache_write_tokens,
        reasoning=output.reasoning_tokens,
        total=usage.total_tokens,
    )
