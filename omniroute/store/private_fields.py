"""Credentials among a connection's other data (``provider_specific_data``), where earlier installations keep some tokens.

The gateway accepts none there itself; those of an adopted database are encrypted, never shown, and never synchronized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .vault import Vault

_WORDS: Final = ("token", "secret", "password", "apikey", "api_key", "cookie", "credential")


def is_secret(name: str) -> bool:
    """Whether the name of a field suggests a credential."""
    return name.lower().endswith(_WORDS)


def without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """*data* without the fields that suggest a credential, in nested objects too."""
    return {
        name: without_secrets(value) if isinstance(value, dict) else value
        for name, value in data.items()
        if not is_secret(name)
    }


def with_sealed(data: Mapping[str, Any], vault: Vault) -> dict[str, Any]:
    """*data* with the texts that are credentials encrypted, in nested objects too."""

    def sealed(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return with_sealed(value, vault)
        return vault.seal(value) if isinstance(value, str) and value and is_secret(name) else value

    return {name: sealed(name, value) for name, value in data.items()}
