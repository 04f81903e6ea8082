"""Same wire in and out: the bytes go through unchanged while a tap reads along.

A tap learns the usage and the model, whether the stream has said anything meaningful yet (until then another attempt can
still hide a failure), whether it reached its end, and whether the upstream reported an error.  It lets only whole SSE events
through, so that a stream that dies inside an event can still be ended with a well-formed error.

Here is what all wires share; each has its own tap in ``relay_<wire>.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from .events import Failure, Usage, merged
from .format import BadAnswer
from .jsonio import is_json, mended
from .text_frame import TextFrame

W = TypeVar("W")
HELD_BYTES: Final = 64 * 1024  # of one incomplete event; a larger one goes through in parts
_SHORT: Final = 32  # bytes; anything shorter is a comment or an end mark, not an event with text
READ_BYTES: Final = 16 * 1024 * 1024  # of an event that goes through in parts; a larger one is not read
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what msgspec raises for bad bytes


class Pipe(Protocol):
    """What connects an upstream's stream with a client: a tap (here) or a translation (in the gateway)."""

    usage: Usage | None
    model: str
    meaningful: bool  # content went out, so the client would notice another attempt
    finished: bool  # the answer reached its end
    ended: bool  # the wire's own last event has come: nothing can follow it
    failure: Failure | None  # the upstream reported this error in its stream
    pieces: int  # approximate number of events so far: the token count, when the upstream reports no usage
    torn: bool  # part of an event has gone out, so nothing else may be written before its rest

    def feed(self, data: bytes) -> bytes:
        """Upstream bytes in, client bytes out."""
        ...

    def eof(self) -> bytes:
        """The upstream's body ended cleanly; ``finished`` then says whether the answer did."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """End the client's stream with an error."""
        ...


_BOUNDARY: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r|\n\r\n")
_WITH_CR: Final = (b"\r\n\r\n", b"\r\r", b"\n\r\n")
_EVENT: Final = re.compile(rb".*?(?:\n\n|\r\n\r\n|\r\r|\n\r\n)|.+\Z", re.DOTALL)
_DATA: Final = re.compile(rb"^data: ?([^\r\n]*)", re.MULTILINE)
_BARE_ERROR: Final = re.compile(rb'\s*\{\s*(?:"error"\s*:|"type"\s*:\s*"error")')


def data_of(event: bytes) -> bytes:
    """Return the data of one SSE event; several ``data`` lines are joined with LF.

    A bare error object counts as data: that is how Google and some proxies report an error where a stream is expected.
    """
    name, _, line = event.removesuffix(b"\n\n").rpartition(b"\n")
    if (
        line.startswith(b"data: ")
        and b"\r" not in event
        and (not name or (name.startswith(b"event:") and b"\n" not in name))
    ):
        return line[6:]  # the usual event: one data line, perhaps with the event's name before it
    lines = _DATA.findall(event if b"\r" not in event else event.replace(b"\r", b"\n"))
    if not lines and _BARE_ERROR.match(event):
        return event
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def last_boundary(blob: bytes) -> int:
    """Return the offset at which the last whole event of *blob* ends; 0 if it has none."""
    end = blob.rfind(b"\n\n") + 2
    if b"\r" in blob:
        end = max([end, *(at + len(mark) for mark in _WITH_CR if (at := blob.rfind(mark)) >= 0)])
    return end if end > 1 else 0


def boundary_before(blob: bytes, at: int, start: int = 0) -> int:
    """Return the offset at which the event that contains *at* begins.  *start* must be the beginning of an event."""
    if blob.find(b"\r", start, at) < 0:
        end = blob.rfind(b"\n\n", start, at) + 2
        return end if end > 1 else start
    end = start
    for found in _BOUNDARY.finditer(blob, start, at):
        end = found.end()
    return end


def first_of(words: Sequence[bytes], blob: bytes, start: int, places: list[int]) -> int:
    """Return the lowest offset from *start* on at which one of *words* is found, ``len(blob)`` if none is.

    *places* holds the last offset of each word (-1 at first), so that calls with increasing *start* search nothing twice.
    """
    for number, at in enumerate(places):
        if at < start:
            at = blob.find(words[number], start)
            places[number] = at if at >= 0 else len(blob)
    return min(places)


