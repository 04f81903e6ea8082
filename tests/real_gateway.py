"""A scripted upstream behind a gateway that runs in a separate process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from processes import Process
from scripted_upstream import Answer, ScriptedUpstream, Step
from wires import Wire

JSON = [("content-type", "application/json")]
SSE = [("content-type", "text/event-stream")]
_numbers = count(1)


@asynccontextmanager
async def behind(
    gateway: Process, wire: Wire, *script: Step, keys: tuple[str, ...] = ("k-upstream-1",)
) -> AsyncIterator[tuple[str, ScriptedUpstream]]:
    """Add a node for the script; yield the name of its model and the upstream."""
    async with ScriptedUpstream(*script) as upstream:
        prefix = f"s{next(_numbers)}"
        node = gateway.add_node(prefix, f"{upstream.url}/v1", wire.kind, *keys)
        try:
            yield f"{prefix}/m", upstream
        finally:
            if gateway.alive:
                gateway.api("DELETE", f"/api/provider-nodes/{node}")


def whole(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Return a JSON answer."""
    return Answer(status, [body], [*JSON, *((name.replace("_", "-"), value) for name, value in headers.items())])


def streamed(*pieces: bytes) -> Answer:
    """Return an SSE answer, each piece one write."""
    return Answer(200, pieces, SSE, "chunked")
