"""Pipes that translate a stream between wire formats (see :class:`~omniroute.translate.relay.Pipe`).

``Translation`` reads, decodes and encodes.  Most events of a stream equal the one before but for their text; of these it
passes on the text alone.  ``Undecided`` chooses between a tap and a translation by the first text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from ..translate.collect import bad_ending
from ..translate.events import Event, Failure, Finish, Start, TextDelta, ThinkingDelta, Usage, merged
from ..translate.format import BadAnswer, StreamDecoder, StreamEncoder
from ..translate.pii import Redactor
from ..translate.relay import Pipe, PipeState
from ..translate.text_frame import TextFrame
from ..translate.think import ThinkSplitter

HELD_BYTES: Final = 1024 * 1024  # held back before the commit at most; more forces the commit
_MANY: Final = 2048  # from this size of a read on, runs of text events are searched for
_BITE: Final = 512  # bytes decoded before the first search; doubled after each, to limit the number of searches
_FRAMES: Final = 8  # useless frames at most: some vendors make every event different
_NOTED: Final = frozenset({Start, Usage, Failure, Finish})  # the other events matter only until one is meaningful


class Reader(Protocol):
    """Splits the bytes of a stream into events (name, data)."""

    def feed(self, data: bytes) -> Sequence[tuple[bytes, bytes]]: ...
    def finish(self) -> Sequence[tuple[bytes, bytes]]: ...


class Translation(PipeState):
    """Upstream bytes -> reader -> decoder -> encoder -> client bytes.  See ``Pipe``."""

    def __init__(
        self, reader: Reader, decoder: StreamDecoder, encoder: StreamEncoder, redactor: Redactor | None = None
    ) -> None:
        super().__init__()
        self._reader, self._decoder, self._encoder = reader, decoder, encoder
        self._thinking = ThinkSplitter()
        self._redactor = redactor
        self._frame: TextFrame | None = None  # of reads that hold nothing but events of text
        self._frames = _FRAMES
        self._framed_at = 0  # ``pieces`` when the frame was found
        self._unsent = b""  # translated part of a read, still to be sent if the rest of the read is invalid

    def feed(self, data: bytes) -> bytes:
        if self._frame is not None:
            if texts := self._frame.escaped(data):  # only the encoder needs them
                self.pieces += len(texts)
                return self._encoder.escaped(texts)
            self._forget_frame()
        if len(data) >= _MANY and self._redactor is None:
            return self._feed_many(data)
        pairs = self._read(data)
        out = self._translate(pairs)
        if self._frames and data.endswith(b"\n\n") and (frame := self._frame_after(pairs)) is not None:
            self._frame, self._framed_at = frame, self.pieces
            self._frames -= 1
        return out

    def _frame_after(self, pairs: Sequence[tuple[bytes, bytes]]) -> TextFrame | None:
        """The frame of further texts after the last of *pairs*, if these need not be looked at by anything here."""
        passed = self.meaningful and self._redactor is None and self._thinking.over()
        return self._decoder.frame(pairs[-1]) if passed and pairs else None

    def _forget_frame(self) -> None:
        self._frame = None
        if self.pieces > self._framed_at:  # it was of use
            self._frames += 1

    def _feed_many(self, data: bytes) -> bytes:
        """Feed a large read in parts of whole events: a run of text events after any of them is decoded at once."""
        at, bite = 0, _BITE
        while (end := data.find(b"\n\n", at + bite) + 2) > 1:
            pairs = self._read(data[at:end])
            self._unsent += self._translate(pairs)
            at, bite = end, 2 * bite
            if (frame := self._frame_after(pairs)) is not None:
                texts, at = frame.run(data, end)
                if texts:
                    self.pieces += len(texts)
                    self._unsent += self._encoder.escaped(texts)
        out = self._translate(self._read(data[at:]))
        out, self._unsent = self._unsent + out, b""
        return out

    def _read(self, data: bytes) -> Sequence[tuple[bytes, bytes]]:
        try:
            return self._reader.feed(data)
        except ValueError as error:
            raise BadAnswer(str(error)) from None

    def _translate(self, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
        feed = self._decoder.feed
        events: list[Event] = []
        try:
            for name, data in pairs:
                events += feed(name, data)
        except BadAnswer:
            self._unsent += self._encode(events)
            raise
        return self._encode(events) if events else b""

    def _encode(self, events: Sequence[Event]) -> bytes:
        events = self._thinking.feed(events)
        if self._redactor is not None:
            events = self._redactor.feed(events)
        for event in events:
            kind = type(event)
            if self.meaningful and (kind is TextDelta or kind not in _NOTED):  # the most frequent kind first
                self.pieces += 1
            else:
                self._note(event)
        return self._encoder.feed(events)

    def _note(self, event: Event) -> None:
        if isinstance(event, Start):
            self.model = self.model or event.model
        elif isinstance(event, Usage):
            self.usage = merged(self.usage, event)
        elif isinstance(event, Failure):
            self.failure = self.failure or event
        elif isinstance(event, Finish) and event.reason == "error" and not self.meaningful:
            self.failure = self.failure or bad_ending(event)
        elif not isinstance(event, (TextDelta, ThinkingDelta)) or event.text:  # with empty text they only open a block
            self.meaningful = True
            self.pieces += 1
            if isinstance(event, Finish):
                self.finished = self.ended = True

    def eof(self) -> bytes:
        out = self._translate(self._reader.finish())
        if ending := self._decoder.eof():
            out += self._encode(ending)
        return out + self._encoder.eof()

    def fail(self, failure: Failure) -> bytes:
        """The client's error event.  An answer that already has its finish event and only waits for usage is just ended."""
        ending = self._decoder.eof()
        if any(type(event) is Finish for event in ending):
            return self._unsent + self._encode(ending) + self._encoder.eof()
        return self._unsent + self._encoder.fail(failure)


