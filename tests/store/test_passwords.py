from __future__ import annotations

import sys
from types import ModuleType

import pytest

from omniroute.errors import OmniError
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


IMPORTED = "$2b$04$M9ZXXK1jKaSip7xsJvcxN.6dfIsmW..NfkyXLSu1dTsMCtGlTkvMi"  # of "x"


@pytest.mark.parametrize(("text", "right"), [("x", True), ("y", False), ("", False), ("x\0", False), ("x" * 200, False)])
def test_an_imported_bcrypt_hash_is_read_by_the_c_library(text: str, right: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    if sys.version_info >= (3, 13) or sys.platform != "linux":
        library = ModuleType("crypt")
        library.crypt = lambda text, stored: IMPORTED if text == "x" else IMPORTED[:29] + "other"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "crypt", library)
    assert passwords.verify(text, IMPORTED) is right


@pytest.mark.parametrize("stored", [IMPORTED, "$2b$04$damaged"])
@pytest.mark.parametrize("made", [None, "*0", "$1aJ9Zr3Mo8nE"])
def test_where_nothing_reads_bcrypt_the_remedy_is_named(
    stored: str, made: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    monkeypatch.setitem(sys.modules, "crypt", None)
    if made is not None:
        library = ModuleType("crypt")
        library.crypt = lambda _text, _stored: made  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "crypt", library)
    with pytest.raises(OmniError, match="Install the Python package bcrypt"):
        passwords.verify("x", stored)


def test_an_imported_bcrypt_hash_is_given_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("bcrypt")
    module.checkpw = lambda text, stored: (text, stored) == (b"x", b"$2b$stored")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bcrypt", module)
    assert passwords.verify("x", "$2b$stored") is True
    assert passwords.verify("y", "$2b$stored") is False
