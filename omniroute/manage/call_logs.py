"""The call log: the newest calls, one by one."""

from __future__ import annotations

import re
from typing import Any, Final, TypedDict

import orjson

from ..store.usage import CallRow
from .call import Call, Reply, flag, whole
from .refusals import Invalid, existing

_STATUS: Final = re.compile(r"ok|error|all|[0-9]{1,3}")


CallTokens = TypedDict("CallTokens", {"in": int | None, "out": int | None})


class CallEntry(TypedDict):
    """One call of the log; ``requestId`` is the response's X-Request-Id."""

    id: str
    requestId: str | None
    timestamp: str
    method: str
    path: str
    status: int
    model: str
    requestedModel: str | None
    provider: str
    account: str
    connectionId: str | None
    duration: float
    tokens: CallTokens
    sourceFormat: str
    targetFormat: str
    error: str | None
    comboName: str | None
    apiKeyId: str | None
    apiKeyName: str | None
    route: str | None
    cost: float | None
    hasRequestBody: bool
    hasResponseBody: bool


class CallDetail(CallEntry):
    """One call with its bodies, if they were kept."""

    requestBody: Any
    responseBody: Any


async def list_calls(call: Call) -> Reply:
    """List calls that match all filters, newest first.  A provider may be named by its id, alias or prefix."""
    asked = {name: value for name, value in call.query.items() if value}
    provider = asked.get("provider", "")
    if _STATUS.fullmatch(asked.get("status", "all")) is None:
        raise Invalid(("status", "Invalid option: expected one of ok|error|all or a status code"))
    await call.store.usage.flush()
    rows = await call.store.usage.recent(
        whole(asked.get("limit"), 200, 1, 500),
        status=asked.get("status"),
        model=asked.get("model"),
        provider=call.provider_id(provider),
        account=asked.get("account"),
        api_key=asked.get("apiKey"),
        combo=bool(flag(asked.get("combo"))),
        search=asked.get("search"),
    )
    return Reply(200, [call_object(row) for row in rows])


async def read(call: Call) -> Reply:
    """Show one call, with its bodies if they were kept."""
    await call.store.usage.flush()
    row = existing(await call.store.usage.call(call.params["id"]), "Log")
    bodies = {"requestBody": _body(row.request_body), "responseBody": _body(row.response_body)}
    return Reply(200, {**call_object(row), **bodies})


def call_object(row: CallRow) -> CallEntry:
    """Return one call of the log as a JSON object."""
    return {
        "id": row.id,
        "requestId": row.request_id,
        "timestamp": row.timestamp,
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "model": row.model,
        "requestedModel": row.requested_model,
        "provider": row.provider,
        "account": row.account,
        "connectionId": row.connection_id,
        "duration": round(row.duration),
        "tokens": {"in": row.tokens_in, "out": row.tokens_out},
        "sourceFormat": row.source_format,
        "targetFormat": row.target_format,
        "error": row.error,
        "comboName": row.combo_name,
        "apiKeyId": row.api_key_id,
        "apiKeyName": row.api_key_name,
        "route": row.route,
        "cost": row.cost,
        "hasRequestBody": row.has_request_body,
        "hasResponseBody": row.has_response_body,
    }


def _body(text: str | None) -> Any:
    """Return a kept body as JSON if it is JSON, else as text (a stream)."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
