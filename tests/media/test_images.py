from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark, Units
from omniroute.media.forms import File, Form
from omniroute.media.images import (
    NEBIUS,
    OPENAI,
    TOGETHER,
    XAI,
    ImageAsk,
    Picture,
    inline,
    mime_of,
    read_ask,
    read_edit,
    read_form,
    read_openai,
)
from omniroute.translate.format import BadAnswer

MARK = Mark("m", 7)
B64 = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
FILE = File("image[]", "a.png", "image/png", 0, 9, b"\x89PNG")


def ask(**members: Any) -> ImageAsk:
    return read_ask(json.dumps({"model": "p/m", "prompt": "a cat", **members}).encode())


def sent(codec: Any, one: ImageAsk, model: str = "m") -> tuple[dict[str, Any], tuple[str, ...]]:
    made = codec.render(one, model)
    return json.loads(made.body), made.dropped


def answered(data: Any, one: ImageAsk, **more: Any) -> tuple[Any, Any]:
    got = read_openai(json.dumps({"data": data, **more}).encode(), one, MARK)
    return json.loads(got.body), got


@pytest.mark.parametrize(
    ("size", "pixels", "aspect"),
    [(None, None, None), ("auto", None, None), ("1792x1024", (1792, 1024), "7:4"), ("1024x1024", (1024, 1024), "1:1")],
)
def test_a_size_is_read_as_pixels_and_aspect(size: str | None, pixels: tuple[int, int] | None, aspect: str | None) -> None:
    one = ask(size=size)
    assert (one.size, one.aspect) == (pixels, aspect)


@pytest.mark.parametrize(
    "members",
    [{"prompt": ""}, {"prompt": None}, {"prompt": 5}, {"n": 11}, {"n": 0}, {"n": "1"}, {"n": 1.5}, {"size": "x"},
     {"size": 5}, {"size": "0x9"}, {"response_format": "png"}],
)  # fmt: skip
def test_invalid_image_requests_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(OmniError) as caught:
        ask(**members)
    assert caught.value.param in members


def test_requests_are_passed_on_without_the_parameter_that_newer_models_refuse() -> None:
    one = ask(quality="low", response_format="url", background="opaque")
    assert sent(OPENAI, one, "dall-e-3")[0]["response_format"] == "url"
    assert sent(OPENAI, one, "gpt-image-1") == (
        {"model": "gpt-image-1", "prompt": "a cat", "quality": "low", "background": "opaque"},
        (),
    )


def test_xai_takes_a_ratio_it_knows() -> None:
    assert sent(XAI, ask(size="1024x576", n=2, style="vivid"), "grok-imagine-image") == (
        {"model": "grok-imagine-image", "prompt": "a cat", "n": 2, "aspect_ratio": "16:9"},
        ("style",),
    )
    assert sent(XAI, ask(size="1000x999"), "grok-imagine-image")[1] == ("size",)
    assert sent(XAI, ask(size="1024x1024"), "grok-2-image")[1] == ("size",)
    assert sent(XAI, ask(size="1024x1024", aspect_ratio="4:3"), "g")[0]["aspect_ratio"] == "4:3"


def test_settings_of_the_vendor_are_passed_on() -> None:
    assert sent(TOGETHER, ask(steps=4, seed=1, quality="hd", user="u")) == (
        {"model": "m", "prompt": "a cat", "n": 1, "steps": 4, "seed": 1},
        ("quality", "user"),
    )
    assert sent(NEBIUS, ask(n=2, num_inference_steps=28, response_extension="webp")) == (
        {"model": "m", "prompt": "a cat", "num_inference_steps": 28, "response_extension": "webp"},
        ("n",),
    )


def test_parameters_that_only_openai_supports_are_named_for_others() -> None:
    two = (Picture("data:,a"), Picture("data:,b"))
    one = read_edit(b'{"prompt": "x", "images": ["data:,a", "data:,b"], "mask": "data:,m", "user": "u", "stream": true}')
    assert sent(XAI, one)[1] == ("user", "mask", "stream")
    assert sent(TOGETHER, one)[1] == ("user", "mask", "stream", "image")
    form = Form((("prompt", "x"),), (FILE, FILE._replace(name="mask")))
    assert sent(XAI, read_form(form, "edits", "b")._replace(pictures=two))[1] == ("mask",)
    assert sent(TOGETHER, ask()._replace(pictures=two[:1]))[1] == ()


