"""Embeddings: OpenAI's and Ollama's clients, and the vendors' formats.

Clients: OpenAI ``POST /v1/embeddings``; Ollama ``/api/embed`` and the older ``/api/embeddings`` (one ``prompt``).  Where
both sides speak OpenAI's format the bytes are relayed and only looked at: two thousand vectors are forty megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from ..translate.peek import Peek, patch
from . import embeddings_vendors as vendors
from .codec import UNREADABLE, Codec, Got, Mark, Sent, look, member, others
from .vectors import as_base64, as_floats

encode: Final = msgspec.json.encode
Form = Literal["openai", "ollama", "ollama-legacy"]
NOTHING: Final[Mapping[str, str]] = {}
_CHARACTERS_A_TOKEN: Final = 4

_inputs: Final = msgspec.json.Decoder(str | list[str | int | list[int]])
_text: Final = msgspec.json.Decoder(str)
_integer: Final = msgspec.json.Decoder(int)
_OPENAI: Final = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_OLLAMA: Final = frozenset({"model", "input", "prompt", "dimensions"})
_WRONG_INPUT: Final = "a string, an array of strings, an array of token ids or an array of such arrays"


class EmbeddingsAsk(Struct):
    """What a client wants embedded: ``texts`` or, for vendors that take them, ``tokens``."""

    found: Peek
    model: str
    form: Form = "openai"
    texts: list[str] | None = None
    tokens: list[list[int]] | None = None
    dimensions: int | None = None
    base64: bool = False
    user: bool = False
    extra: dict[str, Raw] = {}

    @property
    def size(self) -> int:
        """Tokens, about."""
        if self.tokens is not None:
            return sum(map(len, self.tokens))
        return sum((len(text) + _CHARACTERS_A_TOKEN - 1) // _CHARACTERS_A_TOKEN for text in self.texts or ())


def decode_openai(body: bytes) -> EmbeddingsAsk:
    """``POST /v1/embeddings``.  Raises ``OmniError("invalid_request")``."""
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
    """``POST /api/embed``.  Raises ``OmniError("invalid_request")``."""
    return _decode_ollama(body, "ollama", "input")


def decode_ollama_legacy(body: bytes) -> EmbeddingsAsk:
    """``POST /api/embeddings``.  Raises ``OmniError("invalid_request")``."""
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


# --------------------------------------------------------------------------- OpenAI upstream


def _render_openai(ask: EmbeddingsAsk, model: str, more: Mapping[str, str] = NOTHING) -> Sent:
    if ask.form == "openai":
        return Sent(patch(ask.found, {"model": encode(model)}))
    body: dict[str, Any] = {"model": model, "input": ask.texts, "encoding_format": "float", **more}
    if ask.dimensions is not None:
        body["dimensions"] = ask.dimensions
    return Sent(encode(body), tuple(ask.extra))


def _render_asymmetric(ask: EmbeddingsAsk, model: str) -> Sent:
    """The same for models that must be told whether a text is a query or a passage."""
    if ask.form == "openai" and "input_type" not in ask.extra:
        return Sent(patch(ask.found, {"model": encode(model), "input_type": b'"passage"'}))
    return _render_openai(ask, model, {} if ask.form == "openai" else {"input_type": "passage"})


class _Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Rest(Struct):
    """What is not vectors."""

    usage: _Counts | None = None
    model: str = ""


class _Item(Struct):
    embedding: Raw
    index: int = -1


class _Answer(_Rest):
    data: list[_Item] = []


_rest: Final = msgspec.json.Decoder(_Rest)
_answer: Final = msgspec.json.Decoder(_Answer)
_counts: Final = msgspec.json.Decoder(_Counts)
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
_MODEL: Final = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_EDGE: Final = 2048  # bytes at either end of an answer: what is not vectors stands there


def _read_openai(body: bytes, ask: EmbeddingsAsk, mark: Mark) -> Got:
    if ask.form != "openai":
        answer = _whole(body)
        items = sorted(enumerate(answer.data), key=lambda pair: pair[1].index if pair[1].index >= 0 else pair[0])
        return write(ask, mark, [item.embedding for _, item in items], _usage_of(answer.usage), answer.model)
    if body[:64].lstrip()[:1] != b"{" or b'"data"' not in body:
        raise BadAnswer("no embeddings")
    usage = _usage_of(_glance(body))
    body, model = _renamed(body, mark.model)
    return Got(body, usage or _estimate(ask), model=model)


def _whole(body: bytes) -> _Answer:
    try:
        answer = _answer.decode(body)
    except UNREADABLE as error:
        raise BadAnswer(str(error)) from None
    if not answer.data:
        raise BadAnswer("no embeddings")
    return answer


def _glance(body: bytes) -> _Counts | None:
    """The usage, looked for at both ends before the whole body is read for it."""
    found = _USAGE.search(body, max(0, len(body) - _EDGE)) or _USAGE.search(body, 0, _EDGE)
    try:
        if found is not None:
            return _counts.decode(found[1])
        return _rest.decode(body).usage
    except UNREADABLE:
        return None


def _renamed(body: bytes, name: str) -> tuple[bytes, str]:
    """The body with the model's name replaced, and the name it had."""
    found = _MODEL.search(body, 0, _EDGE) or _MODEL.search(body, max(0, len(body) - _EDGE))
    if found is None:
        return body, ""
    try:
        known = _text.decode(found[1])
    except UNREADABLE:
        return body, ""
    view = memoryview(body)  # copied once, into the answer
    return b"".join((view[: found.start(1)], encode(name), view[found.end(1) :])), known


