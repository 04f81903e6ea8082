from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from fakes_store import a_call, a_store

from omniroute.store import usage as usage_module
from omniroute.store.usage import _HISTORY, _MINUTES, CallDetail, CallRow, UsageGroup, UsageMinute

NOW = 1_750_000_000.0  # 2025-06-15T15:06:40Z


async def test_a_call_is_one_history_row_and_one_log_row(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(
            a_call("req-1", tokens_cache_read=100, tokens_cache_write=5, tokens_reasoning=40, estimated=True, combo="c")
        )
        await store.usage.flush()
        row = await store.db.fetch_one("SELECT * FROM usage_history")
        assert row is not None
        assert {name: row[name] for name in row.keys() if name != "id"} == {  # noqa: SIM118 - a row is no mapping
            "provider": "openai", "model": "gpt-4o", "connection_id": "conn-1", "api_key_id": "key-1",
            "api_key_name": "laptop", "tokens_input": 812, "tokens_output": 240, "tokens_cache_read": 100,
            "tokens_cache_creation": 5, "tokens_reasoning": 40, "status": "200", "timestamp": "2025-06-15T15:06:40.000Z",
            "cost": 0.00443, "estimated": 1, "duration_ms": 812.5, "first_byte_ms": 204.25, "combo_name": "c",
        }  # fmt: skip
        [call] = await store.usage.recent()
        assert call == CallRow(
            id=call.id, timestamp="2025-06-15T15:06:40.000Z", method="POST", path="/v1/chat/completions", status=200,
            model="gpt-4o", provider="openai", account="work", connection_id="conn-1", duration=812.5, tokens_in=812,
            tokens_out=240, source_format="anthropic", target_format="openai-chat", api_key_id="key-1",
            api_key_name="laptop", combo_name="c", request_id="req-1", requested_model="fast", first_byte_ms=204.25,
            attempts=1, cost=0.00443,
        )  # fmt: skip


async def test_a_call_shows_its_bodies_redacted_by_either_id(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call("req-1", request_body=b'{"api_key":"abc"}', error="sk-abcdefgh12 refused"))
        await store.usage.flush()
        call = await store.usage.call("req-1")
        assert isinstance(call, CallDetail)
        assert (call.request_body, call.response_body) == ('{"api_key":"[redacted]"}', None)
        assert (call.has_request_body, call.has_response_body) == (True, False)
        assert call.error == "[redacted] refused"
        assert await store.usage.call(call.id) == call
        assert await store.usage.call("nobody") is None


async def test_two_calls_may_carry_the_same_request_id(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for model in ("first", "second"):
            store.usage.put(a_call("same", model=model))
        await store.usage.flush()
        call = await store.usage.call("same")
        assert call is not None
        assert call.model == "second"
        assert len(await store.usage.recent()) == 2


async def test_only_the_newest_500_calls_are_logged_and_all_are_counted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for first in range(0, 700, 100):
            for number in range(first, first + 100):
                store.usage.put(a_call(str(number)))
            await store.usage.flush()
        calls = await store.usage.recent(1000)
        assert [call.request_id for call in calls] == [str(number) for number in reversed(range(200, 700))]
        [group] = await store.usage.history()
        assert group.requests == 700


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "edcba"),
        ({"limit": 2}, "ed"),
        ({"status": "ok"}, "ca"),
        ({"status": "error"}, "edb"),
        ({"status": "429"}, "b"),
        ({"status": "nonsense"}, "edcba"),
        ({"model": "DEEP"}, "c"),
        ({"model": "fast"}, "edcba"),
        ({"provider": "deepseek"}, "c"),
        ({"account": "hom"}, "b"),
        ({"api_key": "key-2"}, "c"),
        ({"api_key": "desk"}, "c"),
        ({"combo": True}, "d"),
        ({"search": "boom"}, "e"),
        ({"search": "mix"}, "d"),
        ({"search": "b", "status": "error"}, "eb"),
    ],
)
async def test_the_newest_calls_can_be_filtered(tmp_path: Path, filters: dict[str, Any], expected: str) -> None:
    async with a_store(tmp_path) as store:
        for call in (
            a_call("a"),
            a_call("b", status=429, account="home"),
            a_call("c", provider="deepseek", model="deepseek-chat", key_id="key-2", key_name="desk"),
            a_call("d", status=499, combo="mix"),
            a_call("e", status=502, error="boom"),
        ):
            store.usage.put(call)
        await store.usage.flush()
        assert "".join(str(call.request_id) for call in await store.usage.recent(**filters)) == expected


