from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

LINKS = [
    {"provider": "openai", "priority": 5, "enabled": True},
    {"provider": "ds", "priority": 1, "enabled": True},
    {"provider": "anthropic", "priority": 0, "enabled": False},
]


async def test_a_chain_is_in_force_in_its_order_until_it_is_deleted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.chains.set("m", LINKS)
        assert await store.chains.list() == {"m": [LINKS[2], LINKS[1], LINKS[0]]}
        assert store.snapshot.chains == {"m": ("deepseek", "openai")}
        await store.chains.set("m", LINKS[:1])
        assert store.snapshot.chains == {"m": ("openai",)}
        assert await store.chains.delete("m") is True
        assert await store.chains.delete("m") is False
        assert store.snapshot.chains == {}


async def test_who_is_named_twice_or_unknown_is_no_second_choice(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.chains.set("m", [LINKS[1], {"provider": "deepseek"}, {"provider": "nobody"}])
        assert store.snapshot.chains == {"m": ("deepseek",)}
        await store.chains.set("n", [{"provider": "nobody"}])
        assert "n" not in store.snapshot.chains


async def test_of_an_adopted_row_the_sound_part_counts(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("INSERT INTO domain_fallback_chains VALUES ('a', 'no json'), ('b', '3'), (?, ?)",
                             ("c", '[1, {"priority": 1}, {"provider": "openai", "priority": "x"}]'))  # fmt: skip
        assert await store.chains.list() == {
            "a": [], "b": [], "c": [{"provider": "openai", "priority": 0, "enabled": True}],
        }  # fmt: skip
