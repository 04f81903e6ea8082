from __future__ import annotations

from pathlib import Path

import msgspec
from fakes_store import a_call, a_store

from omniroute.gateway.outbound import ProxiedCall, Via
from omniroute.proto.proxy import Proxy
from omniroute.store.proxy_logs import KEPT

CALL = ProxiedCall(
    Via(Proxy("http", "p.test", 3128, "me", "s3cret"), "provider", "openai"),
    1_750_000_000.0, "success", "openai", "gpt-4o", 12.4, "", "conn-1", "work", None,
)  # fmt: skip


async def test_a_call_as_the_api_shows_it(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.proxy_logs.put(CALL._replace(error="no sk-of-a-client-1"))
        (row,) = await store.proxy_logs.list()
        shown = msgspec.to_builtins(row)
        assert shown.pop("id")
        assert shown == {
            "timestamp": "2025-06-15T15:06:40.000Z", "status": "success", "level": "provider", "levelId": "openai",
            "proxy": {"type": "http", "host": "p.test", "port": 3128}, "provider": "openai",
            "targetUrl": "openai/gpt-4o", "publicIp": None, "latencyMs": 12, "error": "no [redacted]",
            "connectionId": "conn-1", "comboId": None, "account": "work",
        }  # fmt: skip


async def test_calls_without_a_proxy_are_shown_as_direct_and_a_proxied_one_once(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call("by proxy", at=CALL.at - 0.5, connection_id="conn-1", duration_ms=900.0))
        store.usage.put(a_call("direct", at=CALL.at - 0.2, connection_id="conn-2", duration_ms=12.6))
        store.usage.put(a_call("failed", at=CALL.at + 3, connection_id="conn-1", status=400, error="[400]: bad field"))
        store.usage.put(a_call("late", at=CALL.at + 4, status=504, error="no answer"))
        store.usage.put(a_call("refused before a provider", at=CALL.at + 5, connection_id=""))
        store.proxy_logs.put(CALL)
        rows = await store.proxy_logs.list()
        assert [(row.level, row.status, row.error) for row in rows] == [
            ("direct", "timeout", "no answer"),
            ("direct", "error", "[400]: bad field"),
            ("provider", "success", None),
            ("direct", "success", None),
        ]
        direct = msgspec.to_builtins(rows[-1])
        assert direct.pop("id")
        assert direct == {
            "timestamp": "2025-06-15T15:06:39.800Z", "status": "success", "level": "direct", "levelId": None, "proxy": None,
            "provider": "openai", "targetUrl": "openai/gpt-4o", "publicIp": None, "latencyMs": 13, "error": None,
            "connectionId": "conn-2", "comboId": None, "account": "work",
        }  # fmt: skip
        await store.proxy_logs.clear()
        assert await store.proxy_logs.list() == []
        assert len(await store.usage.recent()) == 5, "the call log is another one"
        store.usage.put(a_call("new", at=CALL.at + 9))
        assert [row.level for row in await store.proxy_logs.list(level="direct")] == ["direct"]


async def test_filters_narrow_each_other_and_the_newest_comes_first(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number, status in enumerate(("success", "error", "timeout", "error")):
            store.proxy_logs.put(CALL._replace(status=status, at=CALL.at + number, error=f"100%_{number}"))
        logs = store.proxy_logs
        assert [row.error for row in await logs.list(3)] == ["100%_3", "100%_2", "100%_1"]
        assert [row.error for row in await logs.list(status="error", type="http", level="provider", provider="openai")] == [
            "100%_3",
            "100%_1",
        ]
        assert await logs.list(type="socks5") == []
        assert len(await logs.list(search="%_2")) == 1
        assert len(await logs.list(search="GPT-4O")) == 4
        await logs.clear()
        assert await logs.list() == []


async def test_the_newest_five_hundred_are_kept_also_of_those_that_wait(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for start in (0, 700):
            for number in range(start, start + 600):
                store.proxy_logs.put(CALL._replace(at=CALL.at + number))
            await store.usage.flush()
        store.proxy_logs.put(CALL._replace(at=CALL.at + 5000))
        await store.usage.flush()
        (row,) = await store.db.fetch("SELECT count(*) AS count, min(timestamp) AS first FROM proxy_logs")
        assert row["count"] <= KEPT + 1
        assert len(await store.proxy_logs.list()) == KEPT
