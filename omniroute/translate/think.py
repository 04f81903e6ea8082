"""Thinking that a model writes into its visible answer, turned into thinking events.

Open models begin with ``<think>…</think>`` if their server does not remove it; Google's chat endpoint writes ``<thought>``.
The splitter follows a decoder and changes text only at the very start of an answer: a later tag is something that the model
talks about.  A tag may be split across deltas, so text that may become one is held back until this is decided.  White space
around the thinking comes from the chat template and is removed; so is an empty pair of tags, which a model writes when told
not to think.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from .events import Event, Start, TextDelta, ThinkingDelta, Usage

_TAGS: Final = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>"}
_MOST_SPACE: Final = 256  # characters of white space that are held back


class _At(Enum):
    START = 0  # only white space or the beginning of a tag so far
    THINKING = 1  # between the tags
    GAP = 2  # after the closing tag, before the answer
    ANSWER = 3


class ThinkSplitter:
    """Splits one answer, whole or streamed; ``feed`` takes every event of its decoder, in order."""

    def __init__(self) -> None:
        self._at = _At.START
        self._held = ""  # text that is still undecided
        self._close = ""  # the tag that ends the thinking
        self._said = False  # some thinking was emitted

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events with leading tagged text as thinking; once the answer has begun, *events* itself."""
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
        """Whether the answer has begun, so that all further events stay as they are."""
        return self._at is _At.ANSWER

    def inside(self) -> bool:
        """Whether more of the thinking may follow."""
        return self._at is _At.START or self._at is _At.THINKING

    def tagged(self) -> bool:
        """Whether the answer began with a tag."""
        return bool(self._close)

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
        """Hold back what may be the beginning of a tag; anything else begins the answer."""
        if bare[:1] in ("", "<") and len(held) <= _MOST_SPACE and any(tag.startswith(bare) for tag in _TAGS):
            self._held = held
            return
        self._at = _At.ANSWER
        out.append(event if held == event.text else TextDelta(held, event.logprobs))

    def _think(self, thought: str, complete: bool, out: list[Event]) -> None:
        """Emit thinking, without trailing white space and without what may be the beginning of the closing tag."""
        if not self._said:
            thought = thought.lstrip()
        ready = thought.rstrip() if complete else _without_end(thought, self._close)
        if not complete:
            self._held = thought[len(ready) :]
        if ready:
            self._said = True
            out.append(ThinkingDelta(ready))

    def _flush(self, out: list[Event]) -> None:
        """Emit what is held back, since another kind of event ends the text."""
        held, self._held = self._held, ""
        if self._at is _At.START and held:
            out.append(TextDelta(held))
        elif self._at is _At.THINKING and held.strip():
            out.append(ThinkingDelta(held.rstrip()))
        self._at = _At.ANSWER


def _without_end(text: str, tag: str) -> str:
    """Return *text* without a tail that may begin *tag* and without white space before it, unless that is very long."""
    at = text.rfind("<", max(0, len(text) - len(tag) + 1))
    if at >= 0 and tag.startswith(text[at:]):
        text = text[:at]
    bare = text.rstrip()
    return bare if len(text) - len(bare) <= _MOST_SPACE else text
