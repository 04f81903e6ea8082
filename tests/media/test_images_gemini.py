from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark, Refused
from omniroute.media.images import ImageAsk, Picture, read_ask
from omniroute.media.images_gemini import GEMINI
from omniroute.translate.format import BadAnswer

MARK = Mark("m", 7)


def ask(**members: Any) -> ImageAsk:
    return read_ask(json.dumps({"model": "p/m", "prompt": "a cat", **members}).encode())


def read(body: Any, **members: Any) -> Any:
    return GEMINI.read(json.dumps(body).encode(), ask(**members), MARK)


def test_imagen_predicts() -> None:
    sent = GEMINI.render(ask(n=3, size="1024x1024", quality="hd"), "imagen-4.0-generate-001")
    assert isinstance(sent.body, bytes)
    assert (sent.path, sent.dropped) == ("./models/imagen-4.0-generate-001:predict", ("quality",))
    assert json.loads(sent.body) == {
        "instances": [{"prompt": "a cat"}],
        "parameters": {"sampleCount": 3, "aspectRatio": "1:1"},
    }
    got = read({"predictions": [{"bytesBase64Encoded": "aGk=", "mimeType": "image/jpeg"}]}, response_format="url")
    assert json.loads(got.body)["data"] == [{"url": "data:image/jpeg;base64,aGk=", "mime_type": "image/jpeg"}]


def test_parameters_unsupported_by_gemini_models_are_named() -> None:
    sent = GEMINI.render(ask(n=3, size="1000x999", steps=4), "models/gemini-2.5-flash-image")
    assert (sent.path, sent.dropped) == ("./models/gemini-2.5-flash-image:generateContent", ("size", "n", "steps"))


def test_thoughts_are_no_pictures_and_count_as_output() -> None:
    parts = [{"inlineData": {"data": "bm8="}, "thought": True}, {"text": "Here"}, {"inlineData": {"data": "aGk="}}]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 10, "thoughtsTokenCount": 5, "totalTokenCount": 18}
    got = read({"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage})
    assert [one["b64_json"] for one in json.loads(got.body)["data"]] == ["aGk="]
    assert (got.usage.input, got.usage.output, got.usage.reasoning) == (3, 15, 5)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "the prompt was blocked (SAFETY)"),
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, "IMAGE_SAFETY"),
        ({"candidates": [{"content": {"parts": [{"text": "I cannot"}]}, "finishReason": "STOP"}]}, "I cannot"),
        ({"predictions": [{"raiFilteredReason": "people"}]}, "people"),
        ({}, "no reason given"),
    ],
)
def test_no_picture_is_a_refusal_with_its_reason(body: Any, why: str) -> None:
    with pytest.raises(Refused) as caught:
        read(body)
    assert (caught.value.status, caught.value.message) == (400, f"The provider generated no image: {why}")


def test_imagen_changes_no_pictures() -> None:
    with pytest.raises(OmniError, match="cannot edit images"):
        GEMINI.render(ask()._replace(pictures=(Picture("data:image/png;base64,aGk="),)), "imagen-4.0-generate-001")


def test_pictures_to_be_changed_must_be_there() -> None:
    with pytest.raises(OmniError, match="data: URL"):
        GEMINI.render(ask()._replace(pictures=(Picture("https://a.test/1"),)), "gemini-2.5-flash-image")


def test_invalid_answers_are_bad_answers() -> None:
    with pytest.raises(BadAnswer):
        GEMINI.read(b"<html>", ask(), MARK)
