"""Has the client left, or only finished speaking?

TCP says the same for both: FIN.  A client that closed for good must have its upstream call released at once; one that shut
only its write side (``nc``, some libraries) waits for the answer.  The difference shows when something is sent: a closed
socket answers with RST.  So, after a short grace in which most answers are given anyway:

- if nothing was sent meanwhile and no answer has begun, send ``100 Continue``, which a server may send at any time and an
  HTTP/1.1 client must tolerate (RFC 9110 section 15.2), and look for the RST;
- if a stream was written to, just look;
- if a stream has begun and is silent, nothing harmless can be sent: take the client for gone.

An HTTP/1.0 client knows no interim answers; it keeps the benefit of the doubt until its answer is written.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from ..clock import Clock, Timer
from .heads import CONTINUE

if TYPE_CHECKING:
    from .h1_server import H1Server

_GRACE: Final = 0.025
_LOOKS: Final = (0.01, 0.1, 1.0)  # seconds until each look for an RST; the last for clients far away


class Departure:
    """Watches one connection from its end of input to the end of its answer."""

    def __init__(self, connection: H1Server, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._sent = connection.sent
        self._timer: Timer | None = clock.call_later(_GRACE, self._probe)

    def stop(self) -> None:
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
    """Whether the kernel has seen an RST.  With reading at its end the event loop does not look for one."""
    if connection.transport.is_closing():
        return True
    sock = connection.transport.get_extra_info("socket")
    if sock is None:
        return False
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return error in (errno.EPIPE, errno.ECONNRESET)
