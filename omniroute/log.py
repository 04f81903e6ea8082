"""Logging: text or JSON lines, a rotating file, and the removal of secrets from every line."""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from msgspec import json

from .clock import iso

LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
OLD_FILES: Final = 2
MASK: Final = "****"
"""What is shown in place of a secret."""

# The value after the name of a secret, up to the closing quote if it is quoted.  The pattern must begin with the name
# itself: an optional prefix before it would take quadratic time, which is seconds in a long text without spaces.
_NAMED: Final = re.compile(
    r"""(?ix)
    ((?:api[_-]?key|authorization|token|password|secret|cookie)["']?\s*[:=]\s*(?:b?(["']))?)
    (?(2) (?:\\.|(?!\2).)+ | (?:(?:basic|bearer|digest|token)\s+)?[^\s"',;&}]+ )"""
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+")
_KEY_TEXT: Final = re.compile(r"\b(?:sk|pk|rk|gsk|xai|AIza|ghp|hf|r8|nvapi|pplx|key)[-_][\w-]{8,}|\bAIza[\w-]{20,}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_QUERY_KEY: Final = re.compile(r"(?i)([?&](?:key|api_key|access_token|token)=)[^&\s\"']+")


def redact(text: str) -> str:
    """*text* with credentials replaced by ``****``: values after a secret's name, bearer tokens, keys in known formats."""
    text = _BEARER.sub(f"Bearer {MASK}", text)
    text = _QUERY_KEY.sub(rf"\1{MASK}", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _KEY_TEXT.sub(MASK, text)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = _CONTROL.sub(" ", super().formatMessage(record))  # prevents forged log lines
        request_id = getattr(record, "request_id", "")
        return f"{line} [{request_id}]" if request_id else line

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.encode(line).decode()


class _Stderr(logging.StreamHandler[Any]):
    """Writes to standard error.  If its reader has gone, log lines are lost, but nothing fails."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError | ValueError):  # ValueError: the stream is closed
            super().handleError(record)


class _File(logging.FileHandler):
    """A log file of mode 0600, renamed to ``.1`` and then ``.2`` once it reaches its size.  On a full disk lines are lost.

    Not ``logging.handlers.RotatingFileHandler``: that cannot set the mode, and its module imports pickle and sockets, which
    slows the start.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        super().__init__(path, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return open(handle, "a", encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.size:
                self._turn_over()

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handleError(record)

    def _turn_over(self) -> None:
        self.close()
        names = [self.baseFilename, *(f"{self.baseFilename}.{n}" for n in range(1, OLD_FILES + 1))]
        for old, new in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                os.replace(old, new)
        self.stream = self._open()


def set_up(level: str, form: str, file: Path | None = None, max_bytes: int = 50 * 1024 * 1024) -> None:
    """Send the project's log to standard error and, if given, to *file*.

    *level* is a key of :data:`LEVELS`, *form* is ``text`` or ``json``; *file* is rotated at *max_bytes*.  A record logged
    with ``extra={"request_id": …}`` shows the id.  Raises ``OSError`` when *file* cannot be written.
    """
    handlers: list[logging.Handler] = [_Stderr()]
    if file is not None:
        handlers.append(_File(file, max_bytes))
    root = logging.getLogger("omniroute")
    root.setLevel(LEVELS[level])
    root.propagate = False
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    formatter: logging.Formatter = _Json() if form == "json" else _Text()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
