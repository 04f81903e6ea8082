"""What is kept in memory of the database follows it when it is replaced."""

from __future__ import annotations

import pytest
from fakes_manage import Admin
from fakes_store import a_call

from omniroute.errors import OmniError
from omniroute.gateway.budgets import Budget, Purse
from omniroute.gateway.retry import PROFILES
from omniroute.manage import memory

PATH = "/api/db-backups"
PURSE = Purse("k1", Budget(daily=1.0))


def spend(admin: Admin, dollars: float) -> None:
    """A call of key k1 that cost so much, as the data plane notes it."""
    admin.live.budgets.charge(["k1"], dollars)
    admin.store.usage.put(a_call(at=admin.clock.time(), cost=dollars, charged=("k1",)))


def back_up(admin: Admin) -> str:
    admin.advance(1)
    admin.live.uses.save()
    return str(admin.send("PUT", PATH).json["filename"])


def put_back(admin: Admin, name: str) -> None:
    admin.advance(1)
    assert admin.send("POST", PATH, {"backupId": name}).status == 200


def keep(admin: Admin) -> None:
    """Have changes stored, as the app does."""
    store, live = admin.store, admin.live
    live.breakers.on_change = store.trouble.put_breaker
    live.health.on_lock = store.trouble.put_lock
    live.uses.on_change = lambda id, use: store.connections.mark(
        id, {"last_used_at": use.at, "consecutive_use_count": use.times}
    )


def test_after_a_restore_the_next_call_meets_the_restored_sums(admin: Admin) -> None:
    spend(admin, 0.9)
    full = back_up(admin)
    spend(admin, 5.0)
    with pytest.raises(OmniError, match="Daily budget exceeded"):
        admin.live.budgets.reserve([PURSE], 0.05)
    put_back(admin, full)
    assert admin.live.budgets.used("k1") == (0.9, 0.9, 0.9)
    admin.live.budgets.release(admin.live.budgets.reserve([PURSE], 0.05))
    with pytest.raises(OmniError, match=r"\$1\.1000 / \$1\.00"):
        admin.live.budgets.reserve([PURSE], 0.2)


def test_a_restore_resets_unknown_sums_but_keeps_reservations(admin: Admin) -> None:
    empty = back_up(admin)
    spend(admin, 0.3)
    reservation = admin.live.budgets.reserve([PURSE], 0.25)
    put_back(admin, empty)
    assert admin.live.budgets.used("k1") == (0.0, 0.0, 0.0)
    assert admin.live.budgets.checks(PURSE)[0].used == 0.25
    admin.live.budgets.release(reservation)
    spend(admin, 0.2)
    assert admin.live.budgets.checks(PURSE)[0].used == pytest.approx(0.2)


def test_calls_that_are_charged_but_not_yet_in_the_books_count_once(admin: Admin) -> None:
    spend(admin, 0.25)
    admin.run(admin.store.usage.flush())
    spend(admin, 0.5)
    assert admin.store.usage.queued == 1
    admin.run(memory.load(admin.store, admin.live))
    assert admin.live.budgets.used("k1") == (0.75, 0.75, 0.75)
    admin.run(admin.store.usage.flush())
    admin.run(memory.load(admin.store, admin.live))
    assert admin.live.budgets.used("k1") == (0.75, 0.75, 0.75)


def test_cooldowns_locks_breakers_and_uses_are_those_of_the_restored_database(admin: Admin) -> None:
    keep(admin)
    id = admin.connection()["id"]
    quiet = back_up(admin)
    admin.fail(id, status=404, model="gone")
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    admin.live.uses.note("openai", id)
    admin.store.usage.put(a_call())  # without anything new there would be no second copy
    troubled = back_up(admin)
    put_back(admin, quiet)
    assert (admin.live.health.locks(), admin.live.breakers.known(), admin.live.uses.of(id).times) == ([], {}, 0)
    put_back(admin, troubled)
    assert [lock.model for lock in admin.live.health.locks()] == ["gone"]
    assert admin.live.breakers.view("openai").state == "OPEN"
    assert admin.live.uses.of(id).times == 1
    admin.run(admin.store.usage.flush())
    assert len(admin.run(admin.store.trouble.locks())) == 1, "reading it again removed nothing from the table"


def test_the_memory_of_the_cache_is_emptied_so_that_answers_come_from_the_restored_table(admin: Admin) -> None:
    name = back_up(admin)
    admin.live.cache.put("s", "m", b"{}", 3, private=False)
    admin.live.cache.put("p", "m", b"{}", 3, private=True)
    put_back(admin, name)
    assert admin.run(admin.live.cache.find("s", private=False)) is None
    assert admin.run(admin.live.cache.find("p", private=True)) is None


def test_what_a_vendor_said_to_another_credential_is_forgotten_and_the_rest_kept(admin: Admin) -> None:
    same, other = admin.connection(name="same")["id"], admin.connection("deepseek", name="other")["id"]
    name = back_up(admin)
    assert admin.send("PUT", f"/api/providers/{other}", {"apiKey": "sk-new"}).status == 200
    for id in (same, other):
        admin.live.limiter.refused(id, 60)
    put_back(admin, name)
    assert admin.live.limiter.wait(same) == pytest.approx(59)
    assert admin.live.limiter.wait(other) == 0


def test_counts_of_combos_that_are_no_more_are_forgotten(admin: Admin) -> None:
    name = back_up(admin)
    body = {"name": "pair", "models": ["openai/gpt-4o"]}
    assert admin.send("POST", "/api/combos", body).status == 201
    admin.live.combos.began("pair", "openai/gpt-4o", 0)
    put_back(admin, name)
    assert admin.live.combos.metrics() == {}
