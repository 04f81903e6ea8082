from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from shared import needs_shared, recordings

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.embeddings import CODECS, EmbeddingsAsk, decode_ollama, decode_ollama_legacy, decode_openai
from omniroute.translate.format import BadAnswer

MARK = Mark("p/m", 1, "id")
OPENAI = CODECS["openai"]
ANSWER = (
    b'{"object":"list","data":[{"object":"embedding","index":1,"embedding":[3,4]},'
    b'{"object":"embedding","index":0,"embedding":[1,2]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}'
)


def asked(**body: Any) -> EmbeddingsAsk:
    return decode_openai(json.dumps({"model": "p/m", **body}).encode())


@pytest.mark.parametrize(
    ("value", "texts", "tokens"),
    [
        ("one", ["one"], None),
        (["one", "two"], ["one", "two"], None),
        ([1, 2, 3], None, [[1, 2, 3]]),
        ([[1, 2], [3]], None, [[1, 2], [3]]),
    ],
)
def test_each_form_of_input_is_read(value: Any, texts: list[str] | None, tokens: list[list[int]] | None) -> None:
    ask = asked(input=value)
    assert (ask.texts, ask.tokens) == (texts, tokens)


@pytest.mark.parametrize(
    ("body", "text", "param"),
    [
        ({}, "Missing input", "input"),
        ({"input": ""}, "Missing input", "input"),
        ({"input": []}, "Missing input", "input"),
        ({"input": None}, "Missing input", "input"),
        ({"input": 5}, "Invalid 'input': expected a string, an array of strings", "input"),
        ({"input": ["a", 1]}, "Invalid 'input': expected a string, an array of strings", "input"),
        ({"input": "x", "dimensions": "many"}, "Invalid 'dimensions': expected a whole number", "dimensions"),
        ({"input": "x", "dimensions": 0}, "Invalid 'dimensions': expected a whole number above 0", "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "Invalid 'encoding_format': expected 'float'", "encoding_format"),
    ],
)
def test_what_cannot_be_embedded_is_refused(body: dict[str, Any], text: str, param: str) -> None:
    with pytest.raises(OmniError) as caught:
        asked(**body)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message.startswith(text)


def test_a_request_without_a_model_is_left_to_be_refused_for_that() -> None:
    assert decode_openai(b"{}").model == ""


def test_the_same_wire_is_relayed_with_the_model_replaced_on_both_ways() -> None:
    ask = decode_openai(b'{"model":"p/m","input":["a","b"],  "vendor_option":{"x":1}}')
    sent = OPENAI.render(ask, "m")
    assert sent.body == b'{"model":"m","input":["a","b"],  "vendor_option":{"x":1}}'
    got = OPENAI.read(ANSWER, ask, MARK)
    assert got.body == ANSWER.replace(b'"model":"m"', b'"model":"p/m"')
    assert got.usage is not None
    assert (got.usage.input, got.usage.output, got.usage.estimated, got.model) == (7, 0, False, "m")


def test_usage_is_found_before_the_vectors_and_in_between() -> None:
    ask = asked(input="x")
    filler = b'{"embedding":[%b0]}' % (b"1," * 5000)
    for body in (
        b'{"usage":{"prompt_tokens":7,"prompt_tokens_details":{"audio":0}},"data":[%b]}' % filler,
        b'{"data":[%b],"usage":{"total_tokens":7},"more":[%b]}' % (filler, filler),
    ):
        got = OPENAI.read(body, ask, MARK)
        assert got.usage is not None
        assert got.usage.input == 7
        assert got.body == body


def test_missing_usage_is_estimated_and_marked_so() -> None:
    got = OPENAI.read(b'{"data":[{"embedding":[1]}]}', asked(input="12345678"), MARK)
    assert got.usage is not None
    assert (got.usage.input, got.usage.estimated) == (2, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'["data"]'])
def test_invalid_answers_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        OPENAI.read(body, asked(input="x"), MARK)


