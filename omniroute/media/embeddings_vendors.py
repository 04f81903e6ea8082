"""Embeddings in vendors' own formats, as a table.

Sources: Gemini API ``models.embedContent`` and ``models.batchEmbedContents``; Ollama ``docs/api.md`` (Generate Embeddings);
Cohere API v2 ``/v2/embed``; Voyage AI ``/v1/embeddings``; Jina AI ``/v1/embeddings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from ..translate.events import Usage
from ..translate.format import BadAnswer
from .codec import UNREADABLE, Sent

encode: Final = msgspec.json.encode


class Wish(NamedTuple):
    """An embeddings request.  ``extra``: the client's remaining members, some of which the vendor may support."""

    model: str
    texts: list[str]
    dimensions: int | None
    base64: bool
    extra: Mapping[str, Raw]


class Vectors(NamedTuple):
    """A vendor's response: one vector, as JSON, for each text."""

    items: list[Raw]
    usage: Usage | None = None
    model: str = ""


class Vendor(NamedTuple):
    render: Callable[[Wish], Sent]
    read: Callable[[bytes], Vectors]  # raises BadAnswer


# The purpose of an embedding: each vendor's words for it, mapped to a common one.  Clients may use any vendor's word in any
# vendor's member.
_PURPOSES: Final = ("input_type", "task_type", "taskType", "task")
_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("query", "search_query", "retrieval_query", "retrieval.query"), "query"),
    **dict.fromkeys(("document", "passage", "search_document", "retrieval_document", "retrieval.passage"), "document"),
    "classification": "classification",
    **dict.fromkeys(("clustering", "separation"), "clustering"),
    **dict.fromkeys(("semantic_similarity", "text-matching"), "similarity"),
}
_word: Final = msgspec.json.Decoder(str)


class Row(NamedTuple):
    """A vendor whose request is a flat object.  An empty name means that it has no such member."""

    texts: str
    dimensions: str
    purpose: str = ""
    words: Mapping[str, str] = {}
    own: frozenset[str] = frozenset()  # the vendor's own members, sent unchanged
    fixed: Mapping[str, Any] = {}
    base64: Mapping[str, Any] = {}


def purpose_of(extra: Mapping[str, Raw], words: Mapping[str, str]) -> tuple[str, str] | None:
    """(the client's member, the vendor's word) for the purpose of the texts; None when no known purpose is given."""
    for name in _PURPOSES:
        if (raw := extra.get(name)) is not None:
            try:
                said = _word.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if (word := words.get(_WORDS.get(said.lower(), ""))) is not None:
                return name, word
            return (name, said) if said in words.values() else None
    return None


def _render(row: Row, wish: Wish) -> Sent:
    body: dict[str, Any] = {"model": wish.model, row.texts: wish.texts, **row.fixed}
    taken = {name for name in wish.extra if name in row.own}
    body |= {name: wish.extra[name] for name in taken}
    if row.purpose and (found := purpose_of(wish.extra, row.words)) is not None:
        body[row.purpose] = found[1]
        taken.add(found[0])
    dropped = [name for name in wish.extra if name not in taken]
    if wish.dimensions is not None:
        if row.dimensions:
            body[row.dimensions] = wish.dimensions
        else:
            dropped.append("dimensions")
    return Sent(encode({**body, **row.base64} if wish.base64 else body), tuple(dropped))


_COHERE: Final = Row(
    texts="texts",
    dimensions="output_dimension",
    purpose="input_type",
    words={
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    },
    own=frozenset({"truncate", "max_tokens", "priority"}),
    fixed={"input_type": "search_document", "embedding_types": ["float"]},  # both are mandatory
)
_VOYAGE: Final = Row(
    texts="input",
    dimensions="output_dimension",
    purpose="input_type",
    words={"query": "query", "document": "document"},
    own=frozenset({"truncation", "output_dtype"}),
    base64={"encoding_format": "base64"},
)
_JINA: Final = Row(
    texts="input",
    dimensions="dimensions",
    purpose="task",
    words={
        "query": "retrieval.query",
        "document": "retrieval.passage",
        "classification": "classification",
        "clustering": "separation",
        "similarity": "text-matching",
    },
    own=frozenset({"late_chunking", "truncate", "normalized"}),
    fixed={"embedding_type": "float"},
)
_OLLAMA: Final = Row(texts="input", dimensions="dimensions", own=frozenset({"truncate", "options", "keep_alive"}))


