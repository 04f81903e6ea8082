"""Decides which chat requests may be answered from the cache, and which of them are equal.  Pure.

Answers are never shared between tenants, providers or client wires.  Within these, two requests are equal if they differ at
most in members that cannot change the answer.  ``cache_control`` marks (a vendor's prompt cache) are ignored too, because
clients move them from turn to turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..proto.headers import Headers
from ..translate.max_tokens import wanted
from ..translate.peek import Peek

IGNORED: Final = ("stream", "stream_options", "user", "metadata", "store")
# wire -> the member that holds the sampling options, where they are not top-level members
_OPTIONS: Final = {
    "gemini": ("generationConfig", "generation_config"),
    "ollama": ("options",),
    "ollama-generate": ("options",),
}
# Members with arbitrary JSON from users and models: a ``cache_control`` inside them is data, not a mark.
_FREE: Final = frozenset({"input_schema", "parameters", "parametersJsonSchema", "schema", "arguments", "args"})
_MARK: Final = "cache_control"  # {"type": "ephemeral", "ttl"?: …}
_EXACT: Final = 2.0**53  # above it floats are not exact integers
_options = msgspec.json.Decoder(dict[str, Raw])


def cacheable(wire: str, found: Peek, *, implicit: bool) -> bool:
    """Whether equal requests may be given the same answer: the temperature is 0, or with *implicit* left out.

    A call in a conversation that the vendor stores changes that conversation, so it is always made.  A request for several
    choices is not cached, because the cache cannot tell whether each of them is complete.
    """
    members = found.members
    if not _zero(temperature(wire, members), implicit):
        return False
    if "conversation" in members or bytes(members.get("n", b"1")) not in (b"1", b"null"):
        return False
    return wanted(wire, members)[1] == 1


def may_be(wire: str, members: Mapping[str, Raw]) -> bool:
    """A quick check whether the request can have a temperature at all."""
    return "temperature" in members or wire in _OPTIONS


def temperature(wire: str, members: Mapping[str, Raw]) -> Raw | None:
    """The temperature as sent, from the member where the wire has it."""
    places = _OPTIONS.get(wire)
    if places is None:
        return members.get("temperature")
    for place in places:
        if (raw := members.get(place)) is not None:
            try:
                return _options.decode(raw).get("temperature")
            except msgspec.MsgspecError:
                return None
    return None


def _zero(raw: Raw | None, implicit: bool) -> bool:
    text = bytes(raw) if raw is not None else b"null"
    if text == b"null":
        return implicit
    try:
        return float(text) == 0
    except ValueError:
        return False


def signature(found: Peek, parts: Iterable[Any], fields: Headers) -> str | None:
    """The SHA-256 of a request, as hex: *parts* (tenant, provider, wire), the forwarded header *fields*, and the body.

    None for a body that cannot be normalised; it is not cached.
    """
    try:
        body: dict[str, Any] = msgspec.json.decode(found.raw)
        for name in IGNORED:
            body.pop(name, None)
        texts = sorted([name.decode("latin-1"), value.decode("latin-1")] for name, value in fields)
        return sha256(msgspec.json.encode([list(parts), texts, unmarked(body)], order="sorted")).hexdigest()
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError):
        return None


def unmarked(value: Any) -> Any:
    """*value* without ``cache_control`` marks, and with ``1.0`` as ``1``."""
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT else value
    free = _FREE | {"input"} if value.get("type") in ("tool_use", "server_tool_use", "mcp_tool_use") else _FREE
    return {
        name: part if name in free else unmarked(part)
        for name, part in value.items()
        if name != _MARK or not (part is None or (isinstance(part, dict) and part.get("type") == "ephemeral"))
    }
