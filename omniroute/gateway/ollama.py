"""Ollama's native endpoints: chat, and the lists, details and version that its clients ask for.

Source: Ollama's ``docs/api.md`` and ``api/types.go``.  Editors first call ``/api/version``, ``/api/tags`` and ``/api/show``,
then chat at ``/v1/chat/completions`` or ``/api/chat``.  A request without a prompt asks the server to load or unload a
model.  Nothing is loaded here, so it is answered at once.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from ..clock import iso
from ..errors import OmniError
from ..proto.exchange import Exchange
from ..proto.headers import Headers
from ..upstream.providers import Model
from . import auth, models, pipeline, render
from .answer import challenge
from .job import Gateway, Line
from .snapshot import Snapshot

# Clients compare it with the version that introduced a feature (0.6.4: model capabilities, 0.9: ``think``, 0.12: tool call
# ids).  It is the version of the protocol, not of a program.
VERSION: Final = "0.12.0"
_LATEST: Final = ":latest"  # the tag that clients add to a name without one
_LISTED: Final = frozenset({"model", "embedding"})
_ARCHITECTURE: Final = "general.architecture"
_SMALL: Final = 1024  # bytes; a longer body has a prompt


class _Show(Struct):
    model: str = ""
    name: str = ""  # the former name of ``model``


class _Words(Struct):
    """The members of a request that show whether it has a prompt."""

    model: str = ""
    messages: list[Raw] | None = None
    prompt: str | None = None
    images: list[Raw] | None = None
    suffix: str | None = None
    keep_alive: Raw = Raw()


_show: Final = msgspec.json.Decoder(_Show)
_words: Final = msgspec.json.Decoder(_Words)
_UNLOAD: Final = (b"0", b'"0"', b'"0s"')


# -- models


async def tags(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``GET /api/tags``: every routable model, once."""
    try:
        entries = _entries(gateway, exchange)
    except OmniError as error:
        _refuse(exchange, error)
        return
    _answer(exchange, {"models": [listed(entry) for entry in entries if not entry["parent"] and entry["type"] in _LISTED]})


async def show(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``POST /api/show``: the details and capabilities of one model."""
    try:
        entries = _entries(gateway, exchange)
        entry = find(entries, _asked(exchange.request.body))
    except OmniError as error:
        _refuse(exchange, error)
        return
    _answer(exchange, shown(entry, model_of(gateway.live.snapshot, entry)))


async def version(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``GET /api/version``."""
    _answer(exchange, {"version": VERSION})


async def ps(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``GET /api/ps``: the models loaded in memory, of which there are none."""
    _answer(exchange, {"models": []})


def _entries(gateway: Gateway, exchange: Exchange) -> list[dict[str, Any]]:
    """The catalogue, limited to what the caller's key allows.  Raises ``OmniError``."""
    snapshot = gateway.live.snapshot
    required = snapshot.settings.require_auth_for_models
    key = auth.authenticate(snapshot, exchange.request, gateway.clock.time(), required=required)
    allowed = key.allowed_models if key is not None else ()
    return [entry for entry in models.catalogue(snapshot) if models.may_use(snapshot, allowed, entry)]


def _asked(body: bytes) -> str:
    try:
        found = _show.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise OmniError("invalid_request", "Invalid JSON body") from None
    if not (found.model or found.name):
        raise OmniError("invalid_request", "model is required", param="model")
    return found.model or found.name


def find(entries: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The entry named *wanted*, with or without the tag ``:latest``.  Raises ``OmniError("not_found")``."""
    untagged = wanted.removesuffix(_LATEST)
    for name in (wanted, untagged):
        with suppress(OmniError):
            return models.one(entries, name)
    raise OmniError("not_found", f"model '{untagged[:200]}' not found", param="model")


def model_of(snapshot: Snapshot, entry: dict[str, Any]) -> Model:
    """The catalogue's data on an entry's model; for a custom model only its name."""
    prefix = entry["id"].partition("/")[0]
    provider = snapshot.providers.get(snapshot.prefixes.get(prefix, prefix))
    known = provider.models.get(entry["root"]) if provider is not None else None
    return known or Model(entry["root"])


def listed(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``/api/tags``.  The size is 0, because nothing is stored here; the digest is a constant hash of the id."""
    return {
        "name": entry["id"],
        "model": entry["id"],
        "modified_at": entry["created_at"],
        "size": 0,
        "digest": sha256(entry["id"].encode()).hexdigest(),
        "details": _details(entry),
    }


def _details(entry: dict[str, Any]) -> dict[str, Any]:
    family = entry["owned_by"]
    return {
        "parent_model": "",
        "format": "api",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": "",
    }


def shown(entry: dict[str, Any], model: Model) -> dict[str, Any]:
    """The body of ``/api/show``; clients read ``capabilities`` and ``model_info["<architecture>.context_length"]``."""
    family = entry["owned_by"]
    info: dict[str, Any] = {_ARCHITECTURE: family, "general.basename": entry["display_name"]}
    if model.context:
        info[f"{family}.context_length"] = model.context
    if model.dimensions:
        info[f"{family}.embedding_length"] = model.dimensions
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "license": "",
        "details": _details(entry),
        "model_info": info,
        "capabilities": capabilities(model),
        "modified_at": entry["created_at"],
    }


def capabilities(model: Model) -> list[str]:
    """The capabilities in Ollama's terms.  An unknown model is assumed to support tools: editors hide those that do not."""
    if model.kind == "embedding":
        return ["embedding"]
    able = model.abilities
    words = (("tools", "tools" in able or not able), ("vision", "vision" in able), ("thinking", "reasoning" in able))
    return ["completion", *(word for word, has in words if has)]


# -- chat


async def chat(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``POST /api/chat``."""
    if not _only_loads(gateway, exchange, {"message": {"role": "assistant", "content": ""}}):
        await pipeline.serve(gateway, exchange, Line("ollama"))


async def generate(gateway: Gateway, exchange: Exchange, row: object) -> None:
    """``POST /api/generate``."""
    if not _only_loads(gateway, exchange, {"response": ""}):
        await pipeline.serve(gateway, exchange, Line("ollama-generate"))


def _only_loads(gateway: Gateway, exchange: Exchange, silence: dict[str, Any]) -> bool:
    """Answer a request without a prompt, which asks to load or, with ``keep_alive: 0``, to unload; True if it was one."""
    body = exchange.request.body
    if len(body) > _SMALL:
        return False
    try:
        asked = _words.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False  # the pipeline reports the error
    if not asked.model or asked.messages or asked.prompt or asked.images or asked.suffix:
        return False
    now = gateway.clock.time()
    try:
        auth.authenticate(gateway.live.snapshot, exchange.request, now, required=gateway.require_key)
    except OmniError as error:
        _refuse(exchange, error)
        return True
    reason = "unload" if bytes(asked.keep_alive) in _UNLOAD else "load"
    _answer(exchange, {"model": asked.model, "created_at": iso(now), **silence, "done": True, "done_reason": reason})
    return True


# -- answers


def _answer(exchange: Exchange, body: dict[str, Any], status: int = 200) -> None:
    fields: Headers = [*exchange.request.reply_headers, render.JSON_TYPE, *challenge(status)]
    exchange.respond(status, fields, msgspec.json.encode(body))


def _refuse(exchange: Exchange, error: OmniError) -> None:
    _answer(exchange, {"error": error.message}, error.status)
