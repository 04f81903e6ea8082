"""Names that clients make up are not remembered without end, each time other ones."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from real_gateway import JSON, behind
from scripted_upstream import Answer, Raw, Seen
from wires import CHAT

from omniroute.clock import Clock
from omniroute.proto.headers import Headers
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.send import Client

NAMES = 12_000
AT_ONCE = 40


def resident(pid: int) -> int:
    """KiB of memory in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def unknown_model(seen: Seen) -> Answer | Raw:
    error = {"message": "The model does not exist", "type": "invalid_request_error", "code": "model_not_found"}
    return Answer(
        404, [json.dumps({"error": error}).encode()], [*JSON, (f"x-vendor-{seen.connection}-{len(seen.body)}", "1")]
    )


def made_up(number: int) -> Headers:
    """Fields of which no two requests have the same."""
    name = b"%d-%s" % (number, b"n" * 40)
    return [
        (b"content-type", b"application/json; x=" + name),
        (b"authorization", b"Bearer sk-" + name),
        (b"user-agent", b"agent/" + name),
        (b"accept-language", b"en, " + name),
        (b"x-stainless-" + name, name),
        (b"anthropic-" + name, name),
        (b"x-" + name, name),
        (b"x-request-id", name),
        (b"x-forwarded-for", name),
        (b"cookie", b"auth_token=" + name),
    ]


async def crowd(gateway: Process, model: str, first: int, last: int) -> None:
    client = Client(Limits(), Clock())
    origin = Origin("http", "127.0.0.1", gateway.port)

    async def one(number: int) -> None:
        body = json.dumps(CHAT.ask(f"{model}-{number}-{'m' * 40}")).encode()
        await client.fetch(origin, "POST", CHAT.path.encode(), made_up(number), body, limit=1 << 20)
        path = (b"/v1/models/%d-x", b"/made/up/%d", b"/api/keys/%d", b"/v1/models?key=%d")[number % 4] % number
        await client.fetch(origin, "GET", path, made_up(number), limit=1 << 20)

    for start in range(first, last, AT_ONCE):
        await asyncio.gather(*(one(number) for number in range(start, start + AT_ONCE)))
    await client.close()


def strange_hosts(port: int, first: int, last: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        for number in range(first, last):
            name = f"h{number}.{'long-name.' * 20}example"
            sock.sendall(f"GET /api/init HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            assert sock.recv(65536).startswith(b"HTTP/1.1 403 ")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_thousands_of_made_up_names_leave_no_trace(make_gateway: Any) -> None:
    gateway = make_gateway(LOG_LEVEL="fatal", INITIAL_PASSWORD="something long")
    async with behind(gateway, CHAT, unknown_model) as (model, _):
        await crowd(gateway, model, 0, NAMES // 2)  # by now every table is as full as it gets: the largest holds 4,096 names
        await asyncio.to_thread(strange_hosts, gateway.port, 0, 500)
        before = resident(gateway.pid)
        await crowd(gateway, model, NAMES // 2, NAMES)
        await asyncio.to_thread(strange_hosts, gateway.port, 500, 3000)
        assert resident(gateway.pid) - before < 3 * 1024
