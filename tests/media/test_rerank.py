"""Ranking: each vendor's words for one and the same request, and its answer in the client's."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.rerank import CODECS, RerankAsk, decode
from omniroute.translate.format import BadAnswer

MARK = Mark("p/m", 1, "made-id")
DOCUMENTS: list[Any] = ["north", {"text": "south"}, {"title": "east"}]
TEXTS = ["north", "south", '{"title":"east"}']
BODY = {"model": "p/m", "query": "where?", "documents": DOCUMENTS, "top_n": 2}
RESULTS = [{"index": 0, "relevance_score": 0.5}, {"index": 2, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.1}]


class Golden(NamedTuple):
    sent: dict[str, Any]
    answer: dict[str, Any]
    tokens: int | None = None
    searches: int = 0


def flat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "query": "where?", "documents": TEXTS, "top_n": 2, **more}


GOLDEN = {
    "cohere": Golden(
        flat(),
        {"id": "r1", "results": RESULTS, "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}},
        searches=1,
    ),
    "openai": Golden(flat(), {"results": RESULTS, "usage": {"total_tokens": 9}}, 9),
    "jina": Golden(flat(return_documents=False), {"model": "m", "results": RESULTS, "usage": {"total_tokens": 9}}, 9),
    "voyage": Golden(
        {"model": "m", "query": "where?", "documents": TEXTS, "top_k": 2, "return_documents": False},
        {"object": "list", "data": RESULTS, "model": "m", "usage": {"total_tokens": 9}},
        9,
    ),
    "together": Golden(
        flat(documents=DOCUMENTS, return_documents=False),
        {"object": "rerank", "id": "r1", "model": "m", "results": RESULTS, "usage": {"prompt_tokens": 9, "total_tokens": 9}},
        9,
    ),
    "fireworks": Golden(
        flat(return_documents=False),
        {"object": "list", "model": "m", "data": RESULTS, "usage": {"prompt_tokens": 9, "total_tokens": 9}},
        9,
    ),
    "siliconflow": Golden(
        flat(return_documents=False), {"id": "r1", "results": RESULTS, "tokens": {"input_tokens": 9, "output_tokens": 1}}, 9
    ),
    "deepinfra": Golden(
        {"queries": ["where?"] * 3, "documents": TEXTS},
        {"scores": [0.5, 0.1, 0.9], "input_tokens": 9, "request_id": "x", "inference_status": {"status": "succeeded"}},
        9,
    ),
    "nvidia": Golden(
        {"model": "m", "query": {"text": "where?"}, "passages": [{"text": text} for text in TEXTS]},
        {
            "rankings": [{"index": item["index"], "logit": item["relevance_score"]} for item in RESULTS],
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        },
        9,
    ),
}


def asked(**more: Any) -> RerankAsk:
    return decode(json.dumps({**BODY, **more}).encode())


def test_each_vendor_has_a_golden_exchange() -> None:
    assert set(GOLDEN) == set(CODECS)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_request_is_put_in_the_vendors_words(name: str) -> None:
    sent = CODECS[name].render(asked(odd=1), "m")
    assert isinstance(sent.body, bytes)
    assert json.loads(sent.body) == GOLDEN[name].sent
    assert sent.dropped == ("odd",)


@pytest.mark.parametrize("name", GOLDEN)
def test_an_answer_is_coheres_with_the_best_first_and_no_more_than_asked_for(name: str) -> None:
    golden = GOLDEN[name]
    got = CODECS[name].read(json.dumps(golden.answer).encode(), asked(), MARK)
    answer = json.loads(got.body)
    assert answer["results"] == [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.5}]
    assert answer["id"] == golden.answer.get("id", "made-id")
    assert (got.usage.input if got.usage is not None else None) == golden.tokens
    assert got.units.searches == golden.searches


def test_searches_reported_in_the_usage_are_counted() -> None:
    body = json.dumps({"results": RESULTS, "usage": {"search_units": 1, "total_tokens": 9}}).encode()
    got = CODECS["openai"].read(body, asked(), MARK)
    assert (got.units.searches, got.usage.input if got.usage else None) == (1, 9)


def test_documents_come_back_when_asked_for_whatever_the_vendor_does() -> None:
    got = CODECS["nvidia"].read(json.dumps(GOLDEN["nvidia"].answer).encode(), asked(return_documents=True, top_n=None), MARK)
    documents = [item["document"] for item in json.loads(got.body)["results"]]
    assert documents == [{"title": "east"}, {"text": "north"}, {"text": "south"}]


def test_rank_fields_are_applied_here_or_passed_on() -> None:
    ask = asked(documents=[{"title": "A", "body": "B", "id": 1}], rank_fields=["title", "body"])
    assert json.loads(CODECS["cohere"].render(ask, "m").body)["documents"] == ["A\nB"]
    assert json.loads(CODECS["together"].render(ask, "m").body)["rank_fields"] == ["title", "body"]


def test_the_vendors_own_members_travel() -> None:
    sent = CODECS["cohere"].render(asked(max_tokens_per_doc=100), "m")
    assert json.loads(sent.body)["max_tokens_per_doc"] == 100
    assert sent.dropped == ()


@pytest.mark.parametrize(
    ("body", "text", "param"),
    [
        ({"query": ""}, "Missing query", "query"),
        ({"query": 5}, "Invalid 'query': expected a string", "query"),
        ({"documents": []}, "Missing documents", "documents"),
        ({"documents": "x"}, "Invalid 'documents': expected an array of strings or objects", "documents"),
        ({"top_n": 0}, "Invalid 'top_n': expected a whole number above 0", "top_n"),
        ({"top_n": "x"}, "Invalid 'top_n': expected a whole number", "top_n"),
        ({"return_documents": 1}, "Invalid 'return_documents': expected true or false", "return_documents"),
    ],
)
def test_what_cannot_be_ranked_is_refused(body: dict[str, Any], text: str, param: str) -> None:
    with pytest.raises(OmniError) as caught:
        asked(**body)
    assert (caught.value.status, caught.value.message, caught.value.param) == (400, text, param)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"results":[{"index":0}]}', b'{"results":[{"index":9,"relevance_score":1}]}', b'{"results":5}'],
)
def test_invalid_rankings_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        CODECS["cohere"].read(body, asked(), MARK)
