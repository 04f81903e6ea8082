"""Any bytes from a client or a vendor of embeddings, rankings and moderations: a result or a declared failure."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mutation import mutated

from omniroute.errors import OmniError
from omniroute.media import embeddings, moderations, rerank
from omniroute.media.codec import Codec, Mark
from omniroute.translate.format import BadAnswer

MARK = Mark("p/m", 1, "id")


def raw(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


REQUESTS: dict[str, tuple[Callable[[bytes], Any], dict[str, Codec], tuple[bytes, ...]]] = {
    "openai": (
        embeddings.decode_openai,
        dict(embeddings.CODECS),
        raw(
            {"model": "m", "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64", "input_type": "query"},
            {"model": "m", "input": [1, 2], "user": "u", "title": {"x": 1}, "task": "retrieval.query"},
        ),
    ),
    "ollama": (
        embeddings.decode_ollama,
        dict(embeddings.CODECS),
        raw({"model": "m", "input": "a", "options": {}, "truncate": True}),
    ),
    "rerank": (
        rerank.decode,
        dict(rerank.CODECS),
        raw(
            {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "rank_fields": ["text"]},
            {"model": "m", "query": "q", "documents": ["a"], "return_documents": True, "max_tokens_per_doc": 5},
        ),
    ),
    "moderations": (
        moderations.decode,
        dict(moderations.CODECS),
        raw({"input": "x"}, {"model": "m", "input": [{"type": "text"}]}),
    ),
}
VECTOR = [0.5, -1.0]
RANK = {"index": 0, "relevance_score": 0.5, "logit": 0.5}
ANSWERS = {
    "openai": raw(
        {"object": "list", "data": [{"index": 0, "embedding": VECTOR}], "model": "m", "usage": {"prompt_tokens": 1}},
        {"data": [{"embedding": "AAAAPwAAgL8="}], "usage": {"total_tokens": 1}},
        {"embeddings": {"float": [VECTOR]}, "meta": {"billed_units": {"input_tokens": 1}}},
        {"embeddings": [VECTOR], "model": "m", "prompt_eval_count": 1},
        {"embedding": {"values": VECTOR}, "usageMetadata": {"promptTokenCount": 1}},
    ),
    "rerank": raw(
        {"id": "r", "results": [RANK], "meta": {"billed_units": {"search_units": 1}}, "usage": {"total_tokens": 1}},
        {"data": [RANK], "tokens": {"input_tokens": 1}},
        {"rankings": [RANK], "scores": [0.5], "input_tokens": 1},
    ),
    "moderations": raw({"id": "m", "model": "m", "results": [{"flagged": False}], "usage": {"prompt_tokens": 1}}),
}
ANSWERS["ollama"] = ANSWERS["openai"]


@pytest.mark.parametrize("name", REQUESTS)
def test_any_request_is_rendered_or_refused(name: str, seeds: Iterator[int]) -> None:
    decode, codecs, bodies = REQUESTS[name]
    for seed in seeds:
        with contextlib.suppress(OmniError):
            ask = decode(mutated(bodies, random.Random(seed)))
            for codec in codecs.values():
                with contextlib.suppress(OmniError):
                    sent = codec.render(ask, "m")
                    assert isinstance(sent.body, bytes)
                    json.loads(sent.body)


@pytest.mark.parametrize("name", REQUESTS)
def test_any_answer_is_read_or_called_bad(name: str, seeds: Iterator[int]) -> None:
    decode, codecs, bodies = REQUESTS[name]
    ask = decode(bodies[0])
    for seed in seeds:
        body = mutated(ANSWERS[name], random.Random(seed))
        for vendor, codec in codecs.items():
            with contextlib.suppress(BadAnswer):
                got = codec.read(body, ask, MARK)
                if not vendor.startswith(("openai", "mistral")):  # their bytes are relayed
                    json.loads(got.body)
