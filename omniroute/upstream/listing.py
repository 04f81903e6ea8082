"""Upstream model lists: their formats and pagination, and the catalogue's list for providers without one.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from ..errors import Kind, OmniError
from .endpoints import Endpoint
from .providers import Provider
from .verdict import Reply

PAGES: Final = 20
PAGE_SIZE: Final = 1000
_PAGING: Final[Mapping[str, tuple[bytes, bytes, str]]] = {  # wire -> page size, cursor, member that holds the next cursor
    "anthropic": (b"limit=%d" % PAGE_SIZE, b"after_id=", "last_id"),
    "gemini": (b"pageSize=%d" % PAGE_SIZE, b"pageToken=", "nextPageToken"),
}
_LISTS: Final = ("data", "models", "result")  # the members in which vendors return the list
_KIND_OF_STATUS: Final[Mapping[int, Kind]] = {
    401: "upstream_auth",
    403: "upstream_auth",
    402: "upstream_quota",
    404: "upstream_not_found",
    429: "upstream_rate_limit",
}


def static_models(provider: Provider) -> list[dict[str, Any]]:
    """The catalogue's models as items of an OpenAI model list.  Raises ``OmniError("invalid_request")`` when it has none."""
    if not provider.models:
        raise OmniError("invalid_request", f"Provider {provider.id} does not support models listing")
    return [
        {"id": model.id, "object": "model", "owned_by": provider.id, "name": model.name or model.id, "type": model.kind}
        for model in provider.models.values()
    ]


def items_of(reply: Reply) -> list[dict[str, Any]]:
    """The items of one page, each with an ``id``.  Raises ``OmniError`` when the reply is not a model list."""
    if not 200 <= reply.status < 300:
        kind = _KIND_OF_STATUS.get(reply.status, "upstream_server" if reply.status >= 500 else "upstream_other")
        status = reply.status if reply.status >= 400 else 502
        raise OmniError(kind, f"Failed to fetch models: {reply.status}", status=status)
    found = reply.data
    if isinstance(found, dict):
        found = next((found[name] for name in _LISTS if isinstance(found.get(name), list)), None)
    if not isinstance(found, list):
        raise OmniError("upstream_answer", "Failed to fetch models: the answer is not a model list")
    items = []
    for item in found:
        named = {"id": item} if isinstance(item, str) else item
        name = (named.get("id") or named.get("name") or named.get("model")) if isinstance(named, dict) else None
        if isinstance(name, str):
            items.append({**named, "id": name.removeprefix("models/")})
    return items


def first_page(provider: Provider, place: Endpoint) -> Endpoint:
    """*place* with the largest page size the wire allows."""
    return _with_query(place, _PAGING[provider.wire][0]) if provider.wire in _PAGING else place


def next_page(provider: Provider, place: Endpoint, reply: Reply) -> Endpoint | None:
    """The endpoint of the page after *reply*, or None when that was the last."""
    data = reply.data
    if provider.wire not in _PAGING or not isinstance(data, dict) or data.get("has_more") is False:
        return None
    size, cursor, name = _PAGING[provider.wire]
    token = data.get(name)
    if not isinstance(token, str) or not token:
        return None
    return _with_query(_with_query(place, size), cursor + quote(token, safe="").encode("ascii"))


def _with_query(place: Endpoint, query: bytes) -> Endpoint:
    return place._replace(path=place.path + (b"&" if b"?" in place.path else b"?") + query)
