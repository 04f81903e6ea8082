from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes_store import a_store, small_catalog

from omniroute.gateway.retry import PROFILES, Profile
from omniroute.gateway.snapshot import GatewaySettings
from omniroute.settings import Settings
from omniroute.store.nodes import NodeRow
from omniroute.store.publish import expiry, gateway_settings, offers, profiles, remapped, routable, user_prices
from omniroute.upstream.providers import Price


def node(id: str, type: str, prefix: str) -> NodeRow:
    return NodeRow(id=id, type=type, name=id, prefix=prefix, base_url="http://localhost:1", api_type="chat")


async def test_an_empty_store_publishes_the_catalogue_and_the_defaults(tmp_path: Path) -> None:
    async with a_store(tmp_path, api_key_secret="s" * 32) as store:
        snapshot = store.snapshot
        assert snapshot.providers == small_catalog().providers
        assert snapshot.prefixes == small_catalog().prefixes
        assert snapshot.models == small_catalog().models_by_id
        assert snapshot.key_secret == b"s" * 32
        assert (snapshot.keys, snapshot.connections, snapshot.aliases, snapshot.prices) == ({}, {}, {}, {})
        assert msgspec.structs.replace(snapshot.settings, profiles={}) == GatewaySettings()


async def test_each_change_gives_a_new_snapshot_with_a_higher_version(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        first = store.snapshot
        await store.aliases.set("fast", "openai/gpt-4o")
        assert store.snapshot.version == first.version + 1
        assert first.aliases == {}


async def test_a_connection_holds_what_a_call_needs(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create(
            "openai", name="work", api_key="sk-1", default_model="gpt-4o", rate_limit_protection=True,
            provider_specific_data={"region": "eu"},
        )  # fmt: skip
        [found] = store.snapshot.connections["openai"]
        assert (found.id, found.provider, found.name, found.secret) == (row.id, "openai", "work", "sk-1")
        assert (found.default_model, found.rate_limit_protection, found.data) == ("gpt-4o", True, {"region": "eu"})
        assert (found.priority, found.updated_at, found.base_url) == (1, 1_750_000_000.0, "")
        assert "sk-1" not in repr(store.snapshot.connections)


async def test_a_secret_that_cannot_be_opened_leaves_its_connection_out_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_store(tmp_path, storage_encryption_key="one") as store:
        lost = await store.connections.create("openai", name="lost", api_key="sk-1")
    with caplog.at_level(logging.ERROR):
        async with a_store(tmp_path, storage_encryption_key="other") as store:
            await store.connections.create("openai", name="fine", api_key="sk-2")
            assert [connection.name for connection in store.snapshot.connections["openai"]] == ["fine"]
            assert [row.name for row in await store.connections.list("openai")] == ["lost", "fine"]
            assert "STORAGE_ENCRYPTION_KEY" in store.snapshot.unopened["openai"][lost.id]
            assert store.snapshot.without_account("groq") == ""
    [record] = caplog.records
    assert lost.id in record.getMessage()


async def test_keys_listed_in_the_environment_leave_no_bodies(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row, _ = await store.keys.create("laptop")
        assert [key.no_log for key in store.snapshot.keys.values()] == [False]
    async with a_store(tmp_path, no_log_key_ids=frozenset({row.id})) as store:
        assert [key.no_log for key in store.snapshot.keys.values()] == [True]


def test_node_prefixes_win_over_the_catalogue_and_among_nodes_openai_wins() -> None:
    nodes = [
        node("anthropic-compatible-1", "anthropic-compatible", "mine"),
        node("openai-compatible-chat-1", "openai-compatible", "mine"),
        node("openai-compatible-chat-2", "openai-compatible", "ds"),
        node("openai-compatible-chat-3", "openai-compatible", ""),
    ]
    providers, prefixes, _ = routable(small_catalog(), nodes, ())
    assert prefixes["mine"] == "openai-compatible-chat-1"
    assert prefixes["ds"] == "openai-compatible-chat-2"
    assert prefixes["deepseek"] == "deepseek"
    assert prefixes["anthropic-compatible-1"] == "anthropic-compatible-1"
    assert "" not in prefixes
    assert {row.id for row in nodes} <= providers.keys()
    _, prefixes, _ = routable(small_catalog(), nodes, {"anthropic-compatible-1"})
    assert prefixes["mine"] == "anthropic-compatible-1"  # the other one has no account


def test_a_node_of_an_unknown_kind_is_left_out() -> None:
    providers, prefixes, left_out = routable(small_catalog(), [node("odd-1", "odd-compatible", "odd")], ())
    assert "odd-1" not in providers
    assert "odd" not in prefixes
    assert left_out == {"odd-1": "Invalid provider node type"}


async def test_a_row_that_is_left_out_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            await tx.execute("INSERT INTO provider_nodes (id, type, name, prefix) VALUES ('odd-1', 'odd', 'Odd', 'odd')")
        await store.publish()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["node odd-1 is left out"]


def test_a_reserved_id_with_an_account_of_its_own_wins_over_its_stand_in() -> None:
    providers, prefixes, _ = routable(small_catalog(), [], ())
    assert (prefixes["cx"], prefixes["codex"], prefixes["cc"]) == ("openai", "openai", "anthropic")
    assert remapped(small_catalog(), prefixes) == {"cx": "openai-responses", "codex": "openai-responses"}
    providers, prefixes, _ = routable(small_catalog(), [], {"codex"})
    assert remapped(small_catalog(), prefixes) == {}
    assert (prefixes["cx"], prefixes["codex"], prefixes["cc"]) == ("codex", "codex", "anthropic")
    codex = providers["codex"]
    assert (codex.id, codex.alias, codex.wire) == ("codex", "cx", "openai-responses")
    assert codex.base_url == providers["openai"].base_url


def test_offers_join_the_users_models() -> None:
    from omniroute.store.custom_models import CustomModel

    custom = {"anthropic": [CustomModel("gpt-4o", ""), CustomModel("new", "")], "openai": [CustomModel("gpt-4o", "")]}
    models = offers(small_catalog().models_by_id, custom)
    assert models["gpt-4o"] == ("openai", "anthropic")
    assert models["new"] == ("anthropic",)
    assert models["shared"] == ("openai", "deepseek")


def test_a_price_under_the_providers_id_goes_before_one_under_its_alias() -> None:
    by_id, by_alias = {"deepseek": {"deepseek-chat": {"input": 9.0}}}, {"ds": {"deepseek-chat": {"input": 1.0}}}
    for table in (by_id | by_alias, by_alias | by_id):
        prices = user_prices(table, {"ds": "deepseek", "deepseek": "deepseek"}, small_catalog())
        assert prices["deepseek", "deepseek-chat"].input == 9.0


def test_user_prices_are_found_by_provider_id_and_completed_from_the_catalogue() -> None:
    prices = user_prices(
        {"ds": {"deepseek-chat": {"input": 9.0}}, "mine": {"m": {"output": 1.0}}}, {"ds": "deepseek"}, small_catalog()
    )
    assert prices == {("deepseek", "deepseek-chat"): Price(9.0, 0.42, 0.028), ("mine", "m"): Price(output=1.0)}


def test_settings_that_requests_depend_on() -> None:
    stored: dict[str, Any] = {
        "requireAuthForModels": True,
        "blockedProviders": ["deepseek"],
        "fallbackStrategy": "p2c",
        "stickyRoundRobinLimit": 7,
        "wildcardAliases": [{"pattern": "gpt-*", "target": "openai/gpt-4o"}, {"pattern": "*", "target": "x/y"}],
        "corsOrigins": "https://a.example, https://b.example,",
        "setupComplete": True,
    }
    found = gateway_settings(stored, Settings(require_api_key=True, cors_origins=("https://b.example", "https://c.example")))
    assert msgspec.structs.replace(found, profiles={}) == GatewaySettings(
        require_api_key=True,
        require_auth_for_models=True,
        blocked_providers=frozenset({"deepseek"}),
        fallback_strategy="p2c",
        sticky_limit=7,
        wildcard_aliases=(("gpt-*", "openai/gpt-4o"), ("*", "x/y")),
        cors_origins=("https://b.example", "https://c.example", "https://a.example"),
        setup_complete=True,
    )


def test_a_provider_is_blocked_by_any_of_its_names() -> None:
    found = gateway_settings({"blockedProviders": ["ds", "openai"]}, Settings(), {"ds": "deepseek"})
    assert found.blocked_providers == {"deepseek", "openai"}


def test_damaged_settings_count_as_absent() -> None:
    stored = {
        "fallbackStrategy": 5,
        "blockedProviders": "all",
        "wildcardAliases": [{}],
        "corsOrigins": 3,
        "stickyRoundRobinLimit": None,
    }
    assert msgspec.structs.replace(gateway_settings(stored, Settings()), profiles={}) == GatewaySettings()


@pytest.mark.parametrize(
    ("stored", "initial", "expected"),
    [({}, "", False), ({"setupComplete": True}, "", True), ({"password": "scrypt:x"}, "", True), ({}, "pw", True)],
)
def test_setup_is_complete_with_a_password_of_any_kind(stored: dict[str, Any], initial: str, expected: bool) -> None:
    assert gateway_settings(stored, Settings(initial_password=initial)).setup_complete is expected


def test_profiles_are_complete_and_in_seconds() -> None:
    assert {name: Profile(**values) for name, values in profiles({}).items()} == PROFILES  # type: ignore[arg-type]
    found = profiles(
        {"apikey": {"transientCooldown": 1500, "maxBackoffLevel": 9, "rateLimitCooldown": "x"}, "odd": {}, "oauth": 3}
    )
    assert found["apikey"]["transient_cooldown"] == 1.5
    assert found["apikey"]["max_backoff_level"] == 9
    assert found["apikey"]["rate_limit_cooldown"] == PROFILES["apikey"].rate_limit_cooldown
    assert found.keys() == PROFILES.keys()


def test_an_expiry_that_cannot_be_read_is_over() -> None:
    assert [expiry(text) for text in (None, "", "soon")] == [None, None, 0.0]


async def test_the_stored_word_on_request_logs_goes_before_the_environments(tmp_path: Path) -> None:
    async with a_store(tmp_path, log_bodies=True) as store:
        assert store.snapshot.settings.log_bodies
        await store.config.set_many({"enableRequestLogs": False})
        assert not store.snapshot.settings.log_bodies
        await store.config.set_many({"enableRequestLogs": True})
        assert store.snapshot.settings.log_bodies
