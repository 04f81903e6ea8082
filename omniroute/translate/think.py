"""Thinking that a model writes into its visible answer, moved to where it belongs.

Open models begin with ``<think>…</think>`` when their server does not take it out.  The splitter stands behind a decoder and
changes text at the very start of an answer only: a tag later on is something the model talks about.  Tags may be cut
anywhere; what could still become one is held back, and let go as soon as it cannot.  White space around the thinking is
the template's and goes; so does an empty pair of tags, the sign of a model told not to think.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from .events import Event, Start, TextDelta, ThinkingDelta, Usage

_TAGS: Final = {"<think>": "</think>", "<thinking>": "</thinking>"}
_MOST_SPACE: Final = 256  # characters of white space that are held back


class _At(Enum):
    START = 0  # nothing but white space, or the beginning of a tag
    THINKING = 1  # between the tags
    GAP = 2  # behind the closing tag, before the answer
    ANSWER = 3


class ThinkSplitter:
    """One answer, whole or streamed: ``feed`` takes every event of its decoder, in order."""

    def __init__(self) -> None:
        self._at = _At.START
        self._held = ""  # text that is not decided yet
        self._close = ""  # the tag that ends the thinking
        self._said = False  # some thinking was given out

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """The same events, with the leading tagged text as thinking.  Once the answer has begun, the argument itself."""
        if self.over():
            return events
        out: list[Event] = []
        for place, event in enumerate(events, 1):
            if isinstance(event, (Start, Usage)):
                out.append(event)
                continue
            if isinstance(event, TextDelta):
                self._text(event, out)
            else:
                self._flush(out)
                out.append(event)
            if self.over():
                return [*out, *events[place:]]
        return out

    def over(self) -> bool:
        """The answer has begun: every event that follows stays as it is."""
        return self._at is _At.ANSWER

    def _text(self, event: TextDelta, out: list[Event]) -> None:
        held, self._held = self._held + event.text, ""
        if self._at is _At.START:
            bare = held.lstrip()
            tag = next((tag for tag in _TAGS if bare.startswith(tag)), "") if bare[:1] == "<" else ""
            if not tag:
                self._undecided(event, held, bare, out)
                return
            self._at, self._close, held = _At.THINKING, _TAGS[tag], bare[len(tag) :]
        if self._at is _At.THINKING:
            thought, found, held = held.partition(self._close)
            self._think(thought, bool(found), out)
            if not found:
                return
            self._at = _At.GAP
        if held := held.lstrip():
            self._at = _At.ANSWER
            out.append(TextDelta(held, event.logprobs))

    def _undecided(self, event: TextDelta, held: str, bare: str, out: list[Event]) -> None:
        """Hold what may be the beginning of a tag."""
        if bare[:1] in ("", "<") and len(held) <= _MOST_SPACE and any(tag.startswith(bare) for tag in _TAGS):
            self._held = held
            return
        self._at = _At.ANSWER
        out.append(event if held == event.text else TextDelta(held, event.logprobs))

    def _think(self, thought: str, complete: bool, out: list[Event]) -> None:
        """Give thinking out, but not its last white space and not what may be half of the closing tag."""
        if not self._said:
            thought = thought.lstrip()
        ready = thought.rstrip() if complete else _without_end(thought, self._close)
        if not complete:
            self._held = thought[len(ready) :]
        if ready:
            self._said = True
            out.append(ThinkingDelta(ready))

    def _flush(self, out: list[Event]) -> None:
        """Another kind of event ends the text: nothing is left to wait for."""
        held, self._held = self._held, ""
        if self._at is _At.START and held:
            out.append(TextDelta(held))
        elif self._at is _At.THINKING and held.strip():
            out.append(ThinkingDelta(held.rstrip()))
        self._at = _At.ANSWER


def _without_end(text: str, tag: str) -> str:
    """*text* without an end that *tag* may begin with, and without the white space before that, unless there is a lot."""
    at = text.rfind("<", max(0, len(text) - len(tag) + 1))
    if at >= 0 and tag.startswith(text[at:]):
        text = text[:at]
    bare = text.rstrip()
    return bare if len(text) - len(bare) <= _MOST_SPACE else text
