from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

MOMENT = "2026-01-02T03:04:05.678Z"


async def test_what_was_replaced_is_kept_sealed_until_it_is_forgotten(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.cli_state.save("codex", MOMENT, {"OPENAI_API_KEY": "sk-planted"})
        assert await store.cli_state.before("codex") == {"OPENAI_API_KEY": "sk-planted"}
        assert await store.cli_state.configured_at() == {"codex": MOMENT}
        rows = await store.db.fetch("SELECT value FROM key_value")
        assert not any("planted" in row["value"] for row in rows)
        await store.cli_state.forget("codex")
        assert (await store.cli_state.before("codex"), await store.cli_state.configured_at()) == ({}, {})


async def test_what_cannot_be_read_any_more_counts_as_nothing(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.transaction() as tx:
            for tool, value in {
                "a": '"text"',
                "b": '{"sealed": 1}',
                "c": '{"sealed": "no json"}',
                "d": '{"sealed": "enc:v1:00000000000000000000000000000000:00:00000000000000000000000000000000"}',
                "e": '{"sealed": "[]"}',
            }.items():
                await tx.execute("INSERT INTO key_value VALUES ('cliToolInitialConfig', ?, ?)", (tool, value))
                await tx.execute("INSERT INTO key_value VALUES ('cliToolLastConfig', ?, ?)", (tool, value))
        assert [await store.cli_state.before(tool) for tool in "abcdef"] == [{}] * 6
        assert await store.cli_state.configured_at() == {}
