"""A stream where a complete answer was requested: where it ends, and its events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from ..proto.headers import Headers, get
from ..proto.ndjson import NDJSONReader
from ..proto.sse import SSEReader
from ..translate.events import Event, Failure, Finish
from ..translate.format import BadAnswer, Format
from ..translate.formats import FORMATS
from .translation import Reader


def reader_for(source: Format) -> Reader:
    """A reader that splits a stream of this format into events or lines."""
    return SSEReader() if source.framing == "sse" else NDJSONReader()


def is_stream(received: Headers) -> bool:
    """Whether a response with the header fields *received* is a stream of SSE or NDJSON."""
    kind = get(received, b"content-type")
    if kind is None or b"/json" in kind:
        return False
    kind = kind.lower()
    return b"/json" not in kind and (b"event-stream" in kind or b"ndjson" in kind)


class _Ending:
    """Finds the end of a stream by its events, because the connection may stay open after it."""

    def __init__(self, source: Format) -> None:
        self._reader = reader_for(source)
        self._decoder = source.stream_decoder()

    def reached(self, data: bytes) -> bool:
        """Whether *data*, the next bytes, contains the end, or is malformed, so that no end will be found."""
        try:
            pairs = self._reader.feed(data)
            return any(isinstance(e, (Finish, Failure)) for name, piece in pairs for e in self._decoder.feed(name, piece))
        except (ValueError, BadAnswer):
            return True


def _ends(source: Format, received: Headers) -> Callable[[bytes], bool] | None:
    return _Ending(source).reached if is_stream(received) else None


ENDS: Final = {wire: partial(_ends, source) for wire, source in FORMATS.items()}
"""Wire -> header fields -> for a stream, whether the next bytes contain its end; None for any other response."""


def fold(wire: str, body: bytes) -> list[Event]:
    """Decode a whole stream into its events.  Raises ``BadAnswer``."""
    source = FORMATS[wire]
    reader = reader_for(source)
    decoder = source.stream_decoder()
    events: list[Event] = []
    try:
        for name, data in (*reader.feed(body), *reader.finish()):
            events += decoder.feed(name, data)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    events += decoder.eof()
    return events
