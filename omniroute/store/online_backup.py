"""Copies of the database, made while it is in use (SQLite's online backup API)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from ..clock import iso

FOLDER: Final = "db_backups"


def backup_name(now: float, reason: str) -> str:
    """``db_2026-02-26T14-03-11-120Z_manual.sqlite``; *now* is Unix seconds."""
    return f"db_{iso(now).replace(':', '-').replace('.', '-')}_{reason}.sqlite"


def online_backup(source: sqlite3.Connection, folder: Path, now: float, reason: str) -> Path:
    """Write a consistent copy of *source* (mode 0600) to *folder* and return its path.  Blocking.

    The file gets its final name only when it is complete.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / backup_name(now, reason)
    draft = target.with_suffix(".part")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with closing(sqlite3.connect(draft)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # a single file, without a write-ahead log next to it
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target
