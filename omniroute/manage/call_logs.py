"""The newest calls one by one (contract section 6)."""

from __future__ import annotations

from typing import Any

import orjson

from .call import Call, Reply, flag, whole
from .refusals import refused
from .usage import call_object


async def list_calls(call: Call) -> Reply:
    """Newest first; filters narrow each other.  A provider may be named by its id, alias or prefix."""
    asked = {name: value for name, value in call.query.items() if value}
    provider = asked.get("provider", "")
    await call.store.usage.flush()
    rows = await call.store.usage.recent(
        whole(asked.get("limit"), 200, 1, 500),
        status=asked.get("status"),
        model=asked.get("model"),
        provider=call.services.snapshot.prefixes.get(provider, provider),
        account=asked.get("account"),
        api_key=asked.get("apiKey"),
        combo=bool(flag(asked.get("combo"))),
        search=asked.get("search"),
    )
    return Reply(200, [call_object(row) for row in rows])


async def read(call: Call) -> Reply:
    """One call with its bodies, where they were kept."""
    await call.store.usage.flush()
    row = await call.store.usage.call(call.params["id"])
    if row is None:
        raise refused(404, "Log not found")
    bodies = {"requestBody": _body(row.request_body), "responseBody": _body(row.response_body)}
    return Reply(200, call_object(row) | bodies)


def _body(text: str | None) -> Any:
    """JSON where it is JSON, else the text (a stream)."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
