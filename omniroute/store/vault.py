"""Encryption of secrets at rest (AES-256-GCM), and the files that hold the gateway's own secrets.

Sealed, i.e. encrypted, text has the form ``enc:v1:<iv, 16 bytes hex>:<ciphertext hex>:<tag, 16 bytes hex>``.  The key is
derived from a passphrase by scrypt (RFC 7914; N 16384, r 8, p 1, 32 bytes) with a fixed salt, so secrets that an earlier
installation sealed with the same ``STORAGE_ENCRYPTION_KEY`` can be opened.  Without that variable the passphrase is random
and kept in ``storage.key``.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import OmniError

_PREFIX: Final = "enc:v1:"
_FORM: Final = re.compile(r"enc:v1:([0-9a-f]{32}):((?:[0-9a-f]{2})*):([0-9a-f]{32})")
_SALT: Final = b"omniroute-field-encryption-v1"
_TAG_BYTES: Final = 16
_OTHER_KEY: Final = (
    "A stored secret was sealed with another STORAGE_ENCRYPTION_KEY or storage.key: put that back, or enter the secret again"
)


class Vault:
    """Encrypts with the first of *passphrases*, decrypts with any of them.  Keys are derived on first use and cached."""

    def __init__(self, passphrases: Sequence[str]) -> None:
        self._passphrases = [*passphrases]
        self._ciphers: list[AESGCM] = []

    def prepare(self) -> None:
        """Derive the encryption key now.  Call it in a thread: it takes tens of milliseconds and 16 MiB."""
        self._cipher(0)

    def seal(self, text: str) -> str:
        """Encrypt *text*; text that is already sealed is returned unchanged."""
        if self.sealed(text):
            return text
        iv = secrets.token_bytes(16)
        data = self._cipher(0).encrypt(iv, text.encode(), None)
        return f"{_PREFIX}{iv.hex()}:{data[:-_TAG_BYTES].hex()}:{data[-_TAG_BYTES:].hex()}"

    def open(self, text: str) -> str:
        """Decrypt *text*; text that is not sealed (imported) is returned unchanged.

        Raises OmniError ``internal`` when no key can decrypt it.
        """
        if not (match := _FORM.fullmatch(text)):
            return text
        iv, data, tag = (bytes.fromhex(part) for part in match.groups())
        for index in range(len(self._passphrases)):
            with suppress(InvalidTag):
                return self._cipher(index).decrypt(iv, data + tag, None).decode()
        raise OmniError("internal", _OTHER_KEY)

    @staticmethod
    def sealed(text: str) -> bool:
        """Whether *text* has the form of encrypted text."""
        return _FORM.fullmatch(text) is not None

    def _cipher(self, index: int) -> AESGCM:
        while len(self._ciphers) <= index:
            passphrase = self._passphrases[len(self._ciphers)].encode()
            key = hashlib.scrypt(passphrase, salt=_SALT, n=16384, r=8, p=1, maxmem=64 << 20, dklen=32)
            self._ciphers.append(AESGCM(key))
        return self._ciphers[index]


def make_vault(folder: Path, passphrase: str) -> Vault:
    """The vault of a data directory.

    *passphrase* encrypts; an existing ``storage.key`` only decrypts.  Without a passphrase ``storage.key`` does both, and is
    created when missing.
    """
    path = folder / "storage.key"
    if not passphrase:
        return Vault([kept_secret(folder, "storage")])
    return Vault([passphrase, kept_secret(folder, "storage")] if path.exists() else [passphrase])


def kept_secret(folder: Path, name: str) -> str:
    """The secret in ``<name>.key`` in *folder*; 64 random hex digits, mode 0600, are created on first use.

    Raises OmniError ``internal`` when the file is unusable or empty.
    """
    path = folder / f"{name}.key"
    try:
        if not path.exists():
            _create(path, secrets.token_hex(32))
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise OmniError("internal", f"Key file {path.name} in the data directory cannot be used: {reason}") from error
    if not text:
        raise OmniError("internal", f"Key file {path.name} in the data directory is empty: restore it from a copy")
    return text


def _create(path: Path, text: str) -> None:
    """Create *path* atomically and durably; if another process has created it first, that file stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush *folder* to disk, so that new files in it survive a power cut; does nothing where unsupported (Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def prepare_folder(folder: Path) -> None:
    """Create the data directory with mode 0700.

    An existing directory is tightened only when it is empty or holds our database; otherwise others may be using it.  Raises
    OmniError ``internal`` when the directory is unusable.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {entry.name for entry in os.scandir(folder)}
        if folder.stat().st_mode & 0o077 and (not names or "storage.sqlite" in names):
            folder.chmod(0o700)
    except OSError as error:
        raise OmniError("internal", f"Data directory {folder} cannot be used: {error.strerror}; set DATA_DIR") from error