# -- answers of flat vendors


class _Item(Struct):
    embedding: Raw
    index: int = -1


class Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Listed(Struct):
    data: list[_Item] = []
    usage: Counts | None = None
    model: str = ""


class _Billed(Struct):
    input_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Billed | None = None


class _ByType(Struct):
    floats: list[Raw] = msgspec.field(name="float")


class _Cohere(Struct):
    embeddings: _ByType
    meta: _Meta | None = None


class _Ollama(Struct):
    embeddings: list[Raw]
    model: str = ""
    prompt_eval_count: int | None = None


class _Values(Struct):
    values: Raw


class _GoogleCounts(Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Google(Struct, rename="camel"):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    usage_metadata: _GoogleCounts | None = None


def _reader(shape: type[Any], take: Callable[[Any], Vectors]) -> Callable[[bytes], Vectors]:
    decode = msgspec.json.Decoder(shape).decode

    def read(body: bytes) -> Vectors:
        try:
            return take(decode(body))
        except UNREADABLE as error:
            raise BadAnswer(str(error)) from None

    return read


def _listed(answer: _Listed) -> Vectors:
    items = sorted(enumerate(answer.data), key=lambda pair: pair[1].index if pair[1].index >= 0 else pair[0])
    return Vectors([item.embedding for _, item in items], usage_of(answer.usage), answer.model)


def usage_of(counts: Counts | None) -> Usage | None:
    if counts is None:
        return None
    return _usage(counts.prompt_tokens if counts.prompt_tokens is not None else counts.total_tokens, counts.total_tokens)


def _cohere(answer: _Cohere) -> Vectors:
    billed = answer.meta.billed_units if answer.meta is not None else None
    tokens = billed.input_tokens if billed is not None else None
    return Vectors(answer.embeddings.floats, _usage(int(tokens) if tokens is not None else None))


def _ollama(answer: _Ollama) -> Vectors:
    return Vectors(answer.embeddings, _usage(answer.prompt_eval_count), answer.model)


def _google(answer: _Google) -> Vectors:
    found = answer.embeddings if answer.embeddings is not None else [answer.embedding] if answer.embedding else []
    counts = answer.usage_metadata
    return Vectors([item.values for item in found], _usage(counts.prompt_token_count if counts is not None else None))


def _usage(tokens: int | None, total: int | None = None) -> Usage | None:
    return Usage(input=tokens, output=0, total=total) if tokens is not None else None


# -- Gemini

GOOGLE_ONE: Final = "./{model}:embedContent"
GOOGLE_MANY: Final = "./{model}:batchEmbedContents"
_GOOGLE_WORDS: Final = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
    **{word: word for word in ("QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY")},
}


def _render_google(wish: Wish) -> Sent:
    """One text is sent with ``embedContent``, several as a batch in which each request repeats the model and settings."""
    name = wish.model if wish.model.startswith(("models/", "tunedModels/")) else f"models/{wish.model}"
    settings: dict[str, Any] = {"model": name}
    if wish.dimensions is not None:
        settings["outputDimensionality"] = wish.dimensions
    taken = "title" if "title" in wish.extra else ""
    if taken:
        settings["title"] = wish.extra["title"]
    found = purpose_of(wish.extra, _GOOGLE_WORDS)
    if found is not None:
        settings["taskType"] = found[1]
    dropped = tuple(extra for extra in wish.extra if extra not in (taken, found[0] if found else ""))
    requests = [{**settings, "content": {"parts": [{"text": text}]}} for text in wish.texts]
    if len(requests) == 1:
        return Sent(encode(requests[0]), dropped, GOOGLE_ONE)
    return Sent(encode({"requests": requests}), dropped, GOOGLE_MANY)


LISTED: Final = _reader(_Listed, _listed)  # vectors as OpenAI lists them
VENDORS: Final[Mapping[str, Vendor]] = {
    "cohere": Vendor(lambda wish: _render(_COHERE, wish), _reader(_Cohere, _cohere)),
    "voyage": Vendor(lambda wish: _render(_VOYAGE, wish), LISTED),
    "jina": Vendor(lambda wish: _render(_JINA, wish), LISTED),
    "ollama": Vendor(lambda wish: _render(_OLLAMA, wish), _reader(_Ollama, _ollama)),
    "gemini": Vendor(_render_google, _reader(_Google, _google)),
}
