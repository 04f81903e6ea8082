"""``GET /v1/models``: one list for both OpenAI and Anthropic clients, and Gemini's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from ..clock import iso
from ..errors import OmniError
from ..media.images import sizes_of
from ..proto.exchange import Exchange
from ..upstream.providers import Model, Provider
from . import auth, render
from .answer import challenge
from .edge import error_body
from .job import Gateway
from .snapshot import Snapshot

CREATED: Final = 1_735_689_600  # 2025-01-01: vendors' dates are unknown, and clients expect a constant value
_CREATED_ISO: Final = iso(CREATED)
COMBO: Final = "combo"  # ``owned_by`` of a combo's entry
_GEMINI_CLIENT: Final = b"x-goog-api-client"  # sent by Google's SDKs for every version of the API
_MAX_PAGE: Final = 1000
_DIGITS: Final = 10
_ORDER: Final = {kind: n for n, kind in enumerate(("embedding", "image", "rerank", "audio", "moderation"), 1)}


def serve(gateway: Gateway, exchange: Exchange, *, gemini: bool = False, kind: str = "") -> None:
    """Answer with the list, a page of it, or one model by id; a *kind* limits it to models of that type.

    The format is Gemini's with *gemini*, and at any path for Google's SDKs.
    """
    request = exchange.request
    fields = [*request.reply_headers, render.JSON_TYPE]
    snapshot = gateway.live.snapshot
    try:
        required = snapshot.settings.require_auth_for_models
        key = auth.authenticate(snapshot, request, gateway.clock.time(), required=required)
        entries = [entry for entry in catalogue(snapshot) if not kind or entry["type"] == kind]
        if key is not None and key.allowed_models:
            entries = [entry for entry in entries if may_use(snapshot, key.allowed_models, entry)]
        wanted = request.params.get("id")
        body: Any
        if gemini or request.header(_GEMINI_CLIENT) is not None:
            body = gemini_page(entries, request.query) if wanted is None else gemini_entry(one(entries, wanted))
        else:
            body = page(entries, request.query) if wanted is None else one(entries, wanted)
    except OmniError as error:
        code = error.code or ("invalid_api_key" if error.status == 401 else "model_not_found")
        head = [*fields, *challenge(error.status)]
        exchange.respond(error.status, head, error_body(request, error.status, error.message, code))
        return
    exchange.respond(200, fields, msgspec.json.encode(body))


def may_use(snapshot: Snapshot, allowed: tuple[str, ...], entry: Mapping[str, Any]) -> bool:
    """Whether a key with the patterns *allowed* may use the entry's id as a model name; as ``auth.check_model``."""
    name: str = entry["id"]
    provider = snapshot.providers.get(snapshot.prefixes.get(name.partition("/")[0], ""))
    if provider is None or entry["owned_by"] == COMBO:
        return auth.model_allowed(allowed, name)
    root = entry["root"]
    return auth.model_allowed(allowed, name, f"{provider.alias}/{root}", f"{provider.id}/{root}")


