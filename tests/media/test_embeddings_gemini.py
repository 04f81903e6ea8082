from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.embeddings import CODECS, EmbeddingsAsk, decode_gemini

MARK = Mark("p/m", 1, "id")
TEXT = {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}
ONE = {"model": "models/p/m", "content": TEXT, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2}
MANY = {"requests": [ONE, {"content": {"parts": [{"text": "c"}]}}]}
PICTURE = {"content": {"parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}}


def asked(body: Any, *, batch: bool = False) -> EmbeddingsAsk:
    return decode_gemini(json.dumps(body).encode(), "p/m", batch)


def sent(codec: str, ask: EmbeddingsAsk) -> tuple[Any, str, tuple[str, ...]]:
    made = CODECS[codec].render(ask, "m")
    assert isinstance(made.body, bytes)
    return json.loads(made.body), made.path, made.dropped


def read(codec: str, body: Any, ask: EmbeddingsAsk) -> Any:
    return json.loads(CODECS[codec].read(json.dumps(body).encode(), ask, MARK).body)


def test_google_gets_the_request_unchanged_but_for_the_models_name() -> None:
    named = {"model": "models/m"}
    assert sent("gemini", asked(ONE)) == ({**ONE, **named}, "./{model}:embedContent", ())
    body = {"requests": [{**request, **named} for request in MANY["requests"]]}
    assert sent("gemini", asked(MANY, batch=True)) == (body, "./{model}:batchEmbedContents", ())
    assert sent("gemini", asked(PICTURE))[0] == {**PICTURE, **named}
    answer = {"embedding": {"values": [1, 2]}, "usageMetadata": {"promptTokenCount": 4}, "new": 1}
    assert read("gemini", answer, asked(ONE)) == answer


def test_other_vendors_get_the_texts_and_the_client_its_own_form() -> None:
    body = {"model": "m", "input": ["a\nb"], "encoding_format": "float", "dimensions": 2}
    assert sent("openai", asked(ONE)) == (body, "", ("taskType",))
    vectors = [{"embedding": [3, 4], "index": 1}, {"embedding": [1, 2], "index": 0}]
    assert read("openai", {"data": vectors[1:]}, asked(ONE)) == {"embedding": {"values": [1, 2]}}
    assert read("openai", {"data": vectors}, asked(MANY, batch=True)) == {
        "embeddings": [{"values": [1, 2]}, {"values": [3, 4]}]
    }
    texts, _, dropped = sent("cohere", asked(MANY, batch=True))
    assert (texts["texts"], texts["input_type"], texts["output_dimension"], dropped) == (
        ["a\nb", "c"],
        "search_query",
        2,
        (),
    )
    assert sent("openai-asymmetric", asked({**ONE, "title": "t"}))[0]["input_type"] == "query"
    assert sent("mistral", asked({"content": TEXT, "output_dimensionality": 3}))[0]["output_dimension"] == 3


@pytest.mark.parametrize("codec", ["openai", "cohere", "ollama"])
def test_a_picture_is_only_for_google(codec: str) -> None:
    with pytest.raises(OmniError, match="embeds only text"):
        CODECS[codec].render(asked(PICTURE), "m")


@pytest.mark.parametrize(
    ("body", "batch", "text"),
    [
        ({}, False, "Missing content"),
        ({"content": "a"}, False, "Invalid 'content'"),
        ({"content": {"parts": "a"}}, False, "Invalid 'content'"),
        ({}, True, "Missing requests"),
        ({"requests": []}, True, "Missing requests"),
        ({"requests": {}}, True, "Invalid 'requests': expected an array of objects"),
        ({"requests": [ONE, {}]}, True, "Missing content"),
        ({**ONE, "outputDimensionality": 0}, False, "Invalid 'outputDimensionality'"),
        ({**ONE, "outputDimensionality": "3"}, False, "Invalid 'outputDimensionality'"),
    ],
)
def test_what_cannot_be_embedded_is_refused(body: Any, batch: bool, text: str) -> None:
    with pytest.raises(OmniError, match=text) as caught:
        asked(body, batch=batch)
    assert caught.value.status == 400
