from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

from omniroute.store.pricing import of_values, overlay
from omniroute.upstream.providers import Price


async def test_defaults_are_the_catalogues_by_alias(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert store.pricing.defaults() == {
            "openai": {"gpt-4o": {"input": 2.5, "output": 10.0, "cached": 1.25}, "shared": {"input": 1.0, "output": 2.0}},
            "ds": {"deepseek-chat": {"input": 0.28, "output": 0.42, "cached": 0.028}},
            "anthropic": {"claude-sonnet-4-5": {"input": 3.0, "output": 15.0, "cached": 0.3, "cache_creation": 3.75}},
        }
        assert await store.pricing.merged() == store.pricing.defaults()
        assert await store.pricing.user() == {}


async def test_the_users_fields_go_over_the_catalogues_and_are_in_force(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.pricing.merge({"ds": {"deepseek-chat": {"input": 1}}}) == {
            "ds": {"deepseek-chat": {"input": 1.0}}
        }
        await store.pricing.merge({"ds": {"deepseek-chat": {"output": 2.0}, "new": {"input": 0.0}}})
        merged = await store.pricing.merged()
        assert merged["ds"] == {"deepseek-chat": {"input": 1.0, "output": 2.0, "cached": 0.028}, "new": {"input": 0.0}}
        assert merged["openai"] == store.pricing.defaults()["openai"]
        assert store.snapshot.prices == {
            ("deepseek", "deepseek-chat"): Price(1.0, 2.0, 0.028),
            ("deepseek", "new"): Price(0.0),
        }


async def test_deleting_one_model_one_provider_or_all_brings_the_defaults_back(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        table = {
            "ds": {"a": {"input": 1.0}, "b": {"input": 2.0}},
            "openai": {"a": {"input": 3.0}},
            "x": {"a": {"input": 4.0}},
        }
        await store.pricing.merge(table)
        await store.pricing.delete("ds", "a")
        assert await store.pricing.user() == {**table, "ds": {"b": {"input": 2.0}}}
        await store.pricing.delete("openai")
        assert {*await store.pricing.user()} == {"ds", "x"}
        assert await store.pricing.delete() == store.pricing.defaults()
        assert store.snapshot.prices == {}


def test_overlaying_changes_neither_table() -> None:
    base = {"a": {"m": {"input": 1.0}}}
    top = {"a": {"m": {"output": 2.0}}}
    assert overlay(base, top) == {"a": {"m": {"input": 1.0, "output": 2.0}}}
    assert (base, top) == ({"a": {"m": {"input": 1.0}}}, {"a": {"m": {"output": 2.0}}})


def test_odd_values_are_left_out() -> None:
    assert of_values({"a": {"m": {"input": 1, "colour": 2, "output": "x"}, "n": 3}, "b": []}) == {"a": {"m": {"input": 1.0}}}
