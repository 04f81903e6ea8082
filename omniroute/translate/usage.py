"""Token counts of every wire, made one: :class:`~.events.Usage`.

``input`` counts the whole prompt and ``output`` all that was generated.  Anthropic reports cached prompt tokens beside
``input_tokens``; OpenAI, Responses and Gemini inside; Gemini reports thinking beside the candidates' tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from .events import Usage

if TYPE_CHECKING:
    Count = int | None
else:  # a vendor that writes 10.0 is read too: it is equal to 10 wherever it goes, so it is not converted
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
    cached_tokens: Count = None
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
    iterations: Any = None  # the runs that made the answer, and others: see ``with_asides``

    def merge(self, later: AnthropicUsage) -> None:
        """Take every count that *later* reports."""
        for name, value in zip(self.__struct_fields__, astuple(later), strict=True):
            if value is not None:
                setattr(self, name, value)


class _Run(AnthropicUsage):
    type: str = ""


class OllamaUsage(Struct):
    """Ollama's counts, members of the last line of an answer."""

    prompt_eval_count: Count = None
    eval_count: Count = None


class GeminiUsage(Struct, gc=False):
    """Gemini's ``usageMetadata``.  Prompt tokens of tools that run at the vendor stand beside the prompt's."""

    promptTokenCount: Count = None
    candidatesTokenCount: Count = None
    thoughtsTokenCount: Count = None
    cachedContentTokenCount: Count = None
    toolUsePromptTokenCount: Count = None
    totalTokenCount: Count = None

    def merge(self, earlier: GeminiUsage) -> None:
        """Keep the counts of *earlier* that this one does not report, unless what it reports is all that its total counts.

        Each chunk of a stream has the counts so far; where tools run at the vendor some have those of one round, and what
        the last one leaves out then is nothing.
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
    """OpenAI chat counts -> ours.  Where the total shows that thinking was counted beside the output, it is added."""
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


_BESIDE: Final = ("compaction", "advisor_message")  # the other kinds are in the answer's own counts


def with_asides(usage: Usage, iterations: Any) -> Usage:
    """*usage* and what is paid beside the answer: the runs in which Anthropic compacted the context or asked an advisor."""
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
    """Ollama counts -> ours; None when there are none."""
    if usage.prompt_eval_count is None and usage.eval_count is None:
        return None
    return Usage(input=usage.prompt_eval_count, output=usage.eval_count)


def from_gemini(usage: GeminiUsage) -> Usage:
    """Gemini counts -> ours.  Without counts of its own the output is what the total has more than the prompt."""
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
    """OpenAI Responses counts -> ours."""
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
