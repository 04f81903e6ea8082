"""Thinking in the visible answer, moved to where it belongs."""

from __future__ import annotations

import random
import time

import pytest

from omniroute.translate.collect import Answer, collect
from omniroute.translate.conversation import Text, Thinking
from omniroute.translate.events import BlockEnd, Event, Failure, Finish, Start, TextDelta, ThinkingDelta, ToolStart, Usage
from omniroute.translate.think import ThinkSplitter

END: list[Event] = [Usage(input=1, output=2), Finish("stop")]


def split(*pieces: str, end: list[Event] = END) -> Answer:
    splitter = ThinkSplitter()
    events: list[Event] = []
    for event in [Start(), *map(TextDelta, pieces), *end]:
        events += splitter.feed([event])
    return collect(events)


def words(answer: Answer) -> tuple[str, str]:
    """(thinking, text)"""
    thinking = "".join(block.text for block in answer.blocks if isinstance(block, Thinking))
    return thinking, "".join(block.text for block in answer.blocks if isinstance(block, Text))


CASES = [
    ("<think>hm</think>so", ("hm", "so")),
    ("<thinking>hm</thinking>so", ("hm", "so")),
    ("\n\n <think>\nhm, a < b\nand\n\nthen\n</think>\n\nso", ("hm, a < b\nand\n\nthen", "so")),
    ("<thought>hm</thought>so", ("hm", "so")),
    ("<think>\n\n</think>\n\nso", ("", "so")),
    ("<think></think>", ("", "")),
    ("<think>never ended\n", ("never ended", "")),
    ("<think>half an end </thi", ("half an end </thi", "")),
    ("<think>a</thinking>b</think>c", ("a</thinking>b", "c")),
    ("so <think>not here</think>", ("", "so <think>not here</think>")),
    ("<thin ice", ("", "<thin ice")),
    ("<thin", ("", "<thin")),
    ("no tag, then </think> one", ("", "no tag, then </think> one")),
    ("<think>a</think><think>b</think>", ("a", "<think>b</think>")),
    ("  so", ("", "  so")),
    ("   ", ("", "   ")),
    ("", ("", "")),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_leading_tag_moves_its_text_however_it_is_cut(text: str, expected: tuple[str, str]) -> None:
    assert words(split(text)) == expected
    assert words(split(*text)) == expected
    for place in range(1, len(text)):
        assert words(split(text[:place], text[place:])) == expected


def test_random_pieces_of_random_texts_say_the_same_as_the_whole() -> None:
    chance = random.Random(7)
    bits = ("<think>", "</think>", "<", "</", "think", ">", " ", "\n", "a", "</thinking>", "<thinking>")
    for _ in range(300):
        text = "".join(chance.choices(bits, k=chance.randint(1, 8)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=3))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert words(split(*pieces)) == words(split(text)), text


def test_an_answer_that_has_begun_passes_as_it_is() -> None:
    splitter = ThinkSplitter()
    splitter.feed([Start(), TextDelta("so")])
    later: list[Event] = [TextDelta("<think>"), *END]
    assert splitter.feed(later) is later


def test_text_without_a_tag_is_the_same_event_with_its_logprobs() -> None:
    event = TextDelta("so", b"[]")
    assert ThinkSplitter().feed([Start(), event])[1] is event


@pytest.mark.parametrize("first", [ThinkingDelta("hm"), ToolStart("c1", "look"), BlockEnd()])
def test_only_the_very_start_counts(first: Event) -> None:
    found = ThinkSplitter().feed([Start(), first, TextDelta("<think>a</think>"), *END])
    assert TextDelta("<think>a</think>") in found


def test_what_was_held_back_comes_before_whatever_ends_the_text() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed([Start(), TextDelta("<thi")]) == [Start()]
    failure = Failure(502, "cut")
    assert splitter.feed([failure]) == [TextDelta("<thi"), failure]


def test_thinking_is_given_out_as_it_comes() -> None:
    splitter = ThinkSplitter()
    splitter.feed([Start(), TextDelta("<think>")])
    assert splitter.feed([TextDelta("first ")]) == [ThinkingDelta("first")]
    assert splitter.feed([TextDelta("second")]) == [ThinkingDelta(" second")]


def test_counts_do_not_end_the_thinking() -> None:
    splitter = ThinkSplitter()
    found = [
        *splitter.feed([Start(), TextDelta("<think>a"), Usage(output=1)]),
        *splitter.feed([TextDelta("b</think>c"), *END]),
    ]
    assert words(collect(found)) == ("ab", "c")


@pytest.mark.parametrize("start", ["", "<think>a"])
def test_white_space_without_end_is_neither_held_nor_slow(start: str) -> None:
    splitter = ThinkSplitter()
    splitter.feed([Start(), TextDelta(start)])
    began = time.process_time()
    said = sum(len(event.text) for _ in range(50_000) for event in splitter.feed([TextDelta(" ")]) if hasattr(event, "text"))
    assert time.process_time() - began < 5
    assert said > 49_000
