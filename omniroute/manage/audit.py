"""The audit log: who changed what."""

from __future__ import annotations

from typing import Final

from .call import Call, Reply, whole

MOST: Final = 1000


async def read(call: Call) -> Reply:
    """List audit rows, newest first."""
    limit = whole(call.query.get("limit"), 50, 1, MOST)
    offset = whole(call.query.get("offset"), 0, 0, 2**31)
    action, actor = call.query.get("action") or None, call.query.get("actor") or None
    return Reply(200, await call.store.audit.list(limit, offset, action, actor))