def _of_pipe(name: str) -> Any:
    """An attribute of the pipe in use."""
    return property(lambda self: getattr(self._pipe, name))


class Undecided:
    """A stream on the same wire that is relayed by a tap, or translated if its text begins with reasoning in tags.

    Output is held until the first text decides.  That delays nothing: a commit waits for the same text.  See ``Pipe``.
    """

    usage = _of_pipe("usage")
    model = _of_pipe("model")
    meaningful = _of_pipe("meaningful")
    finished = _of_pipe("finished")
    ended = _of_pipe("ended")
    failure = _of_pipe("failure")
    pieces = _of_pipe("pieces")
    torn = _of_pipe("torn")

    def __init__(self, tap: Pipe, thinks: Callable[[bytes], bool], translation: Callable[[], Pipe]) -> None:
        self._pipe = tap
        self._thinks = thinks
        self._translation = translation
        self._seen: list[bytes] | None = []  # None: decided
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        if self._seen is None:
            return self._pipe.feed(data)
        self._seen.append(data)
        self._held.append(self._pipe.feed(data))
        undecided = not self._pipe.meaningful and self._pipe.failure is None
        if undecided and sum(map(len, self._seen)) < HELD_BYTES:
            return b""
        return self._decide(self._seen)

    @property
    def chosen(self) -> Pipe:
        """The tap or the translation, once output has begun."""
        assert self._seen is None
        return self._pipe

    def _decide(self, seen: list[bytes]) -> bytes:
        raw, held = b"".join(seen), b"".join(self._held)
        self._seen = None
        self._held.clear()
        if self._pipe.failure is not None or not self._thinks(raw):
            return held
        self._pipe = self._translation()
        return self._pipe.feed(raw)

    def eof(self) -> bytes:
        return self._rest() + self._pipe.eof()

    def fail(self, failure: Failure) -> bytes:
        return self._rest() + self._pipe.fail(failure)

    def _rest(self) -> bytes:
        return b"" if self._seen is None else self._decide(self._seen)