def _usage_of(counts: _Counts | None) -> Usage | None:
    if counts is None:
        return None
    tokens = counts.prompt_tokens if counts.prompt_tokens is not None else counts.total_tokens
    return Usage(input=tokens, output=0, total=counts.total_tokens) if tokens is not None else None


def _estimate(ask: EmbeddingsAsk) -> Usage:
    return Usage(input=ask.size, output=0, estimated=True)


# --------------------------------------------------------------------------- other vendors


def _vendor(vendor: vendors.Vendor) -> Codec:
    def render(ask: EmbeddingsAsk, model: str) -> Sent:
        if ask.texts is None:
            message = "This provider takes no token ids: send 'input' as text"
            raise OmniError("invalid_request", message, param="input")
        wish = vendors.Wish(model, ask.texts, ask.dimensions, ask.base64, ask.extra)
        sent = vendor.render(wish)
        return sent._replace(dropped=(*sent.dropped, "user")) if ask.user else sent

    def read(body: bytes, ask: EmbeddingsAsk, mark: Mark) -> Got:
        found = vendor.read(body)
        if len(found.items) != len(ask.texts or ()):
            raise BadAnswer(f"{len(found.items)} embeddings for {len(ask.texts or ())} inputs")
        return write(ask, mark, found.items, found.usage, found.model)

    return Codec(render, read)


CODECS: Final[Mapping[str, Codec]] = {
    "openai": Codec(_render_openai, _read_openai),
    "openai-asymmetric": Codec(_render_asymmetric, _read_openai),
    **{name: _vendor(vendor) for name, vendor in vendors.VENDORS.items()},
}


# --------------------------------------------------------------------------- answers


def write(ask: EmbeddingsAsk, mark: Mark, items: list[Raw], usage: Usage | None, model: str) -> Got:
    """The client's answer from vectors in the order of its inputs.  Raises BadAnswer for a vector that is none."""
    usage = usage or _estimate(ask)
    if ask.form == "openai":
        body = _openai(items, mark.model, usage, ask.base64)
    elif ask.form == "ollama":
        counts = encode({"total_duration": 0, "load_duration": 0, "prompt_eval_count": usage.input})
        vectors = b",".join(map(as_floats, items))
        body = b'{"model":%b,"embeddings":[%b],%b' % (encode(mark.model), vectors, counts[1:])
    else:
        body = b'{"embedding":%b}' % as_floats(items[0])
    return Got(body, usage, model=model)


def _openai(items: list[Raw], model: str, usage: Usage, base64: bool) -> bytes:
    form = as_base64 if base64 else as_floats
    data = b",".join(
        b'{"object":"embedding","index":%d,"embedding":%b}' % (n, form(vector)) for n, vector in enumerate(items)
    )
    counts = {"prompt_tokens": usage.input, "total_tokens": usage.total or usage.input}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (data, encode(model), encode(counts))
