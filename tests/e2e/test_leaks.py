"""Thousands of calls that go wrong in every way leave nothing behind: no connection, no memory, no call in flight."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from real_gateway import JSON, SSE, behind, streamed, whole
from scripted_upstream import CLOSE, HANG, RESET, Answer, Raw, ScriptedUpstream, Seen, Step
from wires import WIRES, Wire

from omniroute.clock import Clock
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits
from omniroute.upstream.send import Client

AT_ONCE = 100
MIB = 1024


def resident(pid: int) -> int:
    """KiB of memory in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def faults(wire: Wire) -> list[Step]:
    """One of each kind, in the order in which they are given."""
    begun = [*wire.opening, wire.first]
    return [
        whole(wire.whole),
        Raw([RESET]),
        Raw([CLOSE]),
        streamed(*wire.stream),
        Raw([b"HTTP/1.1 200 OK\r\ncontent-", CLOSE]),
        Answer(200, [*begun, RESET], SSE, "chunked"),
        Answer(200, [*begun, CLOSE], SSE, "chunked"),
        Answer(200, begun, SSE, "chunked"),
        Answer(200, [wire.whole[:50], RESET], JSON, length=len(wire.whole)),
        streamed(*begun, wire.error_event),
        streamed(wire.error_event),
        whole(b"<html>" * 1000),
        whole(b'{"broken": '),
        streamed(b"data: {oops\n\n"),
        whole(b"", 302, location="http://127.0.0.1:9/"),
        *(whole(wire.error("api_error", "No"), status) for status in (400, 401, 404, 429, 500, 503, 529)),
        Answer(200, [*begun, HANG], SSE, "chunked"),
        Raw([HANG]),
    ]


class Crowd:
    """Clients of both wires, half of which leave before their answer is complete."""

    def __init__(self, gateway: Process, model: str) -> None:
        self.origin = Origin("http", "127.0.0.1", gateway.port)
        self.model = model
        self.client = Client(Limits(), Clock())
        self.sent = 0

    async def one(self) -> None:
        number = self.sent = self.sent + 1
        wire = WIRES[number % 2]
        body = json.dumps(wire.ask(self.model, stream=number % 3 > 0)).encode()
        with suppress(TransportError):  # a stream that breaks off is one of the faults
            call = await self.client.open(self.origin, "POST", wire.path.encode(), JSON_FIELDS, body)
            if number % 4:
                await call.read(1 << 20)
            else:
                call.cancel()


JSON_FIELDS = [(b"content-type", b"application/json")]


async def crowd(gateway: Process, calls: int) -> dict[str, Any]:
    """Send *calls*, the health of the accounts reset between batches; what was in use half-way and at the end."""
    kinds = len(faults(WIRES[0]))

    def step(seen: Seen) -> Answer | Raw:
        number = len(upstream.requests)
        made = faults(WIRES["messages" in seen.path])[number % kinds]
        assert not callable(made)
        return made

    measured = []
    async with behind(gateway, WIRES[0], step) as (chat, upstream):
        other = gateway.add_node("leak-messages", f"{upstream.url}/v1", WIRES[1].kind)
        crowds = [Crowd(gateway, chat), Crowd(gateway, "leak-messages/m")]
        for batch in range(calls // AT_ONCE):
            await asyncio.gather(*(crowds[batch % 2].one() for _ in range(AT_ONCE)))
            await crowds[0].client.fetch(
                crowds[0].origin,
                "DELETE",
                b"/api/monitoring/health",
                [(b"authorization", b"Bearer " + gateway.token.encode())],
                limit=1 << 20,
            )
            if batch + 1 in (calls // AT_ONCE // 2, calls // AT_ONCE):
                await quiet(gateway, upstream)
                measured.append((resident(gateway.pid), descriptors(gateway.pid)))
        reached = len(upstream.requests)
        for made in crowds:
            await made.client.close()
        gateway.api("DELETE", f"/api/provider-nodes/{other}")
    return {"reached": reached, "memory": [m for m, _ in measured], "descriptors": [d for _, d in measured]}


async def quiet(gateway: Process, upstream: ScriptedUpstream) -> None:
    """Wait until no call is in flight."""
    for _ in range(100):
        if not (await asyncio.to_thread(gateway.api, "GET", "/api/usage/history"))["activeRequests"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("calls are in flight for ever")


async def assert_nothing_leaks(gateway: Process, calls: int) -> None:
    used = await crowd(gateway, calls)
    assert used["reached"] > calls * 0.9
    before, after = used["memory"]
    assert after - before < 8 * MIB
    before, after = used["descriptors"]
    assert after - before <= AT_ONCE
    history = gateway.api("GET", "/api/usage/history")
    assert history["activeRequests"] == []
    assert history["totalRequests"] == calls
    assert "Traceback" not in (gateway.data / "output.txt").read_text()


@pytest.mark.slow
async def test_ten_thousand_faulty_calls_leave_nothing_behind(make_gateway: Any) -> None:
    await assert_nothing_leaks(make_gateway(**QUICK), 10_000)


# no longer than it takes: the calls that hang are what this test waits for
QUICK = {"FETCH_TIMEOUT_MS": "100", "STREAM_IDLE_TIMEOUT_MS": "100", "KEEPALIVE_INTERVAL_MS": "0", "LOG_LEVEL": "fatal"}
