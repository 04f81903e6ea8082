from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fakes_store import a_store

from omniroute.store import nodes

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("type", "api_type", "id", "base_url", "wire"),
    [
        ("openai-compatible", None, "openai-compatible-chat-", "https://api.openai.com/v1", "openai-chat"),
        ("openai-compatible", "responses", "openai-compatible-responses-", "https://api.openai.com/v1", "openai-responses"),
        ("anthropic-compatible", None, "anthropic-compatible-", "https://api.anthropic.com/v1", "anthropic"),
        ("gemini-compatible", None, "gemini-compatible-", "https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("ollama-compatible", None, "ollama-compatible-", "http://localhost:11434", "ollama"),
    ],
)
async def test_ids_and_defaults_by_type(tmp_path: Path, type: str, api_type: str, id: str, base_url: str, wire: str) -> None:
    async with a_store(tmp_path) as store:
        row = await store.nodes.create(type=type, name="Mine", prefix="mine", api_type=api_type)
        assert re.fullmatch(id + UUID, row.id)
        assert row.base_url == base_url
        assert row.api_type == ((api_type or "chat") if type == "openai-compatible" else None)
        assert await store.nodes.get(row.id) == row
        assert await store.nodes.list() == [row]
        provider = store.snapshot.providers[row.id]
        assert (provider.wire, provider.base_url, provider.node) == (wire, base_url, True)
        assert store.snapshot.prefixes["mine"] == row.id


async def test_base_urls_are_tidied(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        urls = [
            (await store.nodes.create(type=type, name="n", prefix="", base_url=url)).base_url
            for type, url in (
                ("openai-compatible", " http://localhost:1/v1/ "),
                ("anthropic-compatible", "http://localhost:1/v1/messages"),
            )
        ]
        assert urls == ["http://localhost:1/v1", "http://localhost:1/v1"]


async def test_connections_carry_a_copy_of_their_node_that_follows_its_changes(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        node = await store.nodes.create(
            type="openai-compatible", name="Mine", prefix="mine", base_url="http://localhost:1/v1"
        )
        row = await store.connections.create(node.id, name="a", api_key="k", provider_specific_data={"region": "eu"})
        copy = {"prefix": "mine", "apiType": "chat", "baseUrl": "http://localhost:1/v1", "nodeName": "Mine", "region": "eu"}
        assert row.provider_specific_data == copy
        changed = await store.nodes.update(node.id, name="Ours", prefix="ours", base_url="http://localhost:2/v1/")
        assert changed is not None
        assert (changed.id, changed.name, changed.prefix, changed.base_url) == (
            node.id,
            "Ours",
            "ours",
            "http://localhost:2/v1",
        )
        found = await store.connections.get(row.id)
        assert found is not None
        assert found.provider_specific_data == {
            "prefix": "ours", "apiType": "chat", "baseUrl": "http://localhost:2/v1", "nodeName": "Ours", "region": "eu",
        }  # fmt: skip
        assert "mine" not in store.snapshot.prefixes
        assert store.snapshot.prefixes["ours"] == node.id
        assert store.snapshot.connections[node.id][0].base_url == ""  # the node's own holds


async def test_what_is_not_given_stays(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        node = await store.nodes.create(
            type="openai-compatible", name="Mine", prefix="mine", base_url="http://localhost:1/v1"
        )
        changed = await store.nodes.update(node.id, api_type="responses")
        assert changed is not None
        assert (changed.name, changed.prefix, changed.base_url) == ("Mine", "mine", "http://localhost:1/v1")
        assert store.snapshot.providers[node.id].wire == "openai-responses"


async def test_a_nodes_connections_and_models_go_with_it(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        node = await store.nodes.create(type="openai-compatible", name="Mine", prefix="mine")
        await store.connections.create(node.id, name="a", api_key="k")
        await store.connections.create("openai", name="b", api_key="k")
        await store.custom_models.add(node.id, "m")
        await store.custom_models.add("openai", "m")
        assert await store.nodes.delete(node.id) is True
        assert [*await store.custom_models.all()] == ["openai"]
        assert [row.name for row in await store.connections.list()] == ["b"]
        assert node.id not in store.snapshot.providers
        assert node.id not in store.snapshot.connections


async def test_unknown_nodes(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.nodes.get("nobody") is None
        assert await store.nodes.update("nobody", name="x") is None
        assert await store.nodes.delete("nobody") is False


@pytest.mark.parametrize(("type", "api_type"), [("openai-compatible", "chat"), ("anthropic-compatible", None)])
def test_an_adopted_row_without_an_api_type_speaks_chat(type: str, api_type: str | None) -> None:
    record: Any = dict.fromkeys(nodes.NodeRow.__struct_fields__) | {"id": "n", "type": type, "name": "N"}
    assert nodes.row_of(record).api_type == api_type
