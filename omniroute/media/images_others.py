"""Images from vendors whose requests and responses differ from OpenAI's: Fireworks, Hyperbolic, Nano Banana.

https://docs.fireworks.ai/api-reference/generate-a-new-image-from-a-text-prompt, https://docs.hyperbolic.xyz/docs/image-apis,
https://docs.nanobananaapi.ai
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from ..translate.format import BadAnswer
from .codec import Codec, Got, Mark, Next, Refused, Sent, decoded
from .images import Image, ImageAsk, got, only_words

_EVERY: Final = 2.0  # seconds between polls


def _plain(content: str) -> Image:
    """An image from base64, with or without the head of a ``data:`` URL."""
    head, comma, rest = content.partition(",")
    return Image(b64_json=rest if comma else head)


# -- Fireworks: FLUX models are workflows, older models have their own endpoint, Kontext models are asynchronous jobs


def _fireworks_name(model: str) -> str:
    return model if model.startswith("accounts/") else f"accounts/fireworks/models/{model}"


def _is_job(model: str) -> bool:
    return "kontext" in model


def _render_fireworks(ask: ImageAsk, model: str) -> Sent:
    name = quote(_fireworks_name(model), safe="/")
    members: dict[str, Any] = {"prompt": ask.prompt, **ask.extra()}
    gone = ask.lost("quality", "style", pictures=1)
    if not _is_job(model):
        only_words(ask, model)
    if "flux" not in model:
        members["samples"] = ask.n
        if ask.size is not None:
            members["width"], members["height"] = ask.size
        return Sent(msgspec.json.encode(members), gone, f"./image_generation/{name}")
    if ask.aspect is not None:
        members.setdefault("aspect_ratio", ask.aspect)
    if ask.n > 1:
        gone += ("n",)
    if not _is_job(model):
        return Sent(msgspec.json.encode(members), gone, f"./workflows/{name}/text_to_image")
    if ask.pictures:
        members["input_image"] = ask.pictures[0].url
    return Sent(msgspec.json.encode(members), gone, f"./workflows/{name}")


class _Sample(Struct):
    sample: str | None = None


class _Fireworks(Struct):
    base64: list[str] | str | None = None
    finishReason: str | None = None
    request_id: str | None = None
    id: str | None = None
    status: str | None = None
    result: _Sample | None = None


_EITHER: Final[Any] = list[_Fireworks] | _Fireworks


def _read_fireworks(body: bytes, ask: ImageAsk, mark: Mark) -> Got:
    answers: list[_Fireworks] | _Fireworks = decoded(body, _EITHER)
    images: list[Image] = []
    for answer in answers if isinstance(answers, list) else [answers]:
        if answer.finishReason == "CONTENT_FILTERED":
            raise Refused(400, "The prompt or the image was refused by the provider's content filter")
        if answer.result is not None and answer.result.sample:
            sample = answer.result.sample
            images.append(Image(url=sample) if sample.startswith("http") else _plain(sample))
        contents = [answer.base64] if isinstance(answer.base64, str) else answer.base64 or []
        images += [_plain(content) for content in contents]
    return _made(images, ask, mark)


def _follow_fireworks(body: bytes, ask: ImageAsk, model: str) -> Next | None:
    if not _is_job(model):
        return None
    answer = decoded(body, _Fireworks)
    if answer.status == "Ready":
        return None
    if answer.status not in (None, "Pending"):
        status = 400 if "Moderated" in answer.status else 502
        raise Refused(status, f"The image could not be generated: {answer.status}")
    identity = answer.request_id or answer.id
    if not identity:
        raise BadAnswer("no request_id")
    path = f"./workflows/{quote(_fireworks_name(model), safe='/')}/get_result"
    return Next("POST", path, msgspec.json.encode({"id": identity}), _EVERY)


# -- Hyperbolic


def _render_hyperbolic(ask: ImageAsk, model: str) -> Sent:
    members: dict[str, Any] = {"model_name": model, "prompt": ask.prompt, "backend": "auto", **ask.extra()}
    members["width"], members["height"] = ask.size or (1024, 1024)
    if ask.n > 1:
        members["num_images"] = ask.n
    return Sent(msgspec.json.encode(members), ask.lost("quality", "style"), "./image/generation")


class _HyperbolicImage(Struct):
    image: str


class _Hyperbolic(Struct):
    images: list[_HyperbolicImage]


def _read_hyperbolic(body: bytes, ask: ImageAsk, mark: Mark) -> Got:
    return _made([_plain(image.image) for image in decoded(body, _Hyperbolic).images], ask, mark)


# -- Nano Banana: an asynchronous job, polled until it is done


def _render_nanobanana(ask: ImageAsk, model: str) -> Sent:
    pictures = [picture.url for picture in ask.pictures]
    members: dict[str, Any] = {"prompt": ask.prompt, **ask.extra()}
    members.setdefault("callBackUrl", "https://localhost/")  # mandatory, but the result is polled
    gone = ask.lost("quality", "style")
    if pictures:
        members["imageUrls"] = pictures
    if "pro" in model:
        if ask.aspect is not None:
            members.setdefault("aspectRatio", ask.aspect)
        return Sent(msgspec.json.encode(members), gone + (("n",) if ask.n > 1 else ()), "./generate-pro")
    members |= {"type": "IMAGETOIAMGE" if pictures else "TEXTTOIAMGE", "numImages": ask.n}  # the vendor's spelling
    if ask.aspect is not None:
        members.setdefault("image_size", ask.aspect)
    return Sent(msgspec.json.encode(members), gone, "./generate")


class _Result(Struct):
    resultImageUrl: str | list[str] | None = None
    resultUrls: list[str] | None = None
    originImageUrl: str | None = None


class _Task(Struct):
    taskId: str | None = None
    successFlag: int | None = None
    errorMessage: str | None = None
    response: _Result | None = None


class _NanoBanana(Struct):
    code: int = 200
    msg: str | None = None
    data: _Task | None = None


def _follow_nanobanana(body: bytes, ask: ImageAsk, model: str) -> Next | None:
    answer = decoded(body, _NanoBanana)
    if answer.code >= 300:
        raise Refused(answer.code if 400 <= answer.code < 600 else 502, answer.msg or "The image could not be generated")
    task = answer.data or _Task()
    if task.successFlag == 1:
        return None
    if task.successFlag:
        raise Refused(502 if task.successFlag == 2 else 400, task.errorMessage or "The image could not be generated")
    if not task.taskId:
        raise BadAnswer("no taskId")
    return Next("GET", f"./record-info?{urlencode({'taskId': task.taskId})}", wait=_EVERY)


def _read_nanobanana(body: bytes, ask: ImageAsk, mark: Mark) -> Got:
    task = decoded(body, _NanoBanana).data
    result = (task.response if task is not None else None) or _Result()
    found = result.resultImageUrl or result.resultUrls or result.originImageUrl or []
    return _made([Image(url=url) for url in ([found] if isinstance(found, str) else found)], ask, mark)


def _made(images: list[Image], ask: ImageAsk, mark: Mark) -> Got:
    if not images:
        raise BadAnswer("no image")
    return got(images, ask, mark)


FIREWORKS: Final = Codec(_render_fireworks, _read_fireworks, _follow_fireworks)
HYPERBOLIC: Final = Codec(_render_hyperbolic, _read_hyperbolic)
NANOBANANA: Final = Codec(_render_nanobanana, _read_nanobanana, _follow_nanobanana)
