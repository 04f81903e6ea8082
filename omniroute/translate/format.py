"""The record that each wire fills.

Everything here is pure and synchronous: ids and times are arguments (:class:`Stamp`), so equal input gives equal bytes.

Declared failures.  Functions that read what a *client* sent raise ``OmniError("invalid_request", …, param=<dotted path>)``.
Functions that read what an *upstream* sent raise :class:`BadAnswer`, and nothing else, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct, field

from .collect import Answer
from .conversation import Ask
from .events import Event, Failure, TextDelta


class BadAnswer(Exception):
    """The upstream's bytes are not an answer in its wire: broken JSON, a wrong shape, an HTML page."""


class Target(Struct, frozen=True):
    """What an encoder must know of the model it writes for."""

    model: str
    max_output: int = 0  # tokens; 0 = unknown.  Anthropic demands max_tokens
    quirks: frozenset[str] = frozenset()  # of the provider's row in the catalogue
    abilities: frozenset[str] = frozenset()  # of the model's row; empty = unknown


class Stamp(Struct, frozen=True):
    """What an encoder of answers needs beside the events."""

    id: str  # used when the upstream gave none, or one that the wire's grammar forbids
    created: int  # Unix seconds, used when the upstream gave none
    model: str  # used when the upstream gave none
    include_usage: bool = True  # openai-chat streams: the client asked for the usage chunk
    names: dict[str, str] = field(default_factory=dict)  # tool name sent upstream -> the client's own name
    ask: Ask | None = None  # for wires whose answers echo the request (Responses)


class Rendered(NamedTuple):
    """Encoded bytes, and the names of what they could not hold (``fidelity.py``), e.g. ``("cache_control", "top_k")``."""

    body: bytes
    dropped: tuple[str, ...] = ()
    names: dict[str, str] = {}  # noqa: RUF012 - tool names that had to be renamed: sent -> the client's own


class StreamDecoder(Protocol):
    """Upstream SSE events or NDJSON lines -> our events."""

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        """One SSE event (its ``event`` field, ``b""`` if none, and its data) or one NDJSON line.  Raises BadAnswer."""
        ...

    def run(self, last: tuple[bytes, bytes], data: bytes, at: int) -> tuple[Sequence[str], int]:
        """The texts, none empty, of the server-sent events in *data* from *at* on that say nothing else, and where they end.

        A short way for many at once; ``((), at)`` where there is none.  *last* is the event that ``feed`` had last: what is
        the same in the next ones need not be read again.
        """
        return (), at

    def eof(self) -> Sequence[Event]:
        """The upstream's body ended cleanly.  Completes what is missing: always ends in Finish or Failure, once."""
        ...


class StreamEncoder(Protocol):
    """Our events -> the client's bytes.  Exactly one ending; after it every call returns ``b""``."""

    dropped: list[str]  # what could not be held, for the log

    def feed(self, events: Sequence[Event]) -> bytes: ...

    def texts(self, texts: Sequence[str]) -> bytes:
        """The same as a TextDelta for each of *texts*, none of them empty."""
        return self.feed([TextDelta(text) for text in texts])

    def eof(self) -> bytes:
        """The events are over; closes the stream if Finish has not already done so."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """The error in the wire's own way of reporting one inside a stream, and the stream's end."""
        ...


class Format(Struct, frozen=True):
    """One wire: its name in the catalogue and logs, its framing, and the two ways through it."""

    name: str
    framing: Literal["sse", "ndjson"]
    stream_type: bytes  # content-type of a stream
    decode_request: Callable[[bytes], Ask]
    encode_request: Callable[[Ask, Target], Rendered]
    decode_answer: Callable[[bytes], list[Event]]
    encode_answer: Callable[[Answer, Stamp], Rendered]
    stream_decoder: Callable[[], StreamDecoder]
    stream_encoder: Callable[[Stamp], StreamEncoder]
    decode_error: Callable[[int, bytes], Failure]
    encode_error: Callable[[Failure], bytes]  # the body of an HTTP error answer