def events_of(blob: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (event as sent, its data) for each SSE event of *blob*, which holds whole events."""
    start, plain = 0, b"\r" not in blob
    while start < len(blob):
        event = event_at(blob, start, plain)
        start += len(event)
        yield event, data_of(event)


def event_at(blob: bytes, start: int, plain: bool) -> bytes:
    """The event that begins at *start*; *plain*: all line ends are LF."""
    if plain:
        end = blob.find(b"\n\n", start) + 2
        return blob[start:end] if end > 1 else blob[start:]
    found = _EVENT.match(blob, start)
    assert found is not None  # the pattern matches whatever is left
    return found[0]


def _about(blob: bytes) -> int:
    """Estimate the number of events in *blob* (at least one) by the length of the first; counting is far slower."""
    first = blob.find(b"\n\n") + 2
    return len(blob) // first if first > _SHORT else 1


_TEXT: Final = re.compile(rb'"(?:content|reasoning_content|reasoning|text|thinking)": ?"([^"\\]*)"')
_FRAMES: Final = 8  # events tried as a model at most: some vendors make every one different


class PipeState:
    """What a pipe says of its stream; see :class:`Pipe`."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.meaningful = False
        self.finished = False
        self.ended = False
        self.failure: Failure | None = None
        self.pieces = 0
        self.torn = False


class Tap(PipeState):
    """Cuts the stream at event boundaries; subclasses look at the events.  See :class:`Pipe`."""

    held_bytes = HELD_BYTES

    def __init__(self, encode_failure: Callable[[Failure], bytes]) -> None:
        super().__init__()
        self._encode_failure = encode_failure
        self._tail: list[bytes] = []  # the pieces of an incomplete event
        self._tail_size = 0
        self._gone: list[bytes] = []  # the parts already sent of a torn event, to be read once it is whole
        self._gone_size = 0
        self.watch: Callable[[bytes], None] | None = None  # called with every whole event that comes in
        self._frame: TextFrame | None = None  # of events in which nothing matters but a text
        self._frames = _FRAMES

    def feed(self, data: bytes) -> bytes:
        """See :class:`Pipe`.  The usual read, one event that equals an earlier one but for its text, passes unread."""
        if self._frame is not None and self._frame.text(data) and not (self._tail or self.torn):
            self.pieces += 1
            if self.watch is not None:
                self.watch(data)
            return data
        if not (self._tail or self.torn) and data.endswith(b"\n\n"):
            self.pieces += _about(data)
            if self.watch is not None:
                self.watch(data)
            return self._look(data)
        return self._cut(data)

    def _learn_frame(self, blob: bytes) -> None:
        """Take *blob*, in which nothing matters but a text, as the model of such events if it is a single one."""
        self._frames -= 1
        found = _TEXT.search(blob)
        if found is not None and blob.find(b"\n\n") + 2 == len(blob):
            self._frame = TextFrame(blob[: found.start(1)], blob[found.end(1) :])

    def _cut(self, data: bytes) -> bytes:
        """Let whole events through, keep the rest.  Pieces are joined only at line ends, so byte-wise input stays linear."""
        self._tail.append(data)
        self._tail_size += len(data)
        whole = b""
        if b"\n" in data or b"\r" in data:
            blob = b"".join(self._tail)
            if end := last_boundary(blob):
                whole, rest = blob[:end], blob[end:]
                self._tail, self._tail_size = [rest] if rest else [], len(rest)
            else:
                self._tail = [blob]
        out = self._through(whole) if whole else b""
        return out + self._tear() if self._tail_size > self.held_bytes else out

    def _through(self, whole: bytes) -> bytes:
        """Look at whole events and let them through; the first may be the last part of a torn one."""
        self.pieces += _about(whole)
        done = b""
        if self.torn:
            end = self._first_end(whole)
            done, whole = whole[:end], whole[end:]
            self._read_torn(done)
            self.torn = False
            if not whole:
                return done
        if self.watch is not None:
            self.watch(whole)
        return done + self._look(whole)

    def _first_end(self, blob: bytes) -> int:
        """Return where the first event of *blob* ends; there must be one."""
        found = _BOUNDARY.search(blob)
        assert found is not None
        return found.end()

    def _tear(self) -> bytes:
        """Let through what has arrived of an event that is too large to hold, except line ends that may begin a boundary."""
        rest = self._release_tail()
        out = rest[: max(len(rest.rstrip(b"\r\n")), len(rest) - 3)]
        if ends := rest[len(out) :]:
            self._tail, self._tail_size = [ends], len(ends)
        self.torn = True
        self._gone_size += len(out)
        if self._gone_size <= READ_BYTES:
            self._gone.append(out)
        else:
            self._gone.clear()
        return self._flush() + out

    def _read_torn(self, last: bytes) -> None:
        """Read a torn event, *last* being its last part: it may hold the answer's end and usage."""
        if self._gone_size <= READ_BYTES:
            event = b"".join([*self._gone, last])
            if self.watch is not None:
                self.watch(event)
            self._look(event)  # its output is dropped: the event was already sent
        self._gone.clear()
        self._gone_size = 0

    def _flush(self) -> bytes:
        """Return what is held back of earlier events."""
        return b""

    def _release_tail(self) -> bytes:
        rest = b"".join(self._tail)
        self._tail, self._tail_size = [], 0
        return rest

    def eof(self) -> bytes:
        rest = self._release_tail()
        if self.torn:
            self._read_torn(rest + b"\n\n")
            return rest + self._close()
        if not rest:
            return self._close()
        if self.watch is not None:
            self.watch(rest)
        out = self._look(rest + b"\n\n").removesuffix(b"\n\n")
        if not (self.finished or not rest.strip() or is_json(data_of(rest))):
            return self._close()  # half an event
        self.torn = bool(out)
        return out + self._close()

    def fail(self, failure: Failure) -> bytes:
        """End with an error.  What was held back is discarded: the client must not take it for the end of anything.

        An answer that had already reached its end is only closed: an error would revoke it.
        """
        if self.finished:
            return self._close()
        return (b"\n\n" if self.torn else b"") + self._encode_failure(failure)

    def _close(self) -> bytes:
        return b""

    def _look(self, blob: bytes) -> bytes:
        raise NotImplementedError

    def _learn(self, usage: Usage) -> None:
        self.usage = merged(self.usage, usage)


def read_whole(decoder: msgspec.json.Decoder[W], body: bytes, starts: tuple[bytes, ...] = (b"{",)) -> W | None:
    """Decode a whole answer; None if a member has an unexpected type, since the answer is relayed all the same.

    Raises ``BadAnswer`` if the body is not JSON or does not begin with one of *starts*.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        if body.lstrip()[:1] in starts:
            return None
        raise BadAnswer("it is not a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if (whole := mended(body)) is not None:
            return read_whole(decoder, whole, starts)
        raise BadAnswer(f"it is not JSON: {body[:80].decode('utf-8', 'replace')}") from None
