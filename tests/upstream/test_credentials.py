"""Authentication fields, URLs per wire, and the base URLs that are never called."""

from __future__ import annotations

from typing import get_args

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.credentials import (
    Endpoint,
    Operation,
    address_allowed,
    auth_headers,
    base_url_of,
    beside,
    call_headers,
    check_base_url,
    endpoint,
    media_endpoint,
    needs_secret,
    with_login,
)
from omniroute.upstream.providers import AuthScheme, Provider, Served, load_catalog, node_provider, serves

PROVIDERS = load_catalog().providers


def made(auth: AuthScheme = "bearer", wire: str = "openai-chat") -> Provider:
    return Provider("p", "p", "P", wire, "https://p.example/v1", auth=auth, headers=(("x-fixed", "1"),))


@pytest.mark.parametrize(
    ("scheme", "fields"),
    [
        ("bearer", [(b"authorization", b"Bearer sk-1")]),
        ("optional-bearer", [(b"authorization", b"Bearer sk-1")]),
        ("token", [(b"authorization", b"Token sk-1")]),
        ("raw", [(b"authorization", b"sk-1")]),
        ("x-api-key", [(b"x-api-key", b"sk-1")]),
        ("x-goog-api-key", [(b"x-goog-api-key", b"sk-1")]),
        ("api-key", [(b"api-key", b"sk-1")]),
        ("none", []),
    ],
)
def test_each_scheme_has_its_field(scheme: AuthScheme, fields: list[tuple[bytes, bytes]]) -> None:
    assert auth_headers(made(scheme), " sk-1\n") == fields
    assert auth_headers(made(scheme), "") == []
    assert call_headers(made(scheme), "sk-1") == [(b"x-fixed", b"1"), *fields]


def test_the_table_of_schemes_is_complete() -> None:
    for scheme in get_args(AuthScheme):
        auth_headers(made(scheme), "sk-1")


@pytest.mark.parametrize("secret", ["a\r\nx-evil: 1", "a\0b", "schlüssel", "a\tb"])
def test_a_key_that_cannot_stand_in_a_field_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(OmniError) as caught:
        auth_headers(made(), secret)
    assert caught.value.param == "apiKey"
    assert secret not in caught.value.message


def test_who_needs_a_key() -> None:
    assert needs_secret(PROVIDERS["openai"])
    assert needs_secret(PROVIDERS["assemblyai"])
    assert not needs_secret(PROVIDERS["ollama"])
    assert not needs_secret(PROVIDERS["vllm"])
    assert not needs_secret(node_provider("n", "anthropic-compatible", "N", "n"))


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
    place = endpoint(made(), base, "models")
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


def test_placeholders_are_filled_from_the_connection() -> None:
    azure, cloudflare = PROVIDERS["azure-openai"], PROVIDERS["cloudflare"]
    assert base_url_of(azure, data={"resource": "my-res"}) == "https://my-res.openai.azure.com/openai/v1"
    url = base_url_of(cloudflare, data={"account": "abc123"})
    assert endpoint(cloudflare, url, "models").path == b"/client/v4/accounts/abc123/ai/models/search?per_page=1000"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, 'Azure OpenAI needs "resource" in providerSpecificData'),
        ({"resource": ""}, 'needs "resource"'),
        ({"resource": "evil.example/"}, "can only contain letters"),
        ({"resource": "a.b"}, "can only contain letters"),
        ({"resource": "-a"}, "can only contain letters"),
    ],
)
def test_a_missing_or_unusable_placeholder_is_named(data: dict[str, str], message: str) -> None:
    with pytest.raises(OmniError, match=message) as caught:
        base_url_of(PROVIDERS["azure-openai"], data=data)
    assert caught.value.param == "providerSpecificData.resource"