def test_answers_have_the_requested_response_format() -> None:
    both, url, content = {"url": "u", "b64_json": B64}, {"url": "https://a.test/1"}, {"b64_json": B64}
    assert answered([url, content], ask())[0] == {"data": [url, content], "created": 7}
    assert answered([both], ask(response_format="b64_json"))[1].urls == ()
    body, got = answered([url, content], ask(response_format="b64_json"))
    assert (got.urls, got.units) == (("https://a.test/1",), Units(images=2))
    assert answered([content], ask(response_format="url"))[0]["data"] == [{"url": f"data:image/png;base64,{B64}"}]
    inside = {"url": f"data:image/png;base64,{B64}"}
    assert answered([inside], ask(response_format="b64_json"))[0]["data"] == [content]
    filled = json.loads(inline(json.dumps(body).encode(), {"https://a.test/1": b"\x89PNG\r\n\x1a\n"}))
    assert filled == {"data": [content, content], "created": 7}


def test_the_vendors_own_time_and_counts_are_kept() -> None:
    body, got = answered(
        [{"b64_json": B64, "revised_prompt": "r"}], ask(), created=5, usage={"input_tokens": 1, "output_tokens": 2}
    )
    assert (body["created"], body["usage"]["output_tokens"], body["data"][0]["revised_prompt"]) == (5, 2, "r")
    assert (got.usage.input, got.usage.output) == (1, 2)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": []}', b'{"data": [{}]}', b'{"data": [{"url": 5}]}'])
def test_invalid_answers_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_openai(body, ask(), MARK)


def test_pictures_to_be_changed_in_json() -> None:
    def pictures(**members: Any) -> list[str]:
        return [picture.url for picture in read_edit(json.dumps({"prompt": "x", **members}).encode()).pictures]

    assert pictures(images=[{"image_url": "a"}, {"type": "image_url", "url": "b"}, {"image_url": {"url": "c"}}, "d"]) == [
        *"abcd"
    ]
    assert pictures(image="a") == ["a"]
    with pytest.raises(OmniError, match="image is required"):
        pictures(images=[5])


def test_pictures_to_be_changed_in_a_form() -> None:
    form = Form((("model", "p/m"), ("prompt", "x"), ("n", "2"), ("response_format", "b64_json")), (FILE,))
    one = read_form(form, "edits", "B")
    assert (one.prompt, one.n, one.found.model, one.stream) == ("x", 2, "p/m", False)
    made = OPENAI.render(one, "gpt-image-1")
    assert (made.path, made.content_type) == ("./images/edits", b"multipart/form-data; boundary=B")
    assert b'"response_format"' not in b"".join(piece for piece in made.body if isinstance(piece, bytes))
    assert read_form(Form((("model", "m"),), (FILE,)), "variations", "B").prompt == ""
    for files in ((), (FILE._replace(name="mask"),), (FILE._replace(size=0),)):
        with pytest.raises(OmniError, match="image is required"):
            read_form(form._replace(files=files), "edits", "B")
    with pytest.raises(OmniError, match="Invalid prompt"):
        read_form(Form((), (FILE,)), "edits", "B")
    with pytest.raises(OmniError, match="Invalid 'n'"):
        read_form(Form((("prompt", "x"), ("n", "1.5")), (FILE,)), "edits", "B")


def test_what_a_data_url_holds() -> None:
    assert Picture("data:image/webp;base64,abc").inline() == ("image/webp", "abc")
    assert Picture("https://a.test").inline() is None
    assert [mime_of(text) for text in ("iVBORw0KGgoA", "/9j/4A", "UklGRg", "??")] == [
        "image/png", "image/jpeg", "image/webp", "image/png",
    ]  # fmt: skip