def catalogue(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The combos, then the models of all providers with an active connection; chat models first, then kind by kind.

    Each model is listed under its provider's alias and, where they differ, also under the provider's id.
    """
    yield from map(_combo_entry, sorted(snapshot.combos))
    yield from sorted(_catalogue(snapshot), key=lambda entry: _ORDER.get(entry["type"], 0))


def _catalogue(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for provider_id, connections in snapshot.connections.items():
        provider = snapshot.providers.get(provider_id)
        if provider is None or not connections or provider_id in snapshot.settings.blocked_providers:
            continue
        custom = set(snapshot.custom_models.get(provider_id, ()))
        known = dict(provider.models)
        extra = custom | {c.default_model for c in connections if c.default_model}
        for model_id in sorted(extra - known.keys()):
            known[model_id] = Model(model_id)
        for model in known.values():
            yield from _entries(provider, model, custom=model.id in custom)


def _combo_entry(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "created": CREATED,
        "created_at": _CREATED_ISO,
        "display_name": name,
        "owned_by": COMBO,
        "permission": [],
        "root": name,
        "parent": None,
    }


def _entries(provider: Provider, model: Model, *, custom: bool) -> Iterator[dict[str, Any]]:
    alias = provider.prefix or provider.alias or provider.id
    first = _entry(f"{alias}/{model.id}", provider, model, None, custom)
    yield first
    if not provider.node and alias != provider.id:
        yield _entry(f"{provider.id}/{model.id}", provider, model, first["id"], custom)


def _entry(entry_id: str, provider: Provider, model: Model, parent: str | None, custom: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": entry_id,
        "object": "model",
        "type": "model" if model.kind == "chat" else model.kind,
        "created": CREATED,
        "created_at": _CREATED_ISO,
        "display_name": model.name or model.id,
        "owned_by": provider.prefix if provider.node else provider.id,
        "permission": [],
        "root": model.id,
        "parent": parent,
    }
    if model.context:
        entry["context_length"] = entry["max_input_tokens"] = model.context
    if model.max_output:
        entry["max_output_tokens"] = model.max_output
    if model.dimensions:
        entry["dimensions"] = model.dimensions
    if model.kind == "image":
        entry["supported_sizes"] = sizes_of(model.id)
    if model.kind == "audio":
        entry["subtype"] = "speech" if "speech" in model.abilities else "transcription"
    if custom:
        entry["custom"] = True
    return entry


def page(entries: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """OpenAI's list with Anthropic's paging members (``limit``, ``after_id``, ``before_id``).

    With ``before_id`` the page ends right before that entry, and ``has_more`` refers to entries before the page.
    """
    asked = dict(parse_qsl(query))
    limit = _number(asked.get("limit", "1"))
    if not 1 <= limit <= _MAX_PAGE:
        raise OmniError("invalid_request", f"Invalid 'limit': use a whole number from 1 to {_MAX_PAGE}", param="limit")
    ids = [entry["id"] for entry in entries]
    start, end = 0, len(entries)
    if (after := asked.get("after_id")) in ids:
        start = ids.index(after) + 1
    if (before := asked.get("before_id")) in ids:
        end = ids.index(before)
    found = entries[start:end]
    size = limit if "limit" in asked else len(found)
    data = found[-size:] if before in ids else found[:size]
    return {
        "object": "list",
        "data": data,
        "has_more": len(data) < len(found),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def _number(text: str) -> int:
    """A whole number from a query; -1 for anything else and for too many digits."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else -1


def one(entries: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The entry with the id or bare model name *wanted*.  Raises ``OmniError("not_found")``."""
    for entry in entries:
        if entry["id"] == wanted:
            return entry
    for entry in entries:
        if entry["root"] == wanted:
            return entry
    raise OmniError("not_found", f"Model '{wanted}' not found", param="model")


def gemini_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """One model in the format of Gemini's ``GET /v1beta/models/{id}``."""
    return {
        "name": f"models/{entry['id']}",
        "baseModelId": entry["root"],
        "version": "",
        "displayName": entry["display_name"],
        "description": f"{entry['display_name']} through {entry['owned_by']}",
        "inputTokenLimit": entry.get("max_input_tokens", 0),
        "outputTokenLimit": entry.get("max_output_tokens", 0),
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }


def gemini_page(entries: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """A page of chat models in Gemini's format: at most ``pageSize``, from the index ``pageToken`` on."""
    asked = dict(parse_qsl(query))
    size, start = _number(asked.get("pageSize", "0")), _number(asked.get("pageToken", "0"))
    if size < 0 or start < 0:
        raise OmniError("invalid_request", "Invalid 'pageSize' or 'pageToken': use the numbers given by the last page")
    chat = [entry for entry in entries if entry["type"] == "model" and not entry["parent"]]
    stop = min(len(chat), start + (min(size, _MAX_PAGE) or _MAX_PAGE)) if "pageSize" in asked else len(chat)
    body: dict[str, Any] = {"models": [gemini_entry(entry) for entry in chat[start:stop]]}
    if stop < len(chat):
        body["nextPageToken"] = str(stop)
    return body
