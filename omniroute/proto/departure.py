"""Tells a client that has left from one that has only shut down its write side.

TCP sends the same FIN for both.  When a client has left, its upstream call must be cancelled at once; one that has only shut
down its write side (``nc``, some libraries) still waits for the response.  The two differ once something is sent: a closed
socket replies with RST.  So, after a short grace period in which most responses complete anyway:

- if nothing was sent meanwhile and no response has begun, send ``100 Continue``, which an HTTP/1.1 client must tolerate
  (RFC 9110 section 15.2), and look for the RST;
- if part of a stream was sent meanwhile, only look for the RST;
- if a stream has begun but nothing was sent meanwhile, nothing harmless can be sent: assume that the client has left.

An HTTP/1.0 client does not understand interim responses, so it is assumed to be waiting until its response is written.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from ..clock import Clock, Timer
from .h1_response import CONTINUE

if TYPE_CHECKING:
    from .h1_server import H1Server

_GRACE: Final = 0.025
_LOOKS: Final = (0.01, 0.1, 1.0)  # seconds before each look for an RST; the last is for distant clients


class Departure:
    """Watches one connection from its end of input to the end of its response."""

    def __init__(self, connection: H1Server, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._sent = connection.sent
        self._timer: Timer | None = clock.call_later(_GRACE, self._probe)

    def stop(self) -> None:
        """End the watch, because the response is complete or the connection lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _probe(self) -> None:
        connection = self._connection
        exchange = connection.exchange
        if exchange is None:
            return
        if connection.sent == self._sent:
            if exchange.started:
                connection.client_left()
                return
            if exchange.request.version == "1.0":
                return
            connection.transport.write(CONTINUE)
        self._look(0)

    def _look(self, turn: int) -> None:
        if turn > 0 and _was_reset(self._connection):
            self._connection.client_left()
        elif turn < len(_LOOKS):
            self._timer = self._clock.call_later(_LOOKS[turn], self._look, turn + 1)


def _was_reset(connection: H1Server) -> bool:
    """Whether the kernel has received an RST; the event loop cannot notice, because it no longer reads after the FIN."""
    if connection.transport.is_closing():
        return True
    sock = connection.transport.get_extra_info("socket")
    if sock is None:
        return False
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return error in (errno.EPIPE, errno.ECONNRESET)
