"""The ways through the translation of one event, ready to be timed; shared by the micro benchmarks and the gate.

A path is what happens to one text event in the middle of a stream: read it as SSE, decode it, encode it for the other wire.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from omniroute.proto.sse import SSEReader
from omniroute.translate.format import Stamp
from omniroute.translate.formats import FORMATS

from ..answers import ANTHROPIC, CHAT, Answers

ANSWERS: dict[str, Answers] = {"openai-chat": CHAT, "anthropic": ANTHROPIC}


@dataclass(frozen=True)
class Path:
    """From one wire to another."""

    source: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.source} to {self.target}"

    @cached_property
    def step(self) -> Callable[[], bytes]:
        """One more text event through a stream that has begun; returns the client's bytes."""
        reader, decoder = SSEReader(), FORMATS[self.source].stream_decoder()
        encoder = FORMATS[self.target].stream_encoder(Stamp(id="bench", created=1750000000, model="mock"))

        def feed(data: bytes) -> bytes:
            return b"".join([encoder.feed(decoder.feed(name, event)) for name, event in reader.feed(data)])

        answers = ANSWERS[self.source]
        for event in (*answers.before, answers.event(1)):
            feed(event)
        event = answers.event(2)
        return lambda: feed(event)

    def microseconds(self, number: int = 5_000, repeat: int = 5) -> float:
        """The best of *repeat* runs, for one event: the least disturbed."""
        assert b"tok-2" in self.step()
        return min(timeit.repeat(self.step, number=number, repeat=repeat)) / number * 1e6


TRANSLATED = tuple(Path(source, target) for source in ANSWERS for target in ANSWERS if source != target)
