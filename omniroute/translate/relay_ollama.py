"""The tap on a stream of the Ollama wire: lines of JSON instead of SSE events, otherwise as in :mod:`.relay`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from .events import Failure, Usage
from .format import BadAnswer
from .jsonio import is_json
from .ollama_shapes import Line, read_line
from .relay import HELD_BYTES, Tap, first_of, read_whole
from .usage import OllamaUsage, from_ollama

# once the answer has begun only lines with these matter; inside a JSON string the quotes would be escaped
_WORDS: Final = (b'"done":true', b'"done": true', b'"error"')
_NOTHING: Final = (b"", b"null", b'""')


class OllamaTap(Tap):
    """Lets whole lines through unchanged."""

    def __init__(self, encode_failure: Callable[[Failure], bytes], decode_error: Callable[[int, bytes], Failure]) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error

    def feed(self, data: bytes) -> bytes:
        if not (self._tail or self.torn) and data.endswith(b"\n"):
            self.pieces += 1
            return self._look(data)
        out = b""
        if end := data.rfind(b"\n") + 1:
            out = self._through(self._release_tail() + data[:end])
        if rest := data[end:]:
            self._tail.append(rest)
            self._tail_size += len(rest)
        return out + self._tear() if self._tail_size > HELD_BYTES else out

    def _first_end(self, blob: bytes) -> int:
        return blob.index(b"\n") + 1

    def _look(self, blob: bytes) -> bytes:
        start = 0
        places = [-1] * len(_WORDS)
        while start < len(blob):
            if self.meaningful:
                first = first_of(_WORDS, blob, start, places)
                if first == len(blob):
                    break
                start = blob.rfind(b"\n", start, first) + 1 or start
            end = blob.find(b"\n", start)
            end = len(blob) if end < 0 else end
            self._note(blob[start:end])
            start = end + 1
        return blob

    def _note(self, data: bytes) -> None:
        if not data.strip():
            return
        try:
            line = read_line(data)
        except BadAnswer:
            return
        self.model = self.model or line.model or ""
        if bytes(line.error) not in _NOTHING and self.failure is None:
            self.failure = self._decode_error(0, data)
        usage = from_ollama(line)
        if usage is not None:
            self._learn(usage)
        self.finished = self.ended = self.finished or bool(line.done)
        self.meaningful = self.meaningful or self.finished or _says_something(line)

    def eof(self) -> bytes:
        rest = self._release_tail()
        if self.torn:
            self._read_torn(rest)
            return rest
        if not rest:
            return b""
        if not is_json(rest):
            return b""  # an incomplete line
        self._look(rest)
        self.torn = True
        return rest

    def fail(self, failure: Failure) -> bytes:
        """See ``Tap.fail``; a single LF separates lines."""
        if self.finished:
            return b""
        return (b"\n" if self.torn else b"") + self._encode_failure(failure)


def _says_something(line: Line) -> bool:
    message = line.message
    if message is not None:
        return bool(message.content or message.thinking or message.tool_calls or message.images)
    return bool(line.response or line.thinking or line.image)


class _Whole(OllamaUsage):
    model: str | None = None


_whole: Final = msgspec.json.Decoder(_Whole)


def ollama_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole answer.  Raises ``BadAnswer`` if the body is not a JSON object."""
    whole = read_whole(_whole, body)
    return (whole.model or "", from_ollama(whole)) if whole is not None else ("", None)
