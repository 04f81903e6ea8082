"""The calls that took an outbound proxy (contract section 6)."""

from __future__ import annotations

from msgspec import Struct

from ..store.proxy_logs import KEPT
from .call import Call, Reply, whole

_FILTERS = ("status", "type", "provider", "level", "search")


class Cleared(Struct):
    cleared: bool = True


async def read(call: Call) -> Reply:
    """Newest first; filters narrow each other."""
    asked = {name: value for name in _FILTERS if (value := call.query.get(name)) and value != "all"}
    return Reply(200, await call.store.proxy_logs.list(whole(call.query.get("limit"), 300, 1, KEPT), **asked))


async def clear(call: Call) -> Reply:
    await call.store.proxy_logs.clear()
    await call.audit("proxy_logs.clear")
    return Reply(200, Cleared())
