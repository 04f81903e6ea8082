"""The database is replaced while requests run, in a real process and over real connections."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from processes import Process
from real_gateway import behind, streamed, whole
from scripted_upstream import Answer, Seen
from wires import CHAT

from omniroute.clock import Clock
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.send import Client

PATH = "/api/db-backups"
BOUNDARY = "form-boundary"
WORKERS = 4


def reply(seen: Seen) -> Answer:
    return streamed(*CHAT.stream) if json.loads(seen.body).get("stream") else whole(CHAT.whole)


async def _call(gateway: Process, client: Client, model: str, *, stream: bool) -> int:
    body = json.dumps(CHAT.ask(model, stream=stream)).encode()
    fields = [(b"content-type", b"application/json")]
    origin = Origin("http", "127.0.0.1", gateway.port)
    status, _, _ = await client.fetch(origin, "POST", CHAT.path.encode(), fields, body, limit=1 << 20)
    return status


def _upload(gateway: Process, content: bytes) -> dict[str, Any]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="copy.sqlite"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    token = f"Bearer {gateway.token}"
    status, _, raw = gateway.request("POST", f"{PATH}/import", body, content_type=kind, authorization=token)
    assert status == 200, raw
    found: dict[str, Any] = json.loads(raw)
    return found


async def test_no_running_request_is_lost_when_the_database_is_replaced(make_gateway: Any) -> None:
    gateway: Process = make_gateway(ENABLE_REQUEST_LOGS="true")

    async with behind(gateway, CHAT, reply) as (model, _):
        client = Client(Limits(), Clock())
        statuses: list[int] = []
        done = asyncio.Event()

        async def work(number: int) -> None:
            while not done.is_set():
                statuses.append(await _call(gateway, client, model, stream=number % 2 > 0))

        def replace() -> None:
            name = gateway.api("PUT", PATH)["filename"]
            token = f"Bearer {gateway.token}"
            status, fields, copy = gateway.request("GET", f"{PATH}/export", authorization=token)
            assert (status, fields["content-type"]) == (200, "application/octet-stream")
            for _ in range(3):
                assert gateway.api("POST", PATH, {"backupId": name})["restored"] is True
                assert _upload(gateway, copy)["imported"] is True

        workers = [asyncio.ensure_future(work(number)) for number in range(WORKERS)]
        await asyncio.to_thread(replace)
        done.set()
        await asyncio.gather(*workers)
        assert set(statuses) == {200}
        assert len(statuses) > WORKERS
        await asyncio.to_thread(gateway.api, "GET", "/api/usage/history")  # a flood leaves no bodies: let it be written
        for stream in (False, True):
            await _call(gateway, client, model, stream=stream)
        await client.close()
        calls = await asyncio.to_thread(gateway.api, "GET", "/api/usage/call-logs?limit=2")
        shown = [gateway.api("GET", f"/api/usage/call-logs/{call['id']}") for call in calls]
        assert shown[0]["responseBody"].startswith("data: ")
        assert shown[0]["responseBody"].rstrip().endswith("[DONE]")
        assert shown[1]["responseBody"]["object"] == "chat.completion"
        assert shown[1]["requestBody"]["messages"]
