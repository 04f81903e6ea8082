from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

from omniroute.gateway.policies import Actions, Conditions, Policy


async def test_enabled_policies_are_in_force_in_their_order(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        late = Policy(
            "b", "late", conditions=Conditions(provider="x*"), actions=Actions(block_model=("m",), daily_budget=1.5)
        )
        early = Policy("c", "early", priority=1, actions=Actions(max_tokens=5))
        off = Policy("a", "off", enabled=False, actions=Actions(prefer_provider=("p",)))
        for policy in (late, early, off):
            assert await store.policies.set(policy) is True
        assert await store.policies.list() == [early, late, off]
        assert store.snapshot.policies == (early, late)
        assert await store.policies.set(off) is False
        assert await store.policies.delete("c") is True
        assert await store.policies.delete("c") is False
        assert store.snapshot.policies == (late,)


async def test_a_value_that_is_no_policy_is_left_out(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        insert = "INSERT INTO key_value VALUES ('policies', ?, ?)"
        async with store.db.change() as tx:
            for id, value in (("a", "3"), ("b", '{"name": 1}'), ("c", '{"name": "c", "actions": {"max_tokens": "x"}}')):
                await tx.execute(insert, (id, value))
            await tx.execute(insert, ("d", '{"name": "d"}'))
        assert store.snapshot.policies == (Policy("d", "d"),)
