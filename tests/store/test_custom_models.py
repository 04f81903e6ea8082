from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

from omniroute.store.custom_models import CustomModel, of_values


async def test_an_added_model_is_offered_by_its_provider(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        added = await store.custom_models.add("openai", "gpt-next", "GPT Next")
        assert added == CustomModel("gpt-next", "GPT Next", "manual")
        assert await store.custom_models.list("openai") == [added]
        assert await store.custom_models.list("deepseek") == []
        assert await store.custom_models.all() == {"openai": [added]}
        assert store.snapshot.custom_models == {"openai": ("gpt-next",)}
        assert store.snapshot.models["gpt-next"] == ("openai",)


async def test_a_model_that_exists_is_returned_as_it_is(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        first = await store.custom_models.add("openai", "gpt-next", "GPT Next", "imported")
        assert await store.custom_models.add("openai", "gpt-next", "Other") == first
        assert await store.custom_models.add("openai", "bare") == CustomModel("bare", "bare", "manual")
        assert [model.id for model in await store.custom_models.list("openai")] == ["gpt-next", "bare"]


async def test_a_deleted_model_is_offered_no_more(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.custom_models.add("openai", "gpt-next")
        assert await store.custom_models.delete("openai", "other") is False
        assert await store.custom_models.delete("openai", "gpt-next") is True
        assert await store.custom_models.delete("openai", "gpt-next") is False
        assert store.snapshot.custom_models == {}
        assert "gpt-next" not in store.snapshot.models


def test_odd_values_are_left_out() -> None:
    values = {"a": [{"id": "x"}, {"name": "no id"}, "text"], "b": "text", "c": [], "d": [{"id": 1}]}
    assert of_values(values) == {"a": [CustomModel("x", "x", "manual")]}
