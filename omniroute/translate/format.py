"""The interface of a wire format: the record that each wire fills, and the types it uses.

Everything here is pure and synchronous: ids and times are arguments (:class:`Stamp`), so equal input gives equal bytes.

Errors.  Functions that read what a *client* sent raise ``OmniError("invalid_request", …, param=<dotted path>)``.
Functions that read what an *upstream* sent raise :class:`BadAnswer`, and nothing else, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct, field

from .collect import Answer
from .conversation import Ask
from .events import Event, Failure, TextDelta
from .text_frame import TextFrame, unescape


class BadAnswer(Exception):
    """The upstream's bytes are not an answer in its wire: broken JSON, a wrong shape, an HTML page."""


class Target(Struct, frozen=True):
    """What a request encoder must know about the model it writes for."""

    model: str
    max_output: int = 0  # tokens; 0 = unknown.  The Anthropic wire requires max_tokens
    quirks: frozenset[str] = frozenset()  # of the provider's row in the catalogue
    abilities: frozenset[str] = frozenset()  # of the model's row; empty = unknown


class Stamp(Struct, frozen=True):
    """What an answer encoder needs besides the events."""

    id: str  # used when the upstream gave none, or one that the wire's grammar forbids
    created: int  # Unix seconds, used when the upstream gave none
    model: str  # used when the upstream gave none
    include_usage: bool = True  # openai-chat streams: the client asked for the usage chunk
    names: dict[str, str] = field(default_factory=dict)  # tool name sent upstream -> the client's own name
    ask: Ask | None = None  # for wires whose answers echo the request (Responses)


class Rendered(NamedTuple):
    """An encoded body, and the names of what it cannot represent (``fidelity.py``), e.g. ``("cache_control", "top_k")``."""

    body: bytes
    dropped: tuple[str, ...] = ()
    names: dict[str, str] = {}  # noqa: RUF012 - tool names that had to be renamed: sent -> the client's own


class StreamDecoder(Protocol):
    """Upstream SSE events or NDJSON lines -> neutral events."""

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        """Decode one SSE event (*name*: its ``event`` field or ``b""``) or one NDJSON line.  Raises BadAnswer."""
        ...

    def frame(self, last: tuple[bytes, bytes]) -> TextFrame | None:
        """Return the frame of server-sent events that need no ``feed``, for they only continue the text of *last*.

        *last* is the event that ``feed`` decoded last.  An event that fits the frame and follows directly adds its text and
        changes nothing else.  None if there is no such frame.
        """
        return None

    def eof(self) -> Sequence[Event]:
        """The upstream's body ended cleanly.  Returns what is still missing, so that Finish or Failure ends the events."""
        ...


class StreamEncoder(Protocol):
    """Neutral events -> the client's bytes.  Writes exactly one ending; after it every call returns ``b""``."""

    dropped: list[str]  # names of what could not be represented, for the log

    def feed(self, events: Sequence[Event]) -> bytes: ...

    def escaped(self, texts: Sequence[bytes]) -> bytes:
        """The same as feeding a TextDelta for each of *texts*: escaped as in :mod:`.text_frame`, none of them empty.

        Encoders that need nothing else of the text write it as it is escaped, which is another spelling of the same JSON.
        """
        return self.feed([TextDelta(unescape((text,))) for text in texts])

    def eof(self) -> bytes:
        """No more events follow; closes the stream unless Finish has already done so."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """Report the error as the wire does inside a stream, and end the stream."""
        ...


class Format(Struct, frozen=True):
    """One wire: its name in the catalogue and logs, its framing, its decoders and its encoders."""

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
