from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from omniroute.errors import OmniError
from omniroute.store.vault import Vault, kept_secret, make_vault, prepare_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_sealed_opens_again_with_the_same_passphrase() -> None:
    sealed = Vault(["correct horse"]).seal("sk-live-1")
    assert "sk-live-1" not in sealed
    assert Vault(["correct horse"]).open(sealed) == "sk-live-1"


def test_the_same_text_is_sealed_differently_each_time() -> None:
    vault = Vault(["correct horse"])
    assert vault.seal("sk-live-1") != vault.seal("sk-live-1")


def test_sealed_form_is_that_of_earlier_installations(real_scrypt: Callable[..., bytes]) -> None:
    key = real_scrypt(b"s3cret", salt=b"omniroute-field-encryption-v1", n=16384, r=8, p=1, maxmem=64 << 20, dklen=32)
    iv = bytes(range(16))
    data = AESGCM(key).encrypt(iv, "sk-größe".encode(), None)
    sealed = f"enc:v1:{iv.hex()}:{data[:-16].hex()}:{data[-16:].hex()}"
    assert Vault(["s3cret"]).open(sealed) == "sk-größe"
    assert AESGCM(key).decrypt(*parts(Vault(["s3cret"]).seal("x")), None) == b"x"


def parts(sealed: str) -> tuple[bytes, bytes]:
    _, _, iv, data, tag = sealed.split(":")
    return bytes.fromhex(iv), bytes.fromhex(data + tag)


@pytest.mark.parametrize("text", ["", "sk-plain", "enc:v1:not:hex:at-all", "enc:v2:00:00:00"])
def test_a_text_that_is_not_sealed_is_itself(text: str) -> None:
    vault = Vault(["correct horse"])
    assert vault.open(text) == text
    assert not vault.sealed(text)


def test_sealing_twice_seals_once() -> None:
    vault = Vault(["correct horse"])
    sealed = vault.seal("sk-live-1")
    assert vault.seal(sealed) == sealed
    assert vault.sealed(sealed)


def test_the_empty_text_can_be_sealed() -> None:
    vault = Vault(["correct horse"])
    assert vault.open(vault.seal("")) == ""


def test_a_wrong_passphrase_is_an_error_that_names_the_remedy_and_not_the_secret() -> None:
    sealed = Vault(["correct horse"]).seal("sk-live-1")
    with pytest.raises(OmniError, match="STORAGE_ENCRYPTION_KEY") as caught:
        Vault(["battery staple"]).open(sealed)
    assert caught.value.kind == "internal"
    assert sealed not in caught.value.message


def test_a_flipped_bit_is_an_error() -> None:
    vault = Vault(["correct horse"])
    sealed = vault.seal("sk-live-1")
    flipped = sealed[:-1] + ("0" if sealed[-1] != "0" else "1")
    with pytest.raises(OmniError):
        vault.open(flipped)


def test_what_the_second_passphrase_sealed_opens_too() -> None:
    old = Vault(["from the key file"]).seal("sk-live-1")
    vault = Vault(["from the environment", "from the key file"])
    assert vault.open(old) == "sk-live-1"
    assert Vault(["from the environment"]).open(vault.seal("new")) == "new"


def test_keys_are_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    derive = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda *args, **more: calls.append(1) or derive(*args, **more))
    vault = Vault(["correct horse"])
    vault.prepare()
    for text in ("a", "b"):
        vault.open(vault.seal(text))
    assert len(calls) == 1


def test_a_kept_secret_stays_the_same_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    first = kept_secret(tmp_path, "jwt")
    assert kept_secret(tmp_path, "jwt") == first
    assert len(first) == 64
    assert kept_secret(tmp_path, "api-key") != first
    assert mode(tmp_path / "jwt.key") == 0o600
    assert sorted(os.listdir(tmp_path)) == ["api-key.key", "jwt.key"]


def test_an_empty_key_file_is_an_error_and_not_a_new_secret(tmp_path: Path) -> None:
    (tmp_path / "jwt.key").touch()
    with pytest.raises(OmniError, match=r"jwt\.key"):
        kept_secret(tmp_path, "jwt")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OmniError, match="cannot be used"):
        kept_secret(tmp_path / "missing", "jwt")


def test_the_environments_passphrase_goes_before_the_key_file(tmp_path: Path) -> None:
    by_file = make_vault(tmp_path, "").seal("sk-old")
    vault = make_vault(tmp_path, "given")
    assert vault.open(by_file) == "sk-old"
    assert Vault(["given"]).open(vault.seal("sk-new")) == "sk-new"


def test_with_a_passphrase_given_no_key_file_is_made(tmp_path: Path) -> None:
    make_vault(tmp_path, "given")
    assert not (tmp_path / "storage.key").exists()


def test_a_new_data_directory_is_private(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_an_open_directory_is_tightened_when_empty_or_ours_and_left_alone_otherwise(tmp_path: Path) -> None:
    for name, file in (("empty", ""), ("ours", "storage.sqlite"), ("shared", "notes.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
        if file:
            (tmp_path / name / file).touch()
        prepare_folder(tmp_path / name)
    assert [mode(tmp_path / name) for name in ("empty", "ours", "shared")] == [0o700, 0o700, 0o755]


def test_a_data_directory_that_cannot_be_made_says_which_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OmniError, match="DATA_DIR"):
        prepare_folder(tmp_path / "file" / "data")
