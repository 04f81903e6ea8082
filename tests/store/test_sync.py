"""Records of two gateways: what leaves, sealed or not at all, and what is let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes_store import a_store

from omniroute.store.store import Store
from omniroute.store.sync import Record, address, versions

KEY = "one key for both"
NOW = 1_750_000_000.0


async def fill(store: Store) -> None:
    node = await store.nodes.create(type="openai-compatible", name="Mock", prefix="mock", base_url="http://127.0.0.1:9/v1")
    await store.connections.create(node.id, name="lab", api_key="sk-planted-node")
    data = {"region": "eu", "sessionToken": "planted-session"}
    await store.connections.create("openai", name="main", api_key="sk-planted-main", provider_specific_data=data)
    await store.aliases.set("fast", "openai/gpt-4o")
    await store.keys.create("client")
    await store.keys.create("boss", scopes=("inference", "manage"))


async def exported(store: Store) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(orjson.dumps(store.sync.export(await store.sync.read())))
    return found


@pytest.mark.parametrize("key", ["", KEY])
async def test_nothing_leaves_in_clear(tmp_path: Path, key: str) -> None:
    async with a_store(tmp_path, storage_encryption_key=key) as store:
        await fill(store)
        text = orjson.dumps([store.sync.export(await store.sync.read()), store.sync.proof])
        for secret in (b"planted", b"hmac-sha256", store.keys.secret):
            assert secret not in text
        assert (b"enc:v1:" in text) == bool(key)


async def test_keys_leave_only_sealed_and_never_those_that_manage(tmp_path: Path) -> None:
    async with a_store(tmp_path / "a", storage_encryption_key=KEY) as store:
        await fill(store)
        assert [key["data"]["name"] for key in (await exported(store))["apiKeys"]] == ["client"]
    async with a_store(tmp_path / "b") as store:
        await fill(store)
        assert (await exported(store))["apiKeys"] == []


async def test_two_gateways_with_the_same_keys_come_to_the_same(tmp_path: Path) -> None:
    same = {"storage_encryption_key": KEY, "api_key_secret": "0123456789abcdef"}
    async with a_store(tmp_path / "a", **same) as one, a_store(tmp_path / "b", **same) as two:
        await fill(one)
        assert two.sync.trusts(one.sync.proof)
        records = two.sync.accept(await exported(one), one.sync.proof, NOW)
        await two.sync.apply(records, {})
        assert versions(await two.sync.read()) == versions(await one.sync.read())
        main = (await two.connections.list("openai"))[0]
        assert (main.name, main.is_active, await two.connections.secret(main.id)) == ("main", True, "sk-planted-main")
        assert main.provider_specific_data == {"region": "eu"}
        assert two.snapshot.aliases == {"fast": "openai/gpt-4o"}
        assert [key.name for key in two.snapshot.keys.values()] == ["client"]
        raw = await two.db.fetch("SELECT api_key FROM provider_connections")
        assert all(row["api_key"].startswith("enc:v1:") for row in raw)


@pytest.mark.parametrize("other", ["", "another key"])
async def test_without_a_common_key_accounts_come_inactive_and_keys_not_at_all(tmp_path: Path, other: str) -> None:
    one_of_two = a_store(tmp_path / "a", storage_encryption_key=KEY)
    async with one_of_two as one, a_store(tmp_path / "b", storage_encryption_key=other) as two:
        await fill(one)
        assert not two.sync.trusts(one.sync.proof)
        records = two.sync.accept(await exported(one), one.sync.proof, NOW)
        assert records["apiKeys"] == {}
        await two.sync.apply(records, {})
        main = (await two.connections.list("openai"))[0]
        assert (main.is_active, main.has_api_key) == (False, False)


async def test_an_account_stays_off_until_it_has_a_key_and_one_that_needs_none_is_on(tmp_path: Path) -> None:
    async with a_store(tmp_path / "a") as one, a_store(tmp_path / "b") as two:
        await one.connections.create("openai", name="main", api_key="sk-planted")
        await one.connections.create("local", name="open", auth_type="none")

        async def bring() -> dict[str, bool]:
            await two.sync.apply(two.sync.accept(await exported(one), "", NOW), {})
            return {row.name: row.is_active for row in await two.connections.list()}

        assert await bring() == {"main": False, "open": True}
        assert await bring() == {"main": False, "open": True}
        (main,) = await two.connections.list("openai")
        await two.connections.update(main.id, api_key="sk-own")
        assert await bring() == {"main": True, "open": True}
        assert await two.connections.secret(main.id) == "sk-own"


async def test_combos_are_known_by_their_names_and_a_changed_node_by_its_accounts(tmp_path: Path) -> None:
    async with a_store(tmp_path / "a") as one, a_store(tmp_path / "b") as two:
        await fill(one)
        add = "INSERT INTO combos VALUES (?, 'best', ?, '', ?)"
        for store, id, data, moment in ((one, "c1", '{"models":["a"]}', "2025-02-01T00:00:00.000Z"), (two, "c2", "{}", "")):
            async with store.db.change() as tx:
                await tx.execute(add, (id, data, moment))
        await two.sync.apply(two.sync.accept(await exported(one), "", NOW), {})
        rows = await two.db.fetch("SELECT id, name, data FROM combos")
        assert [tuple(row) for row in rows] == [("c1", "best", '{"models":["a"]}')]
        (node,) = await one.nodes.list()
        await one.nodes.update(node.id, base_url="http://127.0.0.1:8/v1")
        await two.sync.apply({"nodes": two.sync.accept(await exported(one), "", NOW)["nodes"]}, {})
        (lab,) = await two.connections.list(node.id)
        assert lab.base_url == "http://127.0.0.1:8/v1"


async def test_another_hashing_secret_keeps_keys_out(tmp_path: Path) -> None:
    first = a_store(tmp_path / "a", storage_encryption_key=KEY, api_key_secret="0123456789abcdef")
    async with first as one, a_store(tmp_path / "b", storage_encryption_key=KEY, api_key_secret="x" * 16) as two:
        await fill(one)
        assert two.sync.trusts(one.sync.proof)
        assert two.sync.accept(await exported(one), one.sync.proof, NOW)["apiKeys"] == {}


async def test_an_update_keeps_what_never_travels(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await fill(store)
        sent = await exported(store)
        item = next(item for item in sent["providers"] if item["data"]["name"] == "main")
        item["data"] |= {"display_name": "Shown", "priority": 7}
        await store.sync.apply({"providers": store.sync.accept(sent, "", NOW)["providers"]}, {})
        main = (await store.connections.list("openai"))[0]
        assert (main.display_name, main.priority, main.is_active) == ("Shown", 7, True)
        assert main.provider_specific_data == {"region": "eu", "sessionToken": "planted-session"}
        assert await store.connections.secret(main.id) == "sk-planted-main"


async def test_records_are_deleted(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await fill(store)
        records = await store.sync.read()
        await store.sync.apply({}, {kind: [*group] for kind, group in records.items()})
        assert not any((await store.sync.read()).values())


def good(**changes: Any) -> dict[str, Any]:
    return {"id": "c1", "data": {"provider": "openai", "name": "n"}, "updatedAt": "2025-01-01T00:00:00.000Z", **changes}


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ([], "expected an object"),
        ({"providers": {}}, "providers: expected an array"),
        ({"providers": [1]}, "records with id and data"),
        ({"providers": [good(id="")]}, "records with id and data"),
        ({"providers": [good(id="a\nb")]}, "records with id and data"),
        ({"providers": [good(data={"name": 5})]}, "name does not fit"),
        ({"providers": [good(data={"priority": True})]}, "priority does not fit"),
        ({"providers": [good(data={"priority": 2**60})]}, "priority does not fit"),
        ({"providers": [good(data={"provider_specific_data": "[]"})]}, "provider_specific_data does not fit"),
        ({"providers": [good(data={"provider_specific_data": "{"})]}, "provider_specific_data does not fit"),
        ({"providers": [good(updatedAt="soon")]}, "updatedAt is no time"),
        ({"providers": [good(updatedAt=5)]}, "updatedAt is no time"),
        ({"providers": [good(updatedAt="2999-01-01T00:00:00.000Z")]}, "clocks of the two gateways differ"),
        ({"combos": [{"id": "best", "data": {"data": "{}"}}]}, "combos: id does not fit"),
        ({"modelAliases": [{"id": "a/b", "data": {"model": "m"}}]}, "is no alias"),
        ({"modelAliases": [{"id": "a", "data": {}}]}, "is no alias"),
    ],
)
async def test_what_does_not_fit_is_refused(tmp_path: Path, sent: Any, complaint: str) -> None:
    async with a_store(tmp_path) as store:
        with pytest.raises(ValueError, match=complaint):
            store.sync.accept(sent, "", NOW)


async def test_a_key_that_manages_is_never_let_in(tmp_path: Path) -> None:
    async with a_store(tmp_path, storage_encryption_key=KEY) as store:
        secret = store.vault.seal("hmac-sha256:" + "0" * 64)
        data = {"name": "k", "scopes": '["inference"]', "allowed_models": "[]"}
        item = {"id": "k", "data": data, "secrets": {"key": secret}}
        assert store.sync.accept({"apiKeys": [item]}, store.sync.proof, NOW)["apiKeys"]
        for bad in (
            {**item, "data": {**data, "scopes": '["manage"]'}},
            {**item, "secrets": {"key": store.vault.seal("sk-clear")}},
        ):
            assert store.sync.accept({"apiKeys": [bad]}, store.sync.proof, NOW)["apiKeys"] == {}


async def test_what_was_remembered_is_there_until_it_is_forgotten(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.sync.state("peer") == {}
        await store.sync.remember("peer", {"url": "u"})
        assert await store.sync.state("peer") == {"url": "u"}
        await store.sync.remember("peer", None)
        assert await store.sync.state("peer") == {}


def test_an_address_is_where_the_secrets_go() -> None:
    assert address("nodes", Record("", {"base_url": "http://h"})) == "http://h"
    own = Record("", {"provider": "openai", "provider_specific_data": '{"baseUrl":"http://h"}'})
    assert address("providers", own) == "openai http://h"
    assert address("modelAliases", Record("", {"model": "m"})) == ""
