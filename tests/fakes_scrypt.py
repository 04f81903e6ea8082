"""Fast key derivation; the tests of the vault and of passwords use the real one with ``real_scrypt``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

_scrypt = hashlib.scrypt


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    def cheap(text: bytes, **parameters: Any) -> bytes:
        return _scrypt(text, **{**parameters, "n": 2, "r": 1, "p": 1})

    monkeypatch.setattr(hashlib, "scrypt", cheap)


@pytest.fixture
def real_scrypt(cheap_scrypt: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    monkeypatch.setattr(hashlib, "scrypt", _scrypt)
    return _scrypt
