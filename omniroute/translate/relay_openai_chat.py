"""Same-wire relaying of OpenAI chat streams: unchanged, but for a usage chunk that the client did not ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from .events import Failure, Usage
from .jsonio import ABSENT
from .openai_chat_shapes import UNFINISHED, VendorUsage, is_failure
from .relay import UNREADABLE, Tap, boundary_before, events_of, read_whole
from .usage import ChatUsage, from_chat


class _Choice(Struct):
    delta: dict[str, Raw] | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None  # Moonshot's place for it


class _Chunk(Struct):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    error: Raw = ABSENT
    object: Raw = ABSENT
    detail: Raw = ABSENT  # of error objects in other shapes, which have no choices
    message: Raw = ABSENT
    base_resp: Raw = ABSENT
    x_groq: VendorUsage | None = None

    def is_error(self) -> bool:
        if self.error is not ABSENT and bytes(self.error) not in _NOTHING:
            return True
        if self.choices is not None:
            return False
        others = self.detail, self.message
        return (
            bytes(self.object) == b'"error"'
            or is_failure(self.base_resp)
            or any(bytes(other) not in _NOTHING for other in others)
        )


_chunk = msgspec.json.Decoder(_Chunk)
_NOTHING: Final = (b"", b"null", b'""', b"[]")
_SAYING: Final = frozenset(
    ("content", "reasoning", "reasoning_content", "tool_calls", "function_call", "refusal", "audio", "images")
)


def _says_something(delta: dict[str, Raw]) -> bool:
    for member, value in delta.items():  # noqa: SIM110 - a generator takes three times as long
        if member in _SAYING and bytes(value) not in _NOTHING:
            return True
    return False


_ENDING: Final = 2048  # bytes; only the end of a long read is searched, since finish reason and usage come last
_WORDS: Final = (b'"usage":{', b'"usage": {', b'finish_reason":"', b'finish_reason": "', b'"error"', b"[DONE]")


class ChatTap(Tap):
    """``chat.completion.chunk`` streams.  ``strip_usage``: remove the usage chunk that the client did not ask for."""

    def __init__(
        self,
        encode_failure: Callable[[Failure], bytes],
        decode_error: Callable[[int, bytes], Failure],
        strip_usage: bool = False,
    ) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error
        self._strip = strip_usage
        self._unseen = b""  # the part of the last read that was not searched

    def _look(self, blob: bytes) -> bytes:
        """Read only the events that may matter: the first ones, then those from the first of ``_WORDS`` on."""
        kept: list[bytes] = []
        start = 0 if self.meaningful else self._begin(blob, kept)
        look = max(start, len(blob) - _ENDING)
        self._unseen = blob[start:look] if look > start else b""
        hits = [at for word in _WORDS if (at := blob.find(word, look)) >= 0]
        if not hits:
            if not start and self._frames:
                self._learn_frame(blob)
            return b"".join([*kept, blob[start:]]) if start else blob
        tail = max(start, boundary_before(blob, min(hits)))
        rest = [raw for raw, data in events_of(blob[tail:]) if self._keep(data)]
        return b"".join([*kept, blob[start:tail], *rest])

    def _begin(self, blob: bytes, kept: list[bytes]) -> int:
        """Read events until one says something; return where that one ends."""
        end = 0
        for raw, data in events_of(blob):
            end += len(raw)
            if self._keep(data):
                kept.append(raw)
            if self.meaningful:
                break
        return end

    def _keep(self, data: bytes) -> bool:
        """Learn from one event; return False if it must be removed."""
        if not data:
            return True
        if data.strip() == b"[DONE]":
            self.finished = self.ended = True
            return True
        try:
            chunk = _chunk.decode(data)
        except UNREADABLE:
            return True
        self.model = self.model or chunk.model or ""
        failed = chunk.is_error()
        if failed and self.failure is None:
            self.failure = self._decode_error(0, data)
        usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.finish_reason not in UNFINISHED and not failed:
                self.meaningful = self.finished = True
            elif choice.delta and _says_something(choice.delta):
                self.meaningful = True
            if usage is None:
                usage = choice.usage
        if usage is None and chunk.x_groq is not None:
            usage = chunk.x_groq.usage
        if usage is None:
            return True
        self._learn(from_chat(usage))
        return bool(chunk.choices) or not self._strip

    def eof(self) -> bytes:
        if self._unseen and not (self.finished and self.usage is not None):  # the end was not found near the end of a read
            for _, data in events_of(self._unseen):
                self._keep(data)
        out = super().eof()
        # some vendors send neither a finish reason nor [DONE]; usage is then the only sign of the end
        self.finished = self.finished or (self.meaningful and self.usage is not None)
        return out


class _Whole(Struct):
    model: str | None = None
    usage: ChatUsage | None = None


_whole = msgspec.json.Decoder(_Whole)


def chat_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole chat completion.  Raises ``BadAnswer`` if the body is not a JSON object."""
    whole = read_whole(_whole, body)
    if whole is None:
        return "", None
    return whole.model or "", from_chat(whole.usage) if whole.usage is not None else None
