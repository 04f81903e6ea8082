from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Codec, Mark, Next, Refused
from omniroute.media.images import ImageAsk, Picture, read_ask
from omniroute.media.images_others import FIREWORKS, HYPERBOLIC, NANOBANANA
from omniroute.translate.format import BadAnswer

MARK = Mark("m", 7)
KONTEXT = "accounts/fireworks/models/flux-kontext-pro"


def ask(**members: Any) -> ImageAsk:
    return read_ask(json.dumps({"model": "p/m", "prompt": "a cat", **members}).encode())


def sent(codec: Codec, one: ImageAsk, model: str) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    made = codec.render(one, model)
    assert isinstance(made.body, bytes)
    return made.path, json.loads(made.body), made.dropped


def data(codec: Codec, body: Any, one: ImageAsk | None = None) -> Any:
    return json.loads(codec.read(json.dumps(body).encode(), one or ask(), MARK).body)["data"]


def follow(codec: Codec, body: Any, model: str = KONTEXT) -> Next | None:
    assert codec.follow is not None
    return codec.follow(json.dumps(body).encode(), ask(), model)


def test_fireworks_has_three_endpoints() -> None:
    assert sent(FIREWORKS, ask(n=2, size="1024x768", steps=30), "stable-diffusion-xl-1024-v1-0") == (
        "./image_generation/accounts/fireworks/models/stable-diffusion-xl-1024-v1-0",
        {"prompt": "a cat", "samples": 2, "width": 1024, "height": 768, "steps": 30},
        (),
    )
    assert sent(FIREWORKS, ask(n=2, size="1024x1024"), "flux-1-dev-fp8") == (
        "./workflows/accounts/fireworks/models/flux-1-dev-fp8/text_to_image",
        {"prompt": "a cat", "aspect_ratio": "1:1"},
        ("n",),
    )
    assert sent(FIREWORKS, ask()._replace(pictures=(Picture("data:,x"),)), KONTEXT) == (
        f"./workflows/{KONTEXT}",
        {"prompt": "a cat", "input_image": "data:,x"},
        (),
    )


@pytest.mark.parametrize("model", ["flux-1-dev-fp8", "stable-diffusion-xl-1024-v1-0"])
def test_fireworks_refuses_edits_by_other_models_and_names_dropped_parameters(model: str) -> None:
    two = (Picture("data:,x"), Picture("data:,y"))
    with pytest.raises(OmniError, match=f"Invalid image model: {model}. It cannot edit images"):
        FIREWORKS.render(ask()._replace(pictures=two), model)
    assert sent(FIREWORKS, ask()._replace(pictures=two), KONTEXT)[2] == ("image",)


def test_fireworks_answers() -> None:
    assert data(FIREWORKS, [{"base64": "aGk=", "seed": 1, "finishReason": "SUCCESS"}] * 2) == [{"b64_json": "aGk="}] * 2
    assert data(FIREWORKS, {"base64": ["data:image/png;base64,aGk="]}) == [{"b64_json": "aGk="}]
    assert data(FIREWORKS, {"status": "Ready", "result": {"sample": "https://a.test/1"}}) == [{"url": "https://a.test/1"}]
    with pytest.raises(Refused, match="content filter"):
        data(FIREWORKS, [{"finishReason": "CONTENT_FILTERED"}])
    with pytest.raises(BadAnswer):
        data(FIREWORKS, [])


def test_a_fireworks_job_is_polled() -> None:
    look = Next("POST", f"./workflows/{KONTEXT}/get_result", b'{"id":"r"}', 2.0)
    assert follow(FIREWORKS, {"request_id": "r"}) == follow(FIREWORKS, {"id": "r", "status": "Pending"}) == look
    assert follow(FIREWORKS, {"id": "r", "status": "Ready"}) is None
    assert follow(FIREWORKS, [], "flux-1-dev-fp8") is None
    with pytest.raises(Refused) as caught:
        follow(FIREWORKS, {"id": "r", "status": "Request Moderated"})
    assert caught.value.status == 400
    with pytest.raises(BadAnswer):
        follow(FIREWORKS, {})


def test_hyperbolic_has_a_size_in_any_case() -> None:
    assert sent(HYPERBOLIC, ask(quality="hd", cfg_scale=5), "SD2") == (
        "./image/generation",
        {"model_name": "SD2", "prompt": "a cat", "backend": "auto", "cfg_scale": 5, "width": 1024, "height": 1024},
        ("quality",),
    )
    assert data(HYPERBOLIC, {"images": [{"image": "aGk="}]}) == [{"b64_json": "aGk="}]


def test_nanobanana_has_an_endpoint_for_its_better_model() -> None:
    path, body, dropped = sent(NANOBANANA, ask(n=2, size="1024x1024", resolution="2K"), "nanobanana-pro")
    assert (path, body["aspectRatio"], body["resolution"], dropped) == ("./generate-pro", "1:1", "2K", ("n",))
    changed = ask()._replace(pictures=(Picture("https://a.test/1"),))
    path, body, _ = sent(NANOBANANA, changed, "nanobanana-flash")
    assert (path, body["type"], body["imageUrls"]) == ("./generate", "IMAGETOIAMGE", ["https://a.test/1"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 402, "msg": "no credits"}, 402),
        ({"code": 999}, 502),
        ({"code": 200, "data": {"successFlag": 2, "errorMessage": "x"}}, 502),
        ({"code": 200, "data": {"successFlag": 3, "errorMessage": "x"}}, 400),
    ],
)
def test_nanobananas_errors(body: Any, status: int) -> None:
    with pytest.raises(Refused) as caught:
        follow(NANOBANANA, body)
    assert caught.value.status == status


def test_nanobananas_answers() -> None:
    urls = ["https://a.test/1", "https://a.test/2"]
    for response in ({"resultImageUrl": urls}, {"resultUrls": urls}):
        assert data(NANOBANANA, {"data": {"successFlag": 1, "response": response}}) == [{"url": url} for url in urls]
    with pytest.raises(BadAnswer):
        data(NANOBANANA, {"data": {"successFlag": 1}})
    with pytest.raises(BadAnswer):
        follow(NANOBANANA, {"code": 200, "data": None})
