"""Relaying of audio files and event streams from a vendor to a client, unchanged.

Chat streams use the same :class:`.stream.StreamRelay`: upstream data is written to the client at once, a slow client pauses
its upstream, and a client that disconnects cancels it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ..media.codec import UNREADABLE
from ..proto.exchange import Exchange
from ..proto.headers import Headers
from ..translate.events import Failure, Usage
from ..translate.openai_chat_error import encode_error, error_in
from ..translate.relay import PipeState, data_of
from ..upstream.call import Call
from .blame import blame, secret_bytes, without_secret
from .job import Gateway, Job
from .resolve import Route
from .stream import StreamRelay

_TAIL: Final = 64 * 1024  # bytes kept of an event stream: the last event has the whole text, followed by the usage
_BOUNDARY: Final = re.compile(rb"\r?\n\r?\n")
_EVENT_ENDS: Final = (b"\n\n", b"\r\n\r\n")


class RawPipe(PipeState):
    """A :class:`..translate.relay.Pipe` that changes nothing.

    An error is a last event, in OpenAI's format.  Where none can stand, in an audio file or within an event, the connection
    is aborted: otherwise the client would take a part for the whole.
    """

    def __init__(self, exchange: Exchange, events: bool) -> None:
        super().__init__()
        self.torn = True  # no keep-alive may be inserted between the pieces of a file
        self._exchange = exchange
        self._events = events
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        self.pieces += 1
        if self._events:
            self._tail = (self._tail + data)[-_TAIL:]
            if b'"error"' in data:
                self.failure = self.failure or error_of(self._tail)
        self.meaningful = self.meaningful or (bool(data) and self.failure is None)
        return data

    def eof(self) -> bytes:
        if self._events:
            self.usage = usage_of(self._tail)
            self.failure = self.failure or error_of(self._tail)
        self.finished = self.failure is None
        return b""

    def fail(self, failure: Failure) -> bytes:
        if self._events and self._tail.endswith(_EVENT_ENDS):
            return b"event: error\ndata: %b\n\n" % encode_error(failure)
        self._exchange.abort()
        return b""


def error_of(events: bytes) -> Failure | None:
    """The error that the last event reports; *events* is the end of a stream."""
    last = _BOUNDARY.split(events.rstrip())[-1]
    try:
        return error_in(msgspec.json.decode(data_of(last)))
    except UNREADABLE:
        return None


def usage_of(events: bytes) -> Usage | None:
    """The token counts of the last event that has any.

    *events* is the end of a stream.  Its first event may be cut, because an image in base64 is longer than what is kept, so
    each event is read from its member ``usage`` on.  Text cannot be mistaken for that name: its quotes are escaped.
    """
    for event in reversed(_BOUNDARY.split(events)):
        _, name, after = (data_of(event) or event).rpartition(b'"usage"')
        if not name:
            continue
        try:
            usage = msgspec.json.decode(b"{" + name + after, type=dict[str, Any]).get("usage")
        except UNREADABLE:
            continue
        if isinstance(usage, dict):
            into, out = usage.get("input_tokens"), usage.get("output_tokens")
            if isinstance(into, int) and isinstance(out, int):
                return Usage(input=into, output=out)
    return None


async def relay(gateway: Gateway, job: Job, route: Route, call: Call, fields: Headers, *, events: bool) -> Failure | None:
    """Relay *call*'s body with the header *fields*.  None: the client has been answered; a Failure: nothing was sent."""
    assert job.account is not None
    pipe = RawPipe(job.exchange, events)
    stream = StreamRelay(
        job.exchange,
        call,
        pipe,
        fields,
        ping=b"",
        clock=gateway.clock,
        limits=gateway.limits,
        secret=secret_bytes(job.account),
    )
    try:
        if (failure := await stream.commit()) is not None:
            return failure
        job.status, job.first_byte = 200, stream.committed_at
        gateway.live.breakers.begun(route.provider.id)
        failure = await stream.finish()
        if failure is not None:
            job.failure = without_secret(failure, job.account.secret)
            blame(gateway, route, job.account, job.failure, request_id=job.exchange.request.id)
        return None
    finally:
        job.usage, job.complete = pipe.usage or job.usage, pipe.finished
