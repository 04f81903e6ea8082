from __future__ import annotations

from pathlib import Path

from fakes_store import a_store

from omniroute.gateway.outbound import Via
from omniroute.proto.proxy import Proxy
from omniroute.store.store import Store
from omniroute.store.vault import Vault

A, B = Proxy("http", "a.test", 3128, "me", "s3cret"), Proxy("socks5", "b.test", 1080)


async def raw(store: Store) -> str:
    rows = await store.db.fetch("SELECT value FROM key_value WHERE namespace = 'proxyConfig'")
    return " ".join(row["value"] for row in rows)


async def test_a_proxy_is_in_force_at_once_and_its_password_is_sealed(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        row = await store.connections.create("openai", name="one", api_key="sk")
        found = await store.proxies.change({("global", ""): A, ("provider", "openai"): A._replace(host="c.test")})
        assert (found.everywhere, found.get("provider", "openai")) == (A, A._replace(host="c.test"))
        (connection,) = store.snapshot.connections["openai"]
        assert connection.proxy == Via(A._replace(host="c.test"), "provider", "openai")
        assert "s3cret" not in await raw(store)
        await store.proxies.change({("provider", "openai"): None, ("key", row.id): A})
        assert store.snapshot.connections["openai"][0].proxy == Via(A, "key", row.id)
        await store.proxies.change({("key", row.id): None, ("global", ""): None})
        assert store.snapshot.connections["openai"][0].proxy is None
        assert await store.proxies.read() == type(found)()


async def test_proxies_survive_a_restart(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.proxies.change({("global", ""): A})
    async with a_store(tmp_path) as store:
        assert store.snapshot.outbound.everywhere == A


async def test_socks_that_is_not_switched_on_stays_chosen_but_cannot_be_used(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.proxies.change({("global", ""): B})
        assert store.snapshot.outbound.everywhere == B._replace(scheme="disabled")
        await store.config.set_many({"enableSocks5Proxy": True})
        assert store.snapshot.outbound.everywhere == B
    async with a_store(tmp_path, enable_socks5_proxy=True) as store:
        assert store.snapshot.outbound.everywhere == B


async def test_a_combos_proxy_is_for_its_providers(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.connections.create("deepseek", name="one", api_key="sk")
        combo = await store.combos.create({"name": "fast", "models": ["ds/deepseek-chat"]})
        await store.proxies.change({("combo", combo.id): A})
        assert store.snapshot.connections["deepseek"][0].proxy == Via(A, "combo", combo.id)


async def test_an_adopted_configuration_is_understood_and_its_passwords_are_sealed(tmp_path: Path) -> None:
    stored = {
        "global": '"http://me:s3cret@a.test:3128"',
        "providers": '{"x": {"host": "h", "port": "8080", "password": "s3cret"}, "y": {"type": "socks4"}, "z": 5}',
        "keys": '{"k": {"type": "http", "port": 5}, "l": {"host": "h", "port": "zz"}, "m": "ftp://h"}',
        "combos": "[]",
    }
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            for key, value in stored.items():
                await tx.execute("INSERT INTO key_value VALUES ('proxyConfig', ?, ?)", (key, value))
        await store.proxies.seal_clear_texts()
        found = await store.proxies.read()
        assert found.everywhere == A
        assert found.maps["provider"] == {"x": Proxy("http", "h", 8080, "", "s3cret")}
        assert (found.maps["key"], found.maps["combo"]) == ({}, {})
        before = await raw(store)
        assert "s3cret" not in before
        await store.proxies.seal_clear_texts()
        assert await raw(store) == before


async def test_sealing_a_clear_text_leaves_a_password_that_cannot_be_decrypted_as_it_is(tmp_path: Path) -> None:
    other = Vault(["another key"]).seal("s3cret")
    stored = {
        "global": f'{{"type": "http", "host": "h", "password": "{other}"}}',
        "providers": f'{{"x": {{"host": "h", "password": "clear"}}, "y": {{"host": "h", "password": "{other}"}}}}',
    }
    async with a_store(tmp_path) as store:
        async with store.db.change() as tx:
            for key, value in stored.items():
                await tx.execute("INSERT INTO key_value VALUES ('proxyConfig', ?, ?)", (key, value))
        await store.proxies.seal_clear_texts()
        kept = await raw(store)
        assert (kept.count(other), "clear" in kept) == (2, False)


async def test_the_environments_proxy_is_the_last_choice(tmp_path: Path) -> None:
    async with a_store(tmp_path, https_proxy="http://me:s3cret@a.test:3128", no_proxy=("api.deepseek.com",)) as store:
        await store.connections.create("openai", name="one", api_key="sk")
        await store.connections.create("deepseek", name="two", api_key="sk")
        assert store.snapshot.connections["openai"][0].proxy == Via(A, "environment")
        assert store.snapshot.connections["deepseek"][0].proxy is None
