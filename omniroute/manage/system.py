"""The process itself: init, restart, shutdown (contract section 13)."""

from __future__ import annotations

from .call import Call, Reply

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


async def init(call: Call) -> Reply:
    return Reply(200, b"Initialized", list(_TEXT))


async def restart(call: Call) -> Reply:
    await call.audit("system.restart")
    call.services.restart()
    return Reply(200, {"status": "restarting"})


async def shutdown(call: Call) -> Reply:
    await call.audit("system.shutdown")
    call.services.shutdown()
    return Reply(200, {"success": True, "message": "Shutting down..."})
