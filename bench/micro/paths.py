"""The translation of one event for each pair of wire formats, ready to be timed; for the micro benchmarks and the gate.

A path takes one text event in the middle of a stream through the gateway's own pipe.  The input is made by the source
format's own encoder, so every pair has a path.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from omniroute.gateway.fold import reader_for
from omniroute.gateway.translation import Translation
from omniroute.translate.events import Start, TextDelta
from omniroute.translate.format import Stamp, StreamEncoder
from omniroute.translate.formats import FORMATS

from ..answers import ANTHROPIC, CHAT, Answers

ANSWERS: dict[str, Answers] = {"openai-chat": CHAT, "anthropic": ANTHROPIC}
WIRES = [name for name in FORMATS if name != "ollama-generate"]  # which only clients use


def _encoder(wire: str) -> StreamEncoder:
    return FORMATS[wire].stream_encoder(Stamp(id="bench", created=1750000000, model="mock"))


@dataclass(frozen=True)
class Path:
    """The translation from one wire format to another."""

    source: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.source} to {self.target}"

    @cached_property
    def step(self) -> Callable[[], bytes]:
        """Return a function that translates one more text event of a started stream into the client's bytes."""
        source = FORMATS[self.source]
        upstream, client = _encoder(self.source), _encoder(self.target)
        feed = Translation(reader_for(source), source.stream_decoder(), client).feed
        for events in ([Start("answer", "mock")], [TextDelta("tok-0 ")], [TextDelta("tok-1 ")]):
            feed(upstream.feed(events))
        event = upstream.feed([TextDelta("tok-2 ")])
        return lambda: feed(event)

    def microseconds(self, number: int = 5_000, repeat: int = 5) -> float:
        """The time of one event, from the fastest of *repeat* runs, which is the least disturbed."""
        assert b"tok-2" in self.step()
        return min(timeit.repeat(self.step, number=number, repeat=repeat)) / number * 1e6


TRANSLATED = tuple(Path(source, target) for source in WIRES for target in WIRES if source != target)
