from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.events import Usage
from omniroute.translate.usage import (
    AnthropicUsage,
    ChatUsage,
    GeminiUsage,
    from_anthropic,
    from_chat,
    from_gemini,
    with_asides,
)


def chat(**counts: Any) -> Usage:
    return from_chat(msgspec.convert(counts, ChatUsage))


def anthropic(**counts: Any) -> Usage:
    return from_anthropic(msgspec.convert(counts, AnthropicUsage))


def test_openai_counts_cached_tokens_inside_the_prompt() -> None:
    usage = chat(
        prompt_tokens=21,
        completion_tokens=5,
        total_tokens=26,
        prompt_tokens_details={"cached_tokens": 16},
        completion_tokens_details={"reasoning_tokens": 2},
    )
    assert usage == Usage(input=21, output=5, cache_read=16, reasoning=2, total=26)


@pytest.mark.parametrize(
    "name", ["prompt_cache_hit_tokens", "cache_read_input_tokens", "num_cached_tokens", "cached_tokens"]
)
def test_other_vendors_names_for_cached_tokens(name: str) -> None:
    assert chat(prompt_tokens=9, completion_tokens=1, **{name: 4}).cache_read == 4


@pytest.mark.parametrize(
    ("total", "output"),
    [
        (60, 50),  # 10 + 20 + 30: the thinking stands beside the output
        (30, 20),  # inside it
        (None, 20),
        (70, 20),  # something else is in the total
    ],
)
def test_a_total_tells_that_thinking_is_counted_beside_the_output(total: int | None, output: int) -> None:
    details = {"reasoning_tokens": 30}
    usage = chat(prompt_tokens=10, completion_tokens=20, total_tokens=total, completion_tokens_details=details)
    assert (usage.output, usage.reasoning, usage.total) == (output, 30, total)


def test_openais_own_name_wins() -> None:
    assert chat(prompt_tokens_details={"cached_tokens": 1}, prompt_cache_hit_tokens=4).cache_read == 1


def test_anthropic_counts_cached_tokens_beside_the_input() -> None:
    usage = anthropic(input_tokens=5, output_tokens=7, cache_read_input_tokens=16, cache_creation_input_tokens=3)
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (24, 7, 16, 3)


def test_runs_beside_the_answer_are_paid_too() -> None:
    counts = {"input_tokens": 2, "output_tokens": 3, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 0}
    runs = [{"type": kind, **counts} for kind in ("message", "compaction", "advisor_message", "fallback_message")]
    usage = with_asides(anthropic(**counts), [*runs, "x", {"type": "compaction", "input_tokens": "x"}])
    assert (usage.input, usage.output, usage.cache_read) == (9, 9, 3)
    assert with_asides(anthropic(**counts), "x") == anthropic(**counts)
    assert with_asides(Usage(), runs) == Usage()


def test_the_hour_long_part_of_what_was_cached() -> None:
    usage = anthropic(input_tokens=1, cache_creation_input_tokens=3, cache_creation={"ephemeral_1h_input_tokens": 2})
    assert (usage.cache_write, usage.cache_write_1h) == (3, 2)


def test_what_was_not_said_is_not_zero() -> None:
    assert chat() == anthropic() == Usage()
    assert anthropic(output_tokens=7).input is None


def test_counts_written_as_fractions_are_whole() -> None:
    assert chat(prompt_tokens=21.0).input == 21


def test_later_counts_of_a_stream_win_and_silence_keeps_the_earlier() -> None:
    first = msgspec.convert({"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 16}, AnthropicUsage)
    first.merge(msgspec.convert({"output_tokens": 9}, AnthropicUsage))
    assert (first.input_tokens, first.output_tokens, first.cache_read_input_tokens) == (5, 9, 16)


@pytest.mark.parametrize(
    ("later", "output", "reasoning"),
    [
        ({"candidatesTokenCount": 20, "totalTokenCount": 60}, 50, 30),  # the total has the thoughts of before
        ({"candidatesTokenCount": 20, "totalTokenCount": 30}, 20, None),  # it has not
        ({"thoughtsTokenCount": 40, "totalTokenCount": 50}, 40, 40),
        ({"candidatesTokenCount": 20}, 50, 30),
        ({"totalTokenCount": 10}, 35, 30),  # says nothing of the output
    ],
)
def test_what_a_later_count_of_gemini_leaves_out(later: dict[str, int], output: int, reasoning: int | None) -> None:
    earlier = GeminiUsage(promptTokenCount=10, candidatesTokenCount=5, thoughtsTokenCount=30, cachedContentTokenCount=4)
    merged = msgspec.convert({"promptTokenCount": 10} | later, GeminiUsage)
    merged.merge(earlier)
    usage = from_gemini(merged)
    assert (usage.output, usage.reasoning, usage.cache_read) == (output, reasoning, 4)
