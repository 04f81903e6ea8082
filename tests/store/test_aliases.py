from __future__ import annotations

from pathlib import Path

from fakes_store import a_store


async def test_an_alias_is_in_force_until_it_is_deleted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.aliases.set("fast", "openai/gpt-4o")
        await store.aliases.set("cheap", "ds/deepseek-chat")
        await store.aliases.set("fast", "ds/deepseek-chat")
        assert [*(await store.aliases.list()).items()] == [("cheap", "ds/deepseek-chat"), ("fast", "ds/deepseek-chat")]
        assert store.snapshot.aliases == {"cheap": "ds/deepseek-chat", "fast": "ds/deepseek-chat"}
        assert await store.aliases.delete("fast") is True
        assert await store.aliases.delete("fast") is False
        assert store.snapshot.aliases == {"cheap": "ds/deepseek-chat"}


async def test_an_adopted_value_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("""INSERT INTO key_value VALUES ('modelAliases', 'odd', '{"a": 1}')""")
        assert await store.aliases.list() == {}
        assert store.snapshot.aliases == {}
