"""Other programs' configuration files: read, written atomically, backed up before each change.  Blocking.

No part of a path below the home folder may be a symbolic link: it could redirect a write that was requested over the network
to some other file.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..clock import iso
from ..store.vault import sync_folder
from .cli_tools import File, Tool
from .refusals import refused

KEPT: Final = 5  # copies per tool
_MOST: Final = 4 * 1024 * 1024  # bytes of a file
_COPY: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z)_(\d{3})_([\w.-]+)")


class CopyRow(Struct, rename="camel"):
    """A backup of a file, made before a change."""

    id: str
    tool_id: str
    original_path: str
    created_at: str
    size: int


class Home:
    """The tools' home folder, and the backups in *backups*: ``<tool>/<time>_<number>_<file name>``, mode 0600."""

    def __init__(self, folder: Path, backups: Path) -> None:
        self.folder = folder
        self.backups = backups

    def path(self, file: File) -> Path:
        """Where a tool's file is in this home folder."""
        return self.folder.joinpath(*file.parts)

    def read(self, file: File) -> str | None:
        """Return the text; None if there is no file.  Raises OmniError 409, naming the file, if it cannot be used."""
        path = self._plain(file)
        try:
            with path.open("rb") as source:
                raw = source.read(_MOST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error.strerror or "it cannot be read") from error
        if len(raw) > _MOST:
            raise _unusable(path, "it is too large")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _unusable(path, "it is not UTF-8 text") from None

    def write(self, tool: Tool, file: File, text: str, now: float) -> None:
        """Replace the file after backing it up.  Its mode is kept; a new file is readable by its owner only (0600)."""
        path = self._plain(file)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._copy(tool, file, now)
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
            _replace(path, text.encode(), mode)
        except OSError as error:
            raise _unusable(path, error.strerror or "it cannot be written") from error

    def _plain(self, file: File) -> Path:
        """Return the path, if every part of it that exists is a real folder or file.  Raises OmniError 409."""
        path = self.folder
        for part in file.parts:
            path = path / part
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                return self.path(file)
            except OSError as error:
                raise _unusable(path, error.strerror or "it cannot be reached") from error
            if stat.S_ISLNK(mode):
                raise _unusable(path, "it is a symbolic link")
            if not (stat.S_ISDIR(mode) if part != file.name else stat.S_ISREG(mode)):
                raise _unusable(path, "it is not a regular file")
        return path

    # -- copies

    def copies(self, tool: Tool) -> list[CopyRow]:
        """List the backups, newest first."""
        folder = self.backups / tool.id
        names = sorted((entry.name for entry in folder.iterdir()), reverse=True) if folder.is_dir() else []
        rows = []
        for name in names:
            if (match := _COPY.fullmatch(name)) and (file := _file(tool, match[3])):
                date, _, clock = match[1].partition("T")
                hours, minutes, seconds, millis = clock[:-1].split("-")
                moment = f"{date}T{hours}:{minutes}:{seconds}.{millis}Z"
                try:
                    size = (folder / name).stat().st_size
                except FileNotFoundError:  # just removed in favour of a newer copy
                    continue
                rows.append(CopyRow(name, tool.id, str(self.path(file)), moment, size))
        return rows

    def restore(self, tool: Tool, copy_id: str, now: float) -> Path:
        """Restore a backup, after backing up the current file.  Raises OmniError 404."""
        source = self._find(tool, copy_id)
        match = _COPY.fullmatch(copy_id)
        assert match is not None
        file = _file(tool, match[3])
        assert file is not None
        text = source.read_text("utf-8")
        self.write(tool, file, text, now)
        return self.path(file)

    def forget(self, tool: Tool, copy_id: str) -> None:
        """Delete a backup.  Raises OmniError 404."""
        self._find(tool, copy_id).unlink(missing_ok=True)

    def _find(self, tool: Tool, copy_id: str) -> Path:
        if not any(row.id == copy_id for row in self.copies(tool)):
            raise refused(404, "Backup not found")
        return self.backups / tool.id / copy_id

    def _copy(self, tool: Tool, file: File, now: float) -> None:
        text = self.read(file)
        if text is None:
            return
        folder = self.backups / tool.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = iso(now).replace(":", "-").replace(".", "-")
        same = [found for entry in folder.iterdir() if (found := _COPY.fullmatch(entry.name)) and found[1] == stamp]
        number = max((int(found[2]) for found in same), default=-1) + 1
        _replace(folder / f"{stamp}_{number:03d}_{file.name}", text.encode(), 0o600)
        for row in self.copies(tool)[KEPT:]:
            (folder / row.id).unlink(missing_ok=True)


def _file(tool: Tool, name: str) -> File | None:
    return next((file for file in tool.files if file.name == name), None)


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write atomically, even if the process is killed."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(handle)
        draft.chmod(mode)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def _unusable(path: Path, why: str) -> Exception:
    return refused(409, f"{path} is left as it is: {why}")
