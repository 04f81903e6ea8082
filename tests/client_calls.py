"""Calls of the HTTP client to a scripted upstream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted_upstream import ScriptedUpstream

from omniroute.clock import Clock
from omniroute.proto.transport import TransportError
from omniroute.settings import Limits
from omniroute.upstream.send import Client

MIB = 1024 * 1024
LIMITS = Limits()


def client(limits: Limits = LIMITS, **options: Any) -> Client:
    return Client(limits, options.pop("clock", Clock()), **options)


async def post(one: Client, upstream: ScriptedUpstream, body: Any = b"{}", limit: int = MIB, **options: Any) -> bytes:
    _, _, answer = await one.fetch(upstream.origin, "POST", b"/v1", [], body, limit=limit, **options)
    return answer


async def failure(work: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await work
    return caught.value


async def settle() -> None:
    """Let everything that is ready run, I/O included."""
    for _ in range(5):
        await asyncio.sleep(0)
