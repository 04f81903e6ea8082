"""Each vendor's format: what is sent for one and the same request, and how the answer is read."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, NamedTuple

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.embeddings import CODECS, decode_openai
from omniroute.media.embeddings_vendors import VENDORS
from omniroute.translate.format import BadAnswer

MARK = Mark("p/m", 1)
VECTORS = [[0.5, -1.0], [3.25, 2.0]]


class Golden(NamedTuple):
    sent: dict[str, Any]
    answer: dict[str, Any]
    tokens: int | None
    path: str = ""


def listed(vectors: list[Any], usage: dict[str, int]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return {"object": "list", "data": data[::-1], "model": "m", "usage": usage}


def google(text: str) -> dict[str, Any]:
    return {
        "model": "models/m",
        "outputDimensionality": 2,
        "taskType": "RETRIEVAL_QUERY",
        "content": {"parts": [{"text": text}]},
    }


GOLDEN = {
    "cohere": Golden(
        {
            "model": "m",
            "texts": ["a", "b"],
            "input_type": "search_query",
            "embedding_types": ["float"],
            "output_dimension": 2,
        },
        {
            "id": "e1",
            "embeddings": {"float": VECTORS},
            "texts": ["a", "b"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
            "response_type": "embeddings_by_type",
        },
        4,
    ),
    "voyage": Golden(
        {"model": "m", "input": ["a", "b"], "input_type": "query", "output_dimension": 2},
        listed(VECTORS, {"total_tokens": 4}),
        4,
    ),
    "jina": Golden(
        {"model": "m", "input": ["a", "b"], "task": "retrieval.query", "dimensions": 2, "embedding_type": "float"},
        listed(VECTORS, {"total_tokens": 5, "prompt_tokens": 4}),
        4,
    ),
    "ollama": Golden(
        {"model": "m", "input": ["a", "b"], "dimensions": 2},
        {"model": "m", "embeddings": VECTORS, "total_duration": 14, "load_duration": 1, "prompt_eval_count": 4},
        4,
    ),
    "gemini": Golden(
        {"requests": [google("a"), google("b")]},
        {"embeddings": [{"values": vector} for vector in VECTORS]},
        None,
        "./{model}:batchEmbedContents",
    ),
}
BODY = {"model": "p/m", "input": ["a", "b"], "dimensions": 2, "input_type": "query", "user": "u-1"}


def test_each_vendor_has_a_golden_exchange() -> None:
    assert set(GOLDEN) == set(VENDORS)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_request_is_translated_and_unsupported_members_are_named(name: str) -> None:
    golden = GOLDEN[name]
    sent = CODECS[name].render(decode_openai(json.dumps(BODY).encode()), "m")
    assert isinstance(sent.body, bytes)
    assert json.loads(sent.body) == golden.sent
    assert sent.path == golden.path
    assert sent.dropped == (("input_type", "user") if name == "ollama" else ("user",))


@pytest.mark.parametrize("base64_", [False, True], ids=["float", "base64"])
@pytest.mark.parametrize("name", GOLDEN)
def test_an_answer_becomes_openais_in_the_order_of_the_inputs(name: str, base64_: bool) -> None:
    golden = GOLDEN[name]
    ask = decode_openai(json.dumps({**BODY, "encoding_format": "base64" if base64_ else "float"}).encode())
    got = CODECS[name].read(json.dumps(golden.answer).encode(), ask, MARK)
    answer = json.loads(got.body)
    assert (answer["object"], answer["model"], [item["index"] for item in answer["data"]]) == ("list", "p/m", [0, 1])
    vectors = [item["embedding"] for item in answer["data"]]
    if base64_:
        vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
    assert vectors == VECTORS
    assert got.usage is not None
    assert got.usage.estimated is (golden.tokens is None)
    assert answer["usage"]["prompt_tokens"] == (golden.tokens or 2)
    assert answer["usage"]["total_tokens"] >= answer["usage"]["prompt_tokens"]


def test_voyage_is_asked_for_base64_when_the_client_wants_it() -> None:
    ask = decode_openai(b'{"model":"p/m","input":"a","encoding_format":"base64"}')
    assert json.loads(CODECS["voyage"].render(ask, "m").body) == {"model": "m", "input": ["a"], "encoding_format": "base64"}
    text = base64.b64encode(struct.pack("<2f", *VECTORS[0])).decode()
    got = CODECS["voyage"].read(json.dumps(listed([text], {"total_tokens": 1})).encode(), ask, MARK)
    assert json.loads(got.body)["data"][0]["embedding"] == text


def test_gemini_embeds_a_single_text_alone_and_counts_its_tokens() -> None:
    ask = decode_openai(b'{"model":"p/m","input":"a"}')
    sent = CODECS["gemini"].render(ask, "models/m")
    assert sent.path == "./{model}:embedContent"
    assert json.loads(sent.body) == {"model": "models/m", "content": {"parts": [{"text": "a"}]}}
    body = b'{"embedding":{"values":[1,2]},"usageMetadata":{"promptTokenCount":3}}'
    got = CODECS["gemini"].read(body, ask, MARK)
    assert json.loads(got.body)["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_cohere_always_gets_a_purpose_because_it_is_mandatory() -> None:
    sent = CODECS["cohere"].render(decode_openai(b'{"model":"p/m","input":"a"}'), "m")
    assert json.loads(sent.body)["input_type"] == "search_document"


@pytest.mark.parametrize(
    ("name", "said", "word"),
    [
        ("cohere", {"input_type": "passage"}, ("input_type", "search_document")),
        ("cohere", {"input_type": "clustering"}, ("input_type", "clustering")),
        ("voyage", {"task": "retrieval.passage"}, ("input_type", "document")),
        ("jina", {"task": "text-matching"}, ("task", "text-matching")),
        ("jina", {"task_type": "SEMANTIC_SIMILARITY"}, ("task", "text-matching")),
        ("gemini", {"task_type": "CODE_RETRIEVAL_QUERY"}, ("taskType", "CODE_RETRIEVAL_QUERY")),
    ],
)
def test_a_purpose_in_any_vendors_word_is_understood(name: str, said: dict[str, str], word: tuple[str, str]) -> None:
    ask = decode_openai(json.dumps({"model": "p/m", "input": "a", **said}).encode())
    sent = CODECS[name].render(ask, "m")
    assert isinstance(sent.body, bytes)
    assert json.loads(sent.body)[word[0]] == word[1]
    assert sent.dropped == ()


def test_a_purpose_unknown_to_the_vendor_is_dropped_and_named() -> None:
    ask = decode_openai(b'{"model":"p/m","input":"a","input_type":"classification"}')
    sent = CODECS["voyage"].render(ask, "m")
    assert "input_type" not in json.loads(sent.body)
    assert sent.dropped == ("input_type",)


def test_the_vendors_own_members_are_sent_and_others_are_named() -> None:
    ask = decode_openai(b'{"model":"p/m","input":"a","truncate":"END","odd":1}')
    sent = CODECS["cohere"].render(ask, "m")
    assert json.loads(sent.body)["truncate"] == "END"
    assert sent.dropped == ("odd",)


@pytest.mark.parametrize("name", GOLDEN)
def test_token_ids_are_refused_where_only_text_is_taken(name: str) -> None:
    with pytest.raises(OmniError) as caught:
        CODECS[name].render(decode_openai(b'{"model":"p/m","input":[1,2]}'), "m")
    assert (caught.value.status, caught.value.param) == (400, "input")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data":[]}', b'{"embeddings":[]}', b'{"embeddings":{"float":[[1]]}}']
)
@pytest.mark.parametrize("name", GOLDEN)
def test_an_answer_without_a_vector_for_each_input_is_no_answer(name: str, body: bytes) -> None:
    with pytest.raises(BadAnswer):
        CODECS[name].read(body, decode_openai(json.dumps(BODY).encode()), MARK)
