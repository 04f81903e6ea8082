"""Embeddings: requests of OpenAI, Ollama and Gemini clients, and the formats of vendors.

Client endpoints: OpenAI ``POST /v1/embeddings``; Ollama ``/api/embed`` and the older ``/api/embeddings`` (one ``prompt``);
Gemini ``embedContent`` and ``batchEmbedContents``.  When both sides use OpenAI's format, the response bytes are relayed
without decoding the vectors: two thousand vectors take forty megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from ..translate.peek import Peek, patch
from . import embeddings_gemini as gemini
from . import embeddings_vendors as vendors
from .codec import UNREADABLE, Codec, Got, Mark, Sent, look, member, others
from .vectors import as_base64, as_floats

encode: Final = msgspec.json.encode
Form = Literal["openai", "ollama", "ollama-legacy", "gemini", "gemini-batch"]
_CHARACTERS_A_TOKEN: Final = 4

_inputs: Final = msgspec.json.Decoder(str | list[str | int | list[int]])
_text: Final = msgspec.json.Decoder(str)
_integer: Final = msgspec.json.Decoder(int)
_OPENAI: Final = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_OLLAMA: Final = frozenset({"model", "input", "prompt", "dimensions"})
_WRONG_INPUT: Final = "a string, an array of strings, an array of token ids or an array of such arrays"


class EmbeddingsAsk(Struct):
    """An embeddings request: ``texts`` or, for vendors that accept them, ``tokens``."""

    found: Peek
    model: str
    form: Form = "openai"
    texts: list[str] | None = None
    tokens: list[list[int]] | None = None
    dimensions: int | None = None
    base64: bool = False
    user: bool = False
    extra: dict[str, Raw] = {}
    requests: list[gemini.Request] = []  # of a Gemini client, unchanged
    plain: bool = True  # every input is text

    @property
    def size(self) -> int:
        """The approximate number of tokens."""
        if self.tokens is not None:
            return sum(map(len, self.tokens))
        return sum((len(text) + _CHARACTERS_A_TOKEN - 1) // _CHARACTERS_A_TOKEN for text in self.texts or ())


def decode_openai(body: bytes) -> EmbeddingsAsk:
    """Decode the body of ``POST /v1/embeddings``.  Raises ``OmniError("invalid_request")``."""
    found = look(body)
    ask = EmbeddingsAsk(found, found.model, extra=others(found, _OPENAI))
    if not found.model:
        return ask
    _read_inputs(ask, member(found, "input", _inputs, _WRONG_INPUT), "input")
    ask.dimensions = _dimensions(found)
    encoding = member(found, "encoding_format", _text, "'float' or 'base64'")
    if encoding not in (None, "float", "base64"):
        raise OmniError(
            "invalid_request", "Invalid 'encoding_format': expected 'float' or 'base64'", param="encoding_format"
        )
    ask.base64 = encoding == "base64"
    ask.user = "user" in found.members
    return ask


def decode_ollama(body: bytes) -> EmbeddingsAsk:
    """Decode the body of ``POST /api/embed``.  Raises ``OmniError("invalid_request")``."""
    return _decode_ollama(body, "ollama", "input")


def decode_ollama_legacy(body: bytes) -> EmbeddingsAsk:
    """Decode the body of ``POST /api/embeddings``.  Raises ``OmniError("invalid_request")``."""
    return _decode_ollama(body, "ollama-legacy", "prompt")


def _decode_ollama(body: bytes, form: Form, name: str) -> EmbeddingsAsk:
    found = look(body)
    ask = EmbeddingsAsk(found, found.model, form, extra=others(found, _OLLAMA))
    if found.model:
        words = member(found, name, _inputs, "a string or an array of strings")
        if isinstance(words, list) and not all(isinstance(text, str) for text in words):
            raise OmniError("invalid_request", f"Invalid '{name}': expected a string or an array of strings", param=name)
        _read_inputs(ask, words, name)
        ask.dimensions = _dimensions(found)
    return ask


def decode_gemini(body: bytes, model: str, batch: bool) -> EmbeddingsAsk:
    """Decode the body of ``:embedContent`` or ``:batchEmbedContents``.  Raises ``OmniError("invalid_request")``."""
    found, requests = gemini.requests_of(body, batch)
    texts, plain = gemini.texts_of(requests)
    dimensions, extra = gemini.wishes_of(requests[0])
    ask = EmbeddingsAsk(found, model, "gemini-batch" if batch else "gemini", texts, dimensions=dimensions, extra=extra)
    ask.requests, ask.plain = requests, plain
    return ask


def _only_text(ask: EmbeddingsAsk) -> None:
    if not ask.plain:
        raise OmniError("invalid_request", "This provider embeds only text: send parts with 'text'", param="content")


def _dimensions(found: Peek) -> int | None:
    dimensions = member(found, "dimensions", _integer, "a whole number")
    if dimensions is not None and dimensions < 1:
        raise OmniError("invalid_request", "Invalid 'dimensions': expected a whole number above 0", param="dimensions")
    return dimensions


def _read_inputs(ask: EmbeddingsAsk, value: str | list[Any] | None, name: str) -> None:
    if not value:
        raise OmniError("invalid_request", f"Missing {name}", param=name)
    items: list[Any] = [value] if isinstance(value, str) else value
    if all(isinstance(item, str) for item in items):
        ask.texts = items
    elif all(isinstance(item, int) for item in items):
        ask.tokens = [items]
    elif all(isinstance(item, list) for item in items):
        ask.tokens = items
    else:
        raise OmniError("invalid_request", f"Invalid '{name}': expected {_WRONG_INPUT}", param=name)


# -- OpenAI upstream


def _render_openai(ask: EmbeddingsAsk, model: str) -> Sent:
    if ask.form == "openai":
        return Sent(patch(ask.found, {"model": encode(model)}))
    return _anew(ask, model, "dimensions", {}, ask.extra)


def _anew(ask: EmbeddingsAsk, model: str, dimensions: str, more: Mapping[str, str], dropped: Iterable[str]) -> Sent:
    """The request of a client with another wire format; *dimensions* is the vendor's name for that parameter."""
    _only_text(ask)
    body: dict[str, Any] = {"model": model, "input": ask.texts, "encoding_format": "float", **more}
    if ask.dimensions is not None:
        body[dimensions] = ask.dimensions
    return Sent(encode(body), tuple(dropped))


