"""The log of the newest calls with the outbound proxy that each used, if any."""

from __future__ import annotations

from msgspec import Struct

from ..store.proxy_logs import KEPT
from .call import Call, Reply, whole

_FILTERS = ("status", "type", "provider", "level", "search")


class Cleared(Struct):
    cleared: bool = True


async def read(call: Call) -> Reply:
    """List calls that match all filters, newest first.  A provider may be named by its id, alias or prefix."""
    asked = {name: value for name in _FILTERS if (value := call.query.get(name)) and value != "all"}
    if provider := asked.get("provider"):
        asked["provider"] = call.provider_id(provider)
    return Reply(200, await call.store.proxy_logs.list(whole(call.query.get("limit"), 300, 1, KEPT), **asked))


async def clear(call: Call) -> Reply:
    """Delete all rows of the proxy log."""
    await call.store.proxy_logs.clear()
    await call.audit("proxy_logs.clear")
    return Reply(200, Cleared())
