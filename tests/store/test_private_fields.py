"""Credentials among a connection's other data."""

from __future__ import annotations

import pytest

from omniroute.store.private_fields import is_secret, with_sealed, without_secrets
from omniroute.store.vault import Vault

DATA = {"region": "eu", "maxTokens": 5, "copilotToken": "t-1", "auth": {"apiKey": "t-2", "plan": "pro"}, "refreshToken": ""}


@pytest.mark.parametrize("name", ["token", "refreshToken", "PASSWORD", "sessionCookie", "api_key", "clientSecret"])
def test_names_that_sound_like_credentials(name: str) -> None:
    assert is_secret(name)


def test_credentials_are_left_out_at_every_depth() -> None:
    assert without_secrets(DATA) == {"region": "eu", "maxTokens": 5, "auth": {"plan": "pro"}}


def test_credentials_are_sealed_at_every_depth_and_once() -> None:
    vault = Vault(["key"])
    sealed = with_sealed(DATA, vault)
    assert (vault.open(sealed["copilotToken"]), vault.open(sealed["auth"]["apiKey"])) == ("t-1", "t-2")
    assert "t-1" not in str(sealed)
    assert "t-2" not in str(sealed)
    assert {**sealed, "copilotToken": "t-1", "auth": DATA["auth"]} == DATA
    assert with_sealed(sealed, vault) == sealed
