"""The process itself: init, restart, shutdown."""

from __future__ import annotations

from msgspec import Struct

from .access import is_local, unauthenticated
from .call import Call, Done, Reply

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


class Restarting(Struct):
    status: str = "restarting"


async def init(call: Call) -> Reply:
    """Return the text ``Initialized``, for clients that wait for the start."""
    return Reply(200, b"Initialized", list(_TEXT))


def _check_caller(call: Call) -> None:
    """Let only a logged-in caller or this machine end the process, even if the login is switched off.  Raises 401."""
    if not (call.actor.known or is_local(call)):
        raise unauthenticated()


async def restart(call: Call) -> Reply:
    """Answer, let running calls finish, then start the process again on the same address."""
    _check_caller(call)
    await call.audit("system.restart")
    call.services.restart()
    return Reply(200, Restarting())


async def shutdown(call: Call) -> Reply:
    """Answer, let running calls finish within ``SHUTDOWN_TIMEOUT_MS``, then end the process."""
    _check_caller(call)
    await call.audit("system.shutdown")
    call.services.shutdown()
    return Reply(200, Done(True, "Shutting down..."))
