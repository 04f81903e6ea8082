"""Reranking of documents by relevance to a query: Cohere's request format (v1 and v2), and vendors' formats as a table.

Sources: Cohere API v2 ``/v2/rerank``; Jina AI, Voyage AI, Together AI, Fireworks AI, SiliconFlow and OpenRouter
``/v1/rerank``; NVIDIA NeMo Retriever ``/v1/ranking``; DeepInfra ``/v1/inference/{model}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from .codec import NO_UNITS, UNREADABLE, Codec, Got, Mark, Sent, Units, look, member, others

encode: Final = msgspec.json.encode
Document = str | dict[str, Any]

_documents: Final = msgspec.json.Decoder(list[str | dict[str, Any]])
_text: Final = msgspec.json.Decoder(str)
_integer: Final = msgspec.json.Decoder(int)
_boolean: Final = msgspec.json.Decoder(bool)
_names: Final = msgspec.json.Decoder(list[str])
_KNOWN: Final = frozenset({"model", "query", "documents", "top_n", "top_k", "return_documents", "rank_fields"})


class RerankAsk(Struct):
    """A rerank request.  ``top``: how many of the best documents to return, None for all."""

    model: str
    query: str = ""
    documents: list[Document] = []
    top: int | None = None
    return_documents: bool = False
    rank_fields: list[str] = []
    extra: dict[str, Raw] = {}

    def text(self, document: Document) -> str:
        """A document as one text: the fields to rank by, else its ``text``, else the whole object as JSON."""
        if isinstance(document, str):
            return document
        if self.rank_fields:
            return "\n".join(str(document[name]) for name in self.rank_fields if name in document)
        text = document.get("text")
        return text if isinstance(text, str) else encode(document).decode()


def decode(body: bytes) -> RerankAsk:
    """Decode the body of ``POST /v1/rerank``.  Raises ``OmniError("invalid_request")``."""
    found = look(body)
    ask = RerankAsk(found.model, extra=others(found, _KNOWN))
    if not found.model:
        return ask
    ask.query = member(found, "query", _text, "a string") or ""
    ask.documents = member(found, "documents", _documents, "an array of strings or objects") or []
    for name, value in (("query", ask.query), ("documents", ask.documents)):
        if not value:
            raise OmniError("invalid_request", f"Missing {name}", param=name)
    ask.top = _top(member(found, "top_n", _integer, "a whole number"))
    if ask.top is None:
        ask.top = _top(member(found, "top_k", _integer, "a whole number"))
    ask.return_documents = member(found, "return_documents", _boolean, "true or false") or False
    ask.rank_fields = member(found, "rank_fields", _names, "an array of strings") or []
    return ask


def _top(value: int | None) -> int | None:
    if value is not None and value < 1:
        raise OmniError("invalid_request", "Invalid 'top_n': expected a whole number above 0", param="top_n")
    return value


class Row(NamedTuple):
    """One vendor.  An empty name means that it has no such member; the gateway then does the same work itself."""

    documents: str = "documents"
    top: str = "top_n"
    objects: bool = False  # accepts objects as documents, and rank_fields
    wrapped: bool = False  # query and documents are {"text": …}
    returns: str = ""  # asks for documents in the response; always sent as false, because the gateway adds them itself
    own: frozenset[str] = frozenset()  # the vendor's own members, sent unchanged
    paired: bool = False  # expects one query per document, and returns bare scores in the same order
    results: str = "results"
    score: str = "relevance_score"


ROWS: Final[Mapping[str, Row]] = {
    "cohere": Row(own=frozenset({"max_tokens_per_doc", "priority"})),
    "jina": Row(returns="return_documents", own=frozenset({"truncation", "max_chunks_per_doc", "overlap_tokens"})),
    "openai": Row(),  # what most self-hosted servers with this endpoint have in common
    "voyage": Row(top="top_k", returns="return_documents", own=frozenset({"truncation"}), results="data"),
    "together": Row(objects=True, returns="return_documents"),
    "fireworks": Row(returns="return_documents", own=frozenset({"task"}), results="data"),
    "siliconflow": Row(returns="return_documents", own=frozenset({"instruction", "max_chunks_per_doc", "overlap_tokens"})),
    "nvidia": Row(
        documents="passages", top="", wrapped=True, own=frozenset({"truncate"}), results="rankings", score="logit"
    ),
    "deepinfra": Row(top="", paired=True, own=frozenset({"instruction", "service_tier"}), results="scores"),
}


def _render(row: Row, ask: RerankAsk, model: str) -> Sent:
    documents: list[Any] = ask.documents if row.objects else [ask.text(document) for document in ask.documents]
    query: Any = ask.query
    if row.wrapped:
        query, documents = {"text": query}, [{"text": text} for text in documents]
    body: dict[str, Any] = {"model": model, "query": query, row.documents: documents}
    if row.paired:
        body = {"queries": [query] * len(documents), row.documents: documents}
    if row.top and ask.top is not None:
        body[row.top] = min(ask.top, len(documents))
    if row.returns:
        body[row.returns] = False
    if row.objects and ask.rank_fields:
        body["rank_fields"] = ask.rank_fields
    body |= {name: raw for name, raw in ask.extra.items() if name in row.own}
    return Sent(encode(body), tuple(name for name in ask.extra if name not in row.own))


class _Billed(Struct):
    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Billed | None = None
    tokens: _Billed | None = None


class _Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    search_units: float | None = None


class _Answer(Struct):
    """The members of a response other than the results."""

    id: str = ""
    model: str = ""
    meta: _Meta | None = None
    usage: _Counts | None = None
    tokens: _Billed | None = None
    input_tokens: int | None = None


_members: Final = msgspec.json.Decoder(dict[str, Raw])
_answer: Final = msgspec.json.Decoder(_Answer)
_results: Final = msgspec.json.Decoder(list[dict[str, Any] | float])


def _read(row: Row, body: bytes, ask: RerankAsk, mark: Mark) -> Got:
    try:
        members, answer = _members.decode(body), _answer.decode(body)
        found = _results.decode(members[row.results])
        ranked = sorted((_scored(row, n, item) for n, item in enumerate(found)), key=lambda pair: -pair[1])
    except (*UNREADABLE, LookupError, TypeError, ValueError) as error:
        raise BadAnswer(f"no ranking: {error}") from None
    if any(not 0 <= index < len(ask.documents) for index, _ in ranked):
        raise BadAnswer("a ranking with an unknown document index")
    usage, units = _used(answer)
    results = [_result(ask, index, score) for index, score in ranked[: ask.top]]
    body = encode({"id": answer.id or mark.id, "model": mark.model, "results": results, "meta": _meta(usage, units)})
    return Got(body, usage, units, answer.model)


def _scored(row: Row, place: int, item: dict[str, Any] | float) -> tuple[int, float]:
    return (int(item["index"]), float(item[row.score])) if isinstance(item, dict) else (place, item)


def _result(ask: RerankAsk, index: int, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "relevance_score": score}
    if ask.return_documents:
        document = ask.documents[index]
        result["document"] = {"text": document} if isinstance(document, str) else document
    return result


def _used(answer: _Answer) -> tuple[Usage | None, Units]:
    meta = answer.meta or _Meta()
    billed = meta.billed_units or _Billed()
    counts = answer.usage or _Counts()
    told = (
        billed.input_tokens,
        meta.tokens.input_tokens if meta.tokens is not None else None,
        answer.tokens.input_tokens if answer.tokens is not None else None,
        answer.input_tokens,
        counts.prompt_tokens,
        counts.total_tokens,
    )
    tokens = next((count for count in told if count is not None), None)
    usage = Usage(input=int(tokens), output=0) if tokens is not None else None
    searches = int(billed.search_units or counts.search_units or 0)
    return usage, Units(searches=searches) if searches else NO_UNITS


def _meta(usage: Usage | None, units: Units) -> dict[str, Any]:
    billed: dict[str, Any] = {"search_units": units.searches} if units.searches else {}
    meta: dict[str, Any] = {"api_version": {"version": "2"}}
    if usage is not None:
        meta["tokens"] = {"input_tokens": usage.input}
    return meta | {"billed_units": billed} if billed else meta


def _codec(row: Row) -> Codec:
    return Codec(
        lambda ask, model: _render(row, ask, model),
        lambda body, ask, mark: _read(row, body, ask, mark),
    )


CODECS: Final[Mapping[str, Codec]] = {name: _codec(row) for name, row in ROWS.items()}
