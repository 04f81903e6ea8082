"""A finished call as table rows.  Pure.

Bodies are for looking at, not for replay: redacted, and of a large one only the beginning is kept.
"""

from __future__ import annotations

import random
import re
from typing import Any, Final, NamedTuple

import orjson

from ..clock import iso
from ..gateway.usage import CallRecord
from . import budgets, daily
from .db import Transaction

BODY_BYTES: Final = 8 * 1024  # a longer body is kept as a preview
PREVIEW_BYTES: Final = 2 * 1024
LOG_ROWS: Final = 500
TEST_MODEL: Final = "connection-test"  # the model of a connection's test, which is logged but is no use of anything
_REDACTED: Final = "[redacted]"

_NAMES: Final = ("token", "api_key", "api-key", "apikey", "authorization", "password", "secret")  # ends of field names


def _field_pattern() -> re.Pattern[str]:
    """A field as in JSON, or as in JSON inside a JSON string, once or twice.

    It begins with a literal quote and looks back for the name: that is four times faster than to begin with the name.
    """
    names = ["".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in name) for name in _NAMES]
    ends = "|".join(rf'(?<={name}{escapes}")' for name in names for escapes in ("", r"\\", r"\\" * 3))
    return re.compile(rf"""("(?=\s*:\s*\\{{0,3}}")(?:{ends})\s*:\s*\\{{0,3}}")[^"\\]*""")


_FIELD: Final = _field_pattern()
_BEARER: Final = re.compile(r"([Bb]earer\s+)[\w.~+/=-]+")
_KEY_STARTS: Final = ("sk-", "gsk_", "ghp_", "hf_", "r8_", "AIza", "nvapi-", "pplx-")
_KEY: Final = re.compile(rf"\b(?:{'|'.join(_KEY_STARTS)})[\w-]{{8,}}")


class Clip(NamedTuple):
    """What is kept of a body: all of it, or its first bytes; ``size`` is that of the whole."""

    data: bytes
    size: int


Row = tuple[Any, ...]
"""Values in the order of a table's columns."""


class Entry(NamedTuple):
    """A record on its way to the tables: None where a table does not get it."""

    record: CallRecord
    usage: Row | None
    log: Row | None


def clip(body: bytes | None, size: int = 0) -> Clip | None:
    """*size*: of the whole, where *body* is only its beginning."""
    if not body:
        return None
    size = max(size, len(body))
    return Clip(body if size <= BODY_BYTES else body[:PREVIEW_BYTES], size)


def redact(text: str) -> str:
    """*text* without values of fields named like secrets, bearer tokens and key-like words."""
    text = _FIELD.sub(r"\1" + _REDACTED, text)
    if "earer" in text:
        text = _BEARER.sub(r"\1" + _REDACTED, text)
    return _KEY.sub(_REDACTED, text) if any(start in text for start in _KEY_STARTS) else text


def body_text(part: Clip | None) -> str | None:
    """What the column holds: the redacted body, or ``{"_truncated", "_originalSize", "_preview"}`` as JSON."""
    if part is None:
        return None
    text = redact(part.data.decode("utf-8", "replace"))
    if part.size == len(part.data):
        return text
    return orjson.dumps({"_truncated": True, "_originalSize": part.size, "_preview": text}).decode()


_USAGE_COLUMNS: Final = (
    "provider", "model", "connection_id", "api_key_id", "api_key_name", "tokens_input", "tokens_output", "tokens_cache_read",
    "tokens_cache_creation", "tokens_reasoning", "status", "timestamp", "cost", "estimated", "duration_ms", "first_byte_ms",
    "combo_name",
)  # fmt: skip
_LOG_COLUMNS: Final = (
    "id", "timestamp", "method", "path", "status", "model", "provider", "account", "connection_id", "duration", "tokens_in",
    "tokens_out", "source_format", "target_format", "api_key_id", "api_key_name", "combo_name", "request_body",
    "response_body", "error", "request_id", "requested_model", "first_byte_ms", "attempts", "route", "cost",
)  # fmt: skip


_TRIM_LOG: Final = "DELETE FROM call_logs WHERE rowid <= (SELECT max(rowid) FROM call_logs) - ?"


def _new_id() -> str:
    """A UUIDv4 in a third of the time; it need not be unguessable."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def usage_row(r: CallRecord, at: str) -> Row:
    """*at*: when it began, as ISO 8601."""
    return (
        r.provider, r.model, r.connection_id or None, r.key_id or None, r.key_name or None, r.tokens_in, r.tokens_out,
        r.tokens_cache_read, r.tokens_cache_write, r.tokens_reasoning, str(r.status), at, r.cost, int(r.estimated),
        r.duration_ms, r.first_byte_ms, r.combo or None,
    )  # fmt: skip


def log_row(r: CallRecord, at: str, request: str | None, response: str | None) -> Row:
    """*request* and *response*: the bodies as :func:`body_text` made them."""
    return (
        _new_id(), at, r.method, r.path, r.status, r.model, r.provider, r.account, r.connection_id or None, r.duration_ms,
        r.tokens_in, r.tokens_out, r.source_format, r.target_format, r.key_id or None, r.key_name or None, r.combo or None,
        request, response, redact(r.error) if r.error else None, r.id, r.requested_model, r.first_byte_ms, r.attempts,
        r.route or None, r.cost,
    )  # fmt: skip


def entry_of(record: CallRecord, *, logged: bool, bodies: bool) -> Entry:
    """*record* as rows: whether the call log keeps it, and with its bodies."""
    at = iso(record.at)
    usage = usage_row(record, at) if record.model != TEST_MODEL else None
    if not logged:
        return Entry(record, usage, None)
    if not bodies or record.request_body is None:
        return Entry(record, usage, log_row(record, at, None, None))
    request = body_text(clip(record.request_body))
    response = body_text(clip(record.response_body, record.response_size))
    return Entry(record, usage, log_row(record, at, request, response))


async def write(tx: Transaction, entries: list[Entry]) -> None:
    """Insert *entries*; of the call log only the newest :data:`LOG_ROWS` stay."""
    await tx.insert("usage_history", _USAGE_COLUMNS, [entry.usage for entry in entries if entry.usage is not None])
    await daily.add(tx, [entry.record for entry in entries if entry.usage is not None])
    await budgets.add(tx, [entry.record for entry in entries])
    if logged := [entry.log for entry in entries if entry.log is not None]:
        await tx.insert("call_logs", _LOG_COLUMNS, logged)
        await tx.execute(_TRIM_LOG, (LOG_ROWS,))
