"""The call log: the newest calls, one by one."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from .call import Call, Reply, flag, whole
from .refusals import Invalid, refused
from .usage import call_object

_STATUS: Final = re.compile(r"ok|error|all|[0-9]{1,3}")


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
        provider=call.services.snapshot.prefixes.get(provider, provider),
        account=asked.get("account"),
        api_key=asked.get("apiKey"),
        combo=bool(flag(asked.get("combo"))),
        search=asked.get("search"),
    )
    return Reply(200, [call_object(row) for row in rows])


async def read(call: Call) -> Reply:
    """Show one call, with its bodies if they were kept."""
    await call.store.usage.flush()
    row = await call.store.usage.call(call.params["id"])
    if row is None:
        raise refused(404, "Log not found")
    bodies = {"requestBody": _body(row.request_body), "responseBody": _body(row.response_body)}
    return Reply(200, call_object(row) | bodies)


def _body(text: str | None) -> Any:
    """Return a kept body as JSON if it is JSON, else as text (a stream)."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
