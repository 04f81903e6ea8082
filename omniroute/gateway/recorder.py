"""Keeps the beginning of each response body for the call log.

Exchanges are wrapped only when the owner has enabled request logs; otherwise nothing here runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from ..proto.exchange import Exchange
from ..proto.headers import Headers
from .live import Live

KEPT_BYTES: Final = 16 * 1024  # more than the log keeps of a body


def recorded(live: Live, exchange: Exchange) -> Exchange:
    """*exchange*, wrapped to keep its response if the settings say so."""
    return RecordedExchange(exchange) if live.snapshot.settings.log_bodies else exchange


def _passed_on(name: str) -> Any:
    """A property for an attribute of the wrapped exchange."""
    return property(lambda self: getattr(self.inner, name), lambda self, value: setattr(self.inner, name, value))


class RecordedExchange(Exchange):
    """Passes everything on; ``kept`` is the beginning of the response body and ``size`` its full length."""

    __slots__ = ("inner", "kept", "size")

    request = _passed_on("request")
    status = _passed_on("status")
    started = _passed_on("started")
    finished = _passed_on("finished")
    gone = _passed_on("gone")
    on_gone: Callable[[], None] | None = _passed_on("on_gone")
    on_pause: Callable[[], None] | None = _passed_on("on_pause")
    on_resume: Callable[[], None] | None = _passed_on("on_resume")

    def __init__(self, inner: Exchange) -> None:  # the base's fields are the inner exchange's
        self.inner = inner
        self.kept = bytearray()
        self.size = 0

    def _keep(self, data: bytes | memoryview) -> None:
        room = KEPT_BYTES - len(self.kept)
        if room > 0:
            self.kept += data[:room]
        self.size += len(data)

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self._keep(body)
        self.inner.respond(status, headers, body)

    def start(self, status: int, headers: Headers) -> None:
        self.inner.start(status, headers)

    def write(self, data: bytes | memoryview) -> None:
        self._keep(data)
        self.inner.write(data)

    def end(self, data: bytes = b"") -> None:
        self._keep(data)
        self.inner.end(data)

    def abort(self) -> None:
        self.inner.abort()

    def chunks(self) -> AsyncIterator[bytes]:
        return self.inner.chunks()
