"""Embeddings for Gemini's own clients: ``models.embedContent`` and ``models.batchEmbedContents``.

https://ai.google.dev/api/embeddings.  Google receives the request with only the model's name changed; other vendors receive
the text of each content.  They accept one purpose and one number of dimensions per call, so these are taken from the first
request of a batch.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import OmniError
from ..translate.peek import Peek
from .codec import UNREADABLE, look, member

encode: Final = msgspec.json.encode
Request = dict[str, Raw]

_requests: Final = msgspec.json.Decoder(list[Request])
_integer: Final = msgspec.json.Decoder(int)


class _Part(msgspec.Struct):
    text: str | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] = []


_content: Final = msgspec.json.Decoder(_Content)


def requests_of(body: bytes, batch: bool) -> tuple[Peek, list[Request]]:
    """The members of a body, and of each request in it.  Raises ``OmniError("invalid_request")``."""
    found = look(body)
    if not batch:
        return found, [found.members]
    requests = member(found, "requests", _requests, "an array of objects")
    if not requests:
        raise OmniError("invalid_request", "Missing requests", param="requests")
    return found, requests


def texts_of(requests: list[Request]) -> tuple[list[str], bool]:
    """The text of each request, and whether all parts are text.  Raises ``OmniError("invalid_request")``."""
    texts, plain = [], True
    for request in requests:
        raw = request.get("content")
        if raw is None:
            raise OmniError("invalid_request", "Missing content", param="content")
        try:
            parts = _content.decode(raw).parts
        except UNREADABLE:
            raise OmniError("invalid_request", "Invalid 'content': expected an object with parts", param="content") from None
        plain = plain and bool(parts) and all(part.text is not None for part in parts)
        texts.append("\n".join(part.text or "" for part in parts))
    return texts, plain


def wishes_of(request: Request) -> tuple[int | None, dict[str, Raw]]:
    """The requested dimensions, and the remaining settings of a request.  Raises ``OmniError("invalid_request")``."""
    named = {alias: request[alias] for alias in ("outputDimensionality", "output_dimensionality") if alias in request}
    dimensions = None
    for name, raw in named.items():
        try:
            dimensions = _integer.decode(raw)
        except UNREADABLE:
            dimensions = 0
        if dimensions < 1:
            raise OmniError("invalid_request", f"Invalid '{name}': expected a whole number above 0", param=name)
    known = {"content", "model", *named}
    return dimensions, {name: raw for name, raw in request.items() if name not in known and bytes(raw) != b"null"}


def relayed(requests: list[Request], model: str, batch: bool) -> bytes:
    """The client's request for *model*, with every other member unchanged."""
    name = encode(model if model.startswith(("models/", "tunedModels/")) else f"models/{model}")
    named: list[dict[str, Any]] = [{**request, "model": Raw(name)} for request in requests]
    return encode({"requests": named} if batch else named[0])


def answer(vectors: list[bytes], batch: bool) -> bytes:
    """The response body for a Gemini client; each of *vectors* is a JSON array of numbers."""
    if not batch:
        return b'{"embedding":{"values":%b}}' % vectors[0]
    return b'{"embeddings":[%b]}' % b",".join(b'{"values":%b}' % vector for vector in vectors)
