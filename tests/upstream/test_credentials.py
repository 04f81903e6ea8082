from __future__ import annotations

from typing import get_args

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.credentials import auth_headers, call_headers, needs_secret, with_login
from omniroute.upstream.providers import AuthScheme, Provider, node_provider

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


def test_built_in_remote_providers_need_a_key_and_others_may_not() -> None:
    assert needs_secret(PROVIDERS["openai"])
    assert needs_secret(PROVIDERS["assemblyai"])
    assert not needs_secret(PROVIDERS["ollama"])
    assert not needs_secret(PROVIDERS["vllm"])
    assert not needs_secret(node_provider("n", "anthropic-compatible", "N", "n"))


def test_an_access_token_is_a_bearer_token_whatever_the_keys_are() -> None:
    provider = made("x-goog-api-key")
    assert auth_headers(with_login(provider, "oauth"), "at") == [(b"authorization", b"Bearer at")]
    assert with_login(provider, "apikey") is provider
    assert with_login(made(), "oauth") == made()
    assert with_login(made("none"), "oauth").auth == "none"
