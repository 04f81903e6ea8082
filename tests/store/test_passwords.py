from __future__ import annotations

import sys
from types import ModuleType

import pytest

from omniroute.store import passwords


def test_a_password_verifies_against_its_hash_and_no_other_does() -> None:
    stored = passwords.hash("correct horse")
    assert passwords.verify("correct horse", stored)
    assert not passwords.verify("correct horsf", stored)
    assert not passwords.verify("", stored)


def test_the_same_password_has_a_new_salt_each_time() -> None:
    assert passwords.hash("x") != passwords.hash("x")


@pytest.mark.usefixtures("real_scrypt")
def test_parameters_are_those_recommended_and_stand_in_the_text() -> None:
    stored = passwords.hash("correct horse")
    assert stored.startswith("scrypt:16384:8:5:")
    assert passwords.verify("correct horse", stored)


@pytest.mark.usefixtures("real_scrypt")
def test_a_hash_with_other_parameters_still_verifies() -> None:
    stored = "scrypt:16:1:1:00:" + "aa" * 32
    assert not passwords.verify("x", stored)
    salt, expected = bytes(1), passwords._derive("x", bytes(1), 16, 1, 1)
    assert passwords.verify("x", f"scrypt:16:1:1:{salt.hex()}:{expected.hex()}")


@pytest.mark.usefixtures("real_scrypt")
@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "scrypt:1:2",
        "scrypt:a:b:c:d:e",
        "md5:16:1:1:00:aa",
        "scrypt:15:1:1:00:aa",
        "scrypt:1073741824:8:1:00:aa",
    ],
)
def test_anything_unreadable_or_too_costly_is_false(stored: str) -> None:
    assert passwords.verify("x", stored) is False


def test_an_imported_bcrypt_hash_is_false_without_a_bcrypt_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    assert passwords.verify("x", "$2b$12$" + "a" * 53) is False


def test_an_imported_bcrypt_hash_is_given_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("bcrypt")
    module.checkpw = lambda text, stored: (text, stored) == (b"x", b"$2b$stored")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bcrypt", module)
    assert passwords.verify("x", "$2b$stored") is True
    assert passwords.verify("y", "$2b$stored") is False
