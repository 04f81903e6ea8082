"""Strict mode: serve a request only if two independent parsers agree on it.

``h1_request.py`` and h11 parse the same bytes.  If one of them refuses the request, or they differ in a single field or body
byte, it is refused.  Parsing costs three to four times as much.  The mode is for gateways behind another proxy, where a
disagreement about a request would be a risk.  ``tests/fuzz/test_h1_differential.py`` uses it as its oracle.

h11 alone would not do: it accepts bare LF, folded lines and arbitrary chunk extensions, merges equal lengths, and accepts
Content-Length together with Transfer-Encoding.  Our parser runs first, so h11 sees only what that has accepted.
"""

from __future__ import annotations

from typing import Any

import h11

from .exchange import Request
from .framing import ProtocolError
from .h1_request import RequestParser
from .h1_server import H1Server
from .headers import Headers

_MARGIN = 16 * 1024  # h11 counts unread body bytes towards its limit for one event


def _comparable(headers: Headers) -> Headers:
    """*headers* without legitimate differences: Host (replaced by an absolute-form target), the case of a coding's name."""
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in headers if name != b"host"]


class StrictParser(RequestParser):
    """A :class:`RequestParser` that also refuses, with 400, every request that h11 parses differently."""

    __slots__ = ("_h11",)
    _h11: h11.Connection

    def _parse(self, block: bytes) -> Request:
        request = super()._parse(block)
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes + _MARGIN)
        event = self._read(block + b"\r\n\r\n")[0]
        method, target, _ = block.split(b"\r\n", 1)[0].split(b" ")
        if not isinstance(event, h11.Request) or (event.method, event.target) != (method, target):
            raise ProtocolError(400, "ambiguous request")
        if _comparable(list(event.headers)) != _comparable(request.headers):
            raise ProtocolError(400, "ambiguous header fields")
        if self.complete:
            self._agree(self._read(b""), b"")
        return request

    def body(self) -> bytes:
        before = self._buffer
        piece = super().body()
        self._agree(self._read(before[: len(before) - len(self._buffer)]), piece)
        return piece

    def _read(self, data: bytes) -> list[Any]:
        events: list[Any] = []
        try:
            if data:
                self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return events or [event]
                events.append(event)
                if isinstance(event, h11.Request | h11.EndOfMessage):
                    return events
        except h11.RemoteProtocolError as error:
            raise ProtocolError(400, "invalid request") from error

    def _agree(self, events: list[Any], piece: bytes) -> None:
        theirs = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
        if theirs != piece or isinstance(events[-1], h11.EndOfMessage) != self.complete:
            raise ProtocolError(400, "ambiguous request body")


class H1Strict(H1Server):
    """One server connection in strict mode."""

    __slots__ = ()
    parser_class = StrictParser