async def test_the_newest_call_is_the_one_that_began_last(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for id, at in (("short", NOW + 2), ("long", NOW), ("later", NOW + 2)):
            store.usage.put(a_call(id, at=at))
        await store.usage.flush()
        assert [call.request_id for call in await store.usage.recent()] == ["later", "short", "long"]


async def test_an_adopted_row_with_words_for_numbers_is_shown(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.log() as tx:
            await tx.execute("INSERT INTO call_logs (id, status, duration) VALUES ('a', 'FAILED', 'long')", ())
        [call] = await store.usage.recent()
        assert (call.status, call.duration) == (0, 0.0)


async def test_history_sums_by_provider_model_account_and_key(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        store.usage.put(a_call("1", at=NOW - 100, tokens_in=10, tokens_out=1, cost=0.5))
        store.usage.put(a_call("2", at=NOW, tokens_in=20, tokens_out=None, cost=None))
        store.usage.put(
            a_call("3", at=NOW - 50, connection_id="", key_id="", key_name="", tokens_in=3, tokens_out=4, cost=0.25)
        )
        await store.usage.flush()
        first, second = await store.usage.history()
        assert first == UsageGroup(
            provider="openai", model="gpt-4o", connection_id="conn-1", api_key_id="key-1", api_key_name="laptop", requests=2,
            prompt_tokens=30, completion_tokens=1, cost=0.5, last_used="2025-06-15T15:06:40.000Z",
        )  # fmt: skip
        assert second == UsageGroup(
            provider="openai", model="gpt-4o", requests=1, prompt_tokens=3, completion_tokens=4, cost=0.25,
            last_used="2025-06-15T15:05:50.000Z",
        )  # fmt: skip
        assert [group.requests for group in await store.usage.history(since=NOW - 60)] == [1, 1]
        assert [group.requests for group in await store.usage.history(connection_id="conn-1")] == [2]
        assert await store.usage.history(since=NOW + 1) == []


async def test_the_last_minutes_are_all_there_and_the_current_one_is_last(tmp_path: Path) -> None:
    async with a_store(tmp_path, FakeClock(NOW)) as store:
        for at in (NOW - 3600, NOW - 60, NOW - 60, NOW):
            store.usage.put(a_call(at=at, tokens_in=1, tokens_out=2, cost=0.5))
        await store.usage.flush()
        assert await store.usage.minutes(3) == [
            UsageMinute("2025-06-15T15:04:00.000Z"),
            UsageMinute("2025-06-15T15:05:00.000Z", 2, 2, 4, 1.0),
            UsageMinute("2025-06-15T15:06:00.000Z", 1, 1, 2, 0.5),
        ]
        assert len(await store.usage.minutes()) == 10


async def test_queries_over_time_are_served_by_the_index(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        queries = ((_HISTORY, ("2026", None)), (_MINUTES, ("2026",)), (usage_module._UNPRICED, ("2026",)))
        for query, parameters in (*queries, (usage_module._PRUNE, ("2026", 10))):
            plan = [row["detail"] for row in await store.db.fetch("EXPLAIN QUERY PLAN " + query, parameters)]
            assert any("usage_by_time (timestamp" in line for line in plan), plan


async def test_old_rows_are_pruned_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "_CHUNK", 2)
    async with a_store(tmp_path) as store:
        for days in (0, 1, 10, 20, 30):
            store.usage.put(a_call(at=NOW - days * 86_400))
        await store.usage.flush()
        assert await store.usage.prune(5) == 3
        assert await store.usage.prune(5) == 0
        [group] = await store.usage.history()
        assert group.requests == 2
