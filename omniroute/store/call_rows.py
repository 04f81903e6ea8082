"""Finished calls as table rows.

Bodies are stored for inspection, not for replay: secrets are redacted, and only the beginning of a large body is kept.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from ..clock import iso
from ..gateway.usage import CallRecord
from . import budgets, daily
from .db import Transaction
from .redaction import redact

BODY_BYTES: Final = 8 * 1024  # a longer body is kept as a preview
PREVIEW_BYTES: Final = 2 * 1024
LOG_ROWS: Final = 500
TEST_MODEL: Final = "connection-test"  # the model of connection tests, which are logged but do not count as usage
LOG_BATCH: Final = 100  # log rows per batch, plus as many older failures; under high load the log is a sample

Row = tuple[Any, ...]
"""Values in the order of a table's columns."""


class Clip(NamedTuple):
    """The kept part of a body: all of it, or its first bytes.  ``size`` is the size of the whole body in bytes."""

    data: bytes
    size: int


class Entry(NamedTuple):
    """A record on its way to the tables, its bodies clipped."""

    record: CallRecord
    request: Clip | None = None
    response: Clip | None = None


def clip(body: bytes | None, size: int = 0) -> Clip | None:
    """Clip *body* for storage.  *size* is the size of the whole body when *body* is only its beginning."""
    if not body:
        return None
    size = max(size, len(body))
    return Clip(body if size <= BODY_BYTES else body[:PREVIEW_BYTES], size)


def body_text(part: Clip | None) -> str | None:
    """The column's value: the redacted body, or if clipped ``{"_truncated", "_originalSize", "_preview"}`` as JSON."""
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
    """A UUIDv4 in a third of the time of ``uuid4()``; it need not be unguessable."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def is_usage(record: CallRecord) -> bool:
    """Whether the call counts as usage: not a connection test, nor a caller whom the gateway did not let in.

    Such callers are logged; if they counted, anybody could fill the table, whose rows are kept for months.
    """
    return record.model != TEST_MODEL and (record.status != 401 or bool(record.provider))


def usage_rows(records: Iterable[CallRecord]) -> Iterator[Row]:
    """The rows for ``usage_history``."""
    for r in records:
        yield (
            r.provider, r.model, r.connection_id or None, r.key_id or None, r.key_name or None, r.tokens_in, r.tokens_out,
            r.tokens_cache_read, r.tokens_cache_write, r.tokens_reasoning, str(r.status), iso(r.at), r.cost,
            int(r.estimated), r.duration_ms, r.first_byte_ms, r.combo or None,
        )  # fmt: skip


def log_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    """The rows for ``call_logs``; bodies and errors are redacted."""
    for r, request, response in entries:
        yield (
            _new_id(), iso(r.at), r.method, r.path, r.status, r.model, r.provider, r.account, r.connection_id or None,
            r.duration_ms, r.tokens_in, r.tokens_out, r.source_format, r.target_format, r.key_id or None, r.key_name or None,
            r.combo or None, body_text(request), body_text(response), redact(r.error) if r.error else None, r.id,
            r.requested_model, r.first_byte_ms, r.attempts, r.route or None, r.cost,
        )  # fmt: skip


def for_log(entries: list[Entry]) -> list[Entry]:
    """The entries that go to the log: of a large batch the newest ones, and the newest failures among the older ones."""
    if len(entries) <= LOG_BATCH:
        return entries
    older, newest = entries[:-LOG_BATCH], entries[-LOG_BATCH:]
    failed = [entry for entry in older if entry.record.status >= 400]
    return failed[-LOG_BATCH:] + newest


class Rows(NamedTuple):
    """One batch as rows, by table."""

    usage: list[Row]
    days: list[Row]
    costs: list[Row]
    log: list[Row]


def rows_of(entries: list[Entry]) -> Rows:
    """The rows of *entries*.  Call it in a thread: a thousand entries take some milliseconds, a large body 0.1 ms."""
    records = [entry.record for entry in entries]
    used = [record for record in records if is_usage(record)]
    return Rows([*usage_rows(used)], daily.sums(used), budgets.cost_rows(records), [*log_rows(for_log(entries))])


async def write(tx: Transaction, rows: Rows) -> None:
    """Insert *rows*; only the newest :data:`LOG_ROWS` rows of the call log are kept."""
    await tx.insert("usage_history", _USAGE_COLUMNS, rows.usage)
    await daily.add(tx, rows.days)
    await budgets.add(tx, rows.costs)
    await tx.insert("call_logs", _LOG_COLUMNS, rows.log)
    await tx.execute(_TRIM_LOG, (LOG_ROWS,))
