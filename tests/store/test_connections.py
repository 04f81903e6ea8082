from __future__ import annotations

from math import inf
from pathlib import Path

import pytest
from fakes import FakeClock
from fakes_store import a_store

from omniroute.store.store import Store


async def order(store: Store, provider: str = "openai") -> list[tuple[str, int]]:
    return [(row.name, row.priority) for row in await store.connections.list(provider)]


async def test_a_new_connection_is_given_out_without_its_key(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="sk-live-1")
        assert (row.provider, row.name, row.auth_type, row.priority, row.is_active) == ("openai", "work", "apikey", 1, True)
        assert (row.test_status, row.created_at, row.updated_at) == ("unknown", "2025-06-15T15:06:40.000Z", row.created_at)
        assert row.has_api_key
        assert "sk-live-1" not in repr(row)
        assert await store.connections.get(row.id) == row
        assert await store.connections.secret(row.id) == "sk-live-1"


async def test_the_key_is_sealed_at_rest(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.connections.create("openai", name="work", api_key="sk-live-1", access_token="at-1")
        record = await store.db.fetch_one("SELECT api_key, access_token FROM provider_connections")
        assert record is not None
        assert all(store.vault.sealed(value) for value in record)
    assert b"sk-live-1" not in (tmp_path / "storage.sqlite").read_bytes()


async def test_the_key_is_in_force_in_the_next_snapshot(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="sk-live-1", base_url="http://localhost:1/v1/")
        [connection] = store.snapshot.connections["openai"]
        assert (connection.id, connection.secret, connection.base_url) == (row.id, "sk-live-1", "http://localhost:1/v1")


async def test_a_keyless_connection_has_no_secret(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="local")
        assert not row.has_api_key
        assert await store.connections.secret(row.id) == ""
        assert await store.connections.secret("nobody") == ""


async def test_new_ones_go_last_and_a_given_priority_goes_before_its_equal(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        for name, priority in (("a", None), ("b", None), ("c", None), ("d", 2)):
            await store.connections.create("openai", name=name, api_key="k", priority=priority)
            clock.advance(1)
        assert await order(store) == [("a", 1), ("d", 2), ("b", 3), ("c", 4)]


async def test_a_changed_priority_and_a_deletion_renumber_that_provider_only(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        rows = {}
        for name in "abc":
            rows[name] = await store.connections.create("openai", name=name, api_key="k")
            clock.advance(1)
        await store.connections.create("deepseek", name="other", api_key="k", priority=50)
        changed = await store.connections.update(rows["c"].id, priority=1)
        assert changed is not None
        assert changed.priority == 1
        assert await order(store) == [("c", 1), ("a", 2), ("b", 3)]
        assert await store.connections.delete(rows["a"].id)
        assert await order(store) == [("c", 1), ("b", 2)]
        assert [connection.name for connection in store.snapshot.connections["openai"]] == ["c", "b"]


async def test_the_same_name_changes_the_existing_one(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        first = await store.connections.create("openai", name="work", api_key="old", base_url="http://localhost:1")
        second = await store.connections.create("openai", name="work", api_key="new", default_model="gpt-4o")
        other = await store.connections.create("deepseek", name="work", api_key="third")
        assert first.id == second.id != other.id
        assert await store.connections.secret(first.id) == "new"
        assert (second.default_model, second.base_url, second.priority) == ("gpt-4o", "http://localhost:1", 1)


async def test_the_same_name_without_a_key_keeps_the_key(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="kept")
        await store.connections.create("openai", name="work")
        assert await store.connections.secret(row.id) == "kept"


async def test_oauth_accounts_are_told_apart_by_e_mail(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        create = store.connections.create
        first = await create("openai", name="x", auth_type="oauth", email="a@example.org", access_token="at-1")
        same = await create("openai", name="y", auth_type="oauth", email="a@example.org", access_token="at-2")
        other = await create("openai", name="x", auth_type="oauth", email="b@example.org", access_token="at-3")
        assert first.id == same.id != other.id
        assert same.has_access_token
        assert not same.has_api_key
        assert await store.connections.secret(first.id) == "at-2"


async def test_lists_by_provider_and_state(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.connections.create("openai", name="on", api_key="k")
        await store.connections.create("openai", name="off", api_key="k", is_active=False)
        await store.connections.create("deepseek", name="ds", api_key="k")
        assert {row.name for row in await store.connections.list()} == {"on", "off", "ds"}
        assert [row.name for row in await store.connections.list("openai")] == ["on", "off"]
        assert [row.name for row in await store.connections.list("openai", is_active=False)] == ["off"]
        assert [connection.name for connection in store.snapshot.connections["openai"]] == ["on"]


async def test_an_update_changes_what_is_given_and_nothing_else(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        row = await store.connections.create("openai", name="work", api_key="old", provider_specific_data={"region": "eu"})
        clock.advance(5)
        changed = await store.connections.update(
            row.id, name="home", api_key="new", is_active=False, base_url="http://localhost:2", health_check_interval=0
        )
        assert changed is not None
        assert (changed.name, changed.is_active, changed.health_check_interval) == ("home", False, 0)
        assert changed.provider_specific_data == {"region": "eu", "baseUrl": "http://localhost:2"}
        assert (changed.created_at, changed.updated_at) == (row.created_at, "2025-06-15T15:06:45.000Z")
        assert await store.connections.secret(row.id) == "new"
        assert "openai" not in store.snapshot.connections


async def test_none_clears_a_column_or_gives_its_default(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="w", api_key="k", default_model="gpt-4o", base_url="http://x")
        await store.connections.update(row.id, last_error="boom", test_status="error", error_code="500")
        changed = await store.connections.update(
            row.id, default_model=None, base_url=None, last_error=None, test_status=None, error_code=None, backoff_level=None
        )
        assert changed is not None
        assert (changed.default_model, changed.base_url, changed.last_error) == (None, "", None)
        assert (changed.test_status, changed.backoff_level) == ("unknown", 0)


async def test_unknown_rows_and_columns(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.connections.get("nobody") is None
        assert await store.connections.update("nobody", name="x") is None
        assert await store.connections.delete("nobody") is False
        row = await store.connections.create("openai", name="work")
        with pytest.raises(ValueError, match="colour"):
            await store.connections.update(row.id, colour="red")
        with pytest.raises(ValueError, match="colour"):
            await store.connections.create("openai", name="x", colour="red")
        with pytest.raises(ValueError, match="name"):
            store.connections.mark(row.id, {"name": "x"})


async def test_health_marks_are_written_with_the_next_batch_and_publish_nothing(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="k")
        before = store.snapshot
        store.connections.mark(
            row.id, {"test_status": "unavailable", "rate_limited_until": 1_750_000_060.5, "backoff_level": 1}
        )
        store.connections.mark(row.id, {"backoff_level": 2, "last_error": "slow down", "error_code": "429"})
        await store.usage.flush()
        marked = await store.connections.get(row.id)
        assert marked is not None
        assert (marked.test_status, marked.rate_limited_until) == ("unavailable", "2025-06-15T15:07:40.500Z")
        assert (marked.backoff_level, marked.last_error, marked.error_code) == (2, "slow down", "429")
        assert marked.updated_at == row.updated_at
        assert store.snapshot is before


async def test_marks_can_clear(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="k")
        await store.connections.update(row.id, rate_limited_until="2026-01-01T00:00:00.000Z", last_error="x")
        store.connections.mark(row.id, {"rate_limited_until": None, "last_error": None})
        await store.usage.flush()
        cleared = await store.connections.get(row.id)
        assert cleared is not None
        assert (cleared.rate_limited_until, cleared.last_error) == (None, None)


async def test_an_update_wins_over_a_mark_still_queued(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="k")
        store.connections.mark(row.id, {"test_status": "unavailable", "last_error": "slow down, sk-of-a-client-1"})
        await store.connections.update(row.id, test_status="active")
        await store.usage.flush()
        found = await store.connections.get(row.id)
        assert found is not None
        assert (found.test_status, found.last_error) == ("active", "slow down, [redacted]")


async def test_clear_texts_of_an_adopted_database_are_sealed_at_the_next_open(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="work", api_key="k")
        async with store.db.change() as tx:
            await tx.execute("UPDATE provider_connections SET api_key = 'sk-clear', provider_specific_data = 'no json'")
            await tx.execute(
                "INSERT INTO provider_connections (id, provider, provider_specific_data, created_at, updated_at)"
                """ VALUES ('2', 'github', '{"copilotToken": "t-clear", "plan": "pro"}', '', '')"""
            )
        assert await store.connections.secret(row.id) == "sk-clear"
    async with a_store(tmp_path) as store:
        record = await store.db.fetch_one("SELECT api_key FROM provider_connections")
        assert record is not None
        assert store.vault.sealed(record["api_key"])
        adopted = await store.connections.get("2")
        assert adopted is not None
        assert adopted.provider_specific_data["plan"] == "pro"
        assert store.vault.open(adopted.provider_specific_data["copilotToken"]) == "t-clear"
        assert store.vault.sealed(adopted.provider_specific_data["copilotToken"])
        assert await store.connections.secret(row.id) == "sk-clear"
        assert store.snapshot.connections["openai"][0].secret == "sk-clear"
        assert await store.connections.seal_clear_texts() == 0


async def test_when_a_token_has_to_be_renewed(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        ends = {"expires_at": "2026-01-01T01:00:00Z", "expires_in": 3600}
        row = await store.connections.create("openai", auth_type="oauth", access_token="at", refresh_token="rt", **ends)
        assert (row.refreshable, row.ends_at, row.renew_at) == (True, 1767229200.0, 1767229200.0 - 300)
        assert await store.connections.refresh_token(row.id) == "rt"
        assert await store.connections.refresh_token("nobody") == ""
        (connection,) = store.snapshot.connections["openai"]
        assert (connection.secret, connection.refreshable, connection.renew_at) == ("at", True, row.renew_at)
        short = await store.connections.update(row.id, expires_in=60)
        assert short is not None
        assert short.renew_at == 1767229200.0 - 30
        for changes in ({"expires_at": None}, {"expires_at": "odd"}):
            unknown = await store.connections.update(row.id, token_expires_at=None, **changes)
            assert unknown is not None
            assert (unknown.ends_at, unknown.renew_at) == (None, inf)
        keyed = await store.connections.update(row.id, auth_type="apikey", **ends)
        assert keyed is not None
        assert (keyed.refreshable, keyed.renew_at) == (False, inf)
