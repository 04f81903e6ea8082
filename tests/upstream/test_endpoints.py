from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.base_url import base_url_of
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.endpoints import Endpoint, Operation, beside, endpoint, media_endpoint
from omniroute.upstream.providers import Provider, Served, node_provider, serves

PROVIDERS = load_catalog().providers
BARE = Provider("p", "p", "P", "openai-chat", "https://p.example/v1")


@pytest.mark.parametrize(
    ("provider_id", "operation", "path"),
    [
        ("openai", "chat", b"/v1/chat/completions"),
        ("openai", "responses", b"/v1/responses"),
        ("openai", "embeddings", b"/v1/embeddings"),
        ("openai", "images", b"/v1/images/generations"),
        ("openai", "transcriptions", b"/v1/audio/transcriptions"),
        ("openai", "models", b"/v1/models"),
        ("groq", "chat", b"/openai/v1/chat/completions"),
        ("perplexity", "chat", b"/chat/completions"),
        ("anthropic", "messages", b"/v1/messages"),
        ("anthropic", "count_tokens", b"/v1/messages/count_tokens"),
        ("anthropic", "models", b"/v1/models"),
        ("glm", "messages", b"/api/anthropic/v1/messages"),
        ("gemini", "models", b"/v1beta/models"),
        ("cohere", "models", b"/v1/models?page_size=1000"),
        ("github-models", "models", b"/catalog/models"),
        ("voyage", "embeddings", b"/v1/embeddings"),
        ("ollama", "chat", b"/v1/chat/completions"),
    ],
)
def test_operations_have_their_path(provider_id: str, operation: Operation, path: bytes) -> None:
    provider = PROVIDERS[provider_id]
    assert endpoint(provider, base_url_of(provider), operation).path == path


@pytest.mark.parametrize(
    ("operation", "model", "stream", "path"),
    [
        ("generate", "gemini-2.5-pro", False, b"/v1beta/models/gemini-2.5-pro:generateContent"),
        ("generate", "gemini-2.5-pro", True, b"/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("generate", "models/gemini-2.5-pro", False, b"/v1beta/models/gemini-2.5-pro:generateContent"),
        ("generate", "tunedModels/mine", False, b"/v1beta/tunedModels/mine:generateContent"),
        ("generate", "a/../b?x#y", False, b"/v1beta/models/a%2F..%2Fb%3Fx%23y:generateContent"),
        ("count_tokens", "g", True, b"/v1beta/models/g:countTokens"),
        ("embeddings", "gemini-embedding-001", False, b"/v1beta/models/gemini-embedding-001:embedContent"),
    ],
)
def test_gemini_puts_the_model_into_the_path(operation: Operation, model: str, stream: bool, path: bytes) -> None:
    provider = PROVIDERS["gemini"]
    assert endpoint(provider, provider.base_url, operation, model, stream).path == path


def test_an_ollama_node_has_its_own_paths() -> None:
    node = node_provider("n", "ollama-compatible", "N", "n")
    assert endpoint(node, node.base_url, "chat") == Endpoint("http", "localhost", 11434, b"/api/chat")
    assert endpoint(node, node.base_url, "models").path == b"/api/tags"


def test_a_models_wire_overrides_the_providers() -> None:
    provider = PROVIDERS["openai"]
    assert endpoint(provider, provider.base_url, "responses", wire="openai-responses").path == b"/v1/responses"


@pytest.mark.parametrize(
    ("base", "origin", "path"),
    [
        ("https://h", ("https", "h", 443), b"/models"),
        ("http://h", ("http", "h", 80), b"/models"),
        ("http://H.Example:8080/a b", ("http", "h.example", 8080), b"/a%20b/models"),
        ("http://[::1]:9/v1", ("http", "::1", 9), b"/v1/models"),
    ],
)
def test_the_origin_is_split_off(base: str, origin: tuple[str, str, int], path: bytes) -> None:
    place = endpoint(BARE, base, "models")
    assert (place.origin[:3], place.path) == (origin, path)


def test_an_operation_that_the_wire_lacks_is_named() -> None:
    with pytest.raises(OmniError, match="Anthropic has no embeddings endpoint") as caught:
        endpoint(PROVIDERS["anthropic"], "https://h/v1", "embeddings")
    assert caught.value.kind == "not_supported"


def test_a_provider_inside_the_process_has_no_endpoint() -> None:
    with pytest.raises(OmniError, match="Offline demo has no address"):
        endpoint(PROVIDERS["demo"], "", "chat")


@pytest.mark.parametrize(
    ("path", "target"),
    [("/v1/key", b"/v1/key"), ("./key?a=1", b"/x/y/key?a=1"), ("../models/search?n=1", b"/x/models/search?n=1")],
)
def test_paths_beside_the_base_url(path: str, target: bytes) -> None:
    assert beside("http://h:81/x/y", path) == Endpoint("http", "h", 81, target)


@pytest.mark.parametrize(
    ("provider_id", "operation", "model", "host", "path"),
    [
        ("openai", "embeddings", "m", "api.openai.com", b"/v1/embeddings"),
        ("openai", "image_edits", "m", "api.openai.com", b"/v1/images/edits"),
        ("openai", "speech", "m", "api.openai.com", b"/v1/audio/speech"),
        ("gemini", "embeddings", "g e", "generativelanguage.googleapis.com", b"/v1beta/models/g%20e:batchEmbedContents"),
        ("cohere", "embeddings", "m", "api.cohere.com", b"/v2/embed"),
        ("cohere", "rerank", "m", "api.cohere.com", b"/v2/rerank"),
        ("voyage", "rerank", "m", "api.voyageai.com", b"/v1/rerank"),
        ("nvidia", "rerank", "m", "integrate.api.nvidia.com", b"/v1/ranking"),
    ],
)
def test_operations_beside_chat_have_their_place(
    provider_id: str, operation: str, model: str, host: str, path: bytes
) -> None:
    provider = PROVIDERS[provider_id]
    served = serves(provider, operation)
    assert served is not None
    place = media_endpoint(provider, provider.base_url, False, operation, model, served)
    assert (place.host, place.path) == (host, path)


def test_a_whole_url_gives_way_to_the_accounts_own_host() -> None:
    served = Served("cohere", "https://api.cohere.com/v2/embed")
    place = media_endpoint(PROVIDERS["cohere"], "http://127.0.0.1:9/v1", True, "embeddings", "m", served)
    assert place == Endpoint("http", "127.0.0.1", 9, b"/v2/embed")


def test_a_request_may_have_a_place_of_its_own() -> None:
    node = node_provider("n", "gemini-compatible", "N", "n", "http://127.0.0.1:9/v1beta")
    place = media_endpoint(node, node.base_url, False, "embeddings", "m", Served("gemini"), "./{model}:embedContent")
    assert place.path == b"/v1beta/models/m:embedContent"
    ollama = node_provider("n", "ollama-compatible", "N", "n")
    assert media_endpoint(ollama, ollama.base_url, False, "embeddings", "m", Served("ollama")).path == b"/api/embed"


def test_operations_beside_chat_need_an_address_too() -> None:
    with pytest.raises(OmniError, match="P has no address"):
        media_endpoint(BARE, "", False, "embeddings", "m", Served("openai"))