@pytest.mark.parametrize("url", ["api.test/v1", "ftp://api.test/v1", "http://h:99999/v1", "http://[::1/v1", "http:///v1"])
def test_a_base_url_that_came_in_unchecked_is_refused_when_it_is_used(url: str) -> None:
    node = node_provider("n", "openai-compatible", "Mine", "n", url, "chat")
    with pytest.raises(OmniError, match="The base URL of Mine is not a web address") as caught:
        base_url_of(node)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", "baseUrl")


def test_a_connections_own_base_url_wins() -> None:
    azure = PROVIDERS["azure-openai"]
    assert base_url_of(azure, "http://127.0.0.1:9/v1/") == "http://127.0.0.1:9/v1"
    assert base_url_of(azure, data={"baseUrl": "http://127.0.0.1:8/v1"}) == "http://127.0.0.1:8/v1"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1", "http://localhost:11434", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1",
        "http://gpu-box:8000/v1", "https://h.example:8443/a/b",
    ],
)  # fmt: skip
def test_ordinary_and_loopback_base_urls_pass(url: str) -> None:
    check_base_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["http://192.168.1.5/v1", "http://10.0.0.1/v1", "http://[fd12::1]/v1", "http://100.64.0.1/v1"]
)
def test_private_addresses_pass_only_when_allowed(url: str) -> None:
    check_base_url(url, allow_private=True)
    with pytest.raises(OmniError, match="not allowed"):
        check_base_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "ftp://h/v1", "file:///etc/passwd", "//h/v1", "javascript:alert(1)", "http://", "http:///v1",
        "http://user@h/v1", "http://user:pw@h/v1", "http://h/v1#x", "http://h/v1#", "http://h/v1?x=1", "http://h:99999/v1",
        "http://h:0/v1", "http://h:x/v1", "http://[::1/v1", "http://h/a b", "http://h/a\r\nb", "http://h\\@x/v1",
        "http://h/a/../b", "http://hé/v1", "http://metadata.google.internal/v1", "http://METADATA/v1",
        "http://169.254.169.254/v1", "http://169.254.0.1/v1", "http://[fe80::1]/v1", "http://[fe80::1%25eth0]/v1",
        "http://[fd00:ec2::254]/v1", "http://100.100.100.200/v1", "http://[::ffff:169.254.169.254]/v1",
        "http://[64:ff9b::a9fe:a9fe]/v1", "http://[2002:a9fe:a9fe::1]/v1", "http://2852039166/v1", "http://0xa9fea9fe/v1",
        "http://0251.0376.0251.0376/v1", "http://169.254.43518/v1", "http://169.254.169.254./v1", "http://224.0.0.1/v1",
    ],
)  # fmt: skip
def test_base_urls_that_are_never_called(url: str) -> None:
    with pytest.raises(OmniError) as caught:
        check_base_url(url, allow_private=True)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", "baseUrl")


@pytest.mark.parametrize(
    ("address", "private", "allowed"),
    [
        ("8.8.8.8", False, True), ("2606:4700::1111", False, True), ("127.0.0.1", False, True), ("::1", False, True),
        ("10.1.2.3", False, False), ("10.1.2.3", True, True), ("169.254.169.254", True, False),
        ("fe80::1%eth0", True, False), ("0.0.0.0", False, False), ("99999999999", False, True),
        ("::ffff:10.0.0.1", False, False), ("example.com", False, True), ("1e100.net", False, True),
    ],
)  # fmt: skip
def test_resolved_addresses_are_judged_again(address: str, private: bool, allowed: bool) -> None:
    assert address_allowed(address, private) is allowed


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
        media_endpoint(made(), "", False, "embeddings", "m", Served("openai"))


def test_an_access_token_is_a_bearer_token_whatever_the_keys_are() -> None:
    provider = made("x-goog-api-key")
    assert auth_headers(with_login(provider, "oauth"), "at") == [(b"authorization", b"Bearer at")]
    assert with_login(provider, "apikey") is provider
    assert with_login(made(), "oauth") == made()
    assert with_login(made("none"), "oauth").auth == "none"
