"""The process itself: init, restart, shutdown (contract section 13)."""

from __future__ import annotations

from .access import is_local, unauthenticated
from .call import Call, Reply

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


async def init(call: Call) -> Reply:
    return Reply(200, b"Initialized", list(_TEXT))


def _check_caller(call: Call) -> None:
    """Even with the login switched off, only a known caller or this machine may end the process."""
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
