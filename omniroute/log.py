"""Logging: text or JSON lines, a file that keeps its size, and one boundary at which secrets are taken out."""

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
# What follows the name of a secret, to the end of its quotes where it has some.  The pattern begins with the word itself and
# not with what may stand before it: looking for that first takes seconds in a long text without spaces.
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
    """*text* without credentials: named ones, bearer tokens, and words that look like a vendor's key."""
    text = _BEARER.sub("Bearer ****", text)
    text = _QUERY_KEY.sub(r"\1****", text)
    text = _NAMED.sub(r"\1****", text)
    return _KEY_TEXT.sub("****", text)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = _CONTROL.sub(" ", super().formatMessage(record))  # what others wrote must not forge a line of ours
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
    """Standard error of this moment.  When nobody reads it any more, lines are lost and nothing else."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError | ValueError):  # ValueError: the stream is closed
            super().handleError(record)


class _File(logging.FileHandler):
    """A file of mode 0600 that becomes ``.1``, then ``.2``, when it has reached its size.  A full disk loses lines only.

    The standard library's has neither the mode nor, because its module brings pickle and sockets along, the speed of start.
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
    """Send the project's log to standard error and, when *file* is given, to that file too.

    A record made with ``extra={"request_id": …}`` shows the id.  Raises ``OSError`` when *file* cannot be written.
    """
    handlers: list[logging.Handler] = [_Stderr()]
    if file is not None:
        handlers.append(_File(file, max_bytes))
    root = logging.getLogger("omniroute")
    root.setLevel(LEVELS.get(level, logging.INFO))
    root.propagate = False
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    formatter: logging.Formatter = _Json() if form == "json" else _Text()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
