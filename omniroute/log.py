"""Logging: text or JSON lines, a file that keeps its size, and one boundary at which secrets are taken out."""

from __future__ import annotations

import logging
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from msgspec import json

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_NAMED: Final = re.compile(
    r"""(?i)(["']?(?:[\w-]*(?:api[_-]?key|authorization|token|password|secret|cookie))["']?\s*[:=]\s*["']?)(?:bearer\s+)?[^\s"',;&}]+"""
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+")
_KEY_TEXT: Final = re.compile(r"\b(?:sk|pk|rk|gsk|xai|AIza|ghp|hf|r8|nvapi|pplx|key)[-_][\w-]{8,}|\bAIza[\w-]{20,}")
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

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.encode(line).decode()


def set_up(level: str, form: str, file: Path | None = None, max_bytes: int = 50 * 1024 * 1024) -> None:
    """Send the project's log to standard error and, when *file* is given, to a rotating file too."""
    formatter: logging.Formatter = _Json() if form == "json" else _Text()
    root = logging.getLogger("omniroute")
    root.setLevel(LEVELS.get(level, logging.INFO))
    root.propagate = False
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        handlers.append(RotatingFileHandler(file, maxBytes=max_bytes, backupCount=2, delay=True))
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
