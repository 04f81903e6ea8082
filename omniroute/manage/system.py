"""The process itself: init, restart, shutdown."""

from __future__ import annotations

from .access import is_local, unauthenticated
from .call import Call, Reply

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


async def init(call: Call) -> Reply:
    return Reply(200, b"Initialized", list(_TEXT))


def _check_caller(call: Call) -> None:
    """Let only a logged-in caller or this machine end the process, even if the login is switched off.  Raises 401."""
    if not (call.actor.known or is_local(call)):
        raise unauthenticated()


async def restart(call: Call) -> Reply:
    _check_caller(call)
    await call.audit("system.restart")
    call.services.restart()
    return Reply(200, {"status": "restarting"})


async def shutdown(call: Call) -> Reply:
    _check_caller(call)
    await call.audit("system.shutdown")
    call.services.shutdown()
    return Reply(200, {"success": True, "message": "Shutting down..."})
