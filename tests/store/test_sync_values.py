"""What travels beside whole rows, each by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes_store import a_store

from omniroute.store.config import FIELDS
from omniroute.store.store import Store
from omniroute.store.sync_values import SHARED_SETTINGS, VALUES

GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "modelAliases": ("fast", {"model": "openai/gpt-4o"}),
    "customModels": ("openai/ft:one/two", {"name": "Mine", "source": "manual"}),
    "pricing": ("openai/ft:one/two", {"input": 1.0, "output": 2.5}),
    "fallbackChains": ("gpt-4o", {"chain": [{"provider": "ds", "priority": 1, "enabled": True}]}),
    "settings": ("systemPrompt", {"value": {"enabled": True, "prompt": "Be brief"}}),
}


async def write(store: Store, kind: str, id: str, data: dict[str, Any] | None) -> None:
    async with store.db.change() as tx:
        await VALUES[kind].put(tx, id, data)


@pytest.mark.parametrize("kind", VALUES)
async def test_a_record_is_written_read_and_deleted(tmp_path: Path, kind: str) -> None:
    async with a_store(tmp_path) as store:
        id, data = GOOD[kind]
        assert VALUES[kind].check(id, {**data, "from a later version": 1}) == data
        for _ in range(2):
            await write(store, kind, id, data)
        assert await VALUES[kind].read(store.db) == {id: data}
        for _ in range(2):
            await write(store, kind, id, None)
        assert await VALUES[kind].read(store.db) == {}


async def test_one_model_or_price_leaves_the_others_of_its_provider_alone(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.custom_models.add("openai", "a", "A")
        await store.pricing.merge({"openai": {"a": {"input": 1.0}}})
        await write(store, "customModels", "openai/b", {"name": "B", "source": "manual"})
        await write(store, "customModels", "openai/a", {"name": "A 2", "source": "manual"})
        await write(store, "pricing", "openai/b", {"input": 2.0})
        assert [(model.id, model.name) for model in await store.custom_models.list("openai")] == [("a", "A 2"), ("b", "B")]
        assert await store.pricing.user() == {"openai": {"a": {"input": 1.0}, "b": {"input": 2.0}}}
        await write(store, "customModels", "openai/a", None)
        await write(store, "pricing", "openai/a", None)
        assert [model.id for model in await store.custom_models.list("openai")] == ["b"]
        assert await store.pricing.user() == {"openai": {"b": {"input": 2.0}}}


async def test_what_came_is_in_force_for_the_next_request(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await write(store, "customModels", "openai/mine", {"name": "Mine", "source": "manual"})
        await write(store, "pricing", "openai/mine", {"input": 4.0})
        await write(store, "settings", "fallbackStrategy", {"value": "random"})
        snapshot = store.snapshot
        assert snapshot.custom_models == {"openai": ("mine",)}
        assert snapshot.prices["openai", "mine"].input == 4.0
        assert snapshot.settings.fallback_strategy == "random"


@pytest.mark.parametrize(("kind", "id", "data"), [
    ("modelAliases", "a/b", {"model": "m"}), ("modelAliases", "a", {"model": "m\n"}), ("modelAliases", "a", {}),
    ("customModels", "openai", {"name": "n", "source": "manual"}), ("customModels", "openai/", {"name": "n", "source": "m"}),
    ("customModels", "openai/m", {"name": 5, "source": "manual"}), ("customModels", "openai/m", {"name": "n"}),
    ("pricing", "m", {"input": 1}), ("pricing", "openai/m", {"input": -1}), ("pricing", "openai/m", {"input": True}),
    ("pricing", "openai/m", {"input": "1"}), ("pricing", "openai/m", {"input": 1e300}),
    ("fallbackChains", "m", {}), ("fallbackChains", "m", {"chain": [1]}), ("fallbackChains", "m", {"chain": [{}]}),
    ("fallbackChains", "m", {"chain": [{"provider": "p"}] * 101}),
    ("settings", "fallbackStrategy", {"value": "guess"}), ("settings", "systemPrompt", {"value": "text"}),
    ("settings", "systemPrompt", {"value": {"prompt": "x" * 200_001}}), ("settings", "nothing", {"value": 1}),
])  # fmt: skip
def test_what_is_none_is_not_taken(kind: str, id: str, data: dict[str, Any]) -> None:
    assert VALUES[kind].check(id, data) is None


def test_a_setting_too_deep_to_be_stored_is_not_taken() -> None:
    value: dict[str, Any] = {}
    for _ in range(300):
        value = {"a": value}
    assert VALUES["settings"].check("systemPrompt", {"value": value}) is None


def test_settings_of_one_machine_stay_there() -> None:
    assert FIELDS.keys() >= SHARED_SETTINGS
    assert FIELDS.keys() - SHARED_SETTINGS == {
        "theme", "language", "instanceName", "corsOrigins", "cloudUrl", "baseUrl", "requireLogin", "enableRequestLogs",
        "enableSocks5Proxy", "setupComplete", "requireAuthForModels", "hideHealthCheckLogs", "logRetentionDays",
        "cloudEnabled", "ipFilter", "oauthClients",
    }  # fmt: skip
    assert VALUES["settings"].check("password", {"value": "x"}) is None
    assert VALUES["settings"].check("requireLogin", {"value": False}) is None
