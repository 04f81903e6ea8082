"""Two gateways, two processes, two databases: an account added to one serves requests at the other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from processes import Process
from real_gateway import whole
from scripted_upstream import Answer, ScriptedUpstream, Seen
from wires import CHAT

TOKEN = "the token of both gateways"
SHARED = {"CLOUD_SYNC_TOKEN": TOKEN, "STORAGE_ENCRYPTION_KEY": "one key for both", "API_KEY_SECRET": "0123456789abcdef"}


async def test_an_account_added_to_one_gateway_serves_at_the_other_until_they_part(tmp_path: Path) -> None:
    def reply(seen: Seen) -> Answer:
        return whole(CHAT.whole)

    far = Process(tmp_path / "far", **SHARED).start()
    near = Process(tmp_path / "near", **SHARED, CLOUD_URL=far.url).start()
    try:
        async with ScriptedUpstream(reply) as upstream:
            near.add_node("lab", f"{upstream.url}/v1", "openai-compatible", "k-planted-upstream")
            key = near.api("POST", "/api/keys", {"name": "client"})["key"]
            assert near.api("POST", "/api/sync/cloud", {"action": "enable"})["verified"] is True
            assert near.api("GET", "/api/sync/cloud")["connected"] is True

            body = json.dumps(CHAT.ask("lab/m")).encode()
            status, _, raw = await asyncio.to_thread(far.request, "POST", CHAT.path, body, authorization=f"Bearer {key}")
            assert (status, json.loads(raw)) == (200, json.loads(CHAT.whole))
            listed = far.request("GET", "/api/keys", authorization=f"Bearer {far.token}")[2]
            assert key.encode() not in listed
            assert b"client" in listed

            assert near.api("POST", "/api/sync/cloud", {"action": "disable"}) == {
                "success": True,
                "message": "Cloud disabled",
            }
            assert far.api("GET", "/api/provider-nodes")["nodes"] == []
    finally:
        assert (near.stop(), far.stop()) == (0, 0)
    for process in (near, far):
        assert "planted" not in (process.data / "output.txt").read_text()
        assert TOKEN not in (process.data / "output.txt").read_text()
