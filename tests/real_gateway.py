"""A scripted upstream behind a gateway that runs in a process of its own."""

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
    """A node of its own for the script; gives the model to ask for."""
    async with ScriptedUpstream(*script) as upstream:
        prefix = f"s{next(_numbers)}"
        node = gateway.add_node(prefix, f"{upstream.url}/v1", wire.kind, *keys)
        try:
            yield f"{prefix}/m", upstream
        finally:
            if gateway.alive:
                gateway.api("DELETE", f"/api/provider-nodes/{node}")


def whole(body: bytes, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return Answer(status, [body], [*JSON, *((name.replace("_", "-"), value) for name, value in headers.items())])


def streamed(*pieces: bytes) -> Answer:
    """An SSE answer, each piece a write."""
    return Answer(200, pieces, SSE, "chunked")
