"""Price look-up, quirks, operations, and providers made from users' nodes."""

from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.providers import (
    Catalog,
    Model,
    Price,
    Provider,
    Served,
    node_base_url,
    node_provider,
    quirks_of,
    serves,
)


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("openai", "gpt-4o", 2.5),
        ("ds", "deepseek-chat", 0.28),  # by alias
        ("deepseek", "deepseek/deepseek-chat", 0.28),  # by the last segment
        ("minimax-cn", "MiniMax-M2.1", 0.3),
        ("cc", "claude-sonnet-4-5", 3.0),  # by reserved prefix
        ("anthropic", "claude-sonnet-4.5", 3.0),  # by rename
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 1.04),
    ],
)
def test_prices_are_found(provider: str, model: str, dollars: float) -> None:
    price = load_catalog().price(provider, model)
    assert price is not None
    assert price.input == dollars


@pytest.mark.parametrize(("provider", "model"), [("openai", "never-heard-of"), ("nobody", "gpt-4o"), ("openai", "dall-e-3")])
def test_unknown_prices_are_none(provider: str, model: str) -> None:
    assert load_catalog().price(provider, model) is None


def test_the_price_of_the_china_twin_falls_back_to_the_main_row() -> None:
    main = Provider(
        "one", "one", "One", "openai-chat", "https://one.example", models={"big": Model("big", price=Price(2.5))}
    )
    twin = Provider("one-cn", "one-cn", "Twin", "openai-chat", "https://cn.example")
    catalog = Catalog({"one": main, "one-cn": twin}, {}, {}, {}, {}, {}, {})
    assert catalog.price("one-cn", "big") == Price(2.5)


def test_a_models_quirks_add_to_the_providers() -> None:
    provider = Provider("p", "p", "P", "openai-chat", "https://p.example", quirks=frozenset({"a"}))
    provider.models["m"] = Model("m", quirks=frozenset({"b"}))
    assert quirks_of(provider, "m") == {"a", "b"}
    assert quirks_of(provider, "other") == {"a"}


@pytest.mark.parametrize(
    ("node_type", "api_type", "wire", "auth"),
    [
        ("openai-compatible", "chat", "openai-chat", "optional-bearer"),
        ("openai-compatible", "responses", "openai-responses", "optional-bearer"),
        ("anthropic-compatible", None, "anthropic", "x-api-key"),
        ("gemini-compatible", None, "gemini", "x-goog-api-key"),
        ("ollama-compatible", None, "ollama", "optional-bearer"),
    ],
)
def test_a_node_becomes_a_provider(node_type: str, api_type: str | None, wire: str, auth: str) -> None:
    node = node_provider("node-1", node_type, "Mine", "mine", "https://mine.example/v1/", api_type)
    assert (node.id, node.alias, node.prefix, node.name, node.node) == ("node-1", "mine", "mine", "Mine", True)
    assert (node.wire, node.auth, node.base_url, node.pass_through) == (wire, auth, "https://mine.example/v1", True)
    assert dict(node.headers).get("anthropic-version") == ("2023-06-01" if wire == "anthropic" else None)


@pytest.mark.parametrize(
    ("node_type", "api_type", "message"),
    [
        ("openai-compatible", None, "Invalid OpenAI compatible API type"),
        ("openai-compatible", "smoke", "Invalid OpenAI compatible API type"),
        ("fax-compatible", "chat", "Invalid provider node type"),
    ],
)
def test_an_unknown_node_type_is_refused(node_type: str, api_type: str | None, message: str) -> None:
    with pytest.raises(OmniError, match=message) as caught:
        node_provider("n", node_type, "N", "n", "", api_type)
    assert caught.value.kind == "invalid_request"


@pytest.mark.parametrize(
    ("node_type", "given", "url"),
    [
        ("openai-compatible", "", "https://api.openai.com/v1"),
        ("openai-compatible", " http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1"),
        ("openai-compatible", "http://h/v1/chat/completions", "http://h/v1"),
        ("anthropic-compatible", "", "https://api.anthropic.com/v1"),
        ("anthropic-compatible", "https://h/v1/messages/", "https://h/v1"),
        ("anthropic-compatible", "https://h/api/anthropic/v1//", "https://h/api/anthropic/v1"),
        ("gemini-compatible", "", "https://generativelanguage.googleapis.com/v1beta"),
        ("ollama-compatible", "", "http://localhost:11434"),
        ("ollama-compatible", "http://box:11434/api/", "http://box:11434"),
    ],
)
def test_node_base_urls_are_normalised(node_type: str, given: str, url: str) -> None:
    assert node_base_url(node_type, given) == url


def test_a_provider_serves_an_operation_in_its_own_format_or_its_wires() -> None:
    providers = load_catalog().providers
    assert serves(providers["openai"], "embeddings") == Served("openai")
    assert serves(providers["gemini"], "embeddings") == Served("gemini")
    assert serves(providers["cohere"], "rerank") == Served("cohere", "https://api.cohere.com/v2/rerank")
    assert serves(providers["anthropic"], "embeddings") is None
    node = node_provider("n", "ollama-compatible", "N", "n")
    assert (serves(node, "embeddings"), serves(node, "images")) == (Served("ollama"), None)
