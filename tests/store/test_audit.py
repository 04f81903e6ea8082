from __future__ import annotations

from pathlib import Path

from fakes import FakeClock
from fakes_store import a_store

from omniroute.store.audit import AuditRow


async def test_rows_are_listed_newest_first(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        await store.audit.append("settings.update", "admin", "settings", {"changed": ["theme"]}, "127.0.0.1")
        clock.advance(1)
        await store.audit.append("shutdown", "apikey:k1")
        assert await store.audit.list() == [
            AuditRow(2, "2025-06-15T15:06:41.000Z", "shutdown", "apikey:k1", None, None, None),
            AuditRow(
                1, "2025-06-15T15:06:40.000Z", "settings.update", "admin", "settings", {"changed": ["theme"]}, "127.0.0.1"
            ),
        ]


async def test_pages_and_filters(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for number in range(6):
            await store.audit.append("even" if number % 2 == 0 else "odd", f"actor{number % 3}", str(number))
        assert [row.target for row in await store.audit.list(2, 1)] == ["4", "3"]
        assert [row.target for row in await store.audit.list(action="even")] == ["4", "2", "0"]
        assert [row.target for row in await store.audit.list(action="even", actor="actor1")] == ["4"]


async def test_old_rows_are_pruned(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store(tmp_path, clock) as store:
        await store.audit.append("old", "system")
        clock.now += 10 * 86_400
        await store.audit.append("new", "system")
        assert await store.audit.prune(9) == 1
        assert [row.action for row in await store.audit.list()] == ["new"]


async def test_details_that_are_no_json_are_shown_as_text(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.log() as tx:
            await tx.execute("INSERT INTO audit_log (timestamp, action, details) VALUES ('2026', 'adopted', 'plain words')")
        [row] = await store.audit.list()
        assert (row.actor, row.details) == ("system", "plain words")
