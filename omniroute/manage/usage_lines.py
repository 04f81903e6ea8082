"""The newest calls as lines of text: ``time | model | PROVIDER | account | tokens in | tokens out | status``."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from ..clock import unix_time
from ..store.usage import CallRow
from .call import Call, Reply, whole
from .call_logs import call_object

_LINES: Final = 200


async def logs(call: Call) -> Reply:
    """Return the newest calls as lines of text, those still running first."""
    limit = whole(call.query.get("limit"), _LINES, 1, _LINES)
    await call.store.usage.flush()
    rows = await call.store.usage.recent(limit)
    names = {row.id: row.name for row in await call.store.connections.list()}
    stamp = _stamp(call.now)
    running = [
        f"{stamp} | {model} | {provider.upper()} | {names.get(connection) or '-'} | 0 | 0 | PENDING"
        for (provider, model, connection), count in call.live.in_flight.items()
        for _ in range(count)
    ]
    return Reply(200, [*running, *map(_line, rows)][:limit])


async def request_logs(call: Call) -> Reply:
    """Return the newest calls as lines of text, or with ``?format=json`` as objects; ``?limit=`` up to 500."""
    if call.query.get("format") != "json":
        return await logs(call)
    await call.store.usage.flush()
    rows = await call.store.usage.recent(whole(call.query.get("limit"), _LINES, 1, 500))
    return Reply(200, [call_object(row) for row in rows])


def _line(row: CallRow) -> str:
    at = unix_time(row.timestamp)
    stamp = "-" if at is None else _stamp(at)
    status = f"FAILED {row.status}" if row.status >= 400 else f"{row.status} {_phrase(row.status)}".strip()
    fields = (stamp, row.model, row.provider.upper(), row.account or "-", row.tokens_in or 0, row.tokens_out or 0, status)
    return " | ".join(map(str, fields))


def _stamp(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%d-%m-%Y %H:%M:%S")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
