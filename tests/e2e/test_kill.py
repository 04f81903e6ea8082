"""``kill -9`` under load: what was configured is there, the database is sound, at most the last moment of usage is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
import time
from typing import Any

from processes import Process
from real_gateway import behind, streamed, whole
from scripted_upstream import Answer, Seen
from wires import ANTHROPIC, CHAT, WIRES

from omniroute.clock import Clock
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits
from omniroute.upstream.send import Client

LOAD_SECONDS = 1.5
# Next to other tests the gateway has a part of a processor only, and its writer a part of that.
LOSS_SECONDS = 0.2 if "PYTEST_XDIST_WORKER" not in os.environ else 0.8
WORKERS = 8


class Load:
    """Calls in both wires, whole and streamed, until the gateway is gone; when each answer was complete."""

    def __init__(self, gateway: Process, model: str) -> None:
        self.origin = Origin("http", "127.0.0.1", gateway.port)
        self.model = model
        self.answered: list[float] = []
        self.sent = 0

    async def run(self) -> None:
        client = Client(Limits(), Clock())
        await asyncio.gather(*(self._work(client, n) for n in range(WORKERS)))
        await client.close()

    async def _work(self, client: Client, number: int) -> None:
        wire = WIRES[number % 2]
        body = json.dumps(wire.ask(self.model, stream=number % 4 > 1)).encode()
        fields = [(b"content-type", b"application/json")]
        while True:
            self.sent += 1
            try:
                status, _, _ = await client.fetch(self.origin, "POST", wire.path.encode(), fields, body, limit=1 << 20)
            except TransportError:
                return
            assert status == 200
            self.answered.append(asyncio.get_running_loop().time())


async def test_a_kill_under_load_loses_at_most_the_last_moment_of_usage(make_gateway: Any) -> None:
    gateway: Process = make_gateway()

    def reply(seen: Seen) -> Answer:
        return streamed(*CHAT.stream) if json.loads(seen.body).get("stream") else whole(CHAT.whole)

    keys: list[str] = []

    def configure() -> None:
        """Changes through the API while calls run: whatever was answered must stay."""
        try:
            while True:
                keys.append(gateway.api("POST", "/api/keys", {"name": f"key {len(keys)}"})["id"])
                time.sleep(0.05)
        except OSError:
            return

    # the node must outlive the gateway, so that its removal reaches the one that was started again
    async with behind(gateway, CHAT, reply) as (model, _):
        nodes = gateway.api("GET", "/api/provider-nodes")["nodes"]
        load = Load(gateway, model)
        changes = asyncio.create_task(asyncio.to_thread(configure))
        running = asyncio.create_task(load.run())
        await asyncio.sleep(LOAD_SECONDS)
        killed = asyncio.get_running_loop().time()
        gateway.kill()
        await asyncio.gather(running, changes, return_exceptions=False)

        check = sqlite3.connect(gateway.data / "storage.sqlite")
        assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert check.execute("PRAGMA foreign_key_check").fetchall() == []
        check.close()

        await asyncio.to_thread(gateway.start)
        history = gateway.api("GET", "/api/usage/history")
        # on a machine that stands still now and then, so does the writer: the longest pause in the answers tells
        stall = max(later - at for at, later in itertools.pairwise(sorted(load.answered)))
        safe = sum(at < killed - LOSS_SECONDS - 2 * stall for at in load.answered)
        assert safe > 20
        assert safe <= history["totalRequests"] <= load.sent
        assert history["totalPromptTokens"] == 21 * history["totalRequests"]
        assert gateway.api("GET", "/api/provider-nodes")["nodes"] == nodes
        assert {key["id"] for key in gateway.api("GET", "/api/keys")["keys"]} >= set(keys)
        assert keys
        status, _, raw = await asyncio.to_thread(gateway.request, "POST", ANTHROPIC.path, ANTHROPIC.ask(model))
        assert status == 200, raw
