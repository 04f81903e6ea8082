"""Estimates of tokens from the number of characters, for what no upstream has counted.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from ..translate.conversation import Ask, Block, Media, Refusal, Text, Thinking, ToolCall, ToolResult

CHARACTERS_A_TOKEN: Final = 4.0  # in English prose and JSON, within 25 % for every vendor's tokenizer
MEDIA_TOKENS: Final = 1500  # for an image of usual size
TURN_TOKENS: Final = 4  # overhead of each turn


def estimate(ask: Ask) -> int:
    """Estimate the tokens of a prompt."""
    size = sum(map(_size, ask.system))
    size += sum(len(tool.name) + len(tool.description or "") + len(tool.schema or b"") for tool in ask.tools)
    frames = 0
    for turn in ask.turns:
        frames += TURN_TOKENS
        size += sum(map(_size, turn.blocks))
    return math.ceil(size / CHARACTERS_A_TOKEN) + frames


def tokens_of(blocks: Iterable[Block]) -> int:
    """Estimate the tokens of an answer's blocks."""
    return math.ceil(sum(map(_size, blocks)) / CHARACTERS_A_TOKEN)


def _size(block: Block) -> float:
    """The characters of a block; for media, the equivalent of its tokens in characters."""
    if isinstance(block, Text | Thinking | Refusal):
        return len(block.text)
    if isinstance(block, ToolCall):
        return len(block.name) + len(block.arguments)
    if isinstance(block, ToolResult):
        return sum(map(_size, block.blocks))
    if isinstance(block, Media):
        return len(block.text or "") or MEDIA_TOKENS * CHARACTERS_A_TOKEN
    return 0