def test_models_that_require_a_purpose_get_one() -> None:
    codec = CODECS["openai-asymmetric"]
    assert json.loads(codec.render(asked(input="x"), "m").body) == {"model": "m", "input": "x", "input_type": "passage"}
    told = asked(input="x", input_type="query")
    assert json.loads(codec.render(told, "m").body)["input_type"] == "query"
    foreign = asked(input="x", task="retrieval.query")
    assert json.loads(codec.render(foreign, "m").body) == {"model": "m", "input": "x", "input_type": "query"}
    assert json.loads(codec.render(asked(input="x", input_type="search_query"), "m").body)["input_type"] == "query"
    assert json.loads(codec.render(asked(input="x", input_type="odd"), "m").body)["input_type"] == "odd"


def test_mistral_has_its_own_name_for_the_dimensions() -> None:
    sent = CODECS["mistral"].render(asked(input="x", dimensions=256, user="u", output_dtype="int8"), "m")
    assert json.loads(sent.body) == {"model": "m", "input": "x", "output_dtype": "int8", "output_dimension": 256}
    assert sent.dropped == ("user",)
    body = decode_openai(b'{"model":"p/m", "input":"x"}')
    assert CODECS["mistral"].render(body, "m").body == b'{"model":"m", "input":"x"}'


def test_an_ollama_client_gets_its_own_form_in_the_order_of_its_inputs() -> None:
    ask = decode_ollama(b'{"model":"p/m","input":["a","b"],"dimensions":2,"keep_alive":"5m"}')
    sent = OPENAI.render(ask, "m")
    assert json.loads(sent.body) == {"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}
    assert sent.dropped == ("keep_alive",)
    assert json.loads(OPENAI.read(ANSWER, ask, MARK).body) == {
        "model": "p/m",
        "embeddings": [[1, 2], [3, 4]],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 7,
    }


def test_the_older_ollama_endpoint_takes_one_prompt() -> None:
    ask = decode_ollama_legacy(b'{"model":"p/m","prompt":"a"}')
    assert json.loads(OPENAI.read(ANSWER, ask, MARK).body) == {"embedding": [1, 2]}
    with pytest.raises(OmniError, match="Missing prompt"):
        decode_ollama_legacy(b'{"model":"p/m"}')
    with pytest.raises(OmniError, match="Invalid 'input'"):
        decode_ollama(b'{"model":"p/m","input":[1]}')


def test_base64_from_upstream_becomes_numbers_for_clients_that_know_only_those() -> None:
    text = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    body = json.dumps({"data": [{"embedding": text, "index": 0}]}).encode()
    got = OPENAI.read(body, decode_ollama(b'{"model":"m","input":"a"}'), MARK)
    assert json.loads(got.body)["embeddings"] == [[0.5, -1.0]]


def test_numbers_from_upstream_become_base64_for_clients_that_asked_for_it() -> None:
    """The Node.js package asks for base64 unless told otherwise, and takes whatever comes for that."""
    ask = asked(input=["a", "b"], encoding_format="base64")
    got = json.loads(OPENAI.read(ANSWER, ask, MARK).body)
    texts = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in ((1, 2), (3, 4))]
    assert [(item["index"], item["embedding"]) for item in got["data"]] == [*enumerate(texts)]
    assert (got["model"], got["usage"]) == ("p/m", {"prompt_tokens": 7, "total_tokens": 7})
    body = ANSWER.replace(b"[1,2]", b'"%b"' % texts[0].encode()).replace(b"[3,4]", b'"%b"' % texts[1].encode())
    assert OPENAI.read(body, ask, MARK).body == body.replace(b'"model":"m"', b'"model":"p/m"')


@needs_shared
def test_every_recorded_answer_passes_unchanged_but_for_the_models_name() -> None:
    seen = 0
    for recording in recordings("openai-embeddings"):
        ask = decode_openai(json.dumps(recording["request"]["body"]).encode())
        sent = json.loads(OPENAI.render(ask, "new").body)
        assert sent == {**recording["request"]["body"], "model": "new"}
        if recording["response"]["status"] != 200:
            continue
        body = recording["response"]["body"].encode()
        got = OPENAI.read(body, ask, MARK)
        before, after = json.loads(body), json.loads(got.body)
        assert after == ({**before, "model": "p/m"} if "model" in before else before)
        assert got.usage is not None
        assert got.usage.input == before["usage"]["prompt_tokens"]
        assert not got.usage.estimated
        seen += 1
    assert seen > 3