_SIDES: Final = {"query": "query", "document": "passage"}


def _render_asymmetric(ask: EmbeddingsAsk, model: str) -> Sent:
    """OpenAI's format for models that require ``input_type``: whether a text is a query or a passage."""
    found = vendors.purpose_of(ask.extra, _SIDES)
    member, word = found or ("", "passage")
    if ask.form != "openai":
        dropped = [name for name in ask.extra if name != member]
        return _anew(ask, model, "dimensions", {"input_type": word}, dropped)
    if found is None and "input_type" in ask.extra:  # an unknown value is left to the vendor
        return _render_openai(ask, model)
    other = {member: None} if member not in ("", "input_type") else {}
    return Sent(patch(ask.found, {"model": encode(model), **other, "input_type": encode(word)}))


def _render_mistral(ask: EmbeddingsAsk, model: str) -> Sent:
    """https://docs.mistral.ai/api/endpoint/embeddings: OpenAI's format with ``output_dimension``; ``user`` is refused."""
    if ask.form != "openai":
        return _anew(ask, model, "output_dimension", {}, ask.extra)
    changes: dict[str, bytes | None] = {"model": encode(model)}
    changes |= {name: None for name in ("dimensions", "user") if name in ask.found.members}
    if ask.dimensions is not None:
        changes["output_dimension"] = encode(ask.dimensions)
    return Sent(patch(ask.found, changes), ("user",) if ask.user else ())


class _Rest(Struct):
    """What is read of a response besides the vectors."""

    usage: vendors.Counts | None = None


_rest: Final = msgspec.json.Decoder(_Rest)
_counts: Final = msgspec.json.Decoder(vendors.Counts)
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
_MODEL: Final = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_NUMBERS: Final = re.compile(rb'"embedding"\s*:\s*\[')
_EDGE: Final = 2048  # bytes at either end of a response, where everything but the vectors is found


def _read_openai(body: bytes, ask: EmbeddingsAsk, mark: Mark) -> Got:
    if ask.form != "openai":
        found = _whole(body)
        return write(ask, mark, found.items, found.usage, found.model)
    if body[:64].lstrip()[:1] != b"{" or b'"data"' not in body:
        raise BadAnswer("no embeddings")
    usage = vendors.usage_of(_glance(body))
    # many servers ignore encoding_format, but SDKs that asked for base64 expect it
    if ask.base64 and _NUMBERS.search(body, 0, _EDGE):
        found = _whole(body)
        return write(ask, mark, found.items, usage, found.model)
    body, model = _renamed(body, mark.model)
    return Got(body, usage or _estimate(ask), model=model)


