"""The tap on OpenAI Responses streams.

Agents take a stream without ``response.completed``, ``incomplete`` or ``failed`` for a broken one and retry.  A bare
``error`` event is therefore relayed and followed by ``response.failed``, if the upstream does not send that itself.  A
stream that dies is ended with a ``response.failed`` that continues the upstream's sequence numbers and response object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from .events import Failure, Usage
from .jsonio import ABSENT, present
from .relay import UNREADABLE, Tap, boundary_before, data_of, events_of, read_whole
from .usage import ResponsesUsage, from_responses

_NUMBER: Final = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_ENDS: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
# events that another attempt may repeat without the client noticing
_OPENING: Final = frozenset(
    (
        *("", "keepalive", "response.created", "response.in_progress", "response.queued", "response.output_item.added"),
        *("response.content_part.added", "response.reasoning_part.added", "response.reasoning_summary_part.added"),
    )
)
_WORDS: Final = (b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b'"error"')


class _Response(Struct):
    model: str | None = None
    usage: ResponsesUsage | None = None


class _Event(Struct):
    type: str = ""
    response: Raw = ABSENT
    error: Raw = ABSENT


_event: Final = msgspec.json.Decoder(_Event)
_response: Final = msgspec.json.Decoder(_Response)
_members: Final = msgspec.json.Decoder(dict[str, Raw])


class ResponsesTap(Tap):
    """See :class:`~.relay.Pipe`."""

    def __init__(self, encode_failure: Callable[[Failure], bytes], decode_error: Callable[[int, bytes], Failure]) -> None:
        super().__init__(encode_failure)
        self._decode_error = decode_error
        self._error: Failure | None = None  # from an ``error`` event, after which ``response.failed`` may still come
        self._begun: bytes = b""  # the response as the upstream announced it
        self._latest = b""  # the last data that went through with a sequence number

    def _look(self, blob: bytes) -> bytes:
        """Read the first events; after that only those from the first word that matters on."""
        if b"sequence_number" in blob:  # a comment has no sequence number
            self._latest = blob
        start = 0
        if self.meaningful:
            hits = [at for word in _WORDS if (at := blob.find(word)) >= 0]
            if not hits:
                return blob
            start = boundary_before(blob, min(hits))
        for _, data in events_of(blob[start:]):
            self._note(data)
        return blob

    def _note(self, data: bytes) -> None:
        try:
            event = _event.decode(data)
        except UNREADABLE:
            return  # an unknown event, or [DONE]
        if event.type in _ENDS:
            self._end(event)
        elif event.type == "error" or (not event.type.startswith("response.") and present(event.error)):
            self._error = self._error or self._decode_error(0, data)
            if not self.meaningful:
                self.failure = self._error
        elif event.type not in _OPENING:
            self.meaningful = True
        elif event.response is not ABSENT and not self._begun:
            self._begun = bytes(event.response)
            self._read(event.response)

    def _end(self, event: _Event) -> None:
        response = bytes(event.response)
        self._read(event.response)
        if event.type == "response.failed":
            known = self._error or self._decode_error(0, _error_of(response))
            self.failure = self.failure or known
        else:
            self.meaningful = True
        self.finished = self.ended = True

    def _read(self, raw: Raw) -> None:
        try:
            response = _response.decode(raw)
        except UNREADABLE:
            return
        self.model = self.model or response.model or ""
        if response.usage is not None:
            self._learn(from_responses(response.usage))

    def _close(self) -> bytes:
        """Add ``response.failed`` if the upstream reported an error without it."""
        if self._error is None or self.finished:
            return b""
        self.failure = self.failure or self._error
        return self.fail(self._error) if self.meaningful else b""

    def fail(self, failure: Failure) -> bytes:
        if self.finished:
            return b""
        written = self._encode_failure(failure)
        gap = b"\n\n" if self.torn else b""
        return gap + (self._continued(written) if self.meaningful or self._begun else written)

    def _continued(self, written: bytes) -> bytes:
        """Take the last event of *written*, a stream that only fails, and number it as the upstream's next event."""
        data = [data_of(raw) for raw, _ in events_of(written)][-1]
        event: dict[str, Any] = msgspec.json.decode(data)
        if known := _members_of(self._begun):
            said = event["response"]
            event["response"] = {**known, **{name: said[name] for name in ("status", "error", "completed_at")}}
        numbers = _NUMBER.findall(self._latest)
        event["sequence_number"] = int(numbers[-1]) + 1 if numbers else 0
        return b"event: response.failed\ndata: " + msgspec.json.format(msgspec.json.encode(event), indent=-1) + b"\n\n"


def _members_of(raw: bytes) -> dict[str, Raw]:
    """Return the members; none if *raw* is not an object or not UTF-8, as it could not be written again."""
    try:
        raw.decode()
        return _members.decode(raw)
    except UNREADABLE:
        return {}


def _error_of(response: bytes) -> bytes:
    said = bytes(_members_of(response).get("error", b"")) or b"null"
    return b'{"error":%b}' % (said if said != b"null" else b'{"message":"The response failed."}')


def responses_usage(body: bytes) -> tuple[str, Usage | None]:
    """Return (model, usage) of a whole response.  Raises ``BadAnswer`` if the body is not a JSON object."""
    whole = read_whole(_response, body)
    if whole is None:
        return "", None
    return whole.model or "", from_responses(whole.usage) if whole.usage is not None else None