def _whole(body: bytes) -> vendors.Vectors:
    found = vendors.LISTED(body)
    if not found.items:
        raise BadAnswer("no embeddings")
    return found


def _glance(body: bytes) -> vendors.Counts | None:
    """The usage, searched at both ends of the body first; the whole body is decoded only if it is not there."""
    found = _USAGE.search(body, max(0, len(body) - _EDGE)) or _USAGE.search(body, 0, _EDGE)
    try:
        if found is not None:
            return _counts.decode(found[1])
        return _rest.decode(body).usage
    except UNREADABLE:
        return None


def _renamed(body: bytes, name: str) -> tuple[bytes, str]:
    """The body with the model's name replaced by *name*, and the name it had ("" when none was found)."""
    found = _MODEL.search(body, 0, _EDGE) or _MODEL.search(body, max(0, len(body) - _EDGE))
    if found is None:
        return body, ""
    try:
        known = _text.decode(found[1])
    except UNREADABLE:
        return body, ""
    view = memoryview(body)  # avoids a second copy of the slices
    return b"".join((view[: found.start(1)], encode(name), view[found.end(1) :])), known


def _estimate(ask: EmbeddingsAsk) -> Usage:
    return Usage(input=ask.size, output=0, estimated=True)


# -- other vendors


def _vendor(name: str, vendor: vendors.Vendor) -> Codec:
    def same(ask: EmbeddingsAsk) -> bool:
        return name == "gemini" and bool(ask.requests)

    def render(ask: EmbeddingsAsk, model: str) -> Sent:
        if same(ask):
            batch = ask.form == "gemini-batch"
            return Sent(
                gemini.relayed(ask.requests, model, batch), path=vendors.GOOGLE_MANY if batch else vendors.GOOGLE_ONE
            )
        _only_text(ask)
        if ask.texts is None:
            message = "This provider does not accept token ids: send 'input' as text"
            raise OmniError("invalid_request", message, param="input")
        wish = vendors.Wish(model, ask.texts, ask.dimensions, ask.base64, ask.extra)
        sent = vendor.render(wish)
        return sent._replace(dropped=(*sent.dropped, "user")) if ask.user else sent

    def read(body: bytes, ask: EmbeddingsAsk, mark: Mark) -> Got:
        found = vendor.read(body)
        if len(found.items) != len(ask.texts or ()):
            raise BadAnswer(f"{len(found.items)} embeddings for {len(ask.texts or ())} inputs")
        if same(ask):
            return Got(body, found.usage or _estimate(ask), model=found.model)
        return write(ask, mark, found.items, found.usage, found.model)

    return Codec(render, read)


CODECS: Final[Mapping[str, Codec]] = {
    "openai": Codec(_render_openai, _read_openai),
    "openai-asymmetric": Codec(_render_asymmetric, _read_openai),
    "mistral": Codec(_render_mistral, _read_openai),
    **{name: _vendor(name, vendor) for name, vendor in vendors.VENDORS.items()},
}


# -- answers


def write(ask: EmbeddingsAsk, mark: Mark, items: list[Raw], usage: Usage | None, model: str) -> Got:
    """The client's response from JSON vectors in the order of its inputs.  Raises BadAnswer for an invalid vector."""
    usage = usage or _estimate(ask)
    if ask.form == "openai":
        body = _openai(items, mark.model, usage, ask.base64)
    elif ask.form == "ollama":
        counts = encode({"total_duration": 0, "load_duration": 0, "prompt_eval_count": usage.input})
        vectors = b",".join(map(as_floats, items))
        body = b'{"model":%b,"embeddings":[%b],%b' % (encode(mark.model), vectors, counts[1:])
    elif ask.form == "ollama-legacy":
        body = b'{"embedding":%b}' % as_floats(items[0])
    else:
        body = gemini.answer(list(map(as_floats, items)), ask.form == "gemini-batch")
    return Got(body, usage, model=model)


def _openai(items: list[Raw], model: str, usage: Usage, base64: bool) -> bytes:
    form = as_base64 if base64 else as_floats
    data = b",".join(
        b'{"object":"embedding","index":%d,"embedding":%b}' % (n, form(vector)) for n, vector in enumerate(items)
    )
    counts = {"prompt_tokens": usage.input, "total_tokens": usage.total or usage.input}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (data, encode(model), encode(counts))
